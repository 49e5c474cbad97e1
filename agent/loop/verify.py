"""What evidence a task needs, and what is missing when it is not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.prompts import render
from agent.task import Task
from policies.record import EVIDENCE_LEVELS, Evidence, EvidenceLevel

LISTED = 10
REFACTORING = re.compile(
    r"\b(refactor\w*|rename|move|extract|inline|split|clean ?up|tidy|format|reorgani[sz]e|"
    r"document|docstrings?|comments?|type hints?|annotate|upgrade|migrate|migration)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """The weakest level that is enough, and the check commands that count for `checks`."""

    level: EvidenceLevel
    checks: tuple[str, ...] = ()


def needed(task: Task, failing: tuple[str, ...], checks: tuple[str, ...] = ()) -> Requirement:
    """What a task's kind needs, unless the user said (`--require`).

    Red tests need `failing-test`. Without them a change of behaviour (a bug, a feature) needs a
    test of the agent's own, a change of form (a refactoring, a migration) only no regression.
    """
    if task.require is not None:
        return Requirement(task.require, checks)
    if failing:
        return Requirement("failing-test", checks)
    if REFACTORING.search(task.text):
        return Requirement("no-regression", checks)
    return Requirement("reproduction", checks)


def shortfall(evidence: Evidence, requirement: Requirement, failing: tuple[str, ...]) -> str:
    """Why the evidence is not enough, in words for whoever proposed the patch; empty if it is."""
    if evidence.regressions:
        return render("regressions", tests=_listed(evidence.regressions))
    rank = EVIDENCE_LEVELS.index
    if rank(evidence.level) <= rank(requirement.level):
        return ""
    if failing:
        return _named_tests(evidence, failing)
    if requirement.level == "reproduction":
        return _own_tests(evidence)
    return render("too_weak", level=evidence.level, needed=requirement.level)


def _named_tests(evidence: Evidence, failing: tuple[str, ...]) -> str:
    if not_red := [test for test in failing if test not in evidence.red_before]:
        return render("not_red", tests=_listed(not_red))
    still = [test for test in failing if test not in evidence.green_after]
    return render("still_failing", tests=_listed(still))


def _own_tests(evidence: Evidence) -> str:
    if evidence.red_before:
        still = [test for test in evidence.red_before if test not in evidence.green_after]
        return render("own_tests_fail", tests=_listed(still))
    return render("no_own_test", found=" ".join(evidence.reservations)).rstrip()


def _listed(tests: Sequence[str]) -> str:
    more = f" and {len(tests) - LISTED} more" if len(tests) > LISTED else ""
    return ", ".join(tests[:LISTED]) + more
