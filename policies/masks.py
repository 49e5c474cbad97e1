"""Masks: what stands in the place of a secret, the same for the same value, and back again.

A value becomes `<kind:8hex>`, where the hex is an HMAC under the session's key: a reader sees that
two places hold the same thing and not what. The way back is kept in memory, on the host, only; a
new process learns it anew as it masks the same texts.
"""

from __future__ import annotations

import hashlib
import hmac
import operator
import re
from collections.abc import Sequence
from typing import Any

from policies.detectors import ALL_KINDS, PERSONAL, SECRETS, Finding, find, is_telling
from policies.texts import MAX_NESTING, TooDeep

__all__ = ["ALL_KINDS", "PERSONAL", "SECRETS", "Masks"]

SURE = 0.8
"""Confidence from which a finding is masked."""
SHORT = 64
"""Characters of a text, such as a field's name, that is remembered where nothing is found in it."""
REMEMBERED = 4096
"""How many of them."""

_TOKEN = re.compile(r"<(?:" + "|".join(sorted(ALL_KINDS)) + r"):[0-9a-f]{8,64}>")


class Masks:
    """The masks of one session.

    Args:
        key: The session's key. With the same key the same value has the same mask.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._values: dict[str, str] = {}
        self._clean: dict[frozenset[str], set[str]] = {}

    def mask(self, text: str, kinds: frozenset[str]) -> str:
        """The text with every sure finding of these kinds masked; published values stay.

        Masking what is masked already changes nothing.

        Raises:
            ValueError: A kind is not known.
        """
        clean = self._clean.setdefault(kinds, set())
        if text in clean:
            return text
        spans = _spans(text, find(text, kinds)) if kinds else []
        if not spans and len(text) <= SHORT and len(clean) < REMEMBERED:
            clean.add(text)
        while spans:
            # What stood beside a value can have kept another one from being seen.
            text = self._replaced(text, spans)
            spans = _spans(text, find(text, kinds))
        return text

    def _replaced(self, text: str, spans: list[tuple[int, int, str]]) -> str:
        pieces: list[str] = []
        done = 0
        for start, end, kind in spans:
            pieces += [text[done:start], self._token(kind, text[start:end])]
            done = end
        return "".join([*pieces, text[done:]])

    def unmask(self, text: str) -> str:
        """The text with every mask of this session turned back; others stay as they are."""
        return _TOKEN.sub(lambda m: self._values.get(m.group(), m.group()), text)

    def unknown(self, text: str) -> tuple[str, ...]:
        """Masks in the text that cannot be turned back: of another session, or not seen yet."""
        return tuple(m.group() for m in _TOKEN.finditer(text) if m.group() not in self._values)

    def mask_json(self, value: Any, kinds: frozenset[str]) -> Any:
        """A JSON value of the same shape, every string in it masked, names of fields too.

        A text under a name such as `password` is looked at together with that name. Where nothing
        is masked it is the value itself.

        Raises:
            TooDeep: It is nested too deep to be looked through.
        """
        return self._mask_json(value, kinds, depth=0)

    def _mask_json(self, value: Any, kinds: frozenset[str], *, depth: int) -> Any:
        if depth > MAX_NESTING:
            raise TooDeep(f"a value nested more than {MAX_NESTING} levels deep")
        if isinstance(value, str):
            return self.mask(value, kinds)
        if isinstance(value, list):
            items = [self._mask_json(item, kinds, depth=depth + 1) for item in value]
            return value if all(map(operator.is_, items, value)) else items
        if isinstance(value, dict):
            fields = {
                self.mask(name, kinds): self._mask_named(name, item, kinds)
                if isinstance(item, str)
                else self._mask_json(item, kinds, depth=depth + 1)
                for name, item in value.items()
            }
            same = all(map(operator.is_, fields.values(), value.values()))
            return value if same and fields.keys() == value.keys() else fields
        return value

    def _mask_named(self, name: str, text: str, kinds: frozenset[str]) -> str:
        if not is_telling(name):
            return self.mask(text, kinds)
        opening = f'{name} = "'
        quoted = f'{opening}{text}"'
        whole = self.mask(quoted, kinds)
        if whole == quoted:
            return self.mask(text, kinds)
        if whole.startswith(opening) and whole.endswith('"'):
            return self.mask(whole[len(opening) : -1], kinds)
        return self.mask(text, kinds)

    def _token(self, kind: str, value: str) -> str:
        hexadecimal = hmac.new(
            self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()
        for length in range(8, 65, 8):
            token = f"<{kind}:{hexadecimal[:length]}>"
            # Two values with the same first digits: the later one gets a longer mask.
            if self._values.setdefault(token, value) == value:
                return token
        raise ValueError(f"two values of kind {kind} have the same HMAC")


def _spans(text: str, findings: Sequence[Finding]) -> list[tuple[int, int, str]]:
    """What to mask, without overlap: the first and longest wins, and masks are left alone."""
    if not findings:
        return []
    taken = [m.span() for m in _TOKEN.finditer(text)]
    spans: list[tuple[int, int, str]] = []
    done = 0
    for f in findings:
        if f.confidence < SURE or f.published or f.end <= done:
            continue
        if any(start < f.end and f.start < end for start, end in taken):
            continue
        start = max(f.start, done)
        spans.append((start, f.end, f.kind))
        done = f.end
    return spans
