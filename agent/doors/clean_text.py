r"""The one cleaner: text from a sandbox or a model, made safe to show at any door.

Colours of the source are dropped; every other character that could move a cursor, set a title or
the clipboard, turn the reading direction or hide text is shown as an escape (`\x1b`, `\u202e`).
"""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_UNSAFE = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and line feed, DEL, C1
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0"  # invisible fillers
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f"  # zero width, separators, direction
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a"  # selectors, byte order mark, notes
    "\U000e0000-\U000e0fff"  # tags and the other selectors: text nobody sees
    "\ud800-\udfff"  # lone surrogates: no terminal can be sent one
    "]"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def clean(text: str) -> str:
    """Make `text` safe to show; lines and tabs stay."""
    return _UNSAFE.sub(_escape, _COLOUR.sub("", text))


def clean_line(text: str, *, limit: int = 160) -> str:
    """Show `text` on one line of at most `limit` characters, cut at its end with `…`."""
    line = clean(text.strip()[: 4 * limit]).replace("\n", "\\n").replace("\t", " ")
    return line if len(line) <= limit else line[: limit - 1] + "…"
