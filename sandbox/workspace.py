"""The host's side of the workspace: the user's tree in, as data; a verified patch out, as data.

No program is run on the user's tree, git least of all: its configuration, hooks and attributes are
whoever wrote them. A patch is applied in a clean repository of our own, and what comes out of that
is written file by file.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from sandbox.applying import apply_to_tree
from sandbox.base import Base, Entry, entry_of, git_mode
from sandbox.errors import SandboxError
from sandbox.patch_text import FileChange, parse_patch

__all__ = ["Base", "Entry", "FileChange", "apply_to_tree", "capture", "check_folder", "parse_patch"]

LARGEST_TREE: Final = 1 << 30
MOST_ENTRIES: Final = 200_000
LEFT_OUT: Final = frozenset(
    {"node_modules", ".tox", ".nox", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
)
"""Folders that tools make and can make again; virtual environments go by their `pyvenv.cfg`."""
MOST_TOLD: Final = 5
OF_THE_KERNEL: Final = ("proc", "sys", "dev")
"""Folders of the root without files that lie still; `/dev/shm` is memory to work in."""


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    status: os.stat_result


def capture(repo: Path, archive: Path) -> Base:
    """Write the tree as it is (git or not, changed or not, ignored or not) into a tar archive.

    Links stay links; sockets, pipes and devices are left out, as are folders that tools make; a
    `.git` folder goes along as data. The archive can be read by its owner only.

    Args:
        repo: The user's tree; only read.
        archive: Where the archive goes, outside of `repo`.

    Raises:
        SandboxError: As in `check_folder`, or it is too large.
    """
    root = check_folder(repo)
    left_out: list[str] = []
    found = list(_walk(root, left_out))
    _refuse_large(root, found)
    entries: dict[str, Entry] = {}
    handle = os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file, tarfile.open(fileobj=file, mode="w") as tar:
        for item in found:
            try:
                entry = _add(tar, root, item)
            except OSError as error:
                left_out.append(f"{item.path}: could not be read ({error.strerror})")
                continue
            if entry is not None and ".git" not in item.path.split("/"):
                entries[item.path] = entry
    return Base.of(entries, tuple(_briefly(left_out)))


def _briefly(left_out: list[str]) -> Iterator[str]:
    """A line each, but of many with the same reason the first few and how many more there are."""
    told: Counter[str] = Counter()
    for line in left_out:
        reason = line.rpartition(": ")[2]
        told[reason] += 1
        if told[reason] <= MOST_TOLD:
            yield line
    for reason, count in told.items():
        if count > MOST_TOLD:
            yield f"{count - MOST_TOLD} more: {reason}"


def check_folder(repo: Path) -> Path:
    """The full path of a folder that can be worked on.

    Raises:
        SandboxError: It is not there, cannot be read, or is no place of a project.
    """
    try:
        root = repo.resolve(strict=True)
        if not root.is_dir():
            raise _no_project(f"{repo} is not a folder")
        names = {entry.name for entry in root.iterdir()}
    except FileNotFoundError as error:
        raise _no_project(f"{repo} does not exist") from error
    except (OSError, RuntimeError) as error:  # a loop of links is either, by Python's version
        why = getattr(error, "strerror", None) or "its links lead in a circle"
        raise _no_project(f"{str(repo)[:200]} cannot be read ({why})") from error
    if any(root == home or root in home.parents for home in _homes()):
        raise _no_project(f"{root} is a home folder or above one, not a repository")
    if root.parts[1] in OF_THE_KERNEL and root.parts[:3] != ("/", "dev", "shm"):
        raise _no_project(f"{root} holds what the kernel shows, no files of a project")
    if names >= {"HEAD", "objects", "refs"}:
        raise SandboxError(
            f"{root} is a bare repository or git's own folder: it has no files to work on",
            remedy="name a folder where its files are checked out, or make one with git clone",
        )
    return root


def _no_project(happened: str) -> SandboxError:
    return SandboxError(happened, remedy="name the project's folder with --repo")


def _homes() -> Iterator[Path]:
    """The user's home folder as the environment and as the system say it; `/` is one always."""
    yield Path("/")
    with contextlib.suppress(RuntimeError):  # neither knows one
        yield Path.home().resolve()
    with contextlib.suppress(KeyError):
        yield Path(pwd.getpwuid(os.geteuid()).pw_dir).resolve()


def _walk(root: Path, left_out: list[str]) -> Iterator[_Found]:
    """All that goes along, parents before children."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        inside = []
        for entry in _entries(root, folder, left_out):
            path = f"{folder}/{entry.name}" if folder else entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:  # it went away meanwhile
                left_out.append(f"{path}: could not be read ({error.strerror})")
                continue
            if reason := _why_not(entry, status):
                left_out.append(f"{path}: {reason}")
                continue
            yield _Found(path, status)
            if stat.S_ISDIR(status.st_mode):
                inside.append(path)
        waiting += reversed(inside)


def _entries(root: Path, folder: str, left_out: list[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as listing:
            return sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        left_out.append(f"{folder or '.'}: could not be read ({error.strerror})")
        return []


def _why_not(entry: os.DirEntry[str], status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        if entry.name in LEFT_OUT:
            return "made by tools"
        if os.path.lexists(os.path.join(entry.path, "pyvenv.cfg")):  # noqa: PTH118 - DirEntry speaks str
            return "a virtual environment"
        return ""
    if entry.name == ".git":
        return "points to a git folder elsewhere; the copy has no history"
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        return "a socket, pipe or device"
    return ""


def _refuse_large(root: Path, found: list[_Found]) -> None:
    size = sum(item.status.st_size for item in found if stat.S_ISREG(item.status.st_mode))
    if size <= LARGEST_TREE and len(found) <= MOST_ENTRIES:
        return
    weight: Counter[str] = Counter()
    for item in found:
        weight[item.path.split("/")[0]] += item.status.st_size + LARGEST_TREE // MOST_ENTRIES
    largest = ", ".join(name for name, _ in weight.most_common(3))
    raise SandboxError(
        f"{root} has {size / (1 << 20):.0f} MiB in {len(found)} entries, over "
        f"{LARGEST_TREE >> 20} MiB or {MOST_ENTRIES}; the largest are {largest}",
        remedy="Work on a part of it with --repo, or move what is no source out of it.",
    )


def _add(tar: tarfile.TarFile, root: Path, item: _Found) -> Entry | None:
    info = tarfile.TarInfo(item.path)
    info.mtime = int(item.status.st_mtime)
    info.mode = stat.S_IMODE(item.status.st_mode) & 0o777 | 0o600
    full = root / item.path
    if stat.S_ISDIR(item.status.st_mode):
        info.type, info.mode = tarfile.DIRTYPE, info.mode | 0o700
        tar.addfile(info)
        return None
    if stat.S_ISLNK(item.status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, str(full.readlink())
        tar.addfile(info)
        return entry_of("120000", os.fsencode(info.linkname))
    with os.fdopen(os.open(full, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        data = file.read()
    info.size = len(data)
    tar.addfile(info, BytesIO(data))
    return entry_of(git_mode(item.status.st_mode), data)
