"""Code that tries to break out, to break the sandbox, or to break the interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from sandbox.docker_sandbox import DockerSandbox
from tests.sandbox.conftest import cell, shell


@dataclass(frozen=True)
class Abuse:
    """One attack.

    Attributes:
        name: What it is called.
        verb: How it comes in.
        code: What runs; it prints or raises.
        says: Text that must be in what comes back.
        never: Text that must not.
        state: Whether the interpreter's variables are still there afterwards.
        timeout_s: Its limit.
    """

    name: str
    verb: Literal["shell", "python"]
    code: str
    says: str = ""
    never: str = "BROKEN"
    state: bool = True
    timeout_s: float = 20.0


SEIZE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for pid in [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]:
    for request in (0x4206, 16):
        print("BROKEN" if libc.ptrace(request, pid, 0, 0) == 0 else "refused")
"""
CALLS = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(256)
for name, number in dict(io_uring=425, keyctl=250, bpf=321, userfaultfd=323, perf=298, unshare=272).items():
    answer = libc.syscall(number, 8, buffer, 0, 0, 0)
    print(name, "BROKEN" if answer >= 0 else ctypes.get_errno())
"""
SOCKETS = """
import socket
for family, kind in ((socket.AF_INET, socket.SOCK_RAW), (17, socket.SOCK_RAW), (40, socket.SOCK_STREAM)):
    try:
        socket.socket(family, kind); print("BROKEN", family)
    except OSError as error:
        print("refused", error.errno)
"""
FORGE_ON_SUPERVISOR = """
import os
for pid in [name for name in os.listdir("/proc") if name.isdigit() and int(name) not in (os.getpid(), os.getppid())] + [str(os.getppid())]:
    for fd in range(12):
        try:
            if "cat" not in open(f"/proc/{pid}/cmdline").read() and int(pid) == os.getppid():
                os.open(f"/proc/{pid}/fd/{fd}", os.O_WRONLY); print("BROKEN", pid, fd)
        except OSError as error:
            print("refused", error.errno)
"""
NETWORK = """
import socket
for host in ("1.1.1.1", "169.254.169.254", "172.17.0.1"):
    try:
        socket.create_connection((host, 80), timeout=3); print("BROKEN")
    except OSError as error:
        print("refused", error)
try:
    socket.getaddrinfo("example.com", 80); print("BROKEN")
except OSError as error:
    print("no name")
print(sorted(name for _, name in socket.if_nameindex()))
"""
MONKEYPATCH = """
import builtins, json, os, signal, socket, sys, traceback, linecache
json.loads = json.dumps = json.JSONEncoder.encode = lambda *a, **k: 1 / 0
os.fork = os._exit = os.write = os.kill = os.waitpid = os.dup2 = lambda *a, **k: 1 / 0
signal.signal = signal.pthread_sigmask = lambda *a, **k: 1 / 0
socket.socket.send = socket.socket.recv = lambda *a, **k: 1 / 0
builtins.repr = builtins.str = builtins.len = builtins.compile = builtins.exec = builtins.eval = lambda *a, **k: 1 / 0
builtins.isinstance = builtins.type = builtins.dict = builtins.range = builtins.print = lambda *a, **k: 1 / 0
traceback.format_exception = traceback.TracebackException = linecache.getline = None
sys.stdout = sys.stderr = sys.stdin = None
"""

TABLE = [
    Abuse("fork bomb in a shell", "shell", ":(){ :|:& };: ; sleep 1", "ended"),
    Abuse("fork bomb in a cell", "python", "import os\nwhile True: os.fork()"),
    Abuse(
        "fork bomb in a cell that goes on",
        "python",
        "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
        "limit",
        timeout_s=1,
    ),
    Abuse(
        "memory in a cell",
        "python",
        "b = bytearray()\nwhile True: b += b'x' * (16 << 20)",
        "memory limit",
    ),
    Abuse("memory in a shell", "shell", "head -c 3G /dev/zero | tail | wc -c", "memory limit"),
    Abuse(
        "file system filled",
        "shell",
        "for i in $(seq 20); do head -c 20M /dev/zero > f$i || break; done; ls f* | wc -l; rm -f f*",
        "No space left",
    ),
    Abuse(
        "descriptors",
        "python",
        "def f():\n    fs = []\n    while True: fs.append(open('/dev/null'))\nf()",
        "Too many open files",
    ),
    Abuse(
        "flood",
        "python",
        "import sys\nfor _ in range(500): sys.stdout.write('x' * 100000)",
        "bytes cut",
    ),
    Abuse("endless flood", "shell", "yes", "limit", timeout_s=1),
    Abuse("loop", "python", "while True: pass", "limit", timeout_s=0.5),
    Abuse("deaf loop", "python", "sum(range(10 ** 12))", "did not heed", timeout_s=0.5),
    Abuse(
        "loop that swallows",
        "python",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "limit",
        timeout_s=0.5,
    ),
    Abuse(
        "interrupts ignored",
        "python",
        "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass",
        "did not heed",
        timeout_s=0.5,
    ),
    Abuse(
        "value that hangs",
        "python",
        "class A:\n    def __repr__(self):\n        while True: pass\nA()",
        "limit",
        timeout_s=0.5,
    ),
    Abuse(
        "error that hangs",
        "python",
        "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
        "limit",
        timeout_s=0.5,
    ),
    Abuse("os._exit", "python", "import os; os._exit(7)", "exit code 7"),
    Abuse("segfault", "python", "import ctypes; ctypes.string_at(0)", "signal 11"),
    Abuse("sys.exit", "python", "import sys; sys.exit(3)", "SystemExit: 3"),
    Abuse("all killed in a cell", "python", "import os; os.kill(-1, 9)"),
    Abuse("all killed in a shell", "shell", "kill -9 -1", "lost", state=False),
    Abuse("own group stopped", "python", "import os; os.killpg(0, 15)", "signal 15"),
    Abuse("signals to init", "shell", "kill -TERM 1; kill -9 1; kill -9 $PPID", "not permitted"),
    Abuse(
        "daemon that holds the pipe",
        "shell",
        "(setsid sleep 300 &) ; echo started",
        "left 1 process",
    ),
    Abuse(
        "daemon from a cell",
        "python",
        "import os; os.system('setsid sleep 300 & echo x')",
        "were ended",
    ),
    Abuse(
        "zombies", "python", "import os\nfor _ in range(400):\n    if not os.fork(): os._exit(0)"
    ),
    Abuse(
        "frame on 1 and 2",
        "python",
        'import os\nfor fd in (1, 2): os.write(fd, b\'\\0\\0\\0\\x20\\0\\0\\0\\x1c{"t": "done", "id": 1}\')',
        '"t": "done"',
    ),
    Abuse("supervisor's descriptors", "python", FORGE_ON_SUPERVISOR, "refused 13"),
    Abuse(
        "done with a wrong number",
        "python",
        'import os, socket\ns = socket.socket(fileno=os.dup(902)); s.send(b\'\\x01{"t": "done", "id": 999, "exit_code": 0}\')\nimport time; time.sleep(5)',
        "protocol",
    ),
    Abuse(
        "nonsense on the protocol",
        "python",
        "import os, socket\ns = socket.socket(fileno=os.dup(902)); s.send(b'\\x01[[[')\nimport time; time.sleep(5)",
        "protocol",
    ),
    Abuse(
        "done from a child",
        "python",
        'import os, socket\nif not os.fork():\n    s = socket.socket(fileno=os.dup(902))\n    for n in range(10000): s.send(b\'\\x01{"t": "done", "id": %d, "exit_code": 0, "value": "BROKEN"}\' % n)\n    os._exit(0)\nos.wait()\n\'own\'',
        "own",
    ),
    Abuse("all descriptors closed", "python", "import os; os.closerange(3, 4096)"),
    Abuse("0, 1 and 2 closed", "python", "import os\nfor fd in (0, 1, 2): os.close(fd)"),
    Abuse("monkeypatching", "python", MONKEYPATCH),
    Abuse("ptrace", "python", SEIZE, "refused"),
    Abuse("docker socket", "shell", "ls /var/run/docker.sock && echo BROKEN", "No such file"),
    Abuse(
        "kernel settings", "shell", "echo 1 > /proc/sys/kernel/panic && echo BROKEN", "Read-only"
    ),
    Abuse(
        "mounts",
        "shell",
        "mount -t tmpfs x /mnt && echo BROKEN; umount /tmp && echo BROKEN",
        "mount",
    ),
    Abuse("user namespace", "shell", "unshare -Ur id && echo BROKEN", "not permitted"),
    Abuse("system calls", "python", CALLS, "bpf 1"),
    Abuse("socket families", "python", SOCKETS, "refused 97"),
    Abuse(
        "device nodes",
        "shell",
        "mknod /tmp/sda b 8 0 && echo BROKEN; cat /dev/mem && echo BROKEN",
        "No such file",
    ),
    Abuse(
        "set user id",
        "shell",
        "cp /bin/bash /tmp/b; chmod u+s /tmp/b; /tmp/b -p -c id; rm /tmp/b",
        "uid=10001",
        never="euid=0",
    ),
    Abuse("network", "python", NETWORK, "['lo']"),
    Abuse(
        "root file system",
        "shell",
        "touch /usr/x && echo BROKEN; echo x > /journeyman/alive && echo BROKEN",
        "Read-only",
    ),
    Abuse(
        "the store of snapshots",
        "shell",
        "ls /store && echo BROKEN; cat /store/seen && echo BROKEN",
        "Permission denied",
    ),
    Abuse(
        "deep recursion in a value",
        "python",
        "a = []\nfor _ in range(100000): a = [a]\na",
        "RecursionError",
    ),
]


@pytest.mark.parametrize("abuse", TABLE, ids=lambda abuse: abuse.name)
def test_abuse_is_bounded_and_the_sandbox_goes_on(box: DockerSandbox, abuse: Abuse) -> None:
    assert cell(box, "kept = 41").exit_code == 0

    argument = "command" if abuse.verb == "shell" else "code"
    done = box.perform(abuse.verb, {argument: abuse.code}, timeout_s=abuse.timeout_s)
    alive = shell(box, "echo alive")
    after = cell(box, "kept + 1")
    seen = "\n".join([done.stdout, done.stderr, done.children, str(done.value)])
    notes = "\n".join([*done.notes, *alive.notes, *after.notes])

    assert abuse.says in seen + notes
    assert abuse.never not in seen
    assert alive.stdout == "alive\n"
    assert after.value == ("42" if abuse.state else None), after
    assert abuse.state or "lost" in notes
    assert "sleep 300" not in shell(box, "ps -eo args").stdout
