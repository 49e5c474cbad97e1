"""What evidence a task needs, and what is missing when it is not there."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.task import Task
from policies.record import EVIDENCE_LEVELS, Evidence, EvidenceLevel

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
        listed = ", ".join(evidence.regressions[:10])
        return f"Tests that passed before do not pass with this change: {listed}."
    rank = EVIDENCE_LEVELS.index
    if rank(evidence.level) <= rank(requirement.level):
        return ""
    if failing:
        return _named_tests(evidence, failing)
    if requirement.level == "reproduction":
        return _own_tests(evidence)
    return f"The evidence is `{evidence.level}`; `{requirement.level}` is needed."


def _named_tests(evidence: Evidence, failing: tuple[str, ...]) -> str:
    if not_red := [test for test in failing if test not in evidence.red_before]:
        listed = ", ".join(not_red[:10])
        return f"These tests were not seen failing twice on the clean base: {listed}."
    still = [test for test in failing if test not in evidence.green_after]
    return "Still failing with this change, twice: " + ", ".join(still[:10]) + "."


def _own_tests(evidence: Evidence) -> str:
    if evidence.red_before:
        still = [test for test in evidence.red_before if test not in evidence.green_after]
        return "The tests that came with the change do not all pass with it: " + ", ".join(still)
    return (
        "No test shows the change: add one, in a test file, that fails on the code as it was "
        "found and passes with the change."
    )
