"""What was found before anything is changed: which tests are red, and what a proposer may know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent import as_found, mentioned
from agent.reached import sources
from agent.task import Task
from policies.action import Observation, RunTestsRequest
from tools.run_tests import RUN_TESTS
from tools.site import Site
from tools.workbench import Workbench

INSTRUCTIONS = ("AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md")
INSTRUCTIONS_KEPT = 8_000
"""Characters of the repository's own words to agents that a proposer is given."""


NO_TESTS = 5
"""What pytest ends with where it found none."""
AGAIN = 50
"""Index, in step 0, of the second run of the red tests."""


class NothingFails(Exception):
    """The tests that were to be made green are green already; the text says which."""


class NoTestRan(Exception):
    """No test reported, so that there is nothing to search against.

    Args:
        happened: What came instead, as one sentence without a full stop.
        remedy: What the reader does next.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


def take(workbench: Workbench, site: Site, *, limit_s: float) -> Observation:
    """Run the tests on the code as it was found: action 0 of step 0."""
    workbench.begin_step(0)
    arguments = {"command": site.test_command, "timeout_s": _timeout_s(limit_s)}
    return RUN_TESTS.call(workbench, arguments, origin="user")


def confirm(
    workbench: Workbench, site: Site, found: Observation, *, limit_s: float
) -> Observation | None:
    """Run the red tests once more: one red may be chance. None where none can be run alone.

    Which functions each of them runs is told, too.
    """
    red = _red(found)
    if not red or found.data.get("runner") != "pytest":
        return None
    workbench.begin_step(0, index=AGAIN)
    return workbench.perform(
        RUN_TESTS.name,
        RunTestsRequest(command=site.test_command, tests=red, reached=True),
        effect=RUN_TESTS.effect,
        origin="user",
        timeout_s=_timeout_s(limit_s),
    )


def tests_of(baseline: Observation) -> Sequence[dict[str, Any]]:
    """Every test that reported a result, in the form of the test protocol."""
    tests = baseline.data.get("tests")
    return [test for test in tests if isinstance(test, dict)] if isinstance(tests, list) else []


def with_reached(found: Observation, again: Observation | None) -> Observation:
    """The tests as they were found; the red ones with the functions that they ran the second time."""
    reached = {test["id"]: test.get("reached") for test in tests_of(again)} if again else {}
    tests: list[Any] = [
        test | {"reached": reached[test["id"]]} if reached.get(test["id"]) else test
        for test in tests_of(found)
    ]
    return found.model_copy(update={"data": {**found.data, "tests": tests}})


def unstable(baseline: Observation, again: Observation | None) -> tuple[str, ...]:
    """Tests that were red at first and passed when they were run once more."""
    if again is None:
        return ()
    passed = {test["id"] for test in tests_of(again) if test["outcome"] == "passed"}
    return tuple(test for test in _red(baseline) if test in passed)


def to_make_green(
    task: Task, baseline: Observation, again: Observation | None = None
) -> tuple[str, ...]:
    """The tests that are red each time; only those that the user named, where some were named.

    Raises:
        NothingFails: None of the named tests is red each time.
        NoTestRan: Tests are named, and none of any name ran.
    """
    unsure = unstable(baseline, again)
    red = tuple(test for test in _red(baseline) if test not in unsure)
    if unsure and not red:
        raise NothingFails(
            f"{', '.join(unsure[:5])} was red once and green when run again; make it stable, "
            "or name a test that is red each time with --failing"
        )
    if not task.failing:
        return red
    named = tuple(test for test in red if any(_means(name, test) for name in task.failing))
    if not named:
        if why := why_none_ran(baseline):
            raise why
        raise NothingFails(f"{', '.join(task.failing)}: {_how_else(task.failing, baseline)}")
    return named


def facts(
    workbench: Workbench, site: Site, text: str, baseline: Observation, failing: Sequence[str]
) -> dict[str, Any]:
    """`Situation.environment`: what a proposer may know of the place it works in.

    Args:
        workbench: Reads what is told of files.
        site: The place.
        text: The task's.
        baseline: The tests as they were found.
        failing: Those to be made green.
    """
    environment = site.environment
    tests = tests_of(baseline)
    red = [test for test in tests if test["id"] in failing]
    return {
        "test_command": site.test_command,
        "runner": environment.runner,
        "python": environment.python,
        "languages": list(environment.languages),
        "baseline": {
            "failing": red,
            "sources": sources(workbench, red),
            "passed": sum(test["outcome"] == "passed" for test in tests),
            "total": len(tests),
            "runner": baseline.data.get("runner"),
            "text": RUN_TESTS.to_text(baseline),
        },
        "mentioned": [] if red else mentioned.sources(workbench, text, site.base.entries),
        "instructions": _instructions(workbench, site),
    }


def why_none_ran(baseline: Observation) -> NoTestRan | None:
    """Why no single test reported; None where one did, or where there is none to run."""
    if tests_of(baseline) and baseline.data.get("runner") != "exit":
        return None
    if baseline.timed_out:
        return NoTestRan(
            f"the tests did not end within {baseline.seconds:.0f} s",
            remedy="give a command that ends with --test, or more time with --timeout",
        )
    errors = baseline.data.get("collection_errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        said = " ".join(str(errors[0].get("message", "")).split())[-200:]
        return NoTestRan(
            f"the tests cannot be collected: {errors[0].get('path')}: {said}",
            remedy="declare what they need in the project, or install it with --setup",
        )
    if baseline.exit_code == NO_TESTS and baseline.data.get("complete"):
        return None
    lines = (baseline.stderr.strip() or baseline.stdout.strip()).splitlines()
    return NoTestRan(
        f"no test ran, and the command ended with {baseline.exit_code}: "
        + (lines[-1].strip()[-200:].rstrip(".") if lines else "it said nothing"),
        remedy="give the command that runs the tests with --test, what it needs with --setup",
    )


def _red(baseline: Observation) -> tuple[str, ...]:
    return tuple(
        test["id"] for test in tests_of(baseline) if test["outcome"] in ("failed", "error")
    )


def _how_else(names: Sequence[str], baseline: Observation) -> str:
    """What became of named tests that are not red."""
    ran = [test["id"] for test in tests_of(baseline)]
    if any(_means(name, test) for name in names for test in ran):
        return "it passes on the code as it was found"
    return f"there is no such test among the {len(ran)} that ran"


def _timeout_s(limit_s: float) -> float:
    return min(1800.0, limit_s, max(30.0, limit_s / 3))


def _instructions(workbench: Workbench, site: Site) -> str:
    """What the repository tells agents, read like any file: data from outside, never a rule."""
    workbench.begin_step(0, index=100)
    for name in INSTRUCTIONS:
        if name in site.base.entries:
            observation = as_found.read(workbench, path=name)
            return str(observation.data.get("text", ""))[:INSTRUCTIONS_KEPT]
    return ""


def _means(name: str, test: str) -> bool:
    """Whether a name (a test, one without its parameters, a file, a folder) means this test."""
    return test == name or test.startswith((f"{name}::", f"{name}[", f"{name.rstrip('/')}/"))
