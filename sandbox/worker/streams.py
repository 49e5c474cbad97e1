"""Bytes on their way: output that is kept at both ends, and queues that never block the supervisor."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from typing import Deque, List, Optional, Tuple

KEPT = 4 << 20
"""Bytes kept of the start, and as many of the end, of any one output."""

MESSAGE_LIMIT = 40 << 20
_PACKET = 64 << 10
_CREDENTIALS = struct.Struct("3i")


class Capture:
    """First and last `kept` bytes of an output, and how long it was."""

    def __init__(self, kept: int = KEPT) -> None:
        self.total = 0
        self._kept = kept
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.total += len(data)
        room = self._kept - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._kept:
            del self._tail[: -self._kept]

    def kept(self) -> bytes:
        """What is left of it: all of it where `total` is no more than twice the limit."""
        return bytes(self._head + self._tail[-self._kept :])


class OutputPipe:
    """Reading end of a pipe that something in the sandbox writes to."""

    def __init__(self, kept: int = KEPT) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.capture = Capture(kept)

    def close_writer(self) -> None:
        """Forget our copy of the writing end (the child has its own)."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def drain(self, most: int = 1 << 20) -> None:
        """Read what is there, at most about `most` bytes: an endless writer must not hold us."""
        while most > 0 and self.reader >= 0:
            try:
                data = os.read(self.reader, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self.close()
                return
            most -= len(data)
            self.capture.add(data)

    def take(self) -> Capture:
        """What came so far; the next output starts empty."""
        taken, self.capture = self.capture, Capture()
        return taken

    def close(self) -> None:
        """Close both ends."""
        self.close_writer()
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1


class SendQueue:
    """Bytes for a descriptor that takes them when it can."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = 0
        self._parts: Deque[memoryview] = deque()
        os.set_blocking(fd, False)

    def put(self, data: bytes) -> None:
        """Queue `data`."""
        if data:
            self._parts.append(memoryview(data))
            self.size += len(data)

    def flush(self) -> None:
        """Write what the descriptor takes now.

        Raises:
            OSError: The other end is gone.
        """
        while self._parts:
            try:
                written = os.write(self.fd, self._parts[0])
            except BlockingIOError:
                return
            self.size -= written
            rest = self._parts[0][written:]
            if rest:
                self._parts[0] = rest
            else:
                self._parts.popleft()


class PacketSocket:
    """Our end of a SEQPACKET pair: whole messages in parts, and the kernel's word on who sent them.

    A killed sender cannot leave half a part, and `SCM_CREDENTIALS` tells the interpreter from its
    forked copies, which hold the same socket.
    """

    def __init__(self) -> None:
        self._socket, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setblocking(False)
        self._outgoing: Deque[bytes] = deque()
        self._parts: "dict[int, List[bytes]]" = {}

    @property
    def fd(self) -> int:
        """Descriptor to poll; -1 when closed."""
        return self._socket.fileno()

    @property
    def wants_to_send(self) -> bool:
        """Something is queued."""
        return bool(self._outgoing)

    def put(self, data: bytes) -> None:
        """Queue one message."""
        self._outgoing.extend(packets(data))

    def flush(self) -> None:
        """Send what goes; a peer that is gone is known from its death, not from here."""
        while self._outgoing:
            try:
                self._socket.send(self._outgoing[0])
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ENOBUFS):
                    self._outgoing.clear()
                return
            self._outgoing.popleft()

    def receive(self) -> "Optional[Tuple[int, bytes]]":
        """Sender's process id and one whole message; None when there is none (yet).

        Raises:
            ValueError: A sender's message is over `MESSAGE_LIMIT`.
        """
        while self.fd >= 0:
            try:
                packet, ancillary, _, _ = self._socket.recvmsg(_PACKET + 1, socket.CMSG_SPACE(12))
            except OSError:
                return None
            if not packet:
                return None
            sender = _CREDENTIALS.unpack(ancillary[0][2][:12])[0] if ancillary else 0
            parts = self._parts.setdefault(sender, [])
            parts.append(packet[1:])
            if len(parts) * _PACKET > MESSAGE_LIMIT:
                raise ValueError(f"process {sender} sent a message over {MESSAGE_LIMIT} bytes")
            if packet[:1] == b"\x01":
                return sender, b"".join(self._parts.pop(sender))
        return None

    def close(self) -> None:
        """Close both ends."""
        self._socket.close()
        self.theirs.close()


def packets(data: bytes) -> List[bytes]:
    """Message as packets: one byte (1 on the last) and up to 64 KiB each."""
    cuts = range(0, max(len(data), 1), _PACKET)
    return [
        (b"\x01" if at + _PACKET >= len(data) else b"\x00") + data[at : at + _PACKET] for at in cuts
    ]
