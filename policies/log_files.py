"""Files of a session's log on the disk: written for good, for the owner's eyes, by one process."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from policies.log_format import LogError

LOCK_TRIES = 10


def lock(fd: int, path: Path) -> None:
    """Be the one process that writes a file; `fd` is closed where it cannot be.

    Raises:
        LogError: Another process is.
    """
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever erases puts a new file in its place: the lock of the old one is worth nothing.
            if os.path.samestat(os.fstat(fd), path.stat()):
                return
            break
        except BlockingIOError:
            time.sleep(0.01)  # it may be one that only looks: see `is_locked`
        except OSError:
            break
    os.close(fd)
    raise LogError(
        f"another process writes the log in {path.parent}",
        remedy="wait until it ends, or stop it",
    )


def is_locked(path: Path) -> bool:
    """Whether a process has a file open for writing; False where there is no file."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def write_file(path: Path, data: bytes) -> None:
    """A file on the disk, for the owner only; a crash may leave a part of it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """What a file holds is on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_whole_file(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all, for the owner only."""
    part = path.with_name(path.name + ".part")
    write_file(part, data)
    part.replace(path)


def write_all(fd: int, data: bytes) -> None:
    """All of the bytes, at the descriptor's place."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def make_folder(folder: Path) -> None:
    """A folder on the disk, for the owner only, where there is none."""
    if not folder.exists():
        folder.mkdir(mode=0o700)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """The names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def refused(path: Path, error: OSError) -> LogError:
    """What is said where the disk refuses."""
    return LogError(
        f"the log cannot be written: {path}: {error.strerror}",
        remedy="make room on that disk or mend its rights, then go on with `journeyman resume`",
    )
