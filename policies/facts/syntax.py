"""The parser of shell commands, and texts as it is given them."""

from __future__ import annotations

import functools
import re
import time

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

_UNUSUAL = re.compile(r"[^\n\t\x20-\x7e]")
_SHIELDED = re.compile(r"\u00fe([0-9a-f]{1,6})\u00fe")

LONGEST_S = 0.5
"""Seconds of processor time that the parser may take for one text; 100,000 plain characters take
it a tenth of that."""
_SHORT = 4_000
"""Bytes that it reads soon enough whatever they are."""
_PIECE = 512


@functools.cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bash.language()))


def parse(text: bytes) -> Node:
    """The root of the tree of a shielded text.

    Raises:
        ValueError: The parser does not come to an end; some broken texts take it minutes.
    """
    began = time.thread_time()

    def is_late(_offset: int, _has_error: bool) -> bool:
        return time.thread_time() - began > LONGEST_S

    if len(text) <= _SHORT:
        return _parser().parse(text).root_node
    try:
        pieces = _parser().parse(lambda at, _: text[at : at + _PIECE], progress_callback=is_late)
    except ValueError:
        _parser().reset()
        raise ValueError(f"a command that takes more than {LONGEST_S} s to parse") from None
    return pieces.root_node


def shield(text: str) -> bytes:
    """A text as the parser gets it: only characters that it reads as bash does.

    The parser takes white space of every script for a separator, which bash does not, and asks
    the C library about characters that its tables do not hold, which can end the process. So each
    character beyond plain ASCII becomes letters and digits; `unshield` turns them back.
    """
    return _UNUSUAL.sub(lambda m: f"\u00fe{ord(m[0]):x}\u00fe", text).encode()


def unshield(text: bytes) -> str:
    """What `shield` was given."""
    return _SHIELDED.sub(lambda m: chr(int(m[1], 16)), text.decode("utf-8", "replace"))


def source(node: Node) -> str:
    """A node's text."""
    return unshield(node.text or b"")
