"""Run the repository's tests by the test protocol."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from policies.action import Observation, RunTestsRequest
from tools.tool import Tool, clip, denial, streams_text

SHOWN = 8
"""Failing tests that are told in full; the rest are named."""
DETAIL = 2_500


class RunTestsArguments(BaseModel):
    """Run tests by the repository's own command and learn which pass and why others do not.

    `tests` selects among those that the command runs; without it all of them are run.
    """

    model_config = ConfigDict(extra="forbid")

    tests: list[str] = Field(
        default_factory=list,
        description="Test ids, such as `tests/test_a.py::test_b`, or files.",
    )
    command: str = Field("", description="A test command in place of the repository's own.")
    timeout_s: float = Field(300.0, gt=0, le=1800, description="Seconds until it is killed.")


def to_request(arguments: RunTestsArguments) -> tuple[RunTestsRequest, float]:
    """Ask for the tests to be run."""
    request = RunTestsRequest(command=arguments.command, tests=tuple(arguments.tests))
    return request, arguments.timeout_s


def to_text(observation: Observation) -> str:
    """Counts, then the failing tests with the end of their reports."""
    if denied := denial(observation):
        return denied
    tests = [test for test in _list(observation.data.get("tests")) if isinstance(test, dict)]
    if not tests:
        return "No test reported a result.\n" + streams_text(observation)
    failing = [test for test in tests if test.get("outcome") in ("failed", "error")]
    counts = f"{_count(tests, 'passed')} passed, {len(failing)} failed of {len(tests)}"
    if not observation.data.get("complete", True):
        counts += "; the run did not end properly, so this is not the whole"
    parts = [counts, *map(_failure, failing[:SHOWN])]
    if len(failing) > SHOWN:
        parts.append("Also failing: " + ", ".join(str(test.get("id")) for test in failing[SHOWN:]))
    return "\n\n".join([*parts, *observation.notes])


def _failure(test: dict[str, Any]) -> str:
    detail = str(test.get("detail") or test.get("message") or "")
    return f"FAILED {test.get('id')}\n{clip(detail, limit=DETAIL)}".rstrip()


def _count(tests: list[dict[str, Any]], outcome: str) -> int:
    return sum(test.get("outcome") == outcome for test in tests)


def _list(value: JsonValue) -> list[Any]:
    return value if isinstance(value, list) else []


RUN_TESTS = Tool(
    name="run_tests", arguments=RunTestsArguments, to_request=to_request, to_text=to_text
)
