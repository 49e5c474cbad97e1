"""Words of code and of failures as numbers, without a model: hashed terms and hashed trigrams.

Hashes are CRC-32, the same in every process and version (Python's own `hash` is salted).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from zlib import crc32

DENSE_SIZE = 64

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z0-9]+")

_GENERIC_TEXT = """
addr and are as assert assertion assertionerror at be by contains diff error expected extra failed
false first for frame from full get got has hex in index is it item items left message more none not
num object of on or py right self str test tests that the to true use was where with
"""
GENERIC = frozenset(_GENERIC_TEXT.split())
GENERIC_WEIGHT = 0.2
"""Words that nearly every failure has must not make two failures similar."""
ERROR_WEIGHT = 2.0


def terms(text: str) -> Counter[str]:
    """How often each term occurs: identifiers in lower case, and their parts of two or more letters.

    `parse_hour` and `parseHour` both have the parts `parse` and `hour`.
    """
    found: Counter[str] = Counter()
    for identifier in _IDENTIFIER.findall(text):
        parts = [part.lower() for part in _PART.findall(identifier)]
        whole = identifier.lower().strip("_")
        found.update(part for part in parts if len(part) > 1)
        if len(parts) > 1 and len(whole) > 1:
            found[whole] += 1
    return found


def weights(text: str) -> dict[str, float]:
    """A weight for each term: grows with the logarithm of its count; generic words weigh little."""
    return {term: _importance(term) * (1 + math.log(n)) for term, n in terms(text).items()}


def sparse(text: str) -> dict[int, float]:
    """The weights by a stable 32-bit hash of the term; what two terms share is added up."""
    vector: dict[int, float] = {}
    for term, weight in weights(text).items():
        index = crc32(term.encode())
        vector[index] = vector.get(index, 0.0) + weight
    return vector


def dense(text: str) -> list[float]:
    """(DENSE_SIZE,) unit vector of hashed letter trigrams: near for words that differ in an ending.

    All zeros but the first for a text without terms, since a zero vector has no direction.
    """
    vector = [0.0] * DENSE_SIZE
    for term, weight in weights(text).items():
        padded = f"^{term}$"
        for start in range(len(padded) - 2):
            code = crc32(padded[start : start + 3].encode())
            vector[code % DENSE_SIZE] += weight if code & 0x80000000 else -weight
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if length else [1.0, *vector[1:]]


def cosine(left: Mapping[str, float], right: Mapping[str, float]) -> float:
    """Cosine of two weighted bags of terms, in [0, 1]; 0 where one is empty."""
    product = sum(weight * right.get(term, 0.0) for term, weight in left.items())
    lengths = math.hypot(*left.values()) * math.hypot(*right.values())
    return min(1.0, product / lengths) if lengths else 0.0


def _importance(term: str) -> float:
    if term in GENERIC:
        return GENERIC_WEIGHT
    return ERROR_WEIGHT if term.endswith(("error", "exception")) else 1.0
