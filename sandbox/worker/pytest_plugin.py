"""The pytest plugin that reports every test as one JSON line; works with any pytest from 5 on.

It is copied under a name of its own (`journeyman_report`) into a private folder, so that no other
file of ours can shadow a module of the project, and is loaded by `PYTEST_ADDOPTS`, whatever script
starts pytest. The outermost session reports: on loading, the plugin takes its variables out of the
environment, so that pytest sessions which tests start themselves run without it.

Lines: `begin`, `collect-error`, `run` (a test begins), `test` (its outcome), `missing`, `end`. A
file without its `end` is the report of a run that did not end properly.
"""

from __future__ import annotations

import dis
import json
import os
import signal
import sys
import threading
import time
from typing import Any, Dict, Iterator, List, Set, Union

import pytest

_OPTION = "-p journeyman_report"
_MESSAGE = 500
_DETAIL = 4000
_ENTRY_LINES = 25


class Report:
    """The file of one session; it begins when the plugin is loaded, before any conftest file."""

    def __init__(self, settings: "Dict[str, Any]") -> None:
        name = "%d-%d.jsonl" % (time.time_ns(), os.getpid())
        path = os.path.join(settings["folder"], name)
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.pid = os.getpid()
        self.settings = settings
        self.write(kind="begin", pytest=pytest.__version__)

    def write(self, **line: Any) -> None:
        """Add one line; a forked child of a test writes none."""
        if os.getpid() == self.pid:
            data = (json.dumps(line) + "\n").encode("ascii")
            while data:
                data = data[os.write(self.file, data) :]


def _begin() -> "Union[Report, None]":
    """The report of this session, where it is the outermost one."""
    settings = json.loads(os.environ.pop("JOURNEYMAN_REPORT", "null"))
    rest = os.environ.pop("PYTEST_ADDOPTS", "").replace(_OPTION, "").strip()
    if rest:
        os.environ["PYTEST_ADDOPTS"] = rest
    return Report(settings) if settings else None


_REPORT = _begin()


class Reporter:
    """Hears what pytest tells its plugins, and writes it down."""

    def __init__(self, report: Report, config: Any) -> None:
        self.write = report.write
        self.workspace: str = report.settings["workspace"]
        self.covers: bool = report.settings["coverage"]
        self.follows: bool = report.settings["reached"]
        self.test_s: float = report.settings["test_s"]
        with open(report.settings["selection"], encoding="utf-8") as file:
            self.selected: List[str] = json.load(file)
        self.selected_set = set(self.selected)
        self.root = str(getattr(config, "rootpath", None) or config.rootdir)
        self.ids: Dict[str, str] = {}
        self.outcomes: Dict[str, Dict[str, Any]] = {}
        self.status = -1

    def id_of(self, nodeid: str) -> str:
        """The id relative to the workspace, whatever pytest took as its root."""
        if nodeid in self.ids:
            return self.ids[nodeid]
        path, colons, rest = nodeid.partition("::")
        whole = os.path.normpath(os.path.join(self.root, path))
        return os.path.relpath(whole, self.workspace).replace(os.sep, "/") + colons + rest

    def _learn(self, item: Any) -> None:
        """Note where a test's file lies: outside pytest's root its node id does not tell."""
        path = str(getattr(item, "path", None) or item.fspath)
        if os.path.isabs(path):
            name = os.path.relpath(path, self.workspace).replace(os.sep, "/")
            self.ids[item.nodeid] = name + "".join(item.nodeid.partition("::")[1:])

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: Any) -> None:
        """Collect only the files of the selected tests, without a demand on their coverage."""
        if self.selected:
            coverage = session.config.pluginmanager.getplugin("_cov")
            if coverage is not None:
                coverage.options.cov_fail_under = None
            paths = sorted({name.partition("::")[0] for name in self.selected})
            paths = [os.path.join(self.workspace, path) for path in paths]
            session.config.args = [path for path in paths if os.path.exists(path)] or [
                self.workspace
            ]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: Any, items: "List[Any]") -> None:
        """Keep the selected tests; say which of them are not there."""
        for item in items:
            self._learn(item)
        if self.selected:
            found: Set[str] = set()
            kept = [item for item in items if self._wanted(item, found)]
            dropped = [item for item in items if item not in set(kept)]
            if dropped:
                config.hook.pytest_deselected(items=dropped)
            items[:] = kept
            for name in self.selected:
                if name not in found:
                    self.write(kind="missing", id=name)

    def _wanted(self, item: Any, found: "Set[str]") -> bool:
        """Whether a test, its function without parameters, its class or its file is selected."""
        name = self.id_of(item.nodeid)
        names = {name, name.partition("[")[0]}
        plain = name.partition("[")[0]
        while "::" in plain:
            plain = plain.rpartition("::")[0]
            names.add(plain)
        hit = names & self.selected_set
        found |= hit
        return bool(hit)

    def pytest_collectreport(self, report: Any) -> None:
        """A file or class that could not be collected."""
        if report.failed:
            text = str(report.longrepr)
            self.write(
                kind="collect-error",
                path=self.id_of(report.nodeid),
                message=_last_line(text),
                detail=text[-_DETAIL:],
            )

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """A test begins: named in the report even if the run ends within it."""
        self.write(kind="run", id=self.id_of(nodeid))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> "Iterator[None]":
        """Follow the lines, or only the functions, that one test runs."""
        if not (self.covers or self.follows):
            yield
            return
        follower = Lines(self.workspace) if self.covers else Calls(self.workspace)
        before = sys.gettrace()
        threading.settrace(follower.call)
        sys.settrace(follower.call)
        try:
            yield
        finally:
            sys.settrace(before)
            threading.settrace(None)
            self.write(id=self.id_of(item.nodeid), **follower.result())

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self) -> "Iterator[None]":
        """End a test that does not end, so that the others are heard; a project's own alarm rules."""
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGALRM, self._too_long)
        signal.setitimer(signal.ITIMER_REAL, self.test_s)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def _too_long(self, _number: int, _frame: Any) -> None:
        pytest.fail("The test did not end within %g s." % self.test_s)

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Gather setup, call and teardown; the test is told when its teardown is."""
        state = self.outcomes.setdefault(report.nodeid, {"outcome": "", "seconds": 0.0})
        state["seconds"] += getattr(report, "duration", 0.0)
        outcome = _outcome(report)
        if outcome and _WORSE.index(outcome) >= _WORSE.index(state["outcome"]):
            state["outcome"] = outcome
            if report.longrepr:
                self._tell(state, report)
        if report.when == "teardown":
            del self.outcomes[report.nodeid]
            state["seconds"] = round(state["seconds"], 4)
            state["outcome"] = state["outcome"] or "error"
            self.write(kind="test", id=self.id_of(report.nodeid), **state)

    def _tell(self, state: "Dict[str, Any]", report: Any) -> None:
        longrepr = report.longrepr
        if isinstance(longrepr, tuple):
            state["message"] = str(longrepr[2])[:_MESSAGE]
            return
        text = getattr(report, "longreprtext", "") or str(longrepr)
        crash = getattr(longrepr, "reprcrash", None)
        said = str(crash.message).strip() if crash else _last_line(text)
        state["message"] = said.partition("\n")[0][:_MESSAGE]
        state["detail"] = _told(longrepr, text)
        state["where"] = self._where(longrepr, crash)

    def _where(self, longrepr: Any, crash: Any) -> str:
        """The last frame inside the workspace, as file:line."""
        places = []
        chain = getattr(longrepr, "chain", None)
        trace = chain[-1][0] if chain else getattr(longrepr, "reprtraceback", None)
        for entry in getattr(trace, "reprentries", ()):
            place = getattr(entry, "reprfileloc", None)
            if place:
                places.append((str(place.path), place.lineno))
        if crash:
            places.append((str(crash.path), crash.lineno))
        for path, line in reversed(places):
            whole = os.path.normpath(os.path.join(self.root, path))
            if whole.startswith(self.workspace + os.sep):
                return "%s:%d" % (os.path.relpath(whole, self.workspace), line)
        return ""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: Any) -> None:
        """The session is over, by its own judgement."""
        self.status = int(session.exitstatus)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """The last thing that pytest does."""
        if self.status >= 0:
            self.write(kind="end", status=self.status)


_WORSE = ("", "passed", "skipped", "xfailed", "xpassed", "failed", "error")


def _outcome(report: Any) -> str:
    """What one phase says of the test; empty where it says nothing."""
    expected = hasattr(report, "wasxfail")
    if report.passed:
        if report.when != "call":
            return ""
        return "xpassed" if expected else "passed"
    if report.skipped:
        return "xfailed" if expected else "skipped"
    return "failed" if report.when == "call" else "error"


def _told(longrepr: Any, text: str) -> str:
    """What a reader needs of a failure: the test's own lines, the way down, and where it broke."""
    chain = getattr(longrepr, "chain", None)
    trace = chain[-1][0] if chain else getattr(longrepr, "reprtraceback", None)
    entries = list(getattr(trace, "reprentries", ()))
    if len(text) <= _DETAIL or not entries or not hasattr(entries[-1], "lines"):
        return text[-_DETAIL:].partition("\n")[2] if len(text) > _DETAIL else text
    parts = []
    for number, entry in enumerate(entries):
        if number in (0, len(entries) - 1):
            parts.extend(entry.lines[-_ENTRY_LINES:])
        place = getattr(entry, "reprfileloc", None)
        if place:
            parts.append("%s:%d: %s" % (place.path, place.lineno, place.message))
    return "\n".join(parts)[-_DETAIL:]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    marked = [line[2:].strip() for line in lines if line.startswith("E ")]
    return (marked or lines or [""])[-1][:_MESSAGE]


_NOWHERE: "Set[int]" = set()


class Lines:
    """Which lines of the workspace's files run, in every thread."""

    def __init__(self, workspace: str) -> None:
        self.prefix = workspace + os.sep
        self.lines: Dict[str, Set[int]] = {}
        self.code: Dict[Any, Set[int]] = {}

    def call(self, frame: Any, *_: object) -> Any:
        """A function begins: follow it if it is the workspace's."""
        code = frame.f_code
        lines = self.code.get(code)
        if lines is None:
            name = code.co_filename
            inside = name.startswith(self.prefix)
            lines = self.lines.setdefault(name, set()) if inside else _NOWHERE
            self.code[code] = lines
        if lines is _NOWHERE:
            return None
        lines.add(frame.f_lineno)
        return self.line

    def line(self, frame: Any, event: str, *_: object) -> Any:
        """A line begins."""
        if event == "line":
            self.code[frame.f_code].add(frame.f_lineno)
        return self.line

    def result(self) -> "Dict[str, Any]":
        """A line of the report."""
        lines = {name[len(self.prefix) :]: sorted(lines) for name, lines in self.lines.items()}
        return {"kind": "coverage", "lines": lines}


class Calls:
    """Which functions of the workspace's files run, in every thread, in the order of their first call."""

    def __init__(self, workspace: str) -> None:
        self.prefix = workspace + os.sep
        self.code: Dict[Any, None] = {}

    def call(self, frame: Any, *_: object) -> Any:
        """A function begins."""
        self.code.setdefault(frame.f_code)  # what it does inside is not followed, which is cheap

    def result(self) -> "Dict[str, Any]":
        """A line of the report: [path, name, first line, last line] of each."""
        functions = []
        for code in list(self.code):
            name = getattr(code, "co_qualname", code.co_name)
            if code.co_filename.startswith(self.prefix) and not name.endswith(">"):
                path = code.co_filename[len(self.prefix) :].replace(os.sep, "/")
                functions.append([path, name, code.co_firstlineno, _end_of(code)])
        return {"kind": "reached", "functions": functions}


def _end_of(code: Any) -> int:
    """The last line of a function, of the functions in it, too."""
    lines = [line for _, line in dis.findlinestarts(code) if line]
    inner = [_end_of(one) for one in code.co_consts if hasattr(one, "co_consts")]
    return max([int(code.co_firstlineno), *lines, *inner])


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: Any) -> None:
    """Report this session; workers of a distributed one tell it through their head."""
    if _REPORT is not None:
        reporter = Reporter(_REPORT, config)
        if reporter.selected or reporter.covers:
            config.option.dist = "no"  # pytest-xdist: its workers know of no selection
        config.pluginmanager.register(reporter, "journeyman-reporter")
