"""Programs that are given code: shells, Python, other interpreters, sed and awk."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from policies.facts import python, tables
from policies.facts.paths import UNKNOWN
from policies.facts.vocabulary import CodeFact
from policies.facts.words import Word

if TYPE_CHECKING:
    from policies.facts.shell import Shell


def run_shell_text(
    word: Word, shell: Shell, *, context: str, arguments: tuple[str, ...] = ()
) -> None:
    """Look through a word that is run as commands."""
    if UNKNOWN in word.text:
        _doubt_script("dynamic-script", shell)
    shell.collected.code.append(CodeFact(language="sh", judged=UNKNOWN not in word.text))
    shell.run_text(word.text.replace(UNKNOWN, "_unknown_"), context=context, arguments=arguments)


def _doubt_script(reason: str, shell: Shell) -> None:
    """A script comes from somewhere unknown: a here-document of the same text may be it."""
    shell.doubt(reason)
    for document in shell.documents:
        shell.run_text(document.text, context="heredoc")


def _run_python(code: str, shell: Shell) -> None:
    if UNKNOWN in code:
        shell.doubt("dynamic-script")
    shell.collected.code.append(CodeFact(language="python", judged=UNKNOWN not in code))
    python.read(code, shell.collected, shell, depth=shell.depth + 1)


def _run_stdin(language: str, shell: Shell) -> None:
    """A program that reads its script from what is put into it."""
    text = shell.heredoc
    if text is None and shell.piped is not None:
        text = " ".join(w.text for w in shell.piped)
    if text is None or UNKNOWN in text or shell.stdin in {"file", "none"}:
        _doubt_script(f"script from standard input of {language}", shell)
    elif language == "python":
        _run_python(text, shell)
    else:
        run_shell_text(Word(text), shell, context="heredoc")


def _run_file(script: Word, shell: Shell) -> None:
    if UNKNOWN in script.text or script.text.startswith(("/dev/fd", "/dev/stdin")):
        _doubt_script("dynamic-script", shell)
    shell.collected.path(script, "execute", cwd=shell.cwd)


_PYTHON_FLAGS = r"[bBdEIOPqRsSuvVx]"
_PYTHON_ENDS = re.compile(rf"-{_PYTHON_FLAGS}*(?P<how>[cm])(?P<rest>.*)", re.DOTALL)
_SHOWS_FILES = frozenset({"json.tool", "tokenize", "ast", "base64", "zipfile", "tarfile"})


def look_python(arguments: list[Word], shell: Shell) -> None:
    """Python by its first argument that is no option: code, a module, a file, or its input."""
    at = 0
    while at < len(arguments):
        text = arguments[at].text
        if ends := _PYTHON_ENDS.fullmatch(text):
            rest = arguments[at + 1 :]
            value = ends["rest"] or (rest[0].text if rest else "")
            if ends["how"] == "c":
                _run_python(value, shell)
            else:
                _run_module(value, rest, shell)
            return
        if text in {"-V", "--version", "-VV", "-h", "--help"}:
            return
        if text == "-":
            break
        if not text.startswith("-"):
            _run_file(arguments[at], shell)
            return
        if not re.fullmatch(rf"-{_PYTHON_FLAGS}+|-[WX].*", text):
            shell.doubt("option of python")
        at += 2 if text in {"-W", "-X"} else 1
    _run_stdin("python", shell)


def _run_module(module: str, rest: list[Word], shell: Shell) -> None:
    if module in tables.RISKY_MODULES or UNKNOWN in module:
        shell.doubt(f"module {module}")
    for word in rest if module in _SHOWS_FILES else []:
        if not word.text.startswith("-"):
            shell.collected.path(word, "read", cwd=shell.cwd)


def look_shell(program: str, arguments: list[Word], shell: Shell) -> None:
    """A shell by its options: a text, its input, or a file."""
    at, letters = 0, ""
    while at < len(arguments) and re.fullmatch(r"[-+].+", arguments[at].text, re.DOTALL):
        text = arguments[at].text
        if text.startswith("--") and text != "--":
            shell.doubt(f"option of {program}")
        letters += text[1:]
        at += 2 if re.fullmatch(r"[-+][oO]|--(rcfile|init-file)", text) else 1
    rest = arguments[at:]
    if "i" in letters.replace("init", ""):
        shell.doubt(f"option of {program}")
    if "c" in letters.replace("rcfile", "") and rest:
        run_shell_text(rest[0], shell, context="code", arguments=tuple(w.text for w in rest[1:]))
    elif "s" in letters or not rest or rest[0].text == "-":
        _run_stdin(program, shell)
    else:
        _run_file(rest[0], shell)


def look_other(program: str, options: list[Word], operands: list[Word], shell: Shell) -> None:
    """An interpreter whose code is not looked through."""
    letters = tables.CODE_OPTIONS.get(program, "")
    inline = any(not w.text.startswith("--") and set(w.text[1:]) & set(letters) for w in options)
    shell.collected.code.append(CodeFact(language=program, judged=False))
    if operands and operands[0].text in tables.NETWORK_SUBCOMMANDS.get(program, ()):
        shell.doubt(f"{program} {operands[0].text}")
    if operands and not inline:
        _run_file(operands[0], shell)
    elif not any(w.text in {"--version", "-v", "-V", "--help"} for w in options):
        shell.doubt(f"inline code of {program}")
    # The words of its code may name files all the same.
    for word in operands if inline else []:
        for name in re.findall(r"['\"]([\w./~-]{2,80})['\"]", word.text):
            shell.collected.path(Word(name), "read", cwd=shell.cwd)


def look_source(arguments: list[Word], shell: Shell) -> None:
    """`source FILE`: the start of a virtual environment is everyday, another file is doubted."""
    for word in arguments[:1]:
        shell.collected.path(word, "execute", cwd=shell.cwd)
        if not re.fullmatch(r"(\./)?(\.?venv|env)/bin/activate", word.text):
            _doubt_script("sourced-file", shell)


def look_eval(arguments: list[Word], shell: Shell) -> None:
    """`eval WORDS`: the words are one text of commands."""
    run_shell_text(Word(" ".join(w.text for w in arguments)), shell, context="code")


def look_trap(arguments: list[Word], shell: Shell) -> None:
    """`trap TEXT SIGNALS`: a text of commands that runs later."""
    operands = [w for w in arguments if not re.fullmatch(r"-[lpP]+|--", w.text)]
    if len(operands) > 1 and operands[0].text not in {"", "-"}:
        run_shell_text(operands[0], shell, context="trap")


_SED_CODE = re.compile(r"-[nErsuz]*e(?P<short>.*)|--expression(?:=(?P<long>.*))?", re.DOTALL)
_SED_FILE = re.compile(r"-[nErsuz]*f.*|--file.*", re.DOTALL)
_SED_IN_PLACE = re.compile(r"-[nErsuz]*i.*|--in-place.*")


def look_sed(arguments: list[Word], shell: Shell) -> None:
    """Scripts of sed can run commands (`e`) and read and write files (`r`, `w`)."""
    scripts: list[Word] = []
    operands: list[Word] = []
    texts = [w.text for w in arguments]
    for before, word in zip(["", *texts], arguments, strict=False):
        opened, code = _SED_CODE.fullmatch(before), _SED_CODE.fullmatch(word.text)
        if opened and not (opened["short"] or opened["long"]):
            scripts.append(word)
        elif code and (code["short"] or code["long"]):
            scripts.append(Word(code["short"] or code["long"]))
        elif not word.text.startswith("-") or word.text == "-":
            operands.append(word)
    if any(_SED_FILE.fullmatch(t) for t in texts):
        shell.doubt("script of sed")
    elif not any(_SED_CODE.fullmatch(t) for t in texts):
        scripts, operands = operands[:1], operands[1:]
    for script in scripts:
        _look_sed_script(script.text, shell)
    in_place = any(_SED_IN_PLACE.fullmatch(t) for t in texts)
    for word in operands:
        shell.collected.path(word, "read", cwd=shell.cwd)
        if in_place:
            shell.collected.path(word, "write", cwd=shell.cwd)


_SED_ADDRESS = r"(?:\d+|\$|/(?:[^/\\]|\\.)*/I?)"
_SED_SIMPLE = re.compile(
    rf"\s*(?:{_SED_ADDRESS}(?:,(?:[+~]?\d+|{_SED_ADDRESS}))?\s*!?\s*)?"
    r"(?:s(?P<d>[/|#,:@!])(?:(?!(?P=d))[^\\]|\\.)*(?P=d)(?:(?!(?P=d))[^\\]|\\.)*(?P=d)[gpiIm0-9]*"
    r"|[pdqDPhHgGxnN=](?:\s*\d+)?|[aci]\\?\s[^;{}]*|)\s*"
)
"""A command of sed that neither runs anything nor names a file."""


def _look_sed_script(text: str, shell: Shell) -> None:
    at = 0
    while at < len(text):
        match = _SED_SIMPLE.match(text, at)
        end = match.end() if match else at
        if end < len(text) and text[end] not in ";\n{}":
            shell.doubt("script of sed")
            for name in re.findall(r"[rRwW]\s*([\w./~-]+)", text):
                shell.collected.path(Word(name), "read", cwd=shell.cwd)
            return
        at = end + 1


_AWK_REACHES_OUT = re.compile(r"system|getline|[^|]\|[^|]|@|close\s*\(|print[^;}]*>|ENVIRON")


def look_awk(arguments: list[Word], shell: Shell) -> None:
    """A program of awk that runs, reads or writes something else is doubted."""
    at = 0
    while at < len(arguments) and re.fullmatch(r"-.+", arguments[at].text, re.DOTALL):
        text = arguments[at].text
        if not re.fullmatch(r"-[Fv].*|--version|--", text):
            shell.doubt("option of awk")
        at += 2 if text in {"-F", "-v"} else 1
    for word in arguments[at : at + 1]:
        if _AWK_REACHES_OUT.search(word.text):
            shell.doubt("script of awk")
        if not word.known:
            shell.doubt("dynamic-script")
    for word in arguments[at + 1 :]:
        if "=" not in word.text:
            shell.collected.path(word, "read", cwd=shell.cwd)
