"""Outputs that are too long to be told whole, kept in files that can be looked into afterwards."""

from __future__ import annotations

import contextlib
import os
from typing import List, Tuple

from sandbox.worker.streams import Capture

LONG = 10_000
"""Bytes of one output from which on it is kept: a reader is told about so many."""
MOST = 32 << 20
"""Bytes of all files; the oldest go first."""


class Outputs:
    """A folder of the supervisor's own: what runs in the sandbox can read there.

    Args:
        folder: Where it is made; something that is there already is left alone, and nothing kept.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._files: List[Tuple[str, int]] = []
        self._usable = False
        with contextlib.suppress(OSError):
            os.mkdir(folder)
            os.chmod(folder, 0o755)
            self._usable = True

    def keep(self, number: int, name: str, capture: Capture) -> str:
        """Keep a long output; a sentence that says where, empty where it is short or cannot be kept."""
        if capture.total <= LONG or not self._usable:
            return ""
        path, data = os.path.join(self._folder, "%d.%s" % (number, name)), capture.kept()
        self._make_room(len(data))
        try:
            with open(path, "xb") as file:
                file.write(data)
            os.chmod(path, 0o644)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return ""
        self._files.append((path, len(data)))
        if len(data) < capture.total:
            return "The first and last %d bytes of %s are in %s" % (len(data) // 2, name, path)
        return "All %d bytes of %s are in %s" % (capture.total, name, path)

    def _make_room(self, size: int) -> None:
        while self._files and sum(length for _, length in self._files) + size > MOST:
            path, _ = self._files.pop(0)
            with contextlib.suppress(OSError):
                os.unlink(path)
