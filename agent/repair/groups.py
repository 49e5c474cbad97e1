"""Several bugs at once: failing tests of different functions are mended one group after the other.

Plain data, for the proposer's mind. A group for which nothing is found waits: what mends another
group may be what it needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Groups = dict[str, Any]


def of(tests: Sequence[Sequence[str]]) -> Groups:
    """All groups to do, none mended."""
    return {"todo": [list(group) for group in tests], "waiting": [], "mended": []}


def mended(groups: Groups, patch: Mapping[str, Any] | None) -> Groups:
    """The first group is green: by this patch (its operator and confidence), or by one before.

    Groups that wait get another try where a patch has changed the code.
    """
    _, *todo = groups["todo"]
    if patch is None:
        return {**groups, "todo": todo}
    kept = {key: patch[key] for key in ("operator", "confidence")}
    return {
        "todo": [*todo, *groups["waiting"]],
        "waiting": [],
        "mended": [*groups["mended"], kept],
    }


def reopened(groups: Groups, tests: Sequence[str]) -> Groups:
    """The last patch is taken out again: the group of these tests is to do."""
    return {
        **groups,
        "todo": [list(tests), *groups["todo"]],
        "mended": groups["mended"][:-1],
    }


def passed_over(groups: Groups) -> Groups:
    """Nothing was found for the first group: it waits."""
    first, *todo = groups["todo"]
    return {**groups, "todo": todo, "waiting": [*groups["waiting"], first]}


def confidence(groups: Groups) -> float:
    """How sure it is that all patches are right, in [0, 1]."""
    return round(math.prod(float(patch["confidence"]) for patch in groups["mended"]), 3)


def told(groups: Groups) -> str:
    """What was mended, in words."""
    each = ", ".join(f"{p['operator']} {p['confidence']:.0%} sure" for p in groups["mended"])
    return f"{len(groups['mended'])} edits for separate bugs ({each})"
