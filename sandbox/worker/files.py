"""Files of the workspace as text, without losing a byte: paths, encodings, line ends, lines."""

from __future__ import annotations

import codecs
import difflib
import io
import os
import re
import tokenize
from typing import List, Tuple

from sandbox.worker.verbs import VerbFailed

LARGEST = 16 << 20
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+\Z")


def inside(workspace: str, path: str) -> str:
    """Real path of `path` in the workspace.

    Raises:
        VerbFailed: It leads out of the workspace, by `..` or by a link.
    """
    if "\0" in path or not path:
        raise VerbFailed("A path is needed.")
    root = os.path.realpath(workspace)
    real = os.path.realpath(os.path.join(root, path))
    if real != root and not real.startswith(root + os.sep):
        raise VerbFailed(f"{path} leads out of the repository. Name a path inside it.")
    return real


class Text:
    """One file, decoded so that encoding it again gives the same bytes.

    Attributes:
        text: All of it, with its own line ends.
        encoding: How it is read; `utf-8-sig` where it starts with a byte order mark.
        newline: The line end that most lines have.
    """

    def __init__(self, data: bytes, *, python: bool) -> None:
        self.encoding = _encoding(data, python)
        self.mark = codecs.BOM_UTF8 if self.encoding == "utf-8-sig" else b""
        self._codec = "utf-8" if self.mark else self.encoding
        self.text = data[len(self.mark) :].decode(self._codec)
        pairs = self.text.count("\r\n")
        self.newline = "\r\n" if pairs * 2 > self.text.count("\n") else "\n"

    @classmethod
    def read(cls, real: str, path: str) -> "Text":
        """The file at `real`, which people call `path`.

        Raises:
            VerbFailed: It is not there, no regular file, too big, or binary.
        """
        if not os.path.lexists(real):
            raise VerbFailed(f"{path} does not exist.{_neighbours(real)}")
        if not os.path.isfile(real):
            raise VerbFailed(f"{path} is no regular file.")
        if os.path.getsize(real) > LARGEST:
            raise VerbFailed(f"{path} has over {LARGEST >> 20} MiB. Look at parts of it by shell.")
        try:
            with open(real, "rb") as file:
                data = file.read()
        except OSError as error:
            raise VerbFailed(f"{path} could not be read: {error.strerror}.") from error
        if b"\0" in data[: 1 << 16]:
            raise VerbFailed(
                f"{path} is binary ({len(data)} bytes). Look at it by shell or python."
            )
        return cls(data, python=is_python(path))

    def encode(self, text: str) -> bytes:
        """Bytes of a changed text.

        Raises:
            VerbFailed: The file's encoding has no such character.
        """
        try:
            return self.mark + text.encode(self._codec)
        except UnicodeEncodeError as error:
            wrong = error.object[error.start : error.end]
            raise VerbFailed(
                f"The file is {self.encoding}, which cannot hold {wrong!r}."
            ) from error


def is_python(path: str) -> bool:
    """It is Python source by its name."""
    return path.endswith((".py", ".pyi", ".pyw"))


def lines_of(text: str) -> List[str]:
    """Lines with their ends, as Python counts them (a form feed ends none)."""
    return _LINE.findall(text)


def line_at(text: str, at: int) -> int:
    """Number of the line (1-based) that holds offset `at`."""
    return len(lines_of(text[:at] + "x"))


def _encoding(data: bytes, python: bool) -> str:
    tries: List[str] = ["utf-8-sig"] if data.startswith(codecs.BOM_UTF8) else []
    if python and not tries:
        try:
            tries.append(tokenize.detect_encoding(io.BytesIO(data).readline)[0])
        except SyntaxError:
            tries.append("utf-8")
    for name in [*tries, "utf-8"]:
        try:
            mark = codecs.BOM_UTF8 if name == "utf-8-sig" else b""
            codec = "utf-8" if mark else name
            if mark + data[len(mark) :].decode(codec).encode(codec) == data:
                return name
        except (UnicodeError, LookupError):
            continue
    return "latin-1"


def _neighbours(real: str) -> str:
    folder, name = os.path.split(real)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return ""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    return f" Near it: {', '.join(close)}." if close else ""


def span_of_lines(lines: "List[str]", first: int, last: int) -> "Tuple[int, int]":
    """Offsets of lines `first` to `last` (1-based, both included)."""
    start = sum(len(line) for line in lines[: first - 1])
    return start, start + sum(len(line) for line in lines[first - 1 : last])
