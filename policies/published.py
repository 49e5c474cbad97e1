"""Values that were published to be used in tests: never a finding that must be masked or refused.

The table is `published.csv` (kind, value, source); values are compared without separators. Whole
ranges that were set aside for examples are told in code.
"""

from __future__ import annotations

import csv
import functools
from pathlib import Path

_TABLE = Path(__file__).with_name("published.csv")
_EXAMPLE_ENDS = ("example", "test", "invalid", "localhost")
_EXAMPLE_DOMAINS = frozenset({"example.com", "example.org", "example.net"})


def is_published(kind: str, value: str) -> bool:
    """Whether a value of that kind stands in the table or in a range set aside for examples."""
    if kind == "email":
        return is_example_host(value.rpartition("@")[2])
    bare = "".join(c for c in value.casefold() if c.isalnum())
    if kind == "phone" and bare[-7:-2] == "55501":
        return True
    if kind == "us_ssn" and bare.startswith("98765432"):
        return True
    return bare in _table().get(kind, frozenset())


def is_example_host(host: str) -> bool:
    """Whether a host name can never be somebody's: `example.com` and its like."""
    labels = host.casefold().rstrip(".").split(".")
    return labels[-1] in _EXAMPLE_ENDS or ".".join(labels[-2:]) in _EXAMPLE_DOMAINS


@functools.cache
def _table() -> dict[str, frozenset[str]]:
    values: dict[str, set[str]] = {}
    with _TABLE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            bare = "".join(c for c in row["value"].casefold() if c.isalnum())
            values.setdefault(row["kind"], set()).add(bare)
    return {kind: frozenset(those) for kind, those in values.items()}
