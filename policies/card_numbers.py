"""Payment card numbers (PAN): Luhn, an issuer's range, and a layout that people write them in."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator

from stdnum import luhn

_BETWEEN = r"[ \-.\u00a0\u2007\u2009\u200a\u202f\u2010\u2011]?"
_DIGITS = re.compile(rf"\d+(?:{_BETWEEN}\d+)*")
_RUN = re.compile(rf"\d(?:{_BETWEEN}\d){{12,120}}")
_FEWEST = 13
_LAYOUTS = frozenset(
    {(n,) for n in range(13, 20)}
    | {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3), (4, 4, 4, 1), (6, 13), (8, 8), (4, 12)}
)
_MAESTRO = ("5018", "5020", "5038", "5893", "6304", "6759", "6761", "6762", "6763")


def find(text: str) -> Iterator[tuple[int, int, float]]:
    """Start, end and confidence of each card number.

    Every window of whole digit groups is tried, so that another number before or behind a card
    does not hide it. Digits of any script count.
    """
    for run in _runs(text):
        before = text[run.start() - 1] if run.start() else " "
        after = text[run.end()] if run.end() < len(text) else " "
        yield from _in_run(run.group(), run.start(), joined=(_joins(before), _joins(after)))


def _runs(text: str) -> Iterator[re.Match[str]]:
    """Stretches of digits that are long enough; each stretch is walked once."""
    for digits in _DIGITS.finditer(text):
        if digits.end() - digits.start() >= _FEWEST:
            yield from _RUN.finditer(text, *digits.span())


def _in_run(
    run: str, offset: int, *, joined: tuple[bool, bool]
) -> Iterator[tuple[int, int, float]]:
    groups = [(m.start(), m.end()) for m in re.finditer(r"\d+", run)]
    first = 0
    while first < len(groups):
        step = 1
        for last in range(first, min(first + 5, len(groups))):
            if (first == 0 and joined[0]) or (last == len(groups) - 1 and joined[1]):
                continue
            confidence = _confidence(run, groups, first, last)
            if confidence:
                yield offset + groups[first][0], offset + groups[last][1], confidence
                step = last - first + 1
        first += step


def _joins(character: str) -> bool:
    """Whether a neighbour makes the digits a part of a word: an identifier or a hash."""
    return character.isalnum()


def _confidence(run: str, groups: list[tuple[int, int]], first: int, last: int) -> float:
    """How sure it is that these groups are a card number; 0 where they are none."""
    window = groups[first : last + 1]
    if tuple(end - start for start, end in window) not in _LAYOUTS:
        return 0.0
    separators = {run[a[1] : b[0]] for a, b in itertools.pairwise(window)}
    if len(separators) > 1 or _is_fraction(run, groups, first, last):
        return 0.0
    digits = "".join(str(unicodedata.digit(c)) for start, end in window for c in run[start:end])
    if len(set(digits)) < 3 or not _has_issuer(digits) or not luhn.is_valid(digits):
        return 0.0
    # Thirteen and nineteen digits in one piece are more often a time stamp or a row's number.
    return 0.9 if len(window) > 1 or len(digits) in {14, 15, 16} else 0.6


def _is_fraction(run: str, groups: list[tuple[int, int]], first: int, last: int) -> bool:
    """Whether one group is a part of a decimal number."""
    if first != last:
        return False
    start, end = groups[first]
    return run[start - 1 : start] == "." or run[end : end + 1] == "."


def _has_issuer(digits: str) -> bool:
    """Whether an issuer gives out numbers that begin so and are so long."""
    size, two, four, six = len(digits), int(digits[:2]), int(digits[:4]), int(digits[:6])
    return (
        (digits[0] == "4" and size in {13, 16, 19})  # Visa
        or (size == 16 and (51 <= two <= 55 or 222100 <= six <= 272099))  # Mastercard
        or (size == 15 and two in {34, 37})  # American Express
        or (
            size in {16, 19} and (four == 6011 or two == 65 or 644 <= four // 10 <= 649)
        )  # Discover
        or (size in {16, 19} and 3528 <= four <= 3589)  # JCB
        or (size in {14, 16} and (two in {36, 38, 39} or 300 <= four // 10 <= 305))  # Diners Club
        or (size in {16, 19} and two == 62)  # UnionPay
        or (16 <= size <= 19 and digits[:4] in _MAESTRO)
    )
