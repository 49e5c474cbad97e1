"""The host's end of the stream to a supervisor: bytes by a Docker exec or by pipes, frames on top."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from io import BytesIO
from typing import Any, Protocol
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import docker

from sandbox.errors import SandboxLost
from sandbox.worker.frames import Attachments, BrokenFrame, Decoder, Message, encode

BOOTSTRAP = """
import os, sys
if sys.version_info < (3, 8): sys.exit("Python 3.8 or newer is needed, this is " + sys.version)
def take(n):
    parts = []
    while n:
        part = os.read(0, min(n, 1 << 20))
        if not part: sys.exit("the host went away")
        parts.append(part); n -= len(part)
    return b"".join(parts)
import io, zipfile
home = sys.argv[1]
zipfile.ZipFile(io.BytesIO(take(int.from_bytes(take(8), "big")))).extractall(home)
for alive in sys.argv[2:]:
    import time
    while not os.path.exists(alive): time.sleep(0.01)
    os.open(alive, os.O_WRONLY)
sys.path.insert(0, home)
sys.dont_write_bytecode = True
from sandbox.worker import supervisor
supervisor.main()
"""
"""Given to `python -I -c` with the folder for the worker's files, which it takes from standard input.

A second argument is a named pipe that it holds open for as long as it lives.
"""

_STDERR_KEPT = 2000


class Stream(Protocol):
    """Bytes both ways."""

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        ...

    def receive(self, timeout_s: float) -> bytes | None:
        """What came next; b"" at the end, None when nothing came in time."""
        ...

    def close(self) -> None:
        """Close it, so that the other end sees it."""
        ...

    @property
    def stderr(self) -> str:
        """The end of what the supervisor wrote to its standard error."""
        ...


class Channel:
    """Messages to and from a supervisor.

    One thread receives; `send` may be called from any.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._decoder = Decoder()
        self._received: deque[tuple[Message, Attachments]] = deque()
        self._sending = threading.Lock()

    def begin(self, hello: Mapping[str, Any]) -> None:
        """Send the worker's files and the hello."""
        archive = worker_files()
        self._send(len(archive).to_bytes(8, "big") + archive + encode(dict(hello, t="hello")))

    def send(self, message: Message, attachments: Mapping[str, bytes] = {}) -> None:
        """Send one message.

        Raises:
            SandboxLost: The other end is gone.
        """
        self._send(encode(message, attachments))

    def _send(self, data: bytes) -> None:
        try:
            with self._sending:
                self._stream.send(data)
        except (OSError, ValueError) as error:  # the latter where it is closed
            raise self._lost(f"could not be written to ({error})") from error

    def receive(self, timeout_s: float) -> tuple[Message, Attachments]:
        """The next message.

        Raises:
            SandboxLost: The other end is gone, speaks nonsense, or said nothing in time.
        """
        deadline = time.monotonic() + timeout_s
        while not self._received:
            try:
                data = self._stream.receive(max(0.0, deadline - time.monotonic()))
                if data is None:
                    raise self._lost(f"said nothing for {timeout_s:g} s")
                if not data:
                    raise self._lost("ended")
                self._received.extend(self._decoder.feed(data))
            except (OSError, BrokenFrame) as error:
                raise self._lost(f"broke ({error})") from error
        return self._received.popleft()

    def _lost(self, what: str) -> SandboxLost:
        said = self._stream.stderr.strip()
        because = f": {said.splitlines()[-1]}" if said else ""
        return SandboxLost(
            f"The sandbox's stream {what}{because}",
            remedy="Start the session again (journeyman resume); its files are taken from the last "
            "snapshot.",
        )

    def close(self) -> None:
        """Close the stream; the supervisor then ends everything it started."""
        with contextlib.suppress(OSError):
            self._stream.close()


class DockerStream:
    """Standard input and output of a command in a container.

    What comes is framed by the engine: stream number (1 output, 2 error), three zero bytes, length
    (4 bytes, big-endian), payload. What we send is not.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        container_id: str,
        command: list[str],
        *,
        user: str,
        environment: Mapping[str, str],
    ) -> None:
        api = client.api
        self._exec_id = api.exec_create(
            container_id, command, stdin=True, user=user, environment=dict(environment)
        )["Id"]
        raw: Any = api.exec_start(self._exec_id, socket=True)
        self._raw = raw  # kept: the socket closes when this object is collected
        self._socket: socket.socket = getattr(self._raw, "_sock", None) or self._raw
        # The HTTP client's own limit would take a quiet cell for a dead one. Waiting is done by
        # poll, since a time-out on the socket would also cut sends short.
        self._socket.settimeout(None)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._buffer = bytearray()
        self._errors = bytearray()

    @property
    def stderr(self) -> str:
        """The end of what it wrote to standard error."""
        return self._errors.decode("utf-8", "replace")

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._socket.sendall(data)

    def receive(self, timeout_s: float) -> bytes | None:
        """What came next on standard output."""
        deadline = time.monotonic() + timeout_s
        while True:
            payload = self._cut()
            if payload:
                return payload
            if not self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                return None
            data = self._socket.recv(1 << 20)
            if not data:
                return b""
            self._buffer += data

    def _cut(self) -> bytes:
        """Payload of standard output that is whole in the buffer."""
        parts, at = [], 0
        while len(self._buffer) >= at + 8:
            number, length = struct.unpack_from(">BxxxI", self._buffer, at)
            if len(self._buffer) < at + 8 + length:
                break
            payload = bytes(self._buffer[at + 8 : at + 8 + length])
            at += 8 + length
            if number == 1:
                parts.append(payload)
            else:
                self._errors += payload
                del self._errors[:-_STDERR_KEPT]
        del self._buffer[:at]
        return b"".join(parts)

    def close(self) -> None:
        """Half-close first: the command sees the end of its input whatever the engine does next."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._raw.close()


class PipeStream:
    """Standard input and output of a child process of ours."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise ValueError("the process needs pipes for all three streams")
        self._process = process
        self._in, self._out, self._err = process.stdin, process.stdout, process.stderr
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        self._errors = b""

    @property
    def stderr(self) -> str:
        """The end of what it wrote to standard error; waits for nothing."""
        poll = select.poll()
        poll.register(self._err, select.POLLIN)
        while poll.poll(0) and (data := self._err.read1(1 << 16)):  # type: ignore[attr-defined]  # a BufferedReader has it, IO does not say
            self._errors = (self._errors + data)[-_STDERR_KEPT:]
        return self._errors.decode("utf-8", "replace")

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self._in.write(data)
        self._in.flush()

    def receive(self, timeout_s: float) -> bytes | None:
        """What came next on standard output."""
        if not self._poll.poll(timeout_s * 1000):
            return None
        data: bytes = self._out.read1(1 << 20)  # type: ignore[attr-defined]  # as above
        return data

    def close(self) -> None:
        """Close its input, and wait for its end."""
        with contextlib.suppress(OSError):
            self._in.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.close()
        self._err.close()


@cache
def worker_files() -> bytes:
    """The files of `sandbox/worker/` as a zip archive, below an empty package `sandbox`."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        archive.writestr(ZipInfo("sandbox/__init__.py"), "")
        _add(archive, resources.files("sandbox") / "worker", "sandbox/worker")
    return buffer.getvalue()


def _add(archive: ZipFile, folder: Traversable, name: str) -> None:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        path = f"{name}/{entry.name}"
        if entry.is_dir() and entry.name != "__pycache__":
            _add(archive, entry, path)
        elif entry.name.endswith(".py"):
            archive.writestr(ZipInfo(path), entry.read_bytes())
