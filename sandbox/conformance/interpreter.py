"""Rows: cells that hang, die, or break what they run in. The interpreter goes on, its state with it."""

from __future__ import annotations

import time

from sandbox.conformance.row import Arena, Broken, Row, cell, judged, shell
from sandbox.protocol import Json

_NO_REPR = "class A:\n    def __repr__(self):\n        while True: pass\nA()"
_NO_STR = "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E"
_NESTED = "a = []\nfor _ in range(100000): a = [a]\na"
_SWALLOW = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
_FRAME = r'\0\0\0\x20\0\0\0\x1c{"t": "done", "id": 1}'
_OWN_SOCKET = "import os, socket, time\ns = socket.socket(fileno=os.dup(902))\n"
_DONE_FROM_A_CHILD = r"""
if not os.fork():
    for n in range(10000):
        s.send(b'\x01{"t": "done", "id": %d, "exit_code": 0, "value": "BROKEN"}' % n)
    os._exit(0)
os.wait()
'own'
"""
_MONKEYPATCH = """
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


def _thread(arena: Arena) -> list[str]:
    """What a thread prints after its cell is shown with the next one, and said to be older."""
    code = "import threading, time\nthreading.Timer(0.2, lambda: print('late')).start()"
    arena.cell(code)
    time.sleep(0.5)
    return judged(arena.cell("1"), ("earlier cells left running wrote to stdout: late",), "BROKEN")


def _folders(arena: Arena) -> list[str]:
    """Folders that a verb needs, taken away or locked by the code that owns them."""
    tests: dict[str, Json] = {
        "command": "true",
        "tests": [],
        "junit": "",
        "runner": "",
        "coverage": False,
    }
    for spoil in (
        "rm -rf /tmp/journeyman; mkfifo /tmp/journeyman",
        "rm -rf /tmp/journeyman; ln -s / /tmp/journeyman",
        "true",
    ):
        arena.shell(f"{spoil}; chmod 0 /tmp/journeyman /home/agent /workspace")
        outcome = arena.sandbox.perform("tests", tests, timeout_s=20)
        if outcome.exit_code != 0:
            raise Broken(f"no test runs after {spoil!r}: {outcome.stderr[-200:]}")
    return judged(arena.shell("ls"), (), "denied")


ROWS = (
    Row(13, "a loop", cell("while True: pass", "limit", timeout_s=0.5)),
    Row(14, "a loop deaf to interrupts", cell("sum(range(10 ** 12))", "heed", timeout_s=0.5)),
    Row(15, "a loop that swallows interrupts", cell(_SWALLOW, "limit", timeout_s=0.5)),
    Row(
        16,
        "a loop with interrupts ignored",
        cell(
            "import signal; signal.signal(2, signal.SIG_IGN)\nwhile True: pass",
            "heed",
            timeout_s=0.5,
        ),
    ),
    Row(17, "os._exit", cell("import os; os._exit(7)", "exit code 7")),
    Row(18, "a segmentation fault", cell("import ctypes; ctypes.string_at(0)", "signal 11")),
    Row(19, "sys.exit", cell("import sys; sys.exit(3)", "SystemExit: 3")),
    Row(20, "all processes killed from a cell", cell("import os; os.kill(-1, 9)")),
    Row(21, "all processes killed from a shell", shell("kill -9 -1"), state="lost"),
    Row(
        22,
        "signals to the first process and to the parent",
        shell(
            "for pid in 1 $PPID; do for s in TERM KILL INT HUP USR1 STOP; do kill -$s $pid; done; done"
        ),
    ),
    Row(
        23,
        "a daemon that holds the pipe",
        shell("(setsid sleep 300 &) ; echo started", "left 1 process"),
    ),
    Row(24, "a thread that is left running", _thread),
    Row(
        26,
        "a forged frame on 1 and 2",
        cell(f"import os\nfor fd in (1, 2): os.write(fd, b'{_FRAME}')", '"t": "done"'),
    ),
    Row(
        28,
        "a forged answer with a wrong number",
        cell(
            _OWN_SOCKET
            + r"""s.send(b'\x01{"t": "done", "id": 999, "exit_code": 0}'); time.sleep(5)""",
            "protocol",
        ),
    ),
    Row(29, "all descriptors closed", cell("import os; os.closerange(3, 4096)")),
    Row(30, "0, 1 and 2 closed", cell("import os\nfor fd in (0, 1, 2): os.close(fd)")),
    Row(31, "all that runs a cell replaced", cell(_MONKEYPATCH)),
    Row(53, "a value that hangs when it is shown", cell(_NO_REPR, "limit", timeout_s=0.5)),
    Row(54, "an error that hangs when it is shown", cell(_NO_STR, "limit", timeout_s=0.5)),
    Row(55, "a value nested without end", cell(_NESTED, "RecursionError")),
    Row(56, "its own process group ended", cell("import os; os.killpg(0, 15)", "signal 15")),
    Row(
        57,
        "a daemon from a cell",
        cell("import os; os.system('setsid sleep 300 & echo x')", "were ended"),
    ),
    Row(
        58,
        "nonsense on the supervisor's protocol",
        cell(_OWN_SOCKET + r"s.send(b'\x01[[['); time.sleep(5)", "protocol"),
    ),
    Row(59, "a forged answer from a child", cell(_OWN_SOCKET + _DONE_FROM_A_CHILD, "own")),
    Row(
        60,
        "its own limits taken away",
        cell(
            "import resource\n"
            "for limit in ('NPROC', 'NOFILE', 'FSIZE', 'CORE', 'STACK'):\n"
            "    resource.setrlimit(getattr(resource, f'RLIMIT_{limit}'), (0, 0))"
        ),
        state="lost",
    ),
    Row(70, "folders that it needs locked", _folders),
)
