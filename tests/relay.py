"""A Unix socket in front of another, that can be cut: how the death of a server looks from outside."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Self


class Relay:
    """Hands bytes on both ways until it is cut.

    Args:
        path: Where it listens.
        target: The socket behind it.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.path = path
        self._target = target
        self._ends: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.cut()

    def mend(self) -> None:
        """Listen, anew after a cut."""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> bool:
        """Close every connection and refuse new ones; says that it was done."""
        listener, self._listener = self._listener, None
        if listener is None:
            return True
        self.path.unlink()
        for end in (listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._ends.clear()
        return True

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was cut
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(str(self._target))
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=_hand_on, args=(one, other), daemon=True).start()


def _hand_on(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(1 << 16):
            other.sendall(data)
    except OSError:
        return  # one of them was cut
    finally:
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)
