"""The warm bench: collected tests, how long each takes, and which way of running each can be trusted."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, List, Set

from . import items
from .forks import Alarm, beat, each

LEAST_S = 0.02
"""Least CPU limit of one test: some ticks of the kernel's clock."""
MOST_S = 10.0
TIMES = 10.0
"""How many times longer than without the edit a test may take."""


class Bench:
    """Collected tests of a warm pytest process.

    Args:
        session: pytest's session after collection.
    """

    def __init__(self, session: Any) -> None:
        self.items: Dict[str, Any] = {item.nodeid: item for item in session.items}
        self.alarm = Alarm()
        self.full: Set[str] = set()
        self.cpu: Dict[str, float] = {}
        self.failed_after: Dict[str, float] = {}
        self.errors: Dict[str, str] = {}
        self.where: Dict[str, List[List[Any]]] = {}
        self.hangs: Set[str] = set()

    def state(self) -> Dict[str, Any]:
        """What was learnt, as plain data for another process."""
        return {
            "cpu": self.cpu,
            "failed_after": self.failed_after,
            "full": sorted(self.full),
            "hangs": sorted(self.hangs),
        }

    def restore(self, state: Dict[str, Any]) -> None:
        """Take over what another process learnt."""
        self.cpu = dict(state["cpu"])
        self.failed_after = dict(state["failed_after"])
        self.full = set(state["full"])
        self.hangs = set(state["hangs"])

    def slowest(self) -> float:
        """CPU seconds of the slowest test that passes."""
        return max(self.cpu.values(), default=0.0)

    def limit(self, test: str) -> float:
        """CPU seconds that a test may take with an edit.

        A failing test ends early, so that its own time is the least it may need.
        """
        own = self.cpu.get(test)
        if own is None:
            file = test.partition("::")[0]
            beside = [s for t, s in self.cpu.items() if t.partition("::")[0] == file]
            own = max(max(beside, default=self.slowest()), self.failed_after.get(test, 0.0))
        return min(MOST_S, max(LEAST_S, TIMES * own))

    def run(self, test: str, *, cpu_s: "float | None" = None) -> items.Report:
        """Run one test in this process."""
        beat()
        limit = self.limit(test) if cpu_s is None else cpu_s
        return items.run(self.items[test], self.alarm, cpu_s=limit, full=test in self.full)

    def calibrate(self, tests: List[str], *, green: bool, stop: Callable[[], bool]) -> List[str]:
        """Run tests as the code is, the quick way, and by pytest's protocol where that surprises.

        Args:
            tests: Ids of collected tests.
            green: Whether they are expected to pass.
            stop: Asked between tests; True ends it.

        Returns:
            The tests that are as expected, in order.
        """
        limit = MOST_S if green else min(MOST_S, max(1.0, 20 * self.slowest()))

        def work(number: int) -> List[Any]:
            report = items.run(self.items[tests[number]], self.alarm, cpu_s=limit)
            full = False
            if (report.outcome == items.PASSED) != green and report.outcome != items.EXPIRED:
                report = items.run(self.items[tests[number]], self.alarm, cpu_s=limit, full=True)
                full = True
            return [report.outcome, report.cpu_s, report.error, report.where, full]

        kept = []
        for number, result, died in each(
            list(range(len(tests))), work, cpu_s=lambda _: 2 * limit, stop=stop
        ):
            test = tests[number]
            outcome, cpu, error, where, full = result or [items.EXPIRED, limit, died, [], False]
            if outcome == items.SKIPPED or (outcome == items.PASSED) != green:
                continue
            kept.append(test)
            if full:
                self.full.add(test)
            if green:
                self.cpu[test] = cpu
                continue
            self.errors[test] = error
            self.where[test] = where
            if outcome == items.EXPIRED:
                self.hangs.add(test)
            else:
                self.failed_after[test] = cpu
        return kept


class Budget:
    """CPU seconds that may be spent; pieces of work report what they used.

    Args:
        cpu_s: How much there is.
        wall_s: Wall seconds after which it is spent in any case.
    """

    def __init__(self, cpu_s: float, wall_s: float) -> None:
        self._left = cpu_s
        self._until = time.monotonic() + wall_s

    def use(self, cpu_s: float) -> None:
        """Take some of it."""
        self._left -= cpu_s

    def spent(self) -> bool:
        """Whether nothing is left."""
        return self._left <= 0 or time.monotonic() > self._until
