"""Text as the gate takes it: whole Unicode without NUL, and made visible before a person sees it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from pydantic import JsonValue

MAX_NESTING = 64
"""Levels of lists and objects that are looked through; deeper is refused, not skipped."""


class NotText(ValueError):
    """A NUL or a lone surrogate: an engine that stops at it would judge half of what runs."""


class TooDeep(ValueError):
    """Nested deeper than is looked through."""


def check(text: str) -> None:
    """Refuse what some reader down the line would cut short or not encode.

    Raises:
        NotText: There is a NUL or a lone surrogate; says which and where.
    """
    at = text.find("\0")
    if at >= 0:
        raise NotText(f"a NUL character at position {at}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotText(f"a lone surrogate at position {error.start}") from error


def strings(value: JsonValue, *, depth: int = 0) -> Iterator[str]:
    """Every string of a JSON value, keys included.

    Raises:
        TooDeep: It is nested more than `MAX_NESTING` levels.
    """
    if depth > MAX_NESTING:
        raise TooDeep(f"a value nested more than {MAX_NESTING} levels deep")
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item, depth=depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from strings(item, depth=depth + 1)


def hidden(text: str) -> bool:
    """Whether a reader of the text would not see all of it as it is.

    True for control characters (a new line and a tab apart), format characters such as zero
    widths and writing-direction marks, and spaces that are no plain space.
    """
    if text.isascii():
        return any(c < " " and c not in "\n\t" for c in text) or "\x7f" in text
    return any(_is_hidden(c) for c in text)


_MISLEADING = re.compile(
    # Zero widths, writing directions, joiners of nothing, and tags that no font shows.
    "[\u200b\u2060-\u2064\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]|(?<!^)\ufeff"
)


def misleading(text: str) -> bool:
    """Whether a character in the text hides or turns around what a person reads."""
    return not text.isascii() and _MISLEADING.search(text) is not None


def visible(text: str) -> str:
    r"""The text with every hidden character and lone surrogate written as an escape (`\u200b`)."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if _is_hidden(c) else c for c in text)


def _is_hidden(character: str) -> bool:
    if character in "\n\t ":
        return False
    category = unicodedata.category(character)
    return category in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"}


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def whole(text: str) -> str:
    r"""The text with each NUL and lone surrogate written as an escape (`\x00`): then it passes `check`."""
    return text.replace("\0", r"\x00").encode("utf-8", "backslashreplace").decode()


def names(text: str) -> tuple[str, ...]:
    """The names in a text, split at blanks: how long lists of names are written here."""
    return tuple(text.split())
