"""Folders and sockets that no other user can read or forge."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from memory.errors import MemoryUnavailable


def private_folder(folder: Path) -> Path:
    """Make `folder`, and the one above it, for this user alone; or see that `folder` is.

    Raises:
        MemoryUnavailable: It is another user's, open to others, not a folder, or cannot be made.
    """
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise MemoryUnavailable(
            f"The folder {folder} could not be made: {error.strerror}",
            remedy="Set JOURNEYMAN_HOME to a folder that you can write and that has room.",
        ) from error
    _check(folder, stat.S_ISDIR, "folder")
    return folder


def check_socket(socket: Path) -> None:
    """See that `socket` is a socket of this user, closed to others.

    Raises:
        FileNotFoundError: There is nothing.
        MemoryUnavailable: It is something else.
    """
    _check(socket, stat.S_ISSOCK, "socket")


def open_lock(path: Path) -> int:
    """A descriptor of the lock file at `path`, made where it is not there; not inherited.

    Raises:
        MemoryUnavailable: It cannot be made.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise MemoryUnavailable(
            f"The lock {path} could not be opened: {error.strerror}",
            remedy="Set JOURNEYMAN_HOME to a folder that you can write and that has room.",
        ) from error


def _check(path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
    found = path.lstat()
    if not is_kind(found.st_mode):
        problem = f"is not a {kind}"
    elif found.st_uid != os.geteuid():
        problem = f"belongs to user {found.st_uid}"
    elif stat.S_IMODE(found.st_mode) & 0o077:
        problem = f"is open to other users (mode {stat.S_IMODE(found.st_mode):04o})"
    else:
        return
    raise MemoryUnavailable(
        f"{path} {problem}, so what is kept there could be read or forged",
        remedy=f"Look at what it holds, then remove it, or if it is yours: chmod go= {path}",
    )
