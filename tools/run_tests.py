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

    `tests` runs these instead of all that the command runs; they need not be among them (pytest).
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
    if observation.data.get("runner") == "exit":
        return "Its single tests are not told apart.\n" + streams_text(observation)
    failing = [test for test in tests if test.get("outcome") in ("failed", "error")]
    passed = _count(tests, "passed")
    counts = f"{passed} passed, {len(failing)} failed of {len(tests)}"
    if others := len(tests) - passed - len(failing):
        counts += f" ({others} skipped or expected to fail)"
    if not observation.data.get("complete", True):
        counts += "; the run did not end properly, so this is not the whole"
    alike: dict[str, list[dict[str, Any]]] = {}
    for test in failing:
        alike.setdefault(str(test.get("message") or test.get("id")), []).append(test)
    parts = [counts, *(_failure(*tests) for tests in list(alike.values())[:SHOWN])]
    if rest := [str(test.get("id")) for tests in list(alike.values())[SHOWN:] for test in tests]:
        parts.append("Also failing: " + ", ".join(rest))
    return "\n\n".join([*parts, *observation.notes])


def _failure(test: dict[str, Any], *likewise: dict[str, Any]) -> str:
    """A failing test with its report, and the names of those that say the same."""
    detail = str(test.get("detail") or test.get("message") or "")
    others = "".join(f"\nFAILED likewise {one.get('id')}" for one in likewise)
    return f"FAILED {test.get('id')}\n{clip(detail, limit=DETAIL)}".rstrip() + others


def _count(tests: list[dict[str, Any]], outcome: str) -> int:
    return sum(test.get("outcome") == outcome for test in tests)


def _list(value: JsonValue) -> list[Any]:
    return value if isinstance(value, list) else []


RUN_TESTS = Tool(
    name="run_tests", arguments=RunTestsArguments, to_request=to_request, to_text=to_text
)
