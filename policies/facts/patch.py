"""Facts of a git patch, read as text: what each file becomes, links and modes included.

A patch is refused as a whole where it is not what `git diff` writes, line for line: what is not
understood here would be understood otherwise by the program that applies it.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from policies.facts import paths
from policies.facts.vocabulary import PatchFileFact

_HUNK = re.compile(r"@@ -\d+(?:,(?P<old>\d+))? \+\d+(?:,(?P<new>\d+))? @@(?: .*)?")
_SYMLINK, _GITLINK = "120000", "160000"
_MODES = {"100644", "100755", _SYMLINK, _GITLINK}
_ESCAPE = re.compile(rb"\\([abtnvfr\"\\]|[0-7]{3})")
_ESCAPES = {b"a": 7, b"b": 8, b"t": 9, b"n": 10, b"v": 11, b"f": 12, b"r": 13}
_INDEX = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+(?: (?P<mode>\d{6}))?")
_SIMILAR = re.compile(r"(?:dis)?similarity index \d{1,3}%")
_BINARY = re.compile(r"(?:literal|delta) \d+")
_BINARY_LINE = re.compile(r"[A-Za-z][!-~]+")
_HEADERS = {
    "old mode ": ("old_mode", ""),
    "new mode ": ("new_mode", ""),
    "new file mode ": ("new_mode", "add"),
    "deleted file mode ": ("old_mode", "delete"),
    "rename from ": ("old_path", "rename"),
    "rename to ": ("path", "rename"),
    "copy from ": ("old_path", "copy"),
    "copy to ": ("path", "copy"),
}
"""What git says of a file between its first line and its content, each once: field and change."""


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
    return _Reader(patch).files()


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


class _Reader:
    """Reads line by line what git writes, and nothing else.

    What a more lenient reader passes over is where a patch hides from it what it is to another.
    """

    def __init__(self, patch: str) -> None:
        self._lines = patch.split("\n")
        self._at = 0

    def files(self) -> list[PatchFile]:
        """Every file, to the last line."""
        files = []
        while self._at < len(self._lines):
            if self._lines[self._at].startswith("diff --git "):
                files.append(self._file())
            elif self._lines[self._at].strip():
                raise self._odd("is nothing that git writes there")
            else:
                self._at += 1
        return files

    def _peek(self) -> str:
        return self._lines[self._at] if self._at < len(self._lines) else ""

    def _odd(self, what: str) -> NotAPatch:
        return NotAPatch(f"line {self._at + 1} {what}")

    def _file(self) -> PatchFile:
        first = self._peek().removeprefix("diff --git ")
        self._at += 1
        file = PatchFile()
        self._headers(file)
        if file.change in {"rename", "copy"}:
            if (
                not (file.old_path and file.path)
                or first != f"{_prefixed('a', file.old_path)} {_prefixed('b', file.path)}"
            ):
                raise self._odd("and those before it name different files")
            file.old_path, file.path = self._name(file.old_path), self._name(file.path)
        else:
            file.old_path = file.path = self._same_name(first)
        if self._peek().startswith("--- "):
            self._content(file)
        elif self._peek() == "GIT binary patch":
            file.binary = True
            self._binary()
        elif self._peek().startswith("Binary files "):
            file.binary = True
            self._at += 1
        file.old_path, file.path = _told(file.old_path), _told(file.path)
        return file

    def _headers(self, file: PatchFile) -> None:
        seen = set()
        while line := self._peek():
            start = next((s for s in _HEADERS if line.startswith(s)), "")
            if start:
                field_name, change = _HEADERS[start]
                value = line.removeprefix(start)
                if field_name.endswith("mode") and value not in _MODES:
                    raise self._odd("has a mode that git does not write")
                if getattr(file, field_name) or (change and file.change not in {"modify", change}):
                    raise self._odd("says otherwise what was said of this file")
                setattr(file, field_name, value)
                file.change = change or file.change
            elif index := _INDEX.fullmatch(line):
                start = "index"
                if index["mode"]:
                    file.old_mode = file.new_mode = self._mode(index["mode"], file)
            elif not _SIMILAR.fullmatch(line):
                return
            if start in seen:
                raise self._odd("says again what was said of this file")
            seen.add(start)
            self._at += 1

    def _mode(self, mode: str, file: PatchFile) -> str:
        if mode not in _MODES or {file.old_mode, file.new_mode} - {"", mode}:
            raise self._odd("has another mode than was said of this file")
        return mode

    def _same_name(self, first: str) -> str:
        """The name in `a/NAME b/NAME`: of two halves alike, the only way to tell where it ends."""
        middle = len(first) // 2
        old, blank, new = first[:middle], first[middle : middle + 1], first[middle + 1 :]
        name = self._side(old, "a/")
        if blank != " " or name != self._side(new, "b/"):
            raise self._odd("and the one before it name no one file")
        return name

    def _side(self, text: str, prefix: str) -> str:
        name = self._name(text)
        if not name.startswith(prefix):
            raise self._odd(f"and those near it name a file without {prefix}")
        return name[2:]

    def _name(self, text: str) -> str:
        if text.startswith('"') != text.endswith('"') or text == '"':
            raise self._odd("and those near it name a file with a broken quotation")
        if not text.startswith('"'):
            return text
        raw = _ESCAPE.sub(_unescaped, text[1:-1].encode("utf-8", "surrogateescape"))
        return raw.decode("utf-8", "surrogateescape")

    def _content(self, file: PatchFile) -> None:
        for mark, prefix, name in (("--- ", "a/", file.old_path), ("+++ ", "b/", file.path)):
            text = self._peek().removeprefix(mark).removesuffix("\t")
            if not self._peek().startswith(mark):
                raise self._odd("is no second name of a file")
            if text != "/dev/null" and self._side(text, prefix) != name:
                raise self._odd("names another file than the first line")
            self._at += 1
        if not _HUNK.fullmatch(self._peek()):
            raise self._odd("is no hunk")
        while hunk := _HUNK.fullmatch(self._peek()):
            self._at += 1
            self._hunk(file, int(hunk["old"] or 1), int(hunk["new"] or 1))

    def _hunk(self, file: PatchFile, old: int, new: int) -> None:
        while old > 0 or new > 0:
            line = self._peek()
            sign, text = line[:1], line[1:]
            if sign == "+" and new:
                file.added.append(text)
                new -= 1
            elif sign == "-" and old:
                file.removed.append(text)
                old -= 1
            elif old and new and (sign == " " or (not sign and self._at + 1 < len(self._lines))):
                old, new = old - 1, new - 1
            else:
                raise self._odd("is no line of its hunk")
            self._at += 1
            if self._peek().startswith("\\ "):
                self._at += 1

    def _binary(self) -> None:
        """One or two parts (there, and back), each a head, lines and a blank line."""
        self._at += 1
        if not _BINARY.fullmatch(self._peek()):
            raise self._odd("is no binary content")
        while _BINARY.fullmatch(self._peek()):
            self._at += 1
            while _BINARY_LINE.fullmatch(self._peek()):
                self._at += 1
            if self._peek():
                raise self._odd("is no binary content")
            self._at += 1


def _told(name: str) -> str:
    """A name as a rule can be told it: bytes that are no UTF-8 as a part that is not known."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _prefixed(prefix: str, name: str) -> str:
    return f'"{prefix}/{name[1:]}' if name.startswith('"') else f"{prefix}/{name}"


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return bytes([int(code, 8) & 0xFF if code.isdigit() else _ESCAPES.get(code, code[0])])
