"""The supervisor's side of the stateful interpreter: cells, their limit, death and restoration."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from typing import Any, Callable, Dict, List, Optional

from sandbox.worker import interpreter, processes
from sandbox.worker.jobs import Job, Watch, exit_status
from sandbox.worker.streams import Capture, OutputPipe, PacketSocket

START_S = 60.0
RUNG_S = 1.0
WAKE_S = 10.0
STREAMS = ("stdout", "stderr", "children")


class CellJob(Job):
    """One cell. Its clock starts when the interpreter does, and stands while a tool is called."""

    def __init__(self, number: int, timeout_s: float, code: str) -> None:
        super().__init__(number, START_S)
        self.limit_s = timeout_s
        self.code = code
        self.signals_sent = 0
        self.calling = False
        self._left = 0.0
        self.retried = False

    def start_clock(self) -> None:
        """The cell runs now."""
        self.deadline = time.monotonic() + self.limit_s

    def pause(self) -> None:
        """A tool is called: the clock stands."""
        self.calling = True
        self._left = (self.deadline or time.monotonic()) - time.monotonic()
        self.deadline = None

    def go_on(self) -> None:
        """The tool answered."""
        self.calling = False
        self.deadline = time.monotonic() + max(self._left, 0.0)


class Cells:
    """The interpreter process and its frozen copy.

    Args:
        python: The task's interpreter.
        paths: What goes on its `sys.path`.
        environment: Its environment.
        folder: The workspace.
        confinement: What it gives up.
        tell: Sends a message to the host.
        finished: Called with a cell's outcome.
    """

    def __init__(
        self,
        *,
        python: str,
        paths: "List[str]",
        environment: "Dict[str, str]",
        folder: str,
        confinement: processes.Confinement,
        tell: "Callable[[Dict[str, Any]], None]",
        finished: "Callable[[Job, Dict[str, Any], Dict[str, Capture]], None]",
    ) -> None:
        self._python = python
        self._paths = paths
        self._environment = environment
        self._folder = folder
        self._confinement = confinement
        self._tell = tell
        self._finished = finished
        self.job: Optional[CellJob] = None
        self.pid = 0
        self._copy = 0
        self._waking_until: Optional[float] = None
        self._death = ""
        self._status = 0
        self._lost = False
        self._sent = False
        self.news: List[str] = []

    def start(self) -> None:
        """Start a new interpreter, without any state."""
        self._cells, self._calls = PacketSocket(), PacketSocket()
        self._pipes = {name: OutputPipe() for name in STREAMS}
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "interpreter.py")
        settings = json.dumps({"paths": self._paths})
        arguments = [self._python, "-I", program, settings]
        null = os.open(os.devnull, os.O_RDONLY)
        children = self._pipes["children"].writer
        laid = {0: null, 1: children, 2: children}
        laid.update({interpreter.NULL: null, interpreter.CHILDREN: children})
        laid.update({interpreter.CELLS: self._cells.theirs.fileno()})
        laid.update({interpreter.CALLS: self._calls.theirs.fileno()})
        laid.update({interpreter.OUT: self._pipes["stdout"].writer})
        laid.update({interpreter.ERR: self._pipes["stderr"].writer})
        try:
            self.pid = processes.spawn(
                lambda: os.execve(self._python, arguments, self._environment),
                self._confinement,
                descriptors=laid,
                folder=self._folder,
            )
        finally:
            os.close(null)
            # Our copies of the writing ends stay open: an interpreter's death is known from
            # waitpid, and a restored copy writes to the same pipes.
        self._copy = 0
        self._waking_until = None

    @property
    def roots(self) -> "List[int]":
        """Processes whose families belong to the interpreter."""
        return [pid for pid in (self.pid, self._copy) if pid]

    def watch(self) -> Watch:
        """What to poll for it."""
        watched: Watch = {}
        for pipe in self._pipes.values():
            if pipe.reader >= 0:
                watched[pipe.reader] = (select.POLLIN, pipe.drain)
        for peer, receive in (
            (self._cells, self._receive_cells),
            (self._calls, self._receive_call),
        ):
            if peer.fd >= 0:
                events = select.POLLIN | (select.POLLOUT if peer.wants_to_send else 0)
                watched[peer.fd] = (events, receive)
        return watched

    def perform(self, job: CellJob) -> None:
        """Run a cell."""
        self.job = job
        if self._lost or not self.pid:
            self._restart()
        for name, pipe in self._pipes.items():
            pipe.drain()
            late = pipe.take()
            if late.total:
                text = late.kept()[-2000:].decode("utf-8", "replace")
                job.notes.append(
                    f"Between cells, what earlier cells left running wrote to {name}: {text}"
                )
        self._send_cell()

    def _send_cell(self) -> None:
        job = self.job
        if job:
            message = json.dumps({"id": job.number, "code": job.code})
            self._cells.put(message.encode("ascii"))
            self._cells.flush()

    def answer(self, message: "Dict[str, Any]") -> None:
        """The host's answer to a call."""
        if self.job and self.job.calling:
            self.job.go_on()
        self._reply(message["call"], message.get("value"), message.get("error"))

    def _reply(self, number: int, value: Any, error: "Optional[str]") -> None:
        reply = {"n": number, "value": value, "error": error}
        self._calls.put(json.dumps(reply).encode("ascii"))
        self._calls.flush()

    def _receive_cells(self) -> None:
        self._cells.flush()
        while True:
            try:
                received = self._cells.receive()
                if received is None:
                    return
                message = json.loads(received[1].decode("ascii"))
                self._take(received[0], str(message.get("t")), message)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._violation()

    def _take(self, sender: int, kind: str, message: "Dict[str, Any]") -> None:
        if kind == "woke" and sender == self._copy and self._waking_until is not None:
            self._woke()
        elif sender != self.pid or not self.pid or self._waking_until is not None:
            return  # a forked copy of the interpreter (0 once it is dead), or its last words
        elif kind == "frozen":
            self._copy = int(message["pid"])
            if self.job and message["id"] == self.job.number:
                self.job.start_clock()
        elif kind == "full" and self.job:
            self._full(str(message["error"]))
        elif kind == "done":
            if not self.job or message["id"] != self.job.number:
                self._violation()
                return
            self._done(message)

    def _violation(self) -> None:
        self.news.append("The interpreter was ended: code in it spoke the supervisor's protocol.")
        self._kill()

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        """Signal the interpreter, if there is one: process 0 would be our own group."""
        try:
            if self.pid > 0:
                os.kill(self.pid, number)
        except OSError:
            return  # it is dead already, and will be reaped

    def _full(self, error: str) -> None:
        """No process was left for the frozen copy: make room once, then say so."""
        job = self.job
        if job is None:
            return
        swept = processes.sweep(self._confinement.uid, spare=self.roots)
        if job.retried:
            self._finish({"exit_code": 1, "stderr": f"No process is left: {error}"})
            return
        job.retried = True
        job.notes.append(f"No process was left: {swept} process(es) were ended to make room.")
        self._send_cell()

    def _receive_call(self) -> None:
        self._calls.flush()
        while True:
            try:
                received = self._calls.receive()
                if received is None:
                    return
                sender, data = received
                if sender == self.pid and self.pid:
                    self._call(json.loads(data.decode("ascii")))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._violation()

    def _call(self, message: "Dict[str, Any]") -> None:
        number, name, arguments = int(message["n"]), str(message["name"]), message["arguments"]
        job = self.job
        if job is None or job.calling or job.signals_sent:
            self._reply(number, None, "Tools can be called while a cell runs, one at a time.")
            return
        job.pause()
        call = {"t": "call", "id": job.number, "call": number, "name": name, "arguments": arguments}
        self._tell(call)

    def tick(self, now: float) -> None:
        """Climb the ladder when a cell's time is over; give up waiting for a copy."""
        if self._waking_until is not None and now >= self._waking_until:
            self._waking_until = None
            self._lose()
        job = self.job
        if job and job.deadline is not None and now >= job.deadline:
            if not job.interrupted:
                job.timed_out = True
            self._climb(job, now)

    def wake_at(self) -> "List[float]":
        """When `tick` is due."""
        times = [self._waking_until, self.job.deadline if self.job else None]
        return [at for at in times if at is not None]

    def _climb(self, job: CellJob, now: float) -> None:
        job.signals_sent += 1
        if job.signals_sent <= 2:
            job.deadline = now + RUNG_S
            self._signal(signal.SIGINT)
        else:
            job.deadline = None
            self._kill()

    def interrupt(self) -> None:
        """Interrupt the running cell because the host says so."""
        if self.job and not self.job.signals_sent:
            self.job.interrupted = True
            self._climb(self.job, time.monotonic())

    def _done(self, message: "Dict[str, Any]") -> None:
        job = self.job
        if job is None:
            return
        if job.timed_out or job.interrupted:
            why = f"after its limit of {job.limit_s:g} s" if job.timed_out else "from outside"
            job.notes.append(f"The cell was interrupted {why}; what it had changed so far stays.")
        fields = {
            "exit_code": int(message["exit_code"]),
            "stderr": str(message.get("error") or ""),
            "value": message.get("value"),
        }
        self._finish(fields)
        self._copy = 0  # the interpreter ends it itself now that it has answered

    def _finish(self, fields: "Dict[str, Any]") -> None:
        job, self.job = self.job, None
        if job is None:
            return
        self._tidy(job)
        captured = {}
        for name, pipe in self._pipes.items():
            pipe.drain()
            captured[name] = pipe.take()
        self._finished(job, job.outcome(fields.pop("exit_code"), fields), captured)

    def _tidy(self, job: CellJob) -> None:
        """End what the cell left: all of it after a limit, else only what is nobody's child."""
        uid = self._confinement.uid
        if job.timed_out or job.interrupted or job.retried:
            swept = processes.sweep(uid, spare=self.roots)
        elif processes.has_other_children(self.roots):
            swept = processes.sweep(uid, spare=(), families=self.roots)
        else:
            swept = 0
        if swept:
            job.notes.append(f"{swept} process(es) that the cell left running were ended.")

    def bury(self, ended: "Dict[int, int]") -> None:
        """Some processes ended; the interpreter or its copy may be among them."""
        if self._waking_until is not None and self._copy in ended:
            self._waking_until = None
            self._lose()
        elif self.pid in ended:
            self._receive_cells()  # what it said before it died: which process its copy is
            if self._copy in ended:
                self._copy = 0
            self._died(ended[self.pid])

    def _died(self, status: int) -> None:
        """The interpreter is dead: wake the copy that holds the state from before the cell."""
        code = exit_status(status)
        self._status = code
        how = f"by signal {code - 128}" if os.WIFSIGNALED(status) else f"with exit code {code}"
        self._death = f"The interpreter ended {how}."
        if self.job is None or not self._copy:
            self._lose()
            return
        self._waking_until = time.monotonic() + WAKE_S
        try:
            os.kill(self._copy, signal.SIGUSR1)
        except OSError:
            self._waking_until = None
            self._lose()

    def _woke(self) -> None:
        self.pid, self._copy, self._waking_until = self._copy, 0, None
        note = (
            f"{self._death} Its variables, imports and functions were put back to what they were "
            "before this cell; changed files, threads, sockets and child processes were not."
        )
        self._end_dead_cell(note)

    def _lose(self) -> None:
        """There is no copy: all state is gone."""
        self.pid = 0
        self._lost = True
        note = f"{self._death} All its variables, imports and functions are lost."
        if self.job is None:
            self.news.append(note)
        else:
            self._end_dead_cell(note)

    def _end_dead_cell(self, note: str) -> None:
        job = self.job
        if job is None:
            return
        job.notes.append(note)
        if job.timed_out:
            job.notes.append(f"The cell did not heed its limit of {job.limit_s:g} s.")
        self._finish({"exit_code": self._status or 1, "stderr": note})

    def _restart(self) -> None:
        if self._copy:
            processes.kill_group(self._copy, signal.SIGKILL)
        for pipe in self._pipes.values():
            pipe.close()
        self._cells.close()
        self._calls.close()
        self._lost = False
        self.start()
