"""Rows: memory, processes, files, time and output without end. Each is bounded, and told."""

from __future__ import annotations

from sandbox.conformance.row import Arena, Broken, Row, cell, judged, shell
from sandbox.conformance.weakness import Weakness

_OUT_OF_MEMORY = ("memory limit", "MemoryError", "signal 9")

_MANY = """
import subprocess, sys
code = "b = bytearray(b'x') * {each}; print(1, flush=True); input()"
pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
children = [subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(8)]
said = [child.stdout.readline() for child in children]
ended = sum(child.poll() is not None for child in children)
for child in children:
    child.kill(); child.wait()
print("BROKEN" if all(said) and not ended else "the children were not all let in")
"""

_BUSY = """
import os, time
began = time.monotonic()
children = []
for _ in range({loops}):
    child = os.fork()
    if not child:
        while time.monotonic() < began + 1.5: pass
        os._exit(0)
    children.append(child)
spent = 0
for child in children:
    usage = os.wait4(child, 0)[2]
    spent += usage.ru_utime + usage.ru_stime
spent / (time.monotonic() - began)
"""


def _one_takes_more(arena: Arena) -> list[str]:
    """A program that keeps more than there is, in a shell."""
    size = 3 * arena.limits.memory // 2
    outcome = arena.shell(f"head -c {size} /dev/zero | tail | wc -c")
    return judged(outcome, (), never=str(size))


def _many_take_more(arena: Arena) -> list[str]:
    """Eight processes that take together what each of them alone may."""
    outcome = arena.cell(_MANY.replace("{each}", str(arena.limits.memory // 5)))
    return judged(outcome, ("let in",), "BROKEN")


def _processor_time(arena: Arena) -> list[str]:
    """More loops than processors it may have: no more time is spent than that."""
    outcome = arena.cell(_BUSY.format(loops=int(arena.limits.cpus) + 2))
    taken = float(outcome.value or "inf")
    if taken > 1.3 * arena.limits.cpus:
        raise Broken(f"{taken:.2f} processors were taken, {arena.limits.cpus:g} are allowed")
    return judged(outcome, (), "BROKEN")


ROWS = (
    Row(
        1,
        "a fork bomb in a shell",
        shell(":(){ :|:& }; : & exec sleep 1", "ended"),
        open_to=Weakness.PROCESSES,
    ),
    Row(
        2,
        "a fork bomb in a cell",
        cell("import os\nwhile True: os.fork()", "Resource temporarily unavailable"),
        open_to=Weakness.PROCESSES,
    ),
    Row(
        3,
        "memory without end in a cell",
        cell("b = bytearray()\nwhile True: b += b'x' * (16 << 20)", *_OUT_OF_MEMORY),
    ),
    Row(
        4,
        "memory without end in a shell",
        _one_takes_more,
    ),
    Row(
        5,
        "shared memory filled",
        shell(
            "for i in $(seq 10); do head -c 30M /dev/zero > /dev/shm/$i || break; done",
            "No space left",
        ),
    ),
    Row(
        6,
        "the workspace filled",
        shell("for i in $(seq 60); do head -c 50M /dev/zero > f$i || break; done", "No space left"),
    ),
    Row(
        7,
        "files without number",
        cell(
            "for i in range(500000): open(f'{i}', 'w').close()\nprint('BROKEN')",
            "No space left",
            timeout_s=300,
        ),
        open_to=Weakness.FILES,
    ),
    Row(
        8,
        "a file over the limit",
        shell("head -c 700M /dev/zero > big", "File too large"),
    ),
    Row(
        9,
        "a file with a hole of 1 TB",
        shell("truncate -s 1T hole && echo BROKEN; ls -l hole"),
    ),
    Row(
        10,
        "descriptors without end",
        cell(
            "def f():\n    fs = []\n    while True: fs.append(open('/dev/null'))\nf()",
            "Too many open files",
        ),
    ),
    Row(
        11,
        "200 MB of output from a cell",
        cell("import sys\nfor _ in range(2000): sys.stdout.write('x' * 100000)", "bytes cut"),
    ),
    Row(12, "output without end from a shell", shell("yes", "its limit of 1 s", timeout_s=1)),
    Row(
        25,
        "children that nobody waits for",
        shell(
            'python3 -c "import os\nfor _ in range(2000):\n    if not os.fork(): os._exit(0)"',
            "Resource temporarily unavailable",
        ),
        open_to=Weakness.PROCESSES,
    ),
    Row(47, "a value of 200 MB", cell("'x' * (200 << 20)", "in all)", "MemoryError")),
    Row(
        49,
        "a fork bomb in a cell that goes on",
        cell(
            "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
            "limit",
            timeout_s=1,
        ),
        open_to=Weakness.PROCESSES,
    ),
    Row(50, "memory taken by many processes", _many_take_more, open_to=Weakness.MEMORY),
    Row(51, "processor time for many", _processor_time, open_to=Weakness.PROCESSOR),
    Row(
        52,
        "every file system filled at once",
        shell(
            "for i in $(seq 60); do for d in /workspace /tmp /home/agent /dev/shm; do "
            "head -c 50M /dev/zero > $d/f$i; done; done 2>&1 | sort | uniq -c | tail -n 3"
        ),
    ),
)
