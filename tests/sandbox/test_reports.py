"""What is green, and what only looks so."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.protocol import Outcome
from sandbox.reports import Report


def told(*outcomes: str, **changes: Any) -> Outcome:
    """An outcome of the tests verb with tests t0, t1, ... of these outcomes."""
    data: dict[str, Any] = {
        "runner": "pytest",
        "tests": [{"id": f"t{i}", "outcome": o} for i, o in enumerate(outcomes)],
        "complete": changes.pop("complete", True),
        "collection_errors": changes.pop("collection_errors", []),
        "missing": changes.pop("missing", []),
    }
    return Outcome(exit_code=changes.pop("exit_code", 0), data=data, **changes)


@pytest.mark.parametrize("extra", [(), ("skipped",), ("xfailed",), ("xpassed",)])
def test_a_complete_run_where_something_passed_and_nothing_failed_is_green(
    extra: tuple[str, ...],
) -> None:
    assert Report.of(told("passed", *extra)).green


@pytest.mark.parametrize(
    "outcome",
    [
        told(),
        told("skipped"),
        told("xfailed"),
        told("passed", "failed", exit_code=1),
        told("passed", "failed", exit_code=0),
        told("passed", "error", exit_code=1),
        told("passed", complete=False),
        told("passed", exit_code=1),
        told("passed", exit_code=None),
        told("passed", timed_out=True, exit_code=124),
        told("passed", missing=["t9"]),
        told("passed", collection_errors=[{"path": "a.py", "message": "SyntaxError"}]),
        Outcome(exit_code=0),
    ],
)
def test_what_is_not_whole_or_not_clean_is_never_green(outcome: Outcome) -> None:
    report = Report.of(outcome)
    assert not report.green
    assert report.summary()


def test_failing_holds_failures_and_errors_and_passed_only_what_passed() -> None:
    report = Report.of(told("passed", "failed", "error", "skipped", "xfailed", "xpassed"))
    assert report.failing == ("t1", "t2")
    assert report.passed == ("t0",)
    assert report.by_id["t3"].outcome == "skipped"


def test_of_two_tests_with_one_id_the_worse_counts() -> None:
    tests = [{"id": "t", "outcome": o} for o in ("passed", "failed", "passed")]
    report = Report.of(Outcome(exit_code=0, data={"tests": tests, "complete": True}))  # type: ignore[dict-item]
    assert report.failing == ("t",)
    assert report.passed == ()


def test_the_summary_says_why_a_run_without_failures_is_not_green() -> None:
    assert "exit code 3" in Report.of(told("passed", exit_code=3)).summary()
    assert "does not end properly" in Report.of(told("passed", complete=False)).summary()
    assert Report.of(told("passed", "failed", "passed", exit_code=1)).summary() == (
        "1 failed, 2 passed"
    )
