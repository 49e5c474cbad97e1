"""Facts of a git patch, read as text: what each file becomes, links and modes included.

A patch is refused as a whole where it is not what `git diff` writes: what is not understood here
would be understood otherwise by the program that applies it.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from policies.facts import paths
from policies.facts.vocabulary import PatchFileFact

_HUNK = re.compile(r"@@ -\d+(?:,(?P<old>\d+))? \+\d+(?:,(?P<new>\d+))? @@")
_SYMLINK, _GITLINK = "120000", "160000"
_ESCAPE = re.compile(r"\\([abtnvfr\"\\]|[0-7]{3})")
_ESCAPES = {"a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r"}


class NotAPatch(ValueError):
    """A text that is no patch as git writes it; says at which line."""


@dataclass
class PatchFile:
    """One file of a patch as it is read: its names, modes and lines."""

    old_path: str = ""
    path: str = ""
    old_mode: str = ""
    new_mode: str = ""
    change: str = "modify"
    binary: bool = False
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def read(patch: str) -> list[PatchFile]:
    """The files of a git patch.

    Raises:
        NotAPatch: It is none, or holds something besides.
    """
    lines = patch.split("\n")
    files: list[PatchFile] = []
    at = 0
    while at < len(lines):
        if lines[at].startswith("diff --git "):
            files.append(_names(lines[at], at))
            at += 1
        elif not files:
            if lines[at].strip():
                raise NotAPatch(f"line {at + 1} stands before the first file")
            at += 1
        else:
            at = _one(lines, at, files[-1])
    return files


def facts_of(files: list[PatchFile]) -> tuple[PatchFileFact, ...]:
    """What the gate knows of each file."""
    return tuple(_fact(f) for f in files)


def _fact(file: PatchFile) -> PatchFileFact:
    symlink, gitlink = file.new_mode == _SYMLINK, file.new_mode == _GITLINK
    target = "\n".join(file.added) if symlink else ""
    names = {file.path, file.old_path}
    return PatchFileFact(
        path=file.path,
        old_path=file.old_path,
        change=file.change,
        classes=tuple(dict.fromkeys(c for n in sorted(names) for c in paths.classify(n))),
        binary=file.binary,
        executable=file.new_mode == "100755" and file.old_mode != "100755",
        mode_changed=bool(file.old_mode and file.new_mode) and file.old_mode != file.new_mode,
        symlink=symlink or file.old_mode == _SYMLINK,
        link_target=target,
        gitlink=gitlink or file.old_mode == _GITLINK,
        link_escapes=symlink and _escapes(posixpath.join(posixpath.dirname(file.path), target)),
        escapes=any(_escapes(n) for n in names),
    )


def _escapes(path: str) -> bool:
    """Whether a path leads out of the tree; a backslash is a separator on some systems."""
    slashed = path.replace("\\", "/")
    flat = posixpath.normpath(slashed)
    return slashed.startswith("/") or flat == ".." or flat.startswith("../") or slashed[1:2] == ":"


def _names(line: str, at: int) -> PatchFile:
    rest = line.removeprefix("diff --git ")
    quoted = re.fullmatch(r'("(?:[^"\\]|\\.)*"|\S.*?) ("(?:[^"\\]|\\.)*"|b/.*)', rest)
    if '"' not in rest:
        # Two names of the same length: the only way to tell where a name with blanks ends.
        middle = len(rest) // 2
        if rest[middle : middle + 1] == " " and rest[2:middle] == rest[middle + 3 :]:
            return PatchFile(old_path=rest[2:middle], path=rest[2:middle])
    if quoted is None:
        raise NotAPatch(f"line {at + 1} names no two files")
    return PatchFile(old_path=_name(quoted[1]), path=_name(quoted[2]))


def _name(text: str) -> str:
    """A name of a header line, without quotes and the `a/` or `b/` before it."""
    text = text.rstrip("\t").rstrip("\r")
    if text.startswith('"'):
        raw = _ESCAPE.sub(_unescape, text[1:-1])
        text = (
            raw.encode("latin-1", "surrogateescape").decode("utf-8", "replace")
            if "\\" in text
            else raw
        )
    if text == "/dev/null":
        return ""
    return text[2:] if text[:2] in {"a/", "b/"} else text


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code, 8) & 0xFF) if code.isdigit() else _ESCAPES.get(code, code)


def _one(lines: list[str], at: int, file: PatchFile) -> int:
    """Read what begins at a line below a file's first; returns the line after it."""
    line = lines[at]
    if hunk := _HUNK.match(line):
        return _hunk(lines, at + 1, file, int(hunk["old"] or 1), int(hunk["new"] or 1))
    if line == "GIT binary patch" or line.startswith("Binary files "):
        file.binary = True
        return _skip_binary(lines, at + 1)
    _header(line, at, file)
    return at + 1


def _skip_binary(lines: list[str], at: int) -> int:
    while at < len(lines) and not lines[at].startswith("diff --git "):
        at += 1
    return at


def _hunk(lines: list[str], at: int, file: PatchFile, old: int, new: int) -> int:
    while old > 0 or new > 0:
        if at >= len(lines):
            raise NotAPatch(f"a hunk ends too early, at line {at}")
        sign, text = lines[at][:1], lines[at][1:]
        if sign == "+":
            file.added.append(text)
            new -= 1
        elif sign == "-":
            file.removed.append(text)
            old -= 1
        elif sign == " " or (not sign and at + 1 < len(lines)):
            old, new = old - 1, new - 1
        elif sign != "\\":
            raise NotAPatch(f"line {at + 1} is no line of a hunk")
        at += 1
    return at


_MODES = {
    "old mode ": "old_mode",
    "new mode ": "new_mode",
    "new file mode ": "new_mode",
    "deleted file mode ": "old_mode",
}
_NAMES = {
    "--- ": "old_path",
    "+++ ": "path",
    "rename from ": "old_path",
    "rename to ": "path",
    "copy from ": "old_path",
    "copy to ": "path",
}
_CHANGES = {
    "new file mode ": "add",
    "deleted file mode ": "delete",
    "rename from ": "rename",
    "copy from ": "copy",
}
_INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+(?: (?P<mode>\d{6}))?")
_NOTHING_NEW = ("similarity index ", "dissimilarity index ", "\\ No newline")


def _header(line: str, at: int, file: PatchFile) -> None:
    """A line between a file's first and its hunks."""
    start = next((s for s in (*_MODES, *_NAMES) if line.startswith(s)), "")
    value = line.removeprefix(start)
    file.change = _CHANGES.get(start, file.change)
    if start in _MODES:
        setattr(file, _MODES[start], value.strip())
    elif start in _NAMES:
        # Of a file that is made or deleted one name is /dev/null: the other stands for both.
        if name := _name(value):
            setattr(file, _NAMES[start], name)
    elif index := _INDEX.fullmatch(line):
        if index["mode"]:
            file.old_mode = file.new_mode = index["mode"]
    elif line.strip() and not line.startswith(_NOTHING_NEW):
        raise NotAPatch(f"line {at + 1} is nothing that git writes")
