"""What one simple command does, by its program: wrappers off, options and operands understood."""

from __future__ import annotations

import functools
import itertools
import posixpath
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from policies.facts import git, scripts, searches, tables
from policies.facts.paths import UNKNOWN, classify, normal
from policies.facts.tables import is_risky_variable
from policies.facts.vocabulary import CommandFact
from policies.facts.words import Word
from policies.facts.wrappers import WRAPPERS, Unwrapped, unwrap
from policies.texts import names

if TYPE_CHECKING:
    from policies.facts.shell import Shell

__all__ = ["is_known", "is_risky_variable", "look", "look_at", "printed", "prints_harmless"]

_MOST_WRAPPERS = 8


def is_known(program: str) -> bool:
    """Whether there is anything known of a program of that name."""
    return bool(tables.classes_of(program)) or program in WRAPPERS


def prints_harmless(command: CommandFact) -> bool:
    """Whether what a command prints cannot be chosen so that it does harm as an argument."""
    if command.program == "git":
        subcommand = next((a for a in command.arguments if not a.startswith("-")), "")
        return git.is_harmless_output(subcommand)
    return command.program in set(
        names(
            "date pwd nproc wc whoami id uname hostname mktemp seq which find ls basename dirname"
        )
    )


def printed(command: CommandFact) -> tuple[Word, ...] | None:
    """The words that a command prints, where they are constants; None where they are not known."""
    words = [a for a in command.arguments if not re.fullmatch(r"-[neE]+", a)]
    if command.program == "printf" and words and "%" in words[0]:
        words = words[1:] if re.fullmatch(r"(%s|\\n|\\0|\s)+", words[0]) else [UNKNOWN]
    unclear = any(c in word for word in words for c in (UNKNOWN, "\\"))
    if command.program not in {"echo", "printf"} or unclear:
        return None
    return tuple(Word(w) for w in words)


def output_of(commands: list[CommandFact]) -> Word:
    """What commands print together, where it is known; else whether it matters."""
    words = printed(commands[0]) if len(commands) == 1 else None
    if words is None and commands and commands[-1].program == "find":
        words = _sought(commands[-1])
    if words is not None and not any(UNKNOWN in w.text for w in words):
        return Word(" ".join(w.text for w in words) or UNKNOWN)
    return Word(UNKNOWN, harmless=bool(commands) and all(prints_harmless(c) for c in commands))


def _sought(command: CommandFact) -> tuple[Word, ...] | None:
    """The names of secret files that a `find` looks for: it prints where they lie."""
    named = [Word(a) for a in command.arguments if "secret" in classify(normal(a or "."))]
    return tuple(named) or None


def look_at(argv: list[Word], environment: list[str], shell: Shell) -> None:
    """Take wrappers off a command, then look at what it runs."""
    wrappers: list[str] = []
    environment = list(environment)
    program = _program(argv[0], shell)
    while program in WRAPPERS and len(wrappers) < _MOST_WRAPPERS:
        run = unwrap(program, argv[1:])
        for word in run.files:
            shell.collected.path(word, "read", cwd=shell.cwd)
        shell = _wrapped(run, environment, shell)
        if not WRAPPERS[program].everyday or not (run.inner or run.texts):
            _note(program, argv[1:], environment, wrappers, shell)
        wrappers.append(program)
        for text in run.texts:
            scripts.run_shell_text(text, shell, context="code")
        if not run.inner:
            return
        argv = _fed(program, run.inner, shell, listed=bool(run.files))
        program = _program(argv[0], shell)
    if len(wrappers) >= _MOST_WRAPPERS:
        shell.doubt("too-many-wrappers")
    look(program, argv[1:], environment, shell, wrappers=wrappers, first=argv[0])


def _wrapped(run: Unwrapped, environment: list[str], shell: Shell) -> Shell:
    """What a wrapper changes for the program in it: variables, folder; and what is doubted."""
    for reason in run.doubts:
        shell.doubt(reason)
    for word in run.environment:
        name, _, value = word.text.partition("=")
        environment.append(name)
        if is_risky_variable(name, value):
            shell.doubt(f"variable {name}")
    return shell.child(cwd=None) if run.folder is not None else shell


def _fed(program: str, inner: list[Word], shell: Shell, *, listed: bool) -> list[Word]:
    """What xargs adds to a command: words of the pipe, known or not."""
    if program != "xargs":
        return inner
    if listed:
        return [*inner, Word(UNKNOWN)]
    if shell.heredoc is not None:
        return [*inner, *(Word(t) for t in shell.heredoc.split())]
    if shell.piped is not None:
        return [*inner, *(Word(t) for w in shell.piped for t in w.text.split())]
    before = shell.collected.commands[-2:] if shell.stdin == "pipe" else []
    sought = [w for c in before if c.program == "find" for w in _sought(c) or ()]
    return [*inner, *sought, Word(UNKNOWN, harmless=any(prints_harmless(c) for c in before))]


def _program(word: Word, shell: Shell) -> str:
    """The program's name, doubted where it is not plain to see."""
    text = word.text
    if UNKNOWN in text or word.pattern:
        shell.doubt("dynamic-program")
    folder, _, name = text.rpartition("/")
    if folder and not _is_usual_place(text):
        shell.doubt("program-by-path")
    if not text.isascii():
        shell.doubt("letters-of-other-scripts")
    if re.search(r"[\\${}`]", name):
        shell.doubt("dynamic-program")
    return name


def _is_usual_place(path: str) -> bool:
    folder = posixpath.dirname(path)
    return folder in {"/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin"} or bool(
        re.fullmatch(r"(\./)?(\.?venv|env|node_modules/\.bin|\.tox/[\w.-]+)(/bin)?", folder)
    )


def _note(
    program: str, arguments: list[Word], environment: list[str], wrappers: list[str], shell: Shell
) -> None:
    """Put a command among the facts."""
    classes = tables.classes_of(program)
    if program in shell.functions or (program in WRAPPERS and WRAPPERS[program].everyday):
        classes = ("everyday", *(c for c in classes if c != "everyday"))
    shell.collected.commands.append(
        CommandFact(
            program=program,
            classes=classes,
            arguments=tuple(w.text for w in arguments),
            environment=tuple(environment),
            wrappers=tuple(wrappers),
            context=shell.context,
            stdin=shell.stdin,
            depth=shell.depth,
        )
    )


def look(
    program: str,
    arguments: list[Word],
    environment: list[str],
    shell: Shell,
    *,
    wrappers: list[str] | None = None,
    first: Word | None = None,
) -> None:
    """Look at a command without wrappers: its files, its code, what cannot be made out."""
    _note(program, arguments, environment, wrappers or [], shell)
    if first is not None and "/" in first.text:
        shell.collected.path(first, "execute", cwd=shell.cwd)
    if _is_risky(program, arguments):
        shell.doubt(f"option of {program}")
    options = [w for w in arguments if w.text.startswith("-") and w.text != "-"]
    operands = [w for w in arguments if not (w.text.startswith("-") and w.text != "-")]
    if program not in searches.SEARCHES:
        _option_files(options, shell)
        _secret_words(program, operands, shell)
    if program == "git":
        git.look(arguments, shell.collected, cwd=shell.cwd)
    elif re.fullmatch(r"python[23]?(\.\d+)?", program):
        scripts.look_python(arguments, shell)
    elif program in tables.SHELLS:
        scripts.look_shell(program, arguments, shell)
    elif program in tables.OTHER_INTERPRETERS:
        scripts.look_other(program, options, operands, shell)
    elif program in _SPECIAL:
        _SPECIAL[program](arguments, shell)
    else:
        _look_plain(program, arguments, operands, shell)


def _look_plain(program: str, arguments: list[Word], operands: list[Word], shell: Shell) -> None:
    """A program whose operands are files, or nothing but words."""
    if program in tables.NETWORK_SUBCOMMANDS:
        name = operands[0].text if operands else ""
        if name in tables.NETWORK_SUBCOMMANDS[program] or UNKNOWN in name:
            shell.doubt(f"{program} {name}".strip())
    elif program not in tables.PLAIN:
        _operands(program, operands, shell)
    elif program in _EVALUATING:
        _evaluating(program, arguments, shell)


_EVALUATING = frozenset(
    names("test [ let read mapfile readarray export declare readonly typeset unset printf local")
)


def _evaluating(program: str, arguments: list[Word], shell: Shell) -> None:
    """Builtins that evaluate a quoted word: an array's index in it is run."""
    if any(re.search(r"\[.*(\$\(|`|\$\{)", w.text) for w in arguments):
        shell.doubt(f"evaluated by {program}")
    if program in {"mapfile", "readarray"} and any(w.text.startswith("-C") for w in arguments):
        shell.doubt(f"evaluated by {program}")
    if program in {"read", "mapfile", "readarray"}:
        for word in arguments:
            shell.constants[word.text] = None


def _is_risky(program: str, arguments: list[Word]) -> bool:
    long, letters = tables.RISKY_OPTIONS.get(program, ((), ""))
    for word in arguments:
        text = word.text
        if text.startswith("--") and len(text) > 3:
            given = text[2:].partition("=")[0]
            if any(name.startswith(given) for name in long):
                return True
        elif text.startswith("-") and any(letter in text[1:] for letter in letters):
            return True
    return False


_SPEAKS_ONLY = (
    tables.PLAIN - {"date", "history", "logger"}
    | tables.LISTS
    | tables.DESTRUCTIVE - {"dd"}
    | tables.WRITES
    | tables.COPIES
    | {"git", "find"}
)


def _secret_words(program: str, operands: list[Word], shell: Shell) -> None:
    """Secret files among the words of a program, whatever its words mean to it."""
    if program in _SPEAKS_ONLY:
        return
    for word in operands[1:] if program in tables.PATTERN_FIRST else operands:
        for part in {word.text, *re.split(r"[=,]", word.text)}:
            if "secret" in classify(normal(part or ".")):
                shell.collected.path(Word(part), "read", cwd=shell.cwd)


def _option_files(options: list[Word], shell: Shell) -> None:
    """Files named in options: `--file=.env`, `-f.env`, and curl's `@.env`."""
    for word in options:
        name, has_value, value = word.text.partition("=")
        if "secret" in classify(normal(word.text[2:].lstrip("@") or ".")) and name[1] != "-":
            shell.collected.path(Word(word.text[2:].lstrip("@")), "read", cwd=shell.cwd)
        elif has_value and value and not name.startswith(("--exclude", "--ignore")):
            shell.collected.path(
                replace(word, text=value.lstrip("@"), harmless=True), "read", cwd=shell.cwd
            )


_ACCESS = {"list": tables.LISTS, "write": tables.WRITES, "delete": tables.DESTRUCTIVE}


def _operands(program: str, operands: list[Word], shell: Shell) -> None:
    """Files among the operands, by what the program does with them."""
    put = shell.collected.path
    if program in tables.PATTERN_FIRST:
        operands = operands[1:]
    access = next((a for a, those in _ACCESS.items() if program in those), "read")
    known = program in tables.EVERYDAY or program in tables.DESTRUCTIVE
    for word in operands:
        text = word.text.lstrip("@")
        # What an unknown program's words mean is not known: they may be files.
        file = replace(word, text=text, harmless=word.harmless or not known)
        put(file, access, cwd=shell.cwd, below=program in tables.TAKES_FOLDERS)
        for part in re.split(r"[=:@]", text)[1:] if not known else []:
            put(Word(part, harmless=True), access, cwd=shell.cwd)


def _make(arguments: list[Word], shell: Shell) -> None:
    """Variables of make that name programs it runs."""
    for word in arguments:
        name, is_set, value = word.text.partition("=")
        if is_set and (name.rstrip(":?+") == "SHELL" or is_risky_variable(name, value)):
            shell.doubt(f"variable {name} of make")


def _cd(arguments: list[Word], shell: Shell) -> None:
    operands = [w for w in arguments if not re.fullmatch(r"-[LPe@]+|--", w.text)]
    target = operands[0].text if operands else "~"
    if UNKNOWN in target or target == "-" or shell.cwd is None:
        shell.cwd = None
        return
    shell.cwd = (
        target
        if target.startswith(("/", "~"))
        else posixpath.normpath(posixpath.join(shell.cwd, target))
    )
    shell.collected.path(Word(shell.cwd), "list")


def _pushd(arguments: list[Word], shell: Shell) -> None:
    _cd(arguments, shell)
    shell.cwd = None


def _set(arguments: list[Word], shell: Shell) -> None:
    plain = re.compile(r"[-+][eufxovnCTE]+|pipefail|errexit|nounset|xtrace|--")
    if not all(plain.fullmatch(w.text) for w in arguments):
        shell.doubt("positional-arguments")


def _find(arguments: list[Word], shell: Shell) -> None:
    """Where it looks, what it looks for, and the commands it runs on what it finds."""
    at = 0
    while at < len(arguments) and not arguments[at].text.startswith(("-", "(", "!")):
        shell.collected.path(arguments[at], "list", cwd=shell.cwd)
        at += 1
    starts = arguments[:at]
    names = [
        b
        for a, b in itertools.pairwise(arguments)
        if a.text in {"-name", "-iname", "-path", "-wholename"}
    ]
    while at < len(arguments):
        text = arguments[at].text
        if text in {"-exec", "-execdir", "-ok", "-okdir"}:
            end = next(
                (i for i in range(at + 1, len(arguments)) if arguments[i].text in {";", "+"}),
                len(arguments),
            )
            _find_runs(arguments[at + 1 : end], names, starts, shell)
            at = end
        elif text in {"-delete", "-fprint", "-fprint0", "-fprintf", "-fls", "-files0-from"}:
            shell.doubt(f"find {text}")
            if text != "-delete" and at + 1 < len(arguments):
                shell.collected.path(arguments[at + 1], "write", cwd=shell.cwd)
        elif UNKNOWN in text:
            shell.doubt("option of find")
        at += 1


def _find_runs(inner: list[Word], names: list[Word], starts: list[Word], shell: Shell) -> None:
    if not inner:
        return
    if not names and inner[0].text not in _SPEAKS_ONLY - tables.COPIES:
        for start in starts or [Word(".")]:
            shell.collected.path(start, "read", cwd=shell.cwd, below=True)
    found = names or starts or [Word(UNKNOWN, harmless=True)]
    argv = [
        replace(
            word, text=word.text.replace("{}", name.text), harmless=word.harmless or name.harmless
        )
        for word in inner
        for name in (found if "{}" in word.text else found[:1])
    ]
    look_at(argv, [], shell.child(stdin="none", heredoc=None, piped=None))


_SPECIAL: dict[str, Callable[[list[Word], Shell], None]] = {
    "cd": _cd,
    "chdir": _cd,
    "pushd": _pushd,
    "popd": _pushd,
    "set": _set,
    "find": _find,
    "make": _make,
    "gmake": _make,
    "source": scripts.look_source,
    ".": scripts.look_source,
    "eval": scripts.look_eval,
    "trap": scripts.look_trap,
    "sed": scripts.look_sed,
    **dict.fromkeys(tables.COPIES, searches.look_at_copy),
    **{name: functools.partial(searches.look_at_search, name) for name in searches.SEARCHES},
    "awk": scripts.look_awk,
    "gawk": scripts.look_awk,
    "mawk": scripts.look_awk,
}
