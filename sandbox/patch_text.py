"""A git patch as data: what it would change, read without applying it.

Strict: text that is not plainly a patch is refused, so that what a gate judges is what git applies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from sandbox.errors import SandboxError

Kind = Literal["text", "binary", "symlink", "gitlink"]


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a patch does to one file.

    Attributes:
        path: Where it is afterwards (before, where it is deleted).
        old_path: Where it was; empty where it is new.
        old_mode: As git says it; empty where the patch does not.
        new_mode: Likewise.
        kind: What it is, a link and a gitlink by its mode.
        added: Lines added; 0 for binary files.
        removed: Lines removed; 0 for binary files.
        new: It was not there.
        deleted: It is not there afterwards.
        copied: `old_path` stays.
    """

    path: str
    old_path: str = ""
    old_mode: str = ""
    new_mode: str = ""
    kind: Kind = "text"
    added: int = 0
    removed: int = 0
    new: bool = False
    deleted: bool = False
    copied: bool = False


_HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_BINARY = re.compile(r"(literal|delta) \d+")
_ESCAPES = {"a": 7, "b": 8, "t": 9, "n": 10, "v": 11, "f": 12, "r": 13, '"': 34, "\\": 92}
_KINDS: dict[str, Kind] = {"120000": "symlink", "160000": "gitlink"}


def parse_patch(text: str) -> tuple[FileChange, ...]:
    """Changes of a patch, in its order.

    Raises:
        SandboxError: It is no patch that git would write, or it leaves the tree.
    """
    parser = _Parser(text.split("\n"))
    changes = parser.changes()
    if text.strip() and not changes:
        raise _refused("holds no change")
    for change in changes:
        for path in {change.path, change.old_path} - {""}:
            _refuse_path(path)
    return changes


class _Parser:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def changes(self) -> tuple[FileChange, ...]:
        """Every file's part."""
        found = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.startswith("diff --git "):
                found.append(self._git_part())
            elif line.startswith("--- ") and self._peek(1).startswith("+++ "):
                found.append(self._body(FileChange(path="")))
            elif line.startswith(("@@ ", "GIT binary patch", "rename ", "copy ")):
                raise _refused(f"has a stray line {self._at + 1}: {line[:80]}")
            else:
                self._at += 1  # words before or between the parts, as a mail has them
        return tuple(found)

    def _peek(self, ahead: int) -> str:
        return self._lines[self._at + ahead] if self._at + ahead < len(self._lines) else ""

    def _git_part(self) -> FileChange:
        header = self._lines[self._at][len("diff --git ") :]
        change = FileChange(path="")
        self._at += 1
        while True:
            line = self._peek(0)
            word, _, rest = line.partition(" mode ")
            if word in {"old", "deleted file"} and rest:
                change = replace(change, old_mode=rest, deleted=word != "old")
            elif word in {"new", "new file"} and rest:
                change = replace(change, new_mode=rest, new=word != "new")
            elif line.startswith(("rename from ", "copy from ")):
                path = _unquote(line.split(" from ", 1)[1])
                change = replace(change, old_path=path, copied=line.startswith("copy"))
            elif line.startswith(("rename to ", "copy to ")):
                change = replace(change, path=_unquote(line.split(" to ", 1)[1]))
            elif line.startswith("index "):
                mode = line.rpartition(" ")[2] if line.count(" ") == 2 else ""
                if mode:
                    change = replace(change, old_mode=mode, new_mode=mode)
            elif not line.startswith(("similarity index ", "dissimilarity index ")):
                break
            self._at += 1
        if not change.path:
            path = _header_path(header)
            change = replace(change, path=path, old_path="" if change.new else path)
        return self._body(change)

    def _body(self, change: FileChange) -> FileChange:
        kind = _KINDS.get(change.new_mode or change.old_mode, "text")
        change = replace(change, kind=kind)
        line = self._peek(0)
        if line.startswith("--- ") and self._peek(1).startswith("+++ "):
            change = _with_names(change, line[4:], self._peek(1)[4:])
            self._at += 2
            return self._hunks(change)
        if line.startswith("GIT binary patch"):
            self._at += 1
            self._binary_hunk()
            while _BINARY.fullmatch(self._peek(0)):
                self._binary_hunk()
            return replace(change, kind="binary" if kind == "text" else kind)
        if line.startswith("Binary files "):
            raise _refused(f"says that {change.path} differs without its bytes (use --binary)")
        return change

    def _binary_hunk(self) -> None:
        if not _BINARY.fullmatch(self._peek(0)):
            raise _refused(f"has a broken binary part in line {self._at + 1}")
        while self._peek(0):
            self._at += 1
        self._at += 1

    def _hunks(self, change: FileChange) -> FileChange:
        added = removed = 0
        while match := _HUNK.match(self._peek(0)):
            left = [int(match.group(n) or 1) if match.group(n) != "0" else 0 for n in (1, 2)]
            self._at += 1
            while left[0] > 0 or left[1] > 0:
                sign = self._peek(0)[:1]
                if sign not in {" ", "+", "-", "", "\\"} or self._at >= len(self._lines):
                    raise _refused(f"has a broken hunk in line {self._at + 1}")
                left[0] -= sign in {" ", "-", ""}
                left[1] -= sign in {" ", "+", ""}
                added += sign == "+"
                removed += sign == "-"
                self._at += 1
            if left != [0, 0]:
                raise _refused(f"has a hunk that does not add up before line {self._at + 1}")
            if self._peek(0).startswith("\\"):
                self._at += 1
        return replace(change, added=added, removed=removed)


def _with_names(change: FileChange, old: str, new: str) -> FileChange:
    """Names of the `---` and `+++` lines, which must be those of the header."""
    before, after = _name(old), _name(new)
    if not change.path:  # a plain unified diff
        return replace(
            change,
            path=after or before,
            old_path=before,
            new=not before,
            deleted=not after,
        )
    expected = ("" if change.new else change.old_path, "" if change.deleted else change.path)
    if (before, after) != expected:
        raise _refused(f"names {change.path} in its header but {after or before} below it")
    return change


def _name(text: str) -> str:
    name = _unquote(text.split("\t", 1)[0] if not text.startswith('"') else text)
    if name == "/dev/null":
        return ""
    return name.partition("/")[2]


def _header_path(header: str) -> str:
    """Path of `a/PATH b/PATH`: the same on both sides, or the patch says it elsewhere."""
    if header.startswith('"'):
        end = re.match(r'"(?:[^"\\]|\\.)*"', header)
        first = _unquote(end.group()) if end else ""
        second = _unquote(header[len(end.group()) + 1 :]) if end else ""
    else:
        middle = len(header) // 2
        first, second = header[:middle], header[middle + 1 :]
        if header[middle : middle + 1] != " ":
            raise _refused(f"has a header whose two names differ: {header[:120]}")
    if first.partition("/")[2] != second.partition("/")[2] or not first.partition("/")[2]:
        raise _refused(f"has a header whose two names differ: {header[:120]}")
    return first.partition("/")[2]


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    out = bytearray()
    at, end = 1, len(text) - 1
    while at < end:
        if text[at] != "\\":
            out += text[at].encode("utf-8", "surrogateescape")
            at += 1
        elif text[at + 1] in _ESCAPES:
            out.append(_ESCAPES[text[at + 1]])
            at += 2
        else:
            try:
                out.append(int(text[at + 1 : at + 4], 8))
            except ValueError as error:
                raise _refused(f"has a broken name {text[:120]}") from error
            at += 4
    return out.decode("utf-8", "surrogateescape")


def _refuse_path(path: str) -> None:
    parts = path.split("/")
    if path.startswith("/") or "\0" in path or {"", ".", ".."} & set(parts):
        raise _refused(f"would write outside of the tree: {path}")
    if any(part.lower().rstrip(". ") == ".git" or part.lower() == "git~1" for part in parts):
        raise _refused(f"would write into a git folder: {path}")


def _refused(what: str) -> SandboxError:
    return SandboxError(
        f"The patch {what}", remedy="Make it again with `git diff --binary --full-index`."
    )
