"""What a model says while it says it: for whoever watches now, and kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable

_SPACE = re.compile(r"(\s+)")


class Hearing:
    """The answer that is under way, as far as it may be shown.

    Args:
        mask: Masks what must not be shown.
    """

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask
        self._pieces: list[str] = []

    def take(self, piece: str) -> None:
        """Hear the next piece; an empty one: an answer begins anew, or is over."""
        if piece:
            self._pieces.append(piece)
        else:
            self._pieces = []

    def text(self) -> str:
        """What was said so far, masked, but for an end that may become a secret; from any thread."""
        return self._mask(settled("".join(self._pieces)))


def settled(text: str) -> str:
    """The text without an end that, once more has come, may be found to be one value.

    A value stands within one word, or in groups of digits and capitals (a card, an account).
    """
    words = _SPACE.split(text)
    words.pop()  # more of it may come
    while words and _is_group(words[-2]):
        del words[-2:]
    return "".join(words)


def _is_group(word: str) -> bool:
    return word.isupper() or any(c.isdigit() for c in word)
