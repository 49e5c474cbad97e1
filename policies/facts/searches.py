"""Searches and copies: which of their words are patterns, which are files, and how far they go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.facts.words import Word
from policies.texts import names

if TYPE_CHECKING:
    from policies.facts.shell import Shell

_GREP_VALUES = names(
    "e f m A B C d D regexp file max-count after-context before-context context include exclude "
    "exclude-from exclude-dir label binary-files directories devices"
)
_VALUES = {
    "grep": _GREP_VALUES,
    "egrep": _GREP_VALUES,
    "fgrep": _GREP_VALUES,
    "rg": names(
        "e f m A B C E g t T j M r d regexp file max-count after-context before-context context "
        "encoding glob iglob type type-not type-add type-clear threads max-columns replace "
        "ignore-file max-depth max-filesize sort sortr engine pre pre-glob path-separator colors "
        "color context-separator field-match-separator field-context-separator dfa-size-limit "
        "regex-size-limit hyperlink-format generate"
    ),
    "ag": names(
        "A B C G g m p W after before context file-search-regex max-count path-to-ignore depth "
        "ignore ignore-dir pager width workers color-line-number color-match color-path"
    ),
}
SEARCHES = frozenset(_VALUES)
"""Programs that look for a pattern in files; without a file, in all below."""
_PATTERN = frozenset(["e", "regexp"])
_FILE = frozenset(names("f file exclude-from ignore-file p path-to-ignore"))
_NARROWS = frozenset(names("include g glob iglob"))
_GOES_BELOW = frozenset(names("r R recursive dereference-recursive"))
_COPIES_BELOW = frozenset(names("r R a recursive archive"))
_HIDDEN_TOO = frozenset([".", "hidden"])


@dataclass
class _Given:
    """The words of a command, by what they are."""

    operands: list[Word] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    values: list[tuple[str, Word]] = field(default_factory=list)


def _given(arguments: list[Word], with_value: tuple[str, ...]) -> _Given:
    """Tell options, their values and operands apart; any beginning of a long option is one."""
    out = _Given()
    left = list(arguments)
    while left:
        word = left.pop(0)
        text = word.text
        if text == "--":
            out.operands += left
            break
        if text.startswith("--"):
            name, joined, value = text[2:].partition("=")
            takes = next((v for v in with_value if len(v) > 1 and v.startswith(name)), "")
            if joined:
                out.values.append((takes or name, Word(value)))
            elif takes and left:
                out.values.append((takes, left.pop(0)))
            else:
                out.flags.append(name)
        elif text.startswith("-") and len(text) > 1:
            _cluster(text[1:], left, with_value, out)
        else:
            out.operands.append(word)
    return out


def _cluster(letters: str, left: list[Word], with_value: tuple[str, ...], out: _Given) -> None:
    for place, letter in enumerate(letters):
        if letter in with_value:
            rest = letters[place + 1 :]
            if rest or left:
                out.values.append((letter, Word(rest) if rest else left.pop(0)))
            return
        out.flags.append(letter)


def look_at_search(program: str, arguments: list[Word], shell: Shell) -> None:
    """The files that a search reads: operands, lists of patterns, and what it is narrowed to."""
    given = _given(arguments, _VALUES[program])
    taken = {name for name, _ in given.values}
    for name, word in given.values:
        if name in _FILE or (name in _NARROWS and not word.text.startswith("!")):
            shell.collected.path(word, "read", cwd=shell.cwd)
    files = given.operands if taken & (_PATTERN | {"f", "file"}) else given.operands[1:]
    flags = set(given.flags)
    if program in {"rg", "ag"}:
        unlimited = given.flags.count("u") + given.flags.count("unrestricted")
        goes = bool(flags & _HIDDEN_TOO) or unlimited > (program == "rg")
    else:
        goes = bool(flags & _GOES_BELOW)
    for word in files or ([Word(".")] if goes else []):
        shell.collected.path(word, "read", cwd=shell.cwd, below=goes)


def look_at_copy(arguments: list[Word], shell: Shell) -> None:
    """All operands but the last are read, the last is written."""
    given = _given(arguments, ("t", "target-directory", "S", "suffix"))
    goes = bool(set(given.flags) & _COPIES_BELOW)
    targets = [word for name, word in given.values if name in {"t", "target-directory"}]
    # `ln FILE` alone makes its link here.
    alone = len(given.operands) == 1
    read = given.operands if targets or alone else given.operands[:-1]
    for word in read:
        shell.collected.path(word, "read", cwd=shell.cwd, below=goes)
    for word in targets or given.operands[-1:] * (not alone):
        shell.collected.path(word, "write", cwd=shell.cwd)
