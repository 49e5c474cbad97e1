"""What evidence a task needs, and what is said when it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.loop.verify import Requirement, needed, shortfall
from agent.task import Task
from policies.record import Evidence, EvidenceLevel

RED = ("tests/test_a.py::test_x",)


def task(text: str, require: EvidenceLevel | None = None) -> Task:
    return Task(text=text, repo=Path("/nowhere"), require=require)


@pytest.mark.parametrize(
    ("text", "failing", "level"),
    [
        ("fix it", RED, "failing-test"),
        ("refactor the parser", RED, "failing-test"),
        ("dates before 1900 crash", (), "reproduction"),
        ("add a --json option", (), "reproduction"),
        ("rename Parser to Reader", (), "no-regression"),
        ("migrate to the new logging API", (), "no-regression"),
    ],
)
def test_the_kind_of_a_task_sets_the_level(
    text: str, failing: tuple[str, ...], level: EvidenceLevel
) -> None:
    assert needed(task(text), failing).level == level


def test_the_users_word_overrides_the_kind() -> None:
    assert needed(task("fix it", "checks"), RED).level == "checks"


def test_a_stronger_level_than_asked_for_is_enough() -> None:
    evidence = Evidence(level="failing-test", red_before=RED, green_after=RED)

    assert shortfall(evidence, Requirement("no-regression"), RED) == ""


@pytest.mark.parametrize(
    ("evidence", "failing", "level", "said"),
    [
        (Evidence(level="none", regressions=("t::y",)), RED, "failing-test", "t::y"),
        (Evidence(level="no-regression"), RED, "failing-test", "not seen failing"),
        (Evidence(level="no-regression", red_before=RED), RED, "failing-test", "Still failing"),
        (Evidence(level="no-regression"), (), "reproduction", "No test shows the change"),
        (Evidence(level="none", red_before=RED), (), "reproduction", "do not all pass"),
        (Evidence(level="none"), (), "no-regression", "`no-regression` is needed"),
    ],
)
def test_what_is_missing_is_said(
    evidence: Evidence, failing: tuple[str, ...], level: EvidenceLevel, said: str
) -> None:
    assert said in shortfall(evidence, Requirement(level), failing)
