"""Which of several plausible patches: clusters by behaviour, their share, and how far to trust it.

Patches that pass the tests may still be wrong. Those that do the same on mutated inputs are one
cluster; a cluster's weight is what its operators' patches were worth where it was measured; its
share of all weight is the confidence. Where the tests are a weak oracle (one failing test of a
package, no inputs to compare on) the confidence is capped: such a patch is a proposal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.repair.order import COSTS, UNKNOWN_COST

CONFIDENT = 0.7
"""Shares below it make a patch a proposal."""
PRECISION: dict[str, float] = {
    "cmp": 0.6,
    "cmp-kind": 0.4,
    "const-int": 0.8,
    "const-str": 0.9,
    "method": 0.95,
    "call-name": 0.6,
    "range": 0.9,
    "arith": 0.8,
    "unwrap": 0.8,
    "drop-operand": 0.75,
    "negate": 0.75,
    "aug-op": 0.75,
    "none-test": 0.7,
    "type-test": 0.7,
    "yield": 0.8,
    "add-return": 0.8,
    "lit-arg": 0.6,
    "dict-view": 0.7,
    "loop-cond": 0.6,
    "swap-branches": 0.9,
    "swap-operands": 0.8,
    "swap-args": 0.8,
    "swap-elts": 0.8,
    "swap-stmts": 0.8,
    "elif-order": 0.8,
    "tuple-target": 0.8,
    "shift": 0.75,
    "const-bool": 0.8,
    "fold-step": 0.9,
    "regroup": 0.8,
    "add-kw": 0.8,
    "drop-guard": 0.7,
    "drop-branch": 0.7,
    "delete": 0.7,
    "wrap-if": 0.6,
    "wrap": 0.55,
    "return": 0.5,
    "var": 0.5,
    "ingredient": 0.5,
    "wrap-name": 0.45,
    "insert-step": 0.45,
    "letter": 0.5,
    "guard": 0.3,
    "insert-copy": 0.3,
    "test-guard": 0.4,
    "const-name": 0.4,
    "insert-return": 0.5,
    "star": 0.5,
    "copy": 0.5,
    "cond-extend": 0.2,
    "cond-const": 0.2,
    "add-arg": 0.2,
    "repeat": 0.25,
}
"""Share of right ones among an operator's plausible patches: by function-level bugs, where there were
enough of them; else by the kin of the operator."""
USUAL_PRECISION = 0.5
NEARLY = 0.1
REMOVALS = frozenset({"delete", "drop-branch", "drop-guard", "drop-else"})
CROWD = 6
"""So many kinds of edit that do the same show that what they edit does harm and no good."""
PROPOSAL = 0.65
"""The most that a patch without enough behind it is trusted."""
WEAK_DOUBT = 0.7
"""Doubt left by all of a cluster's operators beyond which it is a proposal in any case."""
FEW_SEEDS = 8
"""One failing test that gives fewer different arguments than this is a weak oracle."""
TRUSTED = 0.7
"""One failing test is a weak oracle for edits of operators below it that are not closed either."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Plausible patches that do the same.

    Attributes:
        members: Indices into the list of plausible patches, the best to show first.
        share: Of all weight, in [0, 1].
        held: Docstring examples that it makes true.
    """

    members: tuple[int, ...]
    share: float
    held: int


def precision(operator: str) -> float:
    """How often a plausible patch of an operator is right; pairs multiply."""
    worth = 1.0
    for part in operator.split("+"):
        worth *= PRECISION.get(part, USUAL_PRECISION)
    return worth


def vote(operator: str) -> float:
    """Weight of an operator as a witness: how often right, and how likely among all edits."""
    worth = 1.0
    for part in operator.split("+"):
        worth *= precision(part) / math.sqrt(COSTS.get(part, UNKNOWN_COST))
    return worth


def clusters(
    patches: Sequence[tuple[str, int]], behaviours: Sequence[Mapping[str, Any]]
) -> list[Cluster]:
    """Clusters, the most trustworthy first.

    Args:
        patches: Operator and size (characters of the new text) of the plausible patches, in the
            order in which they were found.
        behaviours: For each, `cluster` (-1: could not be compared) and `held` examples.

    Returns:
        Clusters by examples held, then by share. Patches that hold fewer examples than the best
        do not take part in the sharing.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for number, row in enumerate(behaviours):
        key = (row["cluster"], 0) if row["cluster"] >= 0 else (-1, number)
        groups.setdefault(key, []).append(number)
    most = max((row["held"] for row in behaviours), default=0)
    held = {key: max(behaviours[m]["held"] for m in members) for key, members in groups.items()}
    weights = {
        key: _weight({patches[m][0] for m in members}) if held[key] == most else 0.0
        for key, members in groups.items()
    }
    total = sum(weights.values())
    found = [
        Cluster(_best_first(patches, members), weights[key] / total, held[key])
        for key, members in groups.items()
    ]
    return sorted(found, key=lambda c: (-c.held, -c.share, min(c.members)))


def _weight(operators: set[str]) -> float:
    """Each kind of edit is one witness, however many patches it made; agreement counts twice."""
    votes: float = sum(vote(operator) for operator in operators)
    return votes * votes


def _best_first(patches: Sequence[tuple[str, int]], members: Sequence[int]) -> tuple[int, ...]:
    """Of patches that do the same: those of trusted or closed operators, of these the shortest.

    Where every kind of edit of a statement does, taking it out says most plainly what is meant.
    """
    operators = {patches[m][0] for m in members}
    best = max(map(precision, operators))
    useless = len(operators) >= CROWD

    def order(member: int) -> tuple[bool, bool, int, int]:
        operator, size = patches[member]
        doubtful = not _closed(operator) and precision(operator) < best - NEARLY
        return not (useless and operator in REMOVALS), doubtful, size, member

    return tuple(sorted(members, key=order))


def _closed(operator: str) -> bool:
    """Whether an operator makes but a handful of candidates at a place."""
    return COSTS.get(operator, UNKNOWN_COST) <= 1.0


def confidence(
    cluster: Cluster, patches: Sequence[tuple[str, int]], *, red: int, seeds: int, inputs: int
) -> float:
    """How far a cluster is to be trusted, in [0, 1].

    Args:
        cluster: The chosen one.
        patches: As for `clusters`.
        red: How many failing tests it turned green, and examples that did not hold before.
        seeds: Different arguments that the tests gave to what was compared.
        inputs: On how many inputs the patches were compared; 0: they could not be.
    """
    operators = {patches[m][0] for m in cluster.members}
    doubt = math.prod(1.0 - precision(operator) for operator in operators)
    trusted = max(map(precision, operators)) >= TRUSTED or any(map(_closed, operators))
    few_inputs = red + cluster.held < 2 and seeds < FEW_SEEDS
    weak_tests = few_inputs or (red < 2 and not trusted)
    if weak_tests or doubt > WEAK_DOUBT or (not inputs and not cluster.held and doubt > NEARLY):
        return min(cluster.share, PROPOSAL)
    return cluster.share
