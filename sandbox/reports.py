"""What a test run said, read from the `tests` verb's outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

from sandbox.protocol import Outcome

TestOutcome = Literal["passed", "failed", "error", "skipped", "xfailed", "xpassed"]

_BAD = frozenset({"failed", "error"})
_ORDER: tuple[TestOutcome, ...] = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test.

    Attributes:
        id: The runner's id, relative to the repository's root.
        outcome: `error` is a failure outside the test's own body, or a run that ended within it.
        seconds: Set-up and tear-down included.
        message: First line of what went wrong, at most 500 characters.
        where: `path:line` of the last frame inside the repository; empty where none is known.
        detail: End of the failure's text, at most 4,000 characters.
        coverage: Lines that the test ran, by path; empty unless asked for.
    """

    __test__ = False

    id: str
    outcome: TestOutcome
    seconds: float = 0.0
    message: str = ""
    where: str = ""
    detail: str = ""
    coverage: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """A test run.

    Attributes:
        runner: `pytest`, `junit` or `exit`: who told the outcomes.
        tests: In the order they ran.
        complete: The report ended properly and holds every test that was selected.
        exit_code: Of the command.
        collection_errors: Path and message of what could not be collected.
        missing: Selected ids that are not there.
        timed_out: The time limit ended the run.
    """

    runner: str
    tests: tuple[TestResult, ...]
    complete: bool
    exit_code: int | None
    collection_errors: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()
    timed_out: bool = False

    @classmethod
    def of(cls, outcome: Outcome) -> Self:
        """Read the outcome of the `tests` verb; an outcome without a report is not complete."""
        data: Mapping[str, Any] = outcome.data
        return cls(
            runner=str(data.get("runner", "exit")),
            tests=tuple(_test(entry) for entry in data.get("tests", ())),
            complete=bool(data.get("complete")) and not outcome.timed_out,
            exit_code=outcome.exit_code,
            collection_errors=tuple(
                (str(e["path"]), str(e["message"])) for e in data.get("collection_errors", ())
            ),
            missing=tuple(data.get("missing", ())),
            timed_out=outcome.timed_out,
        )

    @cached_property
    def by_id(self) -> Mapping[str, TestResult]:
        """Tests by id; of two with one id, the worse."""
        found: dict[str, TestResult] = {}
        for test in self.tests:
            if test.id not in found or test.outcome in _BAD:
                found[test.id] = test
        return found

    @property
    def failing(self) -> tuple[str, ...]:
        """Ids of tests that failed or broke."""
        return tuple(name for name, test in self.by_id.items() if test.outcome in _BAD)

    @property
    def passed(self) -> tuple[str, ...]:
        """Ids of tests that passed; neither skipped nor expected to fail."""
        return tuple(name for name, test in self.by_id.items() if test.outcome == "passed")

    @property
    def green(self) -> bool:
        """Complete, something passed, nothing failed or broke, and the command agrees."""
        clean = not (self.failing or self.collection_errors or self.missing)
        return self.complete and clean and bool(self.passed) and self.exit_code == 0

    def summary(self) -> str:
        """One line: counts, and what keeps a run without failures from being green."""
        counts = [
            f"{number} {outcome}"
            for outcome in _ORDER
            if (number := sum(t.outcome == outcome for t in self.by_id.values()))
        ]
        parts = [", ".join(counts) or "no tests ran"]
        if self.collection_errors:
            parts.append(f"{len(self.collection_errors)} could not be collected")
        if self.missing:
            parts.append(f"{len(self.missing)} selected are not there")
        if self.timed_out:
            parts.append("ended by the time limit")
        elif not self.complete and not (self.collection_errors or self.missing):
            parts.append("the report does not end properly")
        elif self.complete and self.exit_code and not (self.failing or self.collection_errors):
            parts.append(f"the command ended with exit code {self.exit_code} all the same")
        return "; ".join(parts)


def _test(entry: Mapping[str, Any]) -> TestResult:
    return TestResult(
        id=str(entry["id"]),
        outcome=entry["outcome"],
        seconds=float(entry.get("seconds", 0.0)),
        message=str(entry.get("message", "")),
        where=str(entry.get("where", "")),
        detail=str(entry.get("detail", "")),
        coverage={path: tuple(lines) for path, lines in entry.get("coverage", {}).items()},
    )
