"""Rows: ways out, to the supervisor, the kernel, the network and the host. All are closed."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox.conformance.row import Arena, Broken, Row, cell, judged, shell
from sandbox.conformance.weakness import Weakness
from sandbox.supervised import child_environment

_SUPERVISORS_FILES = """
import os
for name in [f"fd/{n}" for n in range(40)] + ["mem", "environ", "maps", "oom_score_adj"]:
    try:
        mode = os.O_RDONLY if name in ("environ", "maps") else os.O_WRONLY
        os.read(os.open(f"/proc/{os.getppid()}/{name}", mode), 1)
        print("BROKEN", name)
    except OSError as error:
        print("refused", error.errno)
"""
_SEIZE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
    if pid != os.getpid():
        for request in (0x4206, 16):
            print("BROKEN" if libc.ptrace(request, pid, 0, 0) == 0 else "refused")
"""
_CALLS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(256)
other = os.uname().machine == "aarch64"
calls = dict(io_uring=(425, 425), keyctl=(250, 219), bpf=(321, 280), userfaultfd=(323, 282))
calls.update(perf_event=(298, 241), unshare=(272, 97), process_vm_readv=(310, 270))
for name, numbers in calls.items():
    answer = libc.syscall(numbers[other], 8, buffer, 0, 0, 0)
    print(name, "BROKEN" if answer >= 0 else "refused %d" % ctypes.get_errno())
os.close(os.memfd_create("allowed"))
"""
_SOCKETS = """
import socket
for family, kind in ((socket.AF_INET, socket.SOCK_RAW), (17, socket.SOCK_RAW), (40, socket.SOCK_STREAM)):
    try:
        socket.socket(family, kind); print("BROKEN", family)
    except OSError as error:
        print("refused", error.errno)
"""
_NETWORK = """
import socket
for host in ("1.1.1.1", "169.254.169.254", "172.17.0.1"):
    try:
        socket.create_connection((host, 80), timeout=3); print("BROKEN", host)
    except OSError as error:
        print("refused", error)
try:
    socket.getaddrinfo("example.com", 80); print("BROKEN name")
except OSError:
    print("no name")
print(sorted(name for _, name in socket.if_nameindex()))
"""
_LISTEN = """
import socket
inet = socket.create_server(("127.0.0.1", 5555))
unix = socket.socket(socket.AF_UNIX); unix.bind("\\0journeyman"); unix.listen()
"""
_CONNECT = """
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", 5555)), (socket.AF_UNIX, "\\0journeyman")):
    try:
        socket.socket(family).connect(address); print("BROKEN", address)
    except OSError as error:
        print("refused", error.errno)
"""
_SHARED = {*child_environment("", {}), "LC_ALL", "PWD", "SHELL", "SHLVL", "_"}
"""Names that a sandbox and its shell set by themselves."""


def _neighbour(arena: Arena) -> list[str]:
    """Two sandboxes of one host share no loopback, no abstract sockets and no files."""
    with arena.another() as other:
        for sandbox in (arena.sandbox, other):
            listening = sandbox.perform("python", {"code": _LISTEN}, timeout_s=10)
            if sandbox is other and listening.exit_code != 0:
                raise Broken(f"a name is taken there: {listening.stderr[-200:]}")
        arena.cell("inet.close(); unix.close()")
        arena.shell("echo of the other's > /workspace/file; cp /workspace/file /tmp/file")
        files = other.perform("shell", {"command": "cat /workspace/file /tmp/file"}, timeout_s=10)
        if files.stdout:
            raise Broken(f"a file of another sandbox is read there: {files.stdout!r}")
        return judged(arena.cell(_CONNECT), ("refused 111",), "BROKEN")


def _hosts_facts(arena: Arena) -> list[str]:
    """Nothing of this process's environment or name is seen inside."""
    outcome = arena.shell("cat /proc/[0-9]*/environ /proc/self/mountinfo | tr '\\0' '\\n'; env")
    inside = set(outcome.stdout.splitlines())
    for name, value in os.environ.items():
        if name not in _SHARED and f"{name}={value}" in inside:
            raise Broken(f"the host's variable {name} is seen inside")
    if arena.shell("hostname").stdout.strip() != "sandbox":
        raise Broken("the host's name is seen inside")
    return list(outcome.notes)


def _hosts_files(arena: Arena) -> list[str]:
    """No file of the host is read, by its own name or through another process's root."""
    arena.folder.chmod(0o755)  # it is not its mode that keeps it
    file = arena.folder / "file"
    file.write_text("BROKEN\n")
    roots = "'' /proc/1/root /proc/self/root /proc/$PPID/root /proc/1/cwd /proc/$PPID/cwd"
    outcome = arena.shell(
        f"for root in {roots}; do cat $root{file}; cat $root/etc/shadow && echo BROKEN; done; "
        "ls -A /root && echo BROKEN; ls -d /home/* | grep -v -x /home/agent && echo BROKEN"
    )
    return judged(outcome, (), "BROKEN")


def _hosts_programs(arena: Arena) -> list[str]:
    """What lies in /usr is the image's own."""
    outcome = arena.shell("stat -c %d:%i /usr/bin /usr/bin/env")
    if outcome.exit_code != 0:
        raise Broken(outcome.stderr)
    for name, seen in zip(("/usr/bin", "/usr/bin/env"), outcome.stdout.split(), strict=True):
        with_host = Path(name).stat()
        if seen == f"{with_host.st_dev}:{with_host.st_ino}":
            raise Broken(f"{name} is the host's own")
    return list(outcome.notes)


ROWS = (
    Row(27, "the supervisor's descriptors and memory", cell(_SUPERVISORS_FILES, "refused 13")),
    Row(32, "ptrace", cell(_SEIZE, "refused")),
    Row(33, "the Docker socket", shell("ls /var/run/docker.sock /run/docker.sock && echo BROKEN")),
    Row(
        34,
        "settings of the kernel",
        shell(
            "for f in sys/kernel/panic sys/kernel/core_pattern sys/kernel/modprobe sys/vm/drop_caches "
            "sysrq-trigger; do echo 1 > /proc/$f && echo BROKEN $f; done; "
            "find /sys -type f -writable 2>/dev/null | head -n 1 | sed 's/^/BROKEN /'"
        ),
    ),
    Row(
        35,
        "mounts",
        shell(
            "mount -t tmpfs x /mnt && echo BROKEN; mount -o remount,rw / && echo BROKEN; "
            "umount /tmp && echo BROKEN; umount -l /proc && echo BROKEN; ls /proc/self > /dev/null"
        ),
    ),
    Row(36, "a user namespace", shell("unshare -Ur id && echo BROKEN", "not permitted")),
    Row(37, "system calls that no task needs", cell(_CALLS, "bpf refused 1")),
    Row(38, "raw, packet and VM sockets", cell(_SOCKETS, "refused 97")),
    Row(
        39,
        "device nodes",
        shell(
            "mknod /tmp/sda b 8 0 && echo BROKEN; "
            "for d in mem kmem kmsg port sda vda; do head -c 1 /dev/$d && echo BROKEN; done"
        ),
    ),
    Row(
        40,
        "another user's rights",
        shell(
            "cp /bin/bash /tmp/b; chmod u+s /tmp/b; /tmp/b -p -c id; su -c id; "
            "python3 -c 'import os; os.setuid(0)' && echo uid=0",
            "uid=10001",
            never="uid=0",
        ),
    ),
    Row(41, "the network", cell(_NETWORK, "['lo']")),
    Row(42, "another sandbox", _neighbour),
    Row(
        43,
        "the clock",
        shell(
            "date -s 2001-01-01 > /dev/null && echo BROKEN; "
            "[ $(date +%s) -gt 1700000000 ] && echo right",
            "right",
        ),
    ),
    Row(
        44,
        "the root and the sandbox's own files",
        shell(
            "touch /usr/x && echo BROKEN; touch /etc/x && echo BROKEN; touch /x && echo BROKEN; "
            "cd /journeyman/sandbox/worker && for f in *.py; do echo >> $f && echo BROKEN; done; "
            "grep -E '^([^ ]+ ){4}/ rw' /proc/self/mountinfo && echo BROKEN; "
            "rm -f supervisor.py && echo BROKEN; touch /journeyman/x && echo BROKEN; ls *.py",
            "supervisor.py",
        ),
    ),
    Row(46, "facts of the host", _hosts_facts),
    Row(
        48,
        "more than its share of time",
        shell(
            "nice -n -5 true; [ $(nice -n -5 nice) -lt 0 ] && echo BROKEN; chrt -f 1 true && echo BROKEN"
        ),
    ),
    Row(
        61,
        "the store of snapshots",
        shell("ls /store && echo BROKEN; cat /store/seen && echo BROKEN", "Permission denied"),
        open_to=Weakness.STORE,
    ),
    Row(
        68,
        "the supervisor's limits",
        shell(
            "for l in nofile=4 nproc=0 cpu=1 as=9; do prlimit --pid $PPID --$l && echo BROKEN; done",
            "not permitted",
        ),
    ),
    Row(69, "files of the host", _hosts_files),
    Row(62, "programs of the host", _hosts_programs, open_to=Weakness.PROGRAMS),
)
