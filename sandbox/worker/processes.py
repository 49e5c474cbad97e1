"""Processes of the sandbox: started without rights, counted, and swept away."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from typing import Callable, Dict, List, Mapping, NamedTuple, Sequence, Set

PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]


class Confinement:
    """What a child gives up before it runs anything.

    Args:
        uid: User of everything that is not the supervisor.
        gid: Its group.
        split: The supervisor is another user and can change to this one.
        bpf: Seccomp filter, 8 bytes an instruction.
        most: Processes there may be, where no container counts them; 0: one does.
    """

    def __init__(self, uid: int, gid: int, *, split: bool, bpf: bytes, most: int = 0) -> None:
        self.uid = uid
        self.gid = gid
        self.split = split
        self._most = most
        self._program = _Program(len(bpf) // 8, bpf)

    def enter(self, gid: "int | None" = None) -> None:
        """Drop user, group and system calls for good; `gid` is another group where that is needed.

        Raises:
            OSError: The kernel refused; the caller must not go on.
        """
        if self.split:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("500")  # the memory killer takes children before the supervisor
            os.setgroups([])
            os.setgid(self.gid if gid is None else gid)
            os.setuid(self.uid)
        if self._most and counts_by_namespace():
            resource.setrlimit(resource.RLIMIT_NPROC, (self._most, self._most))
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs was refused")
        if libc.prctl(PR_SET_SECCOMP, 2, ctypes.byref(self._program), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "the seccomp filter was refused")


def counts_by_namespace() -> bool:
    """Whether the kernel (from 5.14) counts a user's processes in each user namespace apart."""
    numbers = os.uname().release.split(".")[:2]
    return [int(number) for number in numbers if number.isdigit()] >= [5, 14]


def spawn(
    run: "Callable[[], None]",
    confinement: Confinement,
    *,
    descriptors: "Mapping[int, int]",
    folder: str,
    gid: "int | None" = None,
) -> int:
    """Fork a confined child in a session of its own that calls `run` (which may `execve`).

    Args:
        run: What the child does; the child exits when it returns or raises.
        confinement: What it gives up first.
        descriptors: Number in the child -> descriptor here; all others are closed.
        folder: Where it starts.
        gid: Its group, where it is not the usual one.

    Returns:
        The child's process id.

    Raises:
        BlockingIOError: No process is left.
    """
    pid = os.fork()
    if pid:
        return pid
    status = 127
    try:
        os.setsid()
        _lay_descriptors(descriptors)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        confinement.enter(gid)
        os.umask(0o022)
        _go_to(folder)
        run()
        status = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(status)
    return 0


def _go_to(folder: str) -> None:
    """Start there, also where code has taken away the right to: the folder is its user's own."""
    try:
        os.chdir(folder)
    except PermissionError:
        os.chmod(folder, 0o755)
        os.chdir(folder)


def _lay_descriptors(descriptors: "Mapping[int, int]") -> None:
    # First out of the way of every target, then into place.
    highest = max([*descriptors, *descriptors.values(), 2]) + 1
    moved = {}
    for target, source in descriptors.items():
        while highest in descriptors or highest in descriptors.values():
            highest += 1
        os.dup2(source, highest, inheritable=False)
        moved[target] = highest
        highest += 1
    for target, source in moved.items():
        os.dup2(source, target, inheritable=True)
    keep = sorted(descriptors)
    low = 0
    for number in keep:
        if low < number:  # an empty range that ends at 0 closes everything in Python 3.11
            os.closerange(low, number)
        low = number + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


class Process(NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    state: str
    uid: int


def table() -> Dict[int, Process]:
    """All processes there are."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/status", "rb") as status:
                    process = _parse(int(name), status.read())
            except OSError:
                continue  # it ended while we looked
            found[process.pid] = process
    return found


def _parse(pid: int, status: bytes) -> Process:
    fields = dict(
        line.split(b":", 1) for line in status.split(b"\n") if b":" in line and line[:1] in b"SPU"
    )
    return Process(
        pid,
        int(fields[b"PPid"]),
        fields[b"State"].split()[0].decode(),
        int(fields[b"Uid"].split()[0]),
    )


def family(processes: Mapping[int, Process], roots: "Sequence[int]") -> Set[int]:
    """`roots` and everything below them."""
    children: Dict[int, List[int]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: Set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, [])
    return found


def sweep(uid: int, *, spare: "Sequence[int]", families: "Sequence[int]" = ()) -> int:
    """Kill every process of `uid`, stopping all before killing any so that none can breed.

    Args:
        uid: Whose processes.
        spare: Processes to leave alone; their children are not spared.
        families: Processes to leave alone with everything below them.

    Returns:
        How many were killed.
    """
    killed: Set[int] = set()
    for _ in range(200):
        processes = table()
        left_alone = {*spare, *family(processes, families), *_own_line(processes)}
        victims = [
            process.pid
            for process in processes.values()
            if process.uid == uid and process.state not in "ZX" and process.pid not in left_alone
        ]
        if not victims:
            break
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in victims:
                _kill(pid, number)
        killed.update(victims)
        time.sleep(0.001)
    return len(killed)


def has_other_children(known: "Sequence[int]") -> bool:
    """This process has a child that is not in `known`: whatever is orphaned below it becomes one."""
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children") as children:
            return any(int(pid) not in known for pid in children.read().split())
    except OSError:
        return True  # a kernel that does not say: look at all processes


def _own_line(processes: Mapping[int, Process]) -> Set[int]:
    line, pid = set(), os.getpid()
    while pid in processes and pid not in line:
        line.add(pid)
        pid = processes[pid].parent
    return line | {1}


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except OSError:
        return  # it is gone, which is what was wanted


def kill_group(leader: int, number: int) -> None:
    """Signal a child and its process group."""
    try:
        os.killpg(leader, number)
    except OSError:
        _kill(leader, number)


def out_of_memory_kills() -> int:
    """How often the kernel killed for memory in this container; 0 where it cannot be known."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        try:
            with open(path) as events:
                for line in events:
                    if line.startswith("oom_kill "):
                        return int(line.split()[1])
        except OSError:
            continue
    return 0


def make_supervisor() -> None:
    """Make this process unreadable to its user and the parent of every orphan below it."""
    if sys.platform != "linux":
        raise OSError(f"a sandbox is Linux inside, not {sys.platform}")
    # Where it shares its user with the rest, it is the first of its process namespace: the kernel
    # then lets no signal through for which it has no handler, and Python has one for this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
