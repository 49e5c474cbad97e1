"""The state folder, and the locks in it that keep two builds of one thing apart."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
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
    """Hold the lock of one image or download; freed by the kernel when the holder dies.

    Images belong to the user's Docker engine, not to a state folder: so do their locks.
    """
    with (_lock_folder() / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lock_folder() -> Path:
    """One folder for all of a user's processes; the state folder where that one is not ours."""
    folder = Path(tempfile.gettempdir()) / f"journeyman-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return state_folder("images")
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    return folder if ours and not status.st_mode & 0o077 else state_folder("images")
