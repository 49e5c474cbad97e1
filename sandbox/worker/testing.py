"""Verb `tests`: run a test command and tell each test's outcome, by whatever the command leaves.

A command that starts pytest, however deep (`make test`, `python -m pytest tests -q`, a script), is
told by our plugin, which reaches it through the environment. Else JUnit XML is read where the
command leaves some; else the command is one test, and its exit code the outcome. A report that
does not end properly (a crash, `os._exit(0)` in a conftest, the time limit) is not complete, and
what is not complete is never green.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from typing import IO, Any, Dict, List, Optional, Tuple

from sandbox.worker import junit
from sandbox.worker.outputs import Outputs
from sandbox.worker.streams import Capture
from sandbox.worker.verbs import Context

KEPT = 64 << 10
ONE_TEST_S = 120.0
"""Seconds that one test may take: one that never ends must not keep the others from being heard."""
LAST_OUTPUT_S = 1.0
"""Seconds to read what an ended command left in its pipes, where they do not end by themselves."""
PLUGIN = "journeyman_report"

_HERE = os.path.dirname(os.path.abspath(__file__))
_NOT_STARTED = frozenset({126, 127})
"""What a shell ends with where the program cannot be executed, or is not there."""
_PROPER_ENDS = frozenset({0, 1, 5})
_RUNNERS = r"(?:uv|poetry|pdm|pipenv|hatch|rye)\s+run\s+(?:--\s+)?"
_MOST_IDS_SHOWN = 10
_SETS_PATH = re.compile(r"""(?<![\w$])PYTHONPATH=((?:[^\s"';&|()<>\\]|"[^"]*"|'[^']*'|\\.)*)""")
_NO_NETWORK = re.compile(
    r"Temporary failure in name resolution|Name or service not known|nodename nor servname"
    r"|Network is unreachable|Could not resolve host|EAI_AGAIN|ENOTFOUND|ENETUNREACH"
)
"""What programs say where there is no network."""


def run(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Run the tests.

    Args:
        arguments: `command`, `tests` (ids; empty: all), `junit` (path or pattern of the XML),
            `runner` (`pytest`, `junit`, `exit`, or empty: what the command turns out to be),
            `coverage` (true: lines that each test ran, pytest only), `reached` (true: functions
            that each test ran, pytest only).
        context: Of the sandbox.

    Returns:
        Fields of `Outcome`; `data` has `runner`, `tests`, `collected`, `complete`,
        `collection_errors` and `missing` (selected ids that are not there).
    """
    if not arguments.get("command"):
        return {"exit_code": 2, "stderr": "No test command: name one ([environment] test, --test)."}
    folder = os.path.join(context.scratch, "tests-%d" % time.time_ns())
    os.makedirs(os.path.join(folder, "report"), mode=0o700)
    try:
        return _run(arguments, context, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(arguments: "Dict[str, Any]", context: Context, folder: str) -> "Dict[str, Any]":
    command, notes = adapt(arguments["command"], context.workspace)
    environment = _environment(arguments, context, folder)
    kept = _Kept(context.workspace, arguments.get("junit", ""))
    started = _keeping_plugin(command, os.path.join(folder, "plugin"))
    process = _Process(started, context.workspace, environment)
    timed_out = process.wait(context.timeout_s)
    seconds = process.seconds
    data = _from_plugin(os.path.join(folder, "report"))
    if data is None and arguments.get("junit"):
        data = _from_junit(kept.take(), context.workspace, notes)
    if data is None:
        runner = arguments.get("runner", "")
        data = _from_exit_code(command, process.exit_code, seconds, runner, ended=not timed_out)
        if data["runner"] == "pytest":
            notes.append("pytest left no report: it did not start, or ended before its time.")
    kept.put_back()
    if data["runner"] != "pytest" and arguments.get("tests"):
        notes.append("Single tests cannot be chosen with this runner: the whole command was run.")
    if timed_out:
        notes.append("The time limit of %.0f s ended the tests." % context.timeout_s)
    data["complete"] = data["complete"] and not timed_out and process.exit_code >= 0
    if data["runner"] == "exit":
        _keep_long(context, {"stdout": process.stdout, "stderr": process.stderr}, notes)
    _say_missing(data["missing"], notes)
    _say_no_network(data, _shown(process.stdout) + _shown(process.stderr), notes)
    return {
        "exit_code": 124 if timed_out else process.exit_code,
        "stdout": _shown(process.stdout),
        "stderr": _shown(process.stderr),
        "timed_out": timed_out,
        "seconds": round(seconds, 3),
        "notes": notes,
        "data": data,
    }


def adapt(command: str, workspace: str) -> "Tuple[str, List[str]]":
    """The command as it can work here: without a project's own environment or a network.

    `.venv/bin/pytest` is the environment's pytest; `uv run pytest` and its like, whose tool is not
    here, are the command that they run.
    """
    notes = []
    plain = command
    for match in reversed(list(re.finditer(r"(?:\./)?\.?v?env/bin/(?=\w)", command))):
        before = command[: match.start()]
        outside = not before or before[-1] in " \t;&|(\"'\n"
        if outside and not os.path.exists(os.path.join(workspace, match.group())):
            plain = plain[: match.start()] + plain[match.end() :]
    for match in reversed(list(re.finditer(r"(?:^|(?<=[;&|(\s]))" + _RUNNERS, plain))):
        if shutil.which(match.group().split()[0]) is None:
            plain = plain[: match.start()] + plain[match.end() :]
    if plain != command:
        notes.append("Run as `%s`: the environment is the sandbox's own." % plain)
    return plain, notes


def _environment(arguments: "Dict[str, Any]", context: Context, folder: str) -> "Dict[str, str]":
    """The child's variables: with these any pytest below finds and loads the plugin."""
    plugin = os.path.join(folder, "plugin")
    os.mkdir(plugin)
    shutil.copyfile(os.path.join(_HERE, "pytest_plugin.py"), os.path.join(plugin, PLUGIN + ".py"))
    selection = os.path.join(folder, "selection.json")
    with open(selection, "w", encoding="utf-8") as file:
        json.dump(arguments.get("tests") or [], file)
    settings = {
        "workspace": os.path.realpath(context.workspace),
        "folder": os.path.join(folder, "report"),
        "selection": selection,
        "coverage": bool(arguments.get("coverage")),
        "reached": bool(arguments.get("reached")),
        "test_s": float(arguments.get("test_s") or ONE_TEST_S),
    }
    environment = dict(context.environment)
    paths = [environment.get("PYTHONPATH", ""), plugin]
    options = [environment.get("PYTEST_ADDOPTS", ""), "-p " + PLUGIN]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    environment["PYTEST_ADDOPTS"] = " ".join(option for option in options if option)
    environment["JOURNEYMAN_REPORT"] = json.dumps(settings)
    return environment


def _keeping_plugin(command: str, plugin: str) -> str:
    """The command, where it sets PYTHONPATH itself, with the plugin's folder behind what it sets."""

    def longer(match: "re.Match[str]") -> str:
        return match.group() + (":" if match.group(1) else "") + shlex.quote(plugin)

    return _SETS_PATH.sub(longer, command)


class _Process:
    """The command, in a session of its own, with both outputs kept at both ends."""

    def __init__(self, command: str, folder: str, environment: "Dict[str, str]") -> None:
        self.stdout = Capture(KEPT)
        self.stderr = Capture(KEPT)
        self.started = time.monotonic()
        self.seconds = 0.0
        self.exit_code = -signal.SIGKILL
        shell = "bash" if shutil.which("bash") else "sh"
        self.process = subprocess.Popen(
            [shell, "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.readers = [
            threading.Thread(target=_drain, args=pair, daemon=True)
            for pair in ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))
        ]
        for reader in self.readers:
            reader.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait for the end; true when the time limit made it. Nothing of its group stays."""
        timed_out = False
        try:
            self.exit_code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
        self.seconds = time.monotonic() - self.started
        with contextlib.suppress(ProcessLookupError):  # it is gone, and all of its group
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        deadline = time.monotonic() + LAST_OUTPUT_S
        for reader in self.readers:  # a process that left the group may still hold the pipes
            reader.join(max(0.0, deadline - time.monotonic()))
        return timed_out


def _drain(stream: "IO[bytes]", capture: Capture) -> None:
    while True:
        data = os.read(stream.fileno(), 1 << 16)
        if not data:
            return
        capture.add(data)


def _shown(capture: Capture) -> str:
    data = capture.kept()
    lost = capture.total - len(data)
    if lost > 0:
        mark = b"\n[... %d bytes are cut here ...]\n" % lost
        data = data[:KEPT] + mark + data[KEPT:]
    return data.decode("utf-8", "replace")


def _from_plugin(folder: str) -> "Optional[Dict[str, Any]]":
    """What pytest told; None where no pytest began."""
    files = sorted(os.listdir(folder))
    if not files:
        return None
    data: Dict[str, Any] = {
        "runner": "pytest",
        "tests": [],
        "collected": 0,
        "complete": True,
        "collection_errors": [],
        "missing": [],
    }
    missing: List[List[str]] = []
    for name in files:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            missing.append(_read_session(file, data))
    everywhere = set(missing[0]).intersection(*missing[1:])
    data["missing"] = [name for name in missing[0] if name in everywhere]
    data["collected"] = len(data["tests"])
    data["complete"] = data["complete"] and not data["missing"]
    return data


def _read_session(file: "IO[str]", data: "Dict[str, Any]") -> "List[str]":
    """Add one session's lines to the data; gives the selected ids that it did not have."""
    missing = []
    covered: Dict[str, Any] = {}
    reached: Dict[str, Any] = {}
    running = ""
    status = -1
    tests: List[Dict[str, Any]] = []
    for text in file:
        try:
            line = json.loads(text)
        except ValueError:
            break  # a torn last line
        kind = line.pop("kind")
        if kind == "run":
            running = line["id"]
        elif kind == "coverage":
            covered[line["id"]] = line["lines"]
        elif kind == "reached":
            reached[line["id"]] = line["functions"]
        elif kind == "test":
            running = ""
            tests.append(line)
        elif kind == "collect-error":
            data["collection_errors"].append(line)
        elif kind == "missing":
            missing.append(line["id"])
        elif kind == "end":
            status = line["status"]
    if running:
        message = "the run ended within this test: crash, exit, kill or time limit"
        tests.append({"id": running, "outcome": "error", "seconds": 0.0, "message": message})
    for test in tests:
        if test["id"] in covered:
            test["coverage"] = covered[test["id"]]
        if test["id"] in reached:
            test["reached"] = reached[test["id"]]
    data["tests"] += tests
    data["complete"] = data["complete"] and status in _PROPER_ENDS and not running
    return missing


class _Kept:
    """The JUnit files: taken away before the run, so that none is an older run's, and put back."""

    def __init__(self, workspace: str, pattern: str) -> None:
        self.workspace = os.path.realpath(workspace)
        self.pattern = os.path.join(glob.escape(self.workspace), pattern) if pattern else ""
        self.before: Dict[str, bytes] = {}
        for path in self._files():
            with open(path, "rb") as file:
                self.before[path] = file.read()
            os.unlink(path)

    def _files(self) -> "List[str]":
        found = sorted(glob.glob(self.pattern, recursive=True)) if self.pattern else []
        inside = self.workspace + os.sep
        return [p for p in found if os.path.isfile(p) and os.path.realpath(p).startswith(inside)]

    def take(self) -> "List[str]":
        """The files that this run left."""
        return self._files()

    def put_back(self) -> None:
        """Leave the workspace as it was before the run."""
        for path in self._files():
            if path not in self.before:
                os.unlink(path)
        for path, data in self.before.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)


def _from_junit(
    files: "List[str]", workspace: str, notes: "List[str]"
) -> "Optional[Dict[str, Any]]":
    tests: List[Dict[str, Any]] = []
    complete = bool(files)
    if not files:
        notes.append("The command left no JUnit XML where it was expected.")
    for path in files:
        try:
            tests += junit.read(path, os.path.realpath(workspace))
        except junit.JUnitError as error:
            complete = False
            notes.append("%s is not read: %s." % (os.path.relpath(path, workspace), error))
    return _told("junit", tests, complete=complete)


def _from_exit_code(
    command: str, exit_code: int, seconds: float, runner: str, *, ended: bool
) -> "Dict[str, Any]":
    """The command as one test; a pytest that told nothing, or what did not start or end, has none."""
    if runner == "pytest" or exit_code in _NOT_STARTED or not ended:
        return _told(runner or "exit", [], complete=False)
    outcome = "passed" if exit_code == 0 else "failed"
    test = {"id": command, "outcome": outcome, "seconds": round(seconds, 3)}
    if exit_code:
        test["message"] = "exit code %d" % exit_code
    return _told("exit", [test], complete=True)


def _told(runner: str, tests: "List[Dict[str, Any]]", *, complete: bool) -> "Dict[str, Any]":
    return {
        "runner": runner,
        "tests": tests,
        "collected": len(tests),
        "complete": complete,
        "collection_errors": [],
        "missing": [],
    }


def _keep_long(context: Context, outputs: "Dict[str, Capture]", notes: "List[str]") -> None:
    """Long outputs go into files: what the command said is all that is known of its tests."""
    folder = os.path.join(context.scratch, "outputs-%d" % time.time_ns())
    kept = Outputs(folder)
    notes.extend(filter(None, (kept.keep(0, name, data) for name, data in outputs.items())))


def _say_missing(missing: "List[str]", notes: "List[str]") -> None:
    if missing:
        more = ", ..." if len(missing) > _MOST_IDS_SHOWN else ""
        shown = ", ".join(missing[:_MOST_IDS_SHOWN])
        notes.append("%d selected tests are not there: %s%s" % (len(missing), shown, more))


def _say_no_network(data: "Dict[str, Any]", said: str, notes: "List[str]") -> None:
    """A test that wants the network is red here whatever the code does: say so beside it."""
    wanting = []
    for test in data["tests"]:
        told = str(test.get("message", "")) + str(test.get("detail", ""))
        found = _NO_NETWORK.search(said if data["runner"] == "exit" else told)
        if found and test["outcome"] in ("failed", "error"):
            wanting.append(test["id"])
    if wanting:
        shown = ", ".join(wanting[:_MOST_IDS_SHOWN])
        notes.append("The sandbox has no network, which seems to be what fails here: " + shown)
