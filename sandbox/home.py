"""The state folder, and the locks in it that keep two builds of one thing apart."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def state_folder(*parts: str) -> Path:
    """A folder of the state folder (`JOURNEYMAN_HOME`, else the platform's), made with mode 0700."""
    named = os.environ.get("JOURNEYMAN_HOME")
    folder = Path(named) if named else platformdirs.user_state_path("journeyman")
    for part in ("", *parts):
        folder = folder / part
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of one image or download; freed by the kernel when the holder dies."""
    lock = state_folder("images") / f"{name}.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
