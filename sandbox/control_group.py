"""A control group of one's own: the kernel counts the memory, processes and processor time in it.

Docker makes one for each container. Here it is made for bubblewrap, where this process may: as a
folder in the control group file systems (version 1: one for each resource; version 2: below the
nearest group that is ours to divide), else by systemd (`systemd-run --scope`). Where none of this
is allowed there is no group, and what is then not limited is said by the sandbox.

A group's folder is locked by the process that made it, so the next one can tell a group whose maker
was killed, and remove it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path("/sys/fs/cgroup")
_PREFIX: Final = "journeyman-"
_PERIOD_US: Final = 100_000
_GONE_S: Final = 5.0
"""How long the last processes of a group may take to be gone."""

_ENTER: Final = """
while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit 1; shift; done
shift; exec "$@"
"""
"""Shell command that enters the groups before `--` and becomes the program behind it."""

_OWN_SCOPE: Final = 'cd "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)" && cat memory.max cpu.max'


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What all processes of a group may take together; memory in bytes, cpus in processors."""

    memory: int
    processes: int
    cpus: float


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """A group that processes can be started in.

    Attributes:
        prefix: Goes before a command line: what starts the command in the group.
        processor: Processor time is limited too; memory and processes always are.
        events: Files that count what the kernel killed for memory, and where a container has them.
    """

    prefix: Sequence[str]
    processor: bool = False
    events: Mapping[Path, str] = field(default_factory=dict)
    folders: Mapping[Path, int] = field(default_factory=dict)

    def remove(self) -> None:
        """Remove it once its last process is gone; what stays is the next maker's to remove."""
        for folder, handle in self.folders.items():
            until = time.monotonic() + _GONE_S
            while not _removed(folder) and time.monotonic() < until:
                time.sleep(0.01)
            os.close(handle)


def make_group(limits: GroupLimits, *, root: Path = ROOT) -> ControlGroup | None:
    """A new group with these limits; None where this machine gives us none.

    Args:
        limits: Of all that will be in it.
        root: Where the control group file systems are mounted.
    """
    if (root / "cgroup.controllers").exists():
        return _by_systemd(limits) or _by_folders([_divisible(root)], limits)
    controllers = ("memory", "pids", "cpu")
    return _by_folders([root / name / _own(name) for name in controllers], limits)


def _own(controller: str) -> str:
    """Path of this process's own group, for a controller of version 1 (of version 2: "")."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path.lstrip("/")
    return "none"


def _divisible(root: Path) -> Path:
    """The nearest group above our own whose groups have their memory and processes counted."""
    own = root / _own("")
    for folder in (own, *own.parents):
        if not folder.is_relative_to(root):
            break
        with contextlib.suppress(OSError):
            given = (folder / "cgroup.subtree_control").read_text().split()
            if {"memory", "pids"} <= set(given):
                return folder
    return root / "none"


def _by_folders(parents: Sequence[Path], limits: GroupLimits) -> ControlGroup | None:
    """A folder in each of `parents`; tried before it is given."""
    if not all(os.access(parent, os.W_OK) for parent in parents):
        return None
    made: dict[Path, int] = {}
    try:
        for parent in parents:
            folder, handle = _make_folder(parent)
            made[folder] = handle
            _limit(folder, limits)
        prefix = ["/bin/sh", "-c", _ENTER, "sh", *map(str, made), "--"]
        group = ControlGroup(prefix, any(map(_limits_processor, made)), _events(made), made)
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        ControlGroup((), folders=made).remove()
        return None
    return group


def _make_folder(parent: Path) -> tuple[Path, int]:
    """A group that nobody has, locked; those whose makers are gone are removed on the way."""
    lock = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in parent.glob(f"{_PREFIX}*"):
            _remove_left(left)
        folder = parent / f"{_PREFIX}{os.getpid()}-{time.monotonic_ns()}"
        folder.mkdir()
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    finally:
        os.close(lock)
    return folder, handle


def _remove_left(folder: Path) -> None:
    with contextlib.suppress(OSError):  # its maker lives, or another was faster
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            folder.rmdir()
        finally:
            os.close(handle)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _limit(folder: Path, limits: GroupLimits) -> None:
    """Write the limits that this folder's controller has; swap counts as memory or is not given.

    Raises:
        OSError: It has none of the files that are known, or one could not be written.
    """
    quota = int(limits.cpus * _PERIOD_US)
    known = {
        "memory.max": limits.memory,
        "memory.limit_in_bytes": limits.memory,
        "memory.memsw.limit_in_bytes": limits.memory,
        "memory.swap.max": 0,
        "pids.max": limits.processes,
        "cpu.max": f"{quota} {_PERIOD_US}",
        "cpu.cfs_period_us": _PERIOD_US,
        "cpu.cfs_quota_us": quota,
    }
    there = [name for name in known if (folder / name).exists()]
    if not there:
        raise OSError(f"{folder} limits nothing")
    for name in there:
        (folder / name).write_text(str(known[name]))


def _limits_processor(folder: Path) -> bool:
    return (folder / "cpu.max").exists() or (folder / "cpu.cfs_quota_us").exists()


def _events(folders: Mapping[Path, int]) -> dict[Path, str]:
    inside = {
        "memory.events": f"{ROOT}/memory.events",
        "memory.oom_control": f"{ROOT}/memory/memory.oom_control",
    }
    return {
        folder / name: target
        for folder in folders
        for name, target in inside.items()
        if (folder / name).exists()
    }


def _by_systemd(limits: GroupLimits) -> ControlGroup | None:
    """A scope of systemd, which removes it with its last process; tried before it is given."""
    program = shutil.which("systemd-run")
    if not program:
        return None
    prefix = [
        *(program, *_whose(), "--scope", "--quiet", "--collect"),
        *("-p", f"MemoryMax={limits.memory}", "-p", "MemorySwapMax=0"),
        *("-p", f"TasksMax={limits.processes}", "-p", f"CPUQuota={limits.cpus * 100:.0f}%", "--"),
    ]
    try:
        tried = subprocess.run(
            [*prefix, "/bin/sh", "-c", _OWN_SCOPE],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    memory, *processor = tried.stdout.splitlines() or [""]
    if memory != str(limits.memory):
        return None  # systemd takes limits that it has no controller for, and says nothing
    return ControlGroup(prefix, processor=bool(processor) and not processor[0].startswith("max"))


def _whose() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "--user"
