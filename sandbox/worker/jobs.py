"""Jobs: what the supervisor is doing for the host right now, each with its limit and its outcome."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from sandbox.worker import processes
from sandbox.worker.streams import Capture, OutputPipe, SendQueue

Watch = Dict[int, Tuple[int, Callable[[], None]]]
"""Descriptor -> what to poll it for, and what to call then."""

RESULT_LIMIT = 40 << 20


class Job:
    """One verb under way: its clock, its notes and how it ended.

    Args:
        number: The host's number for it.
        timeout_s: Seconds of its own; time that the host takes to answer does not count.
    """

    def __init__(self, number: int, timeout_s: float) -> None:
        self.number = number
        self.timeout_s = timeout_s
        self.began = time.monotonic()
        self.deadline: Optional[float] = self.began + timeout_s
        self.notes: List[str] = []
        self.timed_out = False
        self.interrupted = False
        self.killed_for_memory = processes.out_of_memory_kills()

    def outcome(self, exit_code: "Optional[int]", fields: "Dict[str, Any]") -> "Dict[str, Any]":
        """Fields of the host's `Outcome`."""
        if self.timed_out:
            exit_code = 124
        elif self.interrupted:
            exit_code = 130
        killed = processes.out_of_memory_kills() - self.killed_for_memory
        if killed > 0:
            self.notes.append(
                f"The sandbox's memory limit was reached: {killed} process(es) were killed."
            )
        result: Dict[str, Any] = {
            "exit_code": exit_code,
            "timed_out": self.timed_out,
            "seconds": time.monotonic() - self.began,
        }
        result.update(fields)
        result["notes"] = [*fields.get("notes", ()), *self.notes]
        return result


class ProcessJob(Job):
    """A child process: a shell, git, or a function of ours.

    Args:
        number: The host's number for it.
        timeout_s: Seconds until it is killed.
        run: What the child does after the fork.
        confinement: What it gives up.
        folder: Where it starts.
        gid: Its group, where it is not the usual one.
        result: It is a function of ours that writes its result as JSON to descriptor 3.
        fed: The host sends its standard input.
    """

    def __init__(
        self,
        number: int,
        timeout_s: float,
        run: "Callable[[], None]",
        confinement: processes.Confinement,
        *,
        folder: str,
        gid: "Optional[int]" = None,
        result: bool = False,
        fed: bool = False,
    ) -> None:
        super().__init__(number, timeout_s)
        self._uid = confinement.uid
        self.out, self.err = OutputPipe(), OutputPipe()
        self.result = OutputPipe(RESULT_LIMIT) if result else None
        self.feed: Optional[SendQueue] = None
        self._feed_ended = False
        stdin, feeding = os.pipe() if fed else (os.open(os.devnull, os.O_RDONLY), -1)
        laid = {0: stdin, 1: self.out.writer, 2: self.err.writer}
        if self.result:
            laid[3] = self.result.writer
        try:
            self.pid = processes.spawn(run, confinement, descriptors=laid, folder=folder, gid=gid)
        except OSError:
            self._close()
            if fed:
                os.close(feeding)
            raise
        finally:
            os.close(stdin)
        if fed:
            self.feed = SendQueue(feeding)
        for pipe in self._pipes():
            pipe.close_writer()

    def _pipes(self) -> "List[OutputPipe]":
        return [self.out, self.err, *([self.result] if self.result else [])]

    def watch(self) -> Watch:
        """What to poll for it."""
        watched: Watch = {
            pipe.reader: (select.POLLIN, pipe.drain) for pipe in self._pipes() if pipe.reader >= 0
        }
        if self.feed and self.feed.size:
            watched[self.feed.fd] = (select.POLLOUT, self._flush_feed)
        return watched

    def take_feed(self, data: bytes, last: bool) -> None:
        """Next part of its standard input."""
        if self.feed:
            self.feed.put(data)
            self._feed_ended = last
            self._flush_feed()

    def _flush_feed(self) -> None:
        if not self.feed:
            return
        try:
            self.feed.flush()
        except OSError:
            self._end_feed()  # the child stopped reading; its exit code says why
            return
        if self._feed_ended and not self.feed.size:
            self._end_feed()

    def _end_feed(self) -> None:
        if self.feed:
            os.close(self.feed.fd)
            self.feed = None

    def tick(self, now: float) -> None:
        """Kill it when its time is over."""
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self.timed_out = True
            self.notes.append(f"It was killed at its limit of {self.timeout_s:g} s.")
            processes.kill_group(self.pid, signal.SIGKILL)

    def interrupt(self) -> None:
        """Kill it because the host says so."""
        self.interrupted = True
        self.notes.append("It was interrupted.")
        processes.kill_group(self.pid, signal.SIGKILL)

    def finish(
        self, status: int, families: "List[int]"
    ) -> "Tuple[Dict[str, Any], Dict[str, Capture]]":
        """Sweep what it left, and say how it ended.

        Args:
            status: From `waitpid`.
            families: Processes whose children are not its own (the interpreter).

        Returns:
            The outcome's fields, and what was captured of each stream.
        """
        swept = 0
        if processes.has_other_children(families):
            swept = processes.sweep(self._uid, spare=(), families=families)
        if swept and not (self.timed_out or self.interrupted):
            self.notes.append(f"It left {swept} process(es) running, which were ended.")
        for pipe in self._pipes():
            pipe.drain(2 * RESULT_LIMIT)
        fields: Dict[str, Any] = {}
        exit_code: Optional[int] = exit_status(status)
        if self.result:
            fields = _parse_result(self.result.capture, exit_code)
            exit_code = fields.pop("exit_code", exit_code)
        captured = {"stdout": self.out.capture, "stderr": self.err.capture}
        self._close()
        return self.outcome(exit_code, fields), captured

    def _close(self) -> None:
        self._end_feed()
        for pipe in self._pipes():
            pipe.close()


def _parse_result(capture: Capture, exit_code: "Optional[int]") -> "Dict[str, Any]":
    try:
        result = json.loads(capture.kept().decode("ascii"))
    except ValueError:
        note = f"The verb ended without a result (exit code {exit_code})."
        return {"exit_code": exit_code or 1, "notes": [note]}
    return result if isinstance(result, dict) else {}


def exit_status(status: int) -> int:
    """Exit code as a shell gives it: 128 + the signal where one ended it."""
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)
