"""Which lines each test runs, and how suspicious that makes them.

Lines are counted for the project's own files only. From Python 3.12 `sys.monitoring` tells each
line once a test and costs nearly nothing; below it is `sys.settrace`, about ten times slower.
"""

from __future__ import annotations

import math
import os
import sys
from types import CodeType, FrameType
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple

Lines = Set[Tuple[str, int]]


class Tracer:
    """Records (path, line) of the project's files while a block runs.

    Args:
        wanted: Path relative to the workspace for a code object's file name, or None where its
            lines do not count.
    """

    def __init__(self, wanted: Callable[[str], Optional[str]]) -> None:
        self._wanted = wanted
        self._paths: Dict[str, Optional[str]] = {}
        self.lines: Lines = set()
        self._monitoring: Any = getattr(sys, "monitoring", None)
        if self._monitoring is not None:
            self._tool = self._monitoring.COVERAGE_ID
            if self._monitoring.get_tool(self._tool) is not None:
                self._monitoring = None

    def _path(self, filename: str) -> Optional[str]:
        if filename not in self._paths:
            self._paths[filename] = self._wanted(filename)
        return self._paths[filename]

    def __enter__(self) -> None:
        self.lines = set()
        if self._monitoring is None:
            sys.settrace(self._call)
            return
        events = self._monitoring.events
        self._monitoring.use_tool_id(self._tool, "repair")
        self._monitoring.register_callback(self._tool, events.LINE, self._line)
        self._monitoring.set_events(self._tool, events.LINE)
        self._monitoring.restart_events()

    def __exit__(self, *_: object) -> None:
        if self._monitoring is None:
            sys.settrace(None)
            return
        self._monitoring.set_events(self._tool, 0)
        self._monitoring.free_tool_id(self._tool)

    def _line(self, code: CodeType, line: int) -> Any:
        path = self._path(code.co_filename)
        if path is not None:
            self.lines.add((path, line))
        return self._monitoring.DISABLE

    def _call(self, frame: FrameType, _event: str, _: Any) -> Any:
        path = self._path(frame.f_code.co_filename)
        if path is None:
            return None
        add = self.lines.add

        def local(frame: FrameType, event: str, _: Any) -> Any:
            if event == "line":
                add((path, frame.f_lineno))
            return local

        return local


def project_file(workspace: str, tests: Iterable[str]) -> Callable[[str], Optional[str]]:
    """A judge of file names: the path of a project's own file that is no test, else None."""
    root = os.path.realpath(workspace) + os.sep
    test_files = {os.path.realpath(path) for path in tests}
    foreign = ("site-packages", "dist-packages", ".venv", "venv", "node_modules", ".tox", ".nox")

    def wanted(filename: str) -> Optional[str]:
        real = os.path.realpath(filename)
        if not real.startswith(root) or not real.endswith(".py") or real in test_files:
            return None
        path = real[len(root) :]
        parts = path.split(os.sep)
        if any(part in foreign for part in parts) or parts[-1] == "conftest.py":
            return None
        if parts[-1].startswith("test_") or parts[-1].endswith("_test.py"):
            return None
        return path

    return wanted


def ochiai(runs: Iterable[Tuple[Lines, bool]]) -> Dict[Tuple[str, int], float]:
    """Suspicion of each line by the Ochiai coefficient, in [0, 1].

    Args:
        runs: For each test, the lines it ran and whether it failed.

    Returns:
        Lines that at least one failing test ran.

    Source:
        Abreu, Zoeteweij, van Gemund: An Evaluation of Similarity Coefficients for Software
        Fault Localization, PRDC 2006.
    """
    failed: Dict[Tuple[str, int], int] = {}
    covered: Dict[Tuple[str, int], int] = {}
    failures = 0
    for lines, is_failure in runs:
        failures += is_failure
        for line in lines:
            covered[line] = covered.get(line, 0) + 1
            if is_failure:
                failed[line] = failed.get(line, 0) + 1
    return {line: n / math.sqrt(failures * covered[line]) for line, n in failed.items()}


def apart(
    spectra: Dict[str, Lines], red: List[str], owners: Dict[Tuple[str, int], Tuple[str, int]]
) -> List[List[str]]:
    """Failing tests in groups that suspect different functions: they may be different bugs.

    A test suspects most the function that the fewest tests enter. Tests that suspect the same
    function are one group, also by way of others.

    Args:
        spectra: The lines that each test ran.
        red: The failing tests.
        owners: For each line of a function, which function that is.

    Returns:
        The groups, the largest first; each in the order of `red`.
    """
    entered = {
        t: {owners[line] for line in lines if line in owners} for t, lines in spectra.items()
    }
    counts: Dict[Tuple[str, int], int] = {}
    for functions in entered.values():
        for function in functions:
            counts[function] = counts.get(function, 0) + 1
    groups: List[Tuple[Set[Tuple[str, int]], Set[str]]] = []
    for test in red:
        own = entered.get(test, set())
        least = min((counts[function] for function in own), default=0)
        suspects = {function for function in own if counts[function] == least}
        tests = {test}
        for group in [g for g in groups if g[0] & suspects]:
            groups.remove(group)
            suspects |= group[0]
            tests |= group[1]
        groups.append((suspects, tests))
    found = [[test for test in red if test in tests] for _, tests in groups]
    return sorted(found, key=lambda tests: (-len(tests), red.index(tests[0])))
