"""Which candidates first: suspicion and what an operator costs; what memory recalls goes before.

The costs are by kinds of edit, from figures over function-level bugs: closed operators (another
comparison, a number one off, a neighbouring method) have few candidates and hardly ever overfit;
open ones (guards, joined conditions, names) have many and often do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from policies.action import Frozen

_TIERS: dict[float, str] = {
    1.0: "cmp const-int method range shift negate arith aug-op const-bool swap-operands and-or "
    "index add-kw regroup tuple-target fold-step none-test type-test yield add-return",
    2.0: "cmp-kind unwrap drop-operand swap-branches const-float const-str call-name slice drop-guard "
    "delete aug-assign swap-args elif-order except swap-elts swap-stmts "
    "drop-arg drop-branch jump default lit-arg dict-view loop-cond const-inf regex",
    4.0: "var return wrap drop-elt repeat loop-tail insert-step elif-copy "
    "key-map concat const-name copy test-guard insert-return star var-target indent dedent drop-else unwrap-if try",
    8.0: "ingredient wrap-name letter insert-copy wrap-if",
    16.0: "cond-extend cond-const guard add-arg",
}
COSTS: dict[str, float] = {name: cost for cost, names in _TIERS.items() for name in names.split()}
UNKNOWN_COST = 5.0
PAIRED = frozenset(
    [
        "cmp",
        "cmp-kind",
        "const-int",
        "arith",
        "unwrap",
        "shift",
        "var",
        "method",
        "call-name",
        "index",
        "delete",
        "aug-op",
        "range",
        "negate",
        "const-str",
        "swap-operands",
        "tuple-target",
        "drop-operand",
        "add-kw",
        "insert-step",
        "slice",
        "const-bool",
        "fold-step",
        "swap-args",
        "return",
        "drop-guard",
    ]
)
"""Operators whose edits are also tried two at a time."""
_TOKEN = re.compile(r"\w+|[^\w\s]+")


class Row(Frozen):
    """One candidate as the sandbox numbered it.

    `old` and `new` are the edited texts, cut at 80 characters; `slow` needs a process of its own.
    """

    id: int
    path: str
    line: int
    operator: str
    suspicion: float
    old: str
    new: str
    slow: bool


def rows_of(data: Mapping[str, Any]) -> list[Row]:
    """The numbered candidates of a `localise` answer."""
    columns, paths = data["columns"], data["paths"]
    slow = set(columns["slow"])
    return [
        Row(
            id=number,
            path=paths[columns["path"][number]],
            line=columns["line"][number],
            operator=columns["operator"][number],
            suspicion=columns["suspicion"][number],
            old=columns["old"][number],
            new=columns["new"][number],
            slow=number in slow,
        )
        for number in range(data["count"])
    ]


def ordered(rows: Sequence[Row], recalled: Sequence[Mapping[str, Any]]) -> list[int]:
    """Ids of all candidates, the likeliest first.

    Args:
        rows: The candidates.
        recalled: Past solutions with `operator`, `old`, `new` and `similarity`; what they did
            goes first: the same texts changed in the same way, then the same operator.
    """
    known = [(_tokens_changed(str(r.get("old", "")), str(r.get("new", ""))), r) for r in recalled]

    def score(row: Row) -> float:
        base = row.suspicion**2 / COSTS.get(row.operator, UNKNOWN_COST)
        own = _tokens_changed(row.old, row.new)
        boost = max((_likeness(row, own, changed, past) for changed, past in known), default=0.0)
        return base * (1.0 + boost)

    scored = [(score(row), row.id) for row in rows]
    return [number for _, number in sorted(scored, key=lambda pair: (-pair[0], pair[1]))]


def remembered(rows: Sequence[Row], recalled: Sequence[Mapping[str, Any]]) -> list[int]:
    """Ids of candidates that do to the same words what a past solution did, by the same operator."""
    known = {
        (
            str(past.get("operator", "")),
            _tokens_changed(str(past.get("old", "")), str(past.get("new", ""))),
        )
        for past in recalled
    }
    same = {row.id for row in rows if (row.operator, _tokens_changed(row.old, row.new)) in known}
    return [number for number in ordered(rows, recalled) if number in same]


def _likeness(
    row: Row,
    own: tuple[frozenset[str], frozenset[str]],
    changed: tuple[frozenset[str], frozenset[str]],
    past: Mapping[str, Any],
) -> float:
    similarity = float(past.get("similarity", 0.0) or 0.0)
    same_operator = row.operator in str(past.get("operator", "")).split("+")
    if not same_operator:
        return 0.0
    if own == changed and any(own):
        return 1000.0 * similarity
    shared = len(own[0] & changed[0]) + len(own[1] & changed[1])
    return similarity * (4.0 + 20.0 * shared)


def _tokens_changed(old: str, new: str) -> tuple[frozenset[str], frozenset[str]]:
    """The tokens that went and came, without what both texts begin and end with."""
    before, after = _TOKEN.findall(old), _TOKEN.findall(new)
    while before and after and before[0] == after[0]:
        before, after = before[1:], after[1:]
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return frozenset(before), frozenset(after)
