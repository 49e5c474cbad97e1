"""The one process inside that speaks with the host: it starts, limits, watches and sweeps the rest.

One thread, one poll loop. It is another user than everything it starts (where the sandbox gives it
the rights), cannot be read or traced, and runs no code of the workspace in its own process.

From the host: hello, perform, feed, answer, interrupt, ping, quit.
To the host: ready, done, call, pong, failed.
"""

from __future__ import annotations

import base64
import os
import select
import shutil
import signal
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from sandbox.worker import frames, processes, verbs
from sandbox.worker.cells import CellJob, Cells
from sandbox.worker.jobs import Job, ProcessJob, Watch
from sandbox.worker.outputs import Outputs
from sandbox.worker.streams import Capture, SendQueue

FEED_LIMIT = 8 << 20
NEED_PYTHON = frozenset({"python", "candidates"})
GRACE_S = 5.0
"""What a function verb gets beyond its limit to say how far it came."""


class Supervisor:
    """Jobs by number, the interpreter, and the stream.

    Args:
        stream: Descriptors to read from and write to the host.
        settings: The host's hello.
    """

    def __init__(self, stream: "Tuple[int, int]", settings: "Dict[str, Any]") -> None:
        self._input, output = stream
        self._output = SendQueue(output)
        self._decoder = frames.Decoder()
        self._jobs: Dict[int, ProcessJob] = {}
        self._workspace: str = settings["workspace"]
        self._scratch: str = settings["scratch"]
        self._store: str = settings["store"]
        self._store_gid: int = settings["store_gid"]
        self._outputs = Outputs(settings["outputs"])
        self._environment: Dict[str, str] = settings["environment"]
        self._python = _interpreter(settings["python"], self._environment["PATH"])
        self._confinement = processes.Confinement(
            settings["uid"],
            settings["gid"],
            split=settings["split"],
            bpf=_filter(settings["filters"]),
            most=settings["processes"],
        )
        self._cells = Cells(
            python=self._python,
            paths=_paths(self._workspace, self._environment),
            environment=self._environment,
            folder=self._workspace,
            confinement=self._confinement,
            tell=self._send,
            finished=self._done,
        )

    def serve(self) -> None:
        """Work until the host closes the stream."""
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        if self._python:
            self._cells.start()
        self._send({"t": "ready", "python": self._python, "version": sys.version.split()[0]})
        while True:
            watched = self._watch()
            watched[woken] = (select.POLLIN, lambda: _empty(woken))
            poll = select.poll()
            for fd, (events, _) in watched.items():
                poll.register(fd, events)
            ready = poll.poll(self._patience())
            self._reap()  # first: a death must be known before the dead one's messages are judged
            for fd, _ in ready:
                watched[fd][1]()
            now = time.monotonic()
            self._cells.tick(now)
            for job in list(self._jobs.values()):
                job.tick(now)

    def _watch(self) -> Watch:
        watched: Watch = {}
        fed = sum(job.feed.size for job in self._jobs.values() if job.feed)
        if fed < FEED_LIMIT:
            watched[self._input] = (select.POLLIN, self._receive)
        if self._output.size:
            watched[self._output.fd] = (select.POLLOUT, self._flush)
        if self._python:
            watched.update(self._cells.watch())
        for job in self._jobs.values():
            watched.update(job.watch())
        return watched

    def _patience(self) -> "Optional[float]":
        due = [job.deadline for job in self._jobs.values() if job.deadline is not None]
        due += self._cells.wake_at()
        return max(0.0, min(due) - time.monotonic()) * 1000 + 1 if due else None

    def _receive(self) -> None:
        data = os.read(self._input, 1 << 18)
        if not data:
            self._quit()
        for message, attachments in self._decoder.feed(data):
            self._take(message, attachments)

    def _take(self, message: "Dict[str, Any]", attachments: "Dict[str, bytes]") -> None:
        kind = message["t"]
        if kind == "perform":
            self._perform(message, attachments)
        elif kind == "feed" and message["id"] in self._jobs:
            self._jobs[message["id"]].take_feed(attachments.get("data", b""), message["last"])
        elif kind == "answer":
            self._cells.answer(message)
        elif kind == "interrupt":
            self._cells.interrupt()
            for job in self._jobs.values():
                job.interrupt()
        elif kind == "ping":
            self._send({"t": "pong", "id": message["id"]})
        elif kind == "quit":
            self._quit()

    def _perform(self, message: "Dict[str, Any]", attachments: "Dict[str, bytes]") -> None:
        number, verb, timeout_s = message["id"], message["verb"], float(message["timeout_s"])
        arguments = message["arguments"]
        arguments.update(
            {name: data.decode("utf-8", "surrogatepass") for name, data in attachments.items()}
        )
        if not self._python and verb in NEED_PYTHON:
            self._send_failure(number, "There is no Python 3.8 or newer in this image for it.")
        elif verb == "python":
            self._cells.perform(CellJob(number, timeout_s, arguments["code"]))
        else:
            try:
                self._jobs[number] = self._start(number, verb, arguments, timeout_s)
            except BlockingIOError as error:
                self._send_failure(number, f"No process is left to start it: {error}.")

    def _start(
        self, number: int, verb: str, arguments: "Dict[str, Any]", timeout_s: float
    ) -> ProcessJob:
        run, result = self._runner(verb, arguments, timeout_s)

        def start() -> ProcessJob:
            return ProcessJob(
                number,
                timeout_s + (GRACE_S if result else 0.0),
                run,
                self._confinement,
                folder=self._workspace,
                gid=self._store_gid if verb in verbs.ON_THE_STORE else None,
                result=result,
                fed=verb in verbs.FED,
            )

        try:
            return start()
        except BlockingIOError:
            swept = processes.sweep(self._confinement.uid, spare=self._cells.roots)
            self._reap()
            job = start()
            job.notes.append(f"No process was left: {swept} process(es) were ended to make room.")
            return job

    def _runner(
        self, verb: str, arguments: "Dict[str, Any]", timeout_s: float
    ) -> "Tuple[Callable[[], None], bool]":
        """What the child runs, and whether it writes a result."""
        environment = self._environment
        if verb == "shell":
            shell = shutil.which("bash", path=environment["PATH"]) or "/bin/sh"
            command = [shell, "-c", arguments["command"]]
            return lambda: os.execve(shell, command, environment), False
        if verb == "git":
            quiet = dict(environment, GIT_TERMINAL_PROMPT="0", GIT_PAGER="cat", GIT_EDITOR="true")
            command = ["git", *arguments["arguments"]]
            return lambda: os.execvpe("git", command, quiet), False
        context = verbs.Context(
            workspace=self._workspace,
            python=self._python,
            scratch=self._scratch,
            environment=environment,
            timeout_s=timeout_s,
            store=self._store,
        )
        return lambda: verbs.call(verb, arguments, context), True

    def _reap(self) -> None:
        ended = _ended()
        self._cells.bury(ended)
        for number, job in list(self._jobs.items()):
            if job.pid in ended:
                del self._jobs[number]
                outcome, captured = job.finish(ended[job.pid], self._cells.roots)
                self._done(job, outcome, captured)

    def _done(self, job: Job, outcome: "Dict[str, Any]", captured: "Dict[str, Capture]") -> None:
        kept = [self._outputs.keep(job.number, name, data) for name, data in captured.items()]
        outcome["notes"] = [*outcome["notes"], *self._cells.news, *filter(None, kept)]
        self._cells.news.clear()
        totals = {name: capture.total for name, capture in captured.items() if capture.total}
        attachments = {name: captured[name].kept() for name in totals}
        done = {"t": "done", "id": job.number, "outcome": outcome, "totals": totals}
        try:
            self._output.put(frames.encode(done, attachments))
        except frames.BrokenFrame as error:
            self._send_failure(job.number, f"Its outcome could not be sent: {error}.")
        self._flush()

    def _send_failure(self, number: int, note: str) -> None:
        outcome = {"exit_code": 1, "stderr": note, "notes": [note]}
        self._send({"t": "done", "id": number, "outcome": outcome, "totals": {}})

    def _send(self, message: "Dict[str, Any]") -> None:
        self._output.put(frames.encode(message))
        self._flush()

    def _flush(self) -> None:
        try:
            self._output.flush()
        except OSError:
            self._quit()

    def _quit(self) -> None:
        processes.sweep(self._confinement.uid, spare=())
        os._exit(0)


def _ended() -> "Dict[int, int]":
    """Children that ended -> their status."""
    ended: Dict[int, int] = {}
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return ended
            ended[pid] = status
    except ChildProcessError:
        return ended


def _empty(fd: int) -> None:
    try:
        while os.read(fd, 4096):
            continue
    except BlockingIOError:
        return


def _interpreter(python: str, path: str) -> str:
    if not python:
        return ""
    found = shutil.which(python, path=path)
    if not found:
        raise LookupError(f"there is no interpreter {python} in this sandbox")
    return found


def _paths(workspace: str, environment: "Dict[str, str]") -> "List[str]":
    extra = [entry for entry in environment.get("PYTHONPATH", "").split(":") if entry]
    return [workspace, *(entry for entry in extra if entry != workspace)]


def _filter(filters: "Dict[str, str]") -> bytes:
    machine = os.uname().machine
    if machine not in filters:
        raise LookupError(f"there is no seccomp filter for {machine}, only {sorted(filters)}")
    return base64.b64decode(filters[machine])


def main() -> None:
    """Take the stream off 0 and 1, so that no stray print can break it, and serve."""
    stream = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    processes.make_supervisor()
    decoder = frames.Decoder()
    messages: List[Any] = []
    while not messages:
        data = os.read(stream[0], 1 << 16)
        if not data:
            return
        messages = decoder.feed(data)
    try:
        supervisor = Supervisor(stream, messages[0][0])
    except LookupError as error:
        os.write(stream[1], frames.encode({"t": "failed", "error": str(error)}))
        return
    supervisor.serve()
