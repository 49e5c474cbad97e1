"""Many pieces of work in forked children, one child for many, with limits on CPU and memory.

The state of the process (pytest warm, everything imported and collected) is there in each child at
the cost of a fork. A child that hangs, crashes, exits or eats memory costs only the piece it was
at: the parent sees it, ends the child's process group, and goes on in a new fork.

CPU is limited, not wall time: under load wall limits make false time-outs, and results would
differ from run to run. Sleeping for long without using any CPU is ended too.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import json
import mmap
import os
import resource
import select
import signal
import struct
import time
from typing import Any, Callable, Iterator, List, Tuple

TICKS = os.sysconf("SC_CLK_TCK")
STALL_CPU_S = 0.4
"""CPU beyond a piece's own limit after which the child is taken to be deaf to its alarm."""
SLEEP_S = 4.0
"""Wall time without any CPU used after which a child is taken to sleep for ever."""
_SLOT = struct.Struct("=qqd")

Work = Callable[[int], Any]


_beats: List[Callable[[], None]] = []


def beat() -> None:
    """Say that a piece of work goes on: the CPU that the parent allows it counts from here."""
    for tell in _beats:
        tell()


class Expired(BaseException):
    """A piece of work used up its CPU time; no `except Exception` of user code catches it."""


class Alarm:
    """A limit on the CPU time of a call, by `ITIMER_PROF`.

    The signal comes again every 50 ms, so that code that swallows it once does not go on for ever.
    """

    def __init__(self) -> None:
        self._armed = False
        signal.signal(signal.SIGPROF, self._ring)

    def _ring(self, *_: object) -> None:
        if self._armed:
            raise Expired

    @contextlib.contextmanager
    def limit(self, cpu_s: float) -> Iterator[None]:
        """Raise `Expired` in the block after so many seconds of CPU."""
        self._armed = True
        signal.setitimer(signal.ITIMER_PROF, cpu_s, 0.05)
        try:
            yield
        finally:
            self._armed = False
            signal.setitimer(signal.ITIMER_PROF, 0)


class Child:
    """One forked child that works through numbers `first`, `first + 1`, ... until the end.

    Args:
        numbers: The pieces to do, in order.
        work: Does one piece; what it returns must be plain JSON data.
        memory: Bytes of address space beyond what the process has now.
    """

    def __init__(self, numbers: list[int], work: Work, *, memory: int) -> None:
        self.shared = mmap.mmap(-1, _SLOT.size)
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            self._serve(numbers, work, writer, memory)
        os.close(writer)
        self.reader = reader
        self.buffer = b""

    def _serve(self, numbers: list[int], work: Work, writer: int, memory: int) -> None:
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for descriptor in (0, 1, 2):
                os.dup2(null, descriptor)
            limit_memory(memory)
            for at, number in enumerate(numbers):
                self._tell(at)
                _beats[:] = [functools.partial(self._tell, at)]
                result = work(number)
                line = json.dumps([number, result]).encode() + b"\n"
                while line:
                    line = line[os.write(writer, line) :]
        finally:
            os._exit(0)

    def _tell(self, at: int) -> None:
        _, beats, _ = _SLOT.unpack(self.shared[:])
        self.shared[:] = _SLOT.pack(at, beats + 1, time.process_time())

    def at(self) -> Tuple[int, int]:
        """Index of the piece that the child is at, and how often it has said that it goes on."""
        at, beats, _ = _SLOT.unpack(self.shared[:])
        return at, beats

    def cpu(self) -> float:
        """CPU seconds used since the child last said that it goes on, as the kernel counts them."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as file:
                fields = file.read().rsplit(b")", 1)[1].split()
        except OSError:
            return 0.0
        used = (int(fields[11]) + int(fields[12])) / TICKS
        return max(0.0, used - float(_SLOT.unpack(self.shared[:])[2]))

    def lines(self, wait_s: float) -> tuple[list[bytes], bool]:
        """Results that came within the time, and whether the child has closed its end."""
        ready, _, _ = select.select([self.reader], [], [], wait_s)
        if not ready:
            return [], False
        data = os.read(self.reader, 1 << 16)
        *whole, self.buffer = (self.buffer + data).split(b"\n")
        return whole, not data

    def end(self) -> str:
        """End the child and all it started; says how it died."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.reader)
        self.shared.close()
        code = status & 0x7F
        return f"signal {code}" if code else "exited"


def limit_memory(extra: int) -> None:
    """Let the process have `extra` bytes of address space beyond what it has now."""
    try:
        with open("/proc/self/statm", "rb") as file:
            now = int(file.read().split()[0]) * mmap.PAGESIZE
        resource.setrlimit(resource.RLIMIT_AS, (now + extra, now + extra))
    except (OSError, ValueError):
        return


def each(
    numbers: list[int],
    work: Work,
    *,
    cpu_s: Callable[[int], float],
    stop: Callable[[], bool],
    a_fork: int = 150,
    memory: int = 1 << 30,
) -> Iterator[tuple[int, Any, str]]:
    """Do pieces of work in children, in order.

    Args:
        numbers: The pieces.
        work: Does one, in a child.
        cpu_s: Most CPU seconds that a piece may use between two calls of `beat` before its child
            is ended from outside.
        stop: Asked between results; True ends it.
        a_fork: Pieces after which a fresh child takes over, so that leaked state does not last.
        memory: Bytes of address space a child may add.

    Yields:
        The piece's number, what the work returned (None where it died), and how it died
        (empty where it did not).
    """
    done = 0
    while done < len(numbers) and not stop():
        chunk = numbers[done : done + a_fork]
        gc.freeze()  # the collector of a child leaves the shared pages alone
        child = Child(chunk, work, memory=memory)
        got, why = 0, ""
        try:
            for line in _results(child, chunk, cpu_s, stop):
                if line is None:
                    why = "cpu"
                    break
                number, result = json.loads(line)
                got += 1
                yield number, result, ""
        finally:
            how = child.end()
        done += got
        if got < len(chunk) and not (stop() and not why):
            yield chunk[got], None, why or how
            done += 1


def _results(
    child: Child, chunk: list[int], cpu_s: Callable[[int], float], stop: Callable[[], bool]
) -> Iterator[bytes | None]:
    """Result lines of a child; None when it is deaf or asleep and has to be ended."""
    seen, moved, used, count = (-1, -1), time.monotonic(), 0.0, 0
    while count < len(chunk):
        lines, closed = child.lines(0.05)
        for line in lines:
            count += 1
            yield line
        if closed or stop():
            return
        at, cpu = child.at(), child.cpu()
        if at != seen or cpu > used + 0.5 / TICKS:
            if at != seen:
                used = 0.0
            seen, moved, used = at, time.monotonic(), max(cpu, used)
        limit = cpu_s(chunk[at[0]])
        if not lines and (cpu > limit + STALL_CPU_S or time.monotonic() - moved > SLEEP_S + limit):
            yield None
            return
