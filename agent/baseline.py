"""What was found before anything is changed: which tests are red, and what a proposer may know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.task import Task
from policies.action import Observation
from tools.read import READ
from tools.run_tests import RUN_TESTS
from tools.site import Site
from tools.workbench import Workbench

INSTRUCTIONS = ("AGENTS.md", "CLAUDE.md", "CONTRIBUTING.md")
INSTRUCTIONS_KEPT = 8_000
"""Characters of the repository's own words to agents that a proposer is given."""


class NothingFails(Exception):
    """The tests that were to be made green are green already; the text says which."""


def take(workbench: Workbench, site: Site, *, limit_s: float) -> Observation:
    """Run the tests on the code as it was found: action 0 of step 0."""
    workbench.begin_step(0)
    timeout_s = min(1800.0, max(30.0, limit_s / 3))
    arguments = {"command": site.test_command, "timeout_s": timeout_s}
    return RUN_TESTS.call(workbench, arguments, origin="user")


def tests_of(baseline: Observation) -> Sequence[dict[str, Any]]:
    """Every test that reported a result, in the form of the test protocol."""
    tests = baseline.data.get("tests")
    return [test for test in tests if isinstance(test, dict)] if isinstance(tests, list) else []


def to_make_green(task: Task, baseline: Observation) -> tuple[str, ...]:
    """The red tests; only those that the user named, where some were named.

    Raises:
        NothingFails: None of the named tests is red.
    """
    red = tuple(test["id"] for test in tests_of(baseline) if test["outcome"] in ("failed", "error"))
    if not task.failing:
        return red
    named = tuple(test for test in red if any(_means(name, test) for name in task.failing))
    if not named:
        raise NothingFails(f"{', '.join(task.failing)} on the code as it was found")
    return named


def facts(
    workbench: Workbench, site: Site, baseline: Observation, failing: Sequence[str]
) -> dict[str, Any]:
    """`Situation.environment`: what a proposer may know of the place it works in."""
    environment = site.environment
    tests = tests_of(baseline)
    return {
        "test_command": site.test_command,
        "runner": environment.runner,
        "python": environment.python,
        "languages": list(environment.languages),
        "baseline": {
            "failing": [test for test in tests if test["id"] in failing],
            "passed": sum(test["outcome"] == "passed" for test in tests),
            "total": len(tests),
            "text": RUN_TESTS.to_text(baseline),
        },
        "instructions": _instructions(workbench, site),
    }


def _instructions(workbench: Workbench, site: Site) -> str:
    """What the repository tells agents, read like any file: data from outside, never a rule."""
    workbench.begin_step(0, index=100)
    for name in INSTRUCTIONS:
        if name in site.base.entries:
            observation = READ.call(workbench, {"path": name}, origin="loop")
            return str(observation.data.get("text", ""))[:INSTRUCTIONS_KEPT]
    return ""


def _means(name: str, test: str) -> bool:
    """Whether a name (a test, one without its parameters, a file, a folder) means this test."""
    return test == name or test.startswith((f"{name}::", f"{name}[", f"{name.rstrip('/')}/"))
