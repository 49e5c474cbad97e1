"""One Python file as true text: positions of syntax nodes, splices, and unique whole lines.

Edits are text splices, never a file written anew from its tree: the diff stays as small as the
edit, comments survive, and so do line ends, tabs, a byte order mark and any encoding.
"""

from __future__ import annotations

import ast
import bisect
import difflib
import hashlib
import io
import re
import tokenize
from typing import List, NamedTuple, Sequence, Tuple, TypeVar

T = TypeVar("T")

_LINE_END = re.compile(r"\r\n|\r|\n")


class Splice(NamedTuple):
    """Characters `start` to `end` of a file's text become `new`; `operator` says what made it."""

    operator: str
    start: int
    end: int
    new: str


class Source:
    """A parsed file.

    Args:
        path: As the answer names it, relative to the workspace.
        data: The file's bytes.

    Raises:
        SyntaxError: It does not parse, or its encoding is unknown.
        UnicodeDecodeError: Its bytes are not in its encoding.
    """

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        self.text = data.decode(self.encoding)
        self.digest = hashlib.sha256(data).hexdigest()
        self.tree = ast.parse(self.text)
        self.starts = [0] + [m.end() for m in _LINE_END.finditer(self.text)]
        self.newline = "\r\n" if "\r\n" in self.text else "\n"
        self._plain = self.text.isascii()
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }

    def offset(self, line: int, column: int) -> int:
        """Character offset of a node's place: `line` from 1, `column` in bytes of UTF-8 from 0."""
        start = self.starts[line - 1]
        if self._plain:
            return start + column
        head = self.text[start : start + column].encode()[:column]
        return start + len(head.decode(errors="ignore"))

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Character offsets of a node that has a place."""
        return (
            self.offset(node.lineno, node.col_offset),  # type: ignore[attr-defined]
            self.offset(node.end_lineno, node.end_col_offset),  # type: ignore[attr-defined]
        )

    def segment(self, node: ast.AST) -> str:
        """The node's own text."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_of(self, offset: int) -> int:
        """Line (from 1) of a character offset."""
        return bisect.bisect_right(self.starts, offset)

    def line_text(self, line: int) -> str:
        """A line without its end."""
        end = self.starts[line] if line < len(self.starts) else len(self.text)
        return self.text[self.starts[line - 1] : end].rstrip("\r\n")

    def indent(self, line: int) -> str:
        """The white space a line begins with."""
        text = self.line_text(line)
        return text[: len(text) - len(text.lstrip())]

    def starts_line(self, offset: int) -> bool:
        """Whether only white space stands before the offset on its line."""
        return not self.text[self.starts[self.line_of(offset) - 1] : offset].strip()

    def ends_line(self, offset: int) -> bool:
        """Whether only white space or a comment stands behind the offset on its line."""
        rest = _LINE_END.split(self.text[offset:], maxsplit=1)[0].strip()
        return not rest or rest.startswith("#")

    def encode(self, text: str) -> bytes:
        """Text as the file's bytes."""
        return text.encode(self.encoding)


def neighbours(sequence: Sequence[T]) -> List[Tuple[T, T]]:
    """Each element with the next one."""
    return [(sequence[i], sequence[i + 1]) for i in range(len(sequence) - 1)]


def splice(text: str, edits: list[Splice]) -> str:
    """The text with all edits made.

    Raises:
        ValueError: Two edits overlap.
    """
    ordered = sorted(edits, key=lambda e: (e.start, e.end))
    for before, after in neighbours(ordered):
        if after.start < before.end or after.start == before.start:
            raise ValueError("two edits of one candidate overlap")
    for edit in reversed(ordered):
        text = text[: edit.start] + edit.new + text[edit.end :]
    return text


def tightened(text: str, edit: Splice) -> Splice:
    """The same edit over the fewest characters: what it shares with the old text is cut off."""
    old, new = text[edit.start : edit.end], edit.new
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Splice(edit.operator, edit.start + head, edit.end - tail, new[head : len(new) - tail])


def leftmost(text: str, edit: Splice) -> Tuple[int, int, str]:
    """What an edit does, by its leftmost place: equal for two ways to the same text.

    What only adds or only takes away can often stand at several places with one result.
    """
    _, start, end, new = edit
    if start == end and new:
        while start and text[start - 1] == new[-1]:
            start, end, new = start - 1, end - 1, new[-1] + new[:-1]
    elif not new:
        while start and start < end and text[start - 1] == text[end - 1]:
            start, end = start - 1, end - 1
    return start, end, new


def whole_lines(old: str, new: str) -> tuple[int, str, str]:
    """What turns one file text into another, as whole lines that are unique in the old text.

    Returns:
        Line number (from 1) of the first changed line, the old lines, and the new ones; widened
        by neighbouring lines until each occurs just once in its text, so that a replace by text
        hits the right place, and so does its undoing.
    """
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    first = 0
    while first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1
    last = 0
    limit = min(len(before), len(after)) - first
    while last < limit and before[-1 - last] == after[-1 - last]:
        last += 1
    low, high = first, len(before) - last
    while True:
        behind = len(before) - high
        gone, come = "".join(before[low:high]), "".join(after[low : len(after) - behind])
        unique = gone and come and old.count(gone) == 1 and new.count(come) == 1
        if unique or (low == 0 and high == len(before)):
            return first + 1, gone, come
        low, high = max(0, low - 1), min(len(before), high + 1)


def unified(path: str, old: str, new: str) -> str:
    """The change of one file as a git diff."""
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    ends = "\n\\ No newline at end of file\n"
    body = "".join(line if line.endswith("\n") else line + ends for line in lines)
    return f"diff --git a/{path} b/{path}\n{body}" if body else ""
