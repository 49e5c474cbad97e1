"""What stands behind a patch: taken in fresh sandboxes, from the clean base plus the patch.

The named tests must be red on the base and green with the patch, twice each, in the form they have
on the base: changes of the patch to test files are left out while they run, so that a patch cannot
make its own test easy. Then all tests run with the whole patch, against what passed before.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from policies.action import VerifyRequest
from policies.record import Evidence, EvidenceLevel, Passed
from sandbox.errors import SandboxError
from sandbox.protocol import Sandbox
from sandbox.reports import Report

RunTests = Callable[[Sandbox, Sequence[str]], Report]
TEST_FOLDERS = {"test", "tests", "testing", "__tests__", "spec"}
CODE = re.compile(r"\.(py|[cm]?[jt]sx?|go|rs|rb|php|java|kt)$")
"""What a runner can be given; beside them lie data files and fixtures."""
TEST_FILES = re.compile(r"(^test_.*|.*_test|^conftest|^tests?)\.\w+$|.*\.(test|spec)\.\w+$")


@dataclass(frozen=True, slots=True)
class Fresh:
    """How evidence is taken for one session.

    Attributes:
        open: A new sandbox that holds the clean base.
        run_tests: Runs these tests (none: all) by the environment's command.
        run_check: Runs one check command; true where it succeeds.
        cache: What is known of the base alone; it never changes within a session.
    """

    open: Callable[[], Sandbox]
    run_tests: RunTests
    run_check: Callable[[Sandbox, str], bool]
    cache: dict[tuple[str, ...], Report] = field(default_factory=dict)


def is_test_file(path: str) -> bool:
    """Whether a path is a test's own file, by the conventions of the usual runners."""
    parts = PurePosixPath(path).parts
    return bool(TEST_FOLDERS.intersection(parts[:-1])) or bool(TEST_FILES.match(parts[-1]))


def split_patch(patch: str) -> tuple[str, str, tuple[str, ...]]:
    """A git patch as (changes to other files, changes to test files, paths of those test files)."""
    sections = re.split(r"(?m)^(?=diff --git )", patch)
    source, tests, paths = [], [], []
    for section in filter(None, sections):
        path = _path_of(section)
        if is_test_file(path):
            tests.append(section)
            paths.append(path)
        else:
            source.append(section)
    return "".join(source), "".join(tests), tuple(paths)


def _runnable(test_files: Sequence[str]) -> tuple[str, ...]:
    """Those of a change's test files that a runner is given: where some are named as tests, only they."""
    code = [path for path in test_files if CODE.search(path) and "conftest." not in path]
    named = [path for path in code if TEST_FILES.match(PurePosixPath(path).name)]
    return tuple(named or code)


def take(request: VerifyRequest, fresh: Fresh) -> Evidence:
    """Take the evidence for a patch.

    Raises:
        SandboxError: The patch does not apply to the clean base, or no sandbox can be had.
    """
    source, test_part, test_files = split_patch(request.patch)
    reservations: list[str] = []
    red: tuple[str, ...] = ()
    green: tuple[str, ...] = ()
    kind: EvidenceLevel = "none"
    if request.failing:
        red = _red(fresh, request.failing, "")
        green = _green(fresh, red, source)
        kind = "failing-test" if set(green) == set(request.failing) else "none"
        if test_part and kind == "failing-test":
            reservations.append("The patch also changes tests: " + ", ".join(test_files) + ".")
    elif own := _runnable(test_files):
        red = _red(fresh, own, test_part)
        green = _green(fresh, red, request.patch)
        kind = "reproduction" if red and set(green) == set(red) else "none"
        if not red:
            reservations.append(_not_red(fresh, own, test_part))
    regressions, others, flaky = _compare(fresh, request.patch)
    if flaky:
        reservations.append("Not stable from run to run: " + ", ".join(flaky) + ".")
    checks = _checks(fresh, request)
    level = _level(kind, others, regressions, checks)
    return Evidence(
        level=level,
        red_before=red,
        green_after=green,
        regressions=regressions,
        others=others,
        checks=checks,
        reservations=tuple(reservations),
    )


def _level(
    kind: EvidenceLevel, others: Passed, regressions: Sequence[str], checks: Sequence[str]
) -> EvidenceLevel:
    if regressions:
        return "none"
    if kind != "none":
        return kind
    if others.passed:
        return "no-regression"
    return "checks" if checks else "none"


def _red(fresh: Fresh, tests: Sequence[str], test_part: str) -> tuple[str, ...]:
    """Which of the tests fail on the base, twice; for new tests only their files are laid on it."""
    key = ("red", *tests, test_part)
    if key not in fresh.cache:
        with fresh.open() as sandbox:
            _apply(sandbox, test_part)
            first = fresh.run_tests(sandbox, tests)
            fresh.cache[key] = first
            fresh.cache[("again", *key)] = fresh.run_tests(sandbox, tests)
    first, second = fresh.cache[key], fresh.cache[("again", *key)]
    known = _base_report(fresh).failing if test_part else ()
    return tuple(test for test in first.failing if test in second.failing and test not in known)


def _not_red(fresh: Fresh, test_files: Sequence[str], test_part: str) -> str:
    """What came of the change's own tests on the base, where none of them is red."""
    seen = fresh.cache["red", *test_files, test_part]
    return f"On it, {', '.join(test_files[:5])} gave: {seen.summary()}."


def _green(fresh: Fresh, tests: Sequence[str], patch: str) -> tuple[str, ...]:
    """Which of the tests pass on the base plus the patch, twice."""
    if not tests:
        return ()
    with fresh.open() as sandbox:
        _apply(sandbox, patch)
        first = fresh.run_tests(sandbox, tests)
        second = fresh.run_tests(sandbox, tests)
    if not (first.complete and second.complete):
        return ()
    return tuple(test for test in tests if test in first.passed and test in second.passed)


def _compare(fresh: Fresh, patch: str) -> tuple[tuple[str, ...], Passed, tuple[str, ...]]:
    """All tests with the whole patch: (regressions, passed of what passed before, unstable)."""
    before = _base_report(fresh)
    if not before.passed:
        return (), Passed(), ()
    with fresh.open() as sandbox:
        _apply(sandbox, patch)
        after = fresh.run_tests(sandbox, ())
        lost = [test for test in before.passed if test not in after.passed]
        again = fresh.run_tests(sandbox, lost) if lost else after
    regressions = tuple(test for test in lost if test not in again.passed)
    unstable = tuple(test for test in lost if test in again.passed)
    kept = len(before.passed) - len(regressions)
    return regressions, Passed(passed=kept, total=len(before.passed)), unstable


def _base_report(fresh: Fresh) -> Report:
    key = ("all",)
    if key not in fresh.cache:
        with fresh.open() as sandbox:
            fresh.cache[key] = fresh.run_tests(sandbox, ())
    return fresh.cache[key]


def _checks(fresh: Fresh, request: VerifyRequest) -> tuple[str, ...]:
    if not request.checks:
        return ()
    with fresh.open() as sandbox:
        _apply(sandbox, request.patch)
        return tuple(check for check in request.checks if fresh.run_check(sandbox, check))


def _apply(sandbox: Sandbox, patch: str) -> None:
    if patch:
        sandbox.apply(patch)


def _path_of(section: str) -> str:
    """The path that a section of a patch changes (the new one of a rename)."""
    header = section.splitlines()
    for line in header:
        for mark in ("+++ b/", "rename to "):
            if line.startswith(mark):
                return line.removeprefix(mark).rstrip("\t")
        if line.startswith("@@"):
            break
    match = re.match(r"diff --git (?:\"?a/.*?\"?) \"?b/(.*?)\"?$", header[0])
    if match is None:
        raise SandboxError(
            f"the patch has a section without a path: {header[0]}",
            remedy="Run again; the session's log holds the patch.",
        )
    return match.group(1)
