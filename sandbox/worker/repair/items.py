"""One pytest item run quickly in a warm process: set up, run, torn down, no reports.

It uses parts of pytest that are not public, so each test is calibrated first: where the quick way
does not agree with what is known of the test, the full protocol of pytest is used for it.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import sys
import time
import traceback
from typing import Any, Iterator

from .forks import Alarm, Expired

PASSED, FAILED, SKIPPED, EXPIRED = "passed", "failed", "skipped", "expired"


class Report:
    """How one run of an item ended.

    Attributes:
        outcome: `passed`, `failed`, `skipped` or `expired` (out of CPU time).
        cpu_s: CPU seconds it took.
        error: Name of the exception's class.
        where: Places (file, line) of the traceback, outermost first; at most 60.
    """

    __slots__ = ("cpu_s", "error", "outcome", "where")

    def __init__(self, outcome: str, cpu_s: float, error: BaseException | None) -> None:
        self.outcome = outcome
        self.cpu_s = cpu_s
        self.error = "" if error is None else type(error).__name__
        self.where: list[tuple[str, int]] = []
        if error is not None:
            for frame, line in itertools.islice(traceback.walk_tb(error.__traceback__), 60):
                self.where.append((frame.f_code.co_filename, line))


def _quick(item: Any) -> None:
    if getattr(item, "_request", True) is False:
        item._initrequest()
    state = item.session._setupstate
    try:
        state.setup(item)
        with _subtests_that_fail(item):
            item.runtest()
    finally:
        state.teardown_exact(None)
        if hasattr(item, "_request"):
            item._request = False
            item.funcargs = None
    collected = item.__dict__.pop("_excinfo", None)  # unittest's failures are kept, not raised
    if collected:
        raise collected[0].value


@contextlib.contextmanager
def _subtests_that_fail(item: Any) -> Iterator[None]:
    """The first subtest of unittest that fails ends its test, and is kept like other failures.

    pytest would report each one, which costs more than the tests themselves.
    """
    if not hasattr(item, "addSubTest"):
        yield
        return

    def keep(case: Any, _subtest: Any, error: Any) -> None:
        if error is not None:
            item.addFailure(case, error)

    item.addSubTest, item.failfast = keep, True
    try:
        yield
    finally:
        del item.addSubTest, item.failfast


class _Listener:
    """Gathers the reports of one item's protocol."""

    def __init__(self) -> None:
        self.reports: list[Any] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.reports.append(report)


def _protocol(item: Any) -> str:
    listener = _Listener()
    manager = item.config.pluginmanager
    manager.register(listener)
    try:
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    finally:
        manager.unregister(listener)
        item.session.shouldfail = item.session.shouldstop = False
    outcomes = [(report.when, report.outcome) for report in listener.reports]
    if any(outcome == FAILED for _, outcome in outcomes):
        return FAILED
    if ("call", PASSED) in outcomes:
        return PASSED
    return SKIPPED


def seed() -> None:
    """Make what is random the same in every run: a plausible patch must not be luck."""
    random.seed(0)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(0)


def run(item: Any, alarm: Alarm, *, cpu_s: float, full: bool = False) -> Report:
    """Run one item under a CPU limit.

    Args:
        item: A collected pytest item.
        alarm: The process's alarm.
        cpu_s: Its limit in CPU seconds.
        full: Use pytest's whole protocol instead of the quick way.
    """
    seed()
    begun = time.process_time()
    error: BaseException | None = None
    outcome = PASSED
    try:
        with alarm.limit(cpu_s):
            if full:
                outcome = _protocol(item)
            else:
                _quick(item)
    except Expired as caught:
        outcome, error = EXPIRED, caught
    except BaseException as caught:
        outcome, error = FAILED, caught
        if type(caught).__name__ in ("Skipped", "SkipTest"):
            outcome = SKIPPED
    used = time.process_time() - begun
    if outcome == FAILED and used > cpu_s:
        outcome = EXPIRED
    return Report(outcome, used, error)
