"""The weaker sandbox: what limits it, what it says it lacks, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox import control_group
from sandbox.bubblewrap import BubblewrapSandbox
from sandbox.conformance.weakness import Weakness
from sandbox.control_group import ControlGroup, GroupLimits, make_group
from sandbox.errors import SandboxMissing
from tests.sandbox.conftest import SMALL, cell

LIMITS = GroupLimits(memory=256 << 20, processes=50, cpus=0.5)
FORK = """
import os, sys, time
for _ in range(100):
    try:
        if not os.fork(): time.sleep(10)
    except OSError as error:
        sys.exit(error.errno)
"""
OPEN_THEN_HANG = """
import sys, time
from sandbox.bubblewrap import BubblewrapSandbox
box = BubblewrapSandbox.open(session_id="tests")
code = "import subprocess; kept = subprocess.Popen(['sleep', '" + sys.argv[1] + "'])"
box.perform("python", {"code": code}, timeout_s=10)
print("open", flush=True)
time.sleep(600)
"""


def groups_of(pid: int) -> list[Path]:
    """Control groups that this process made."""
    return list(control_group.ROOT.rglob(f"journeyman-{pid}-*"))


def running(mark: str) -> bool:
    """Whether there is a process `sleep MARK`."""
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    return f"sleep\0{mark}\0".encode() in lines


def comes_to_run(mark: str) -> bool:
    """A process that has just become another program has no command line for a moment."""
    until = time.monotonic() + 5
    while not running(mark) and time.monotonic() < until:
        time.sleep(0.01)
    return running(mark)


@pytest.fixture
def group() -> ControlGroup:
    made = make_group(LIMITS)
    if made is None:
        pytest.skip("this machine gives no control group: what is said then is tested below")
    return made


def test_a_group_limits_all_that_is_started_in_it_and_goes(group: ControlGroup) -> None:
    try:
        done = subprocess.run(
            [*group.prefix, sys.executable, "-c", FORK],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == 11  # EAGAIN
        for folder in group.folders:
            for pid in (folder / "cgroup.procs").read_text().split():
                os.kill(int(pid), signal.SIGKILL)
    finally:
        group.remove()
    assert not any(folder.exists() for folder in group.folders)


def test_a_closed_sandbox_leaves_no_group() -> None:
    with BubblewrapSandbox.open(session_id="tests", limits=SMALL):
        pass
    assert groups_of(os.getpid()) == []


def test_a_sandbox_that_does_not_open_leaves_no_group() -> None:
    with pytest.raises(SandboxMissing, match="no interpreter"):
        BubblewrapSandbox.open(session_id="tests", python="no-such-python")
    assert groups_of(os.getpid()) == []


def test_a_host_process_killed_by_9_leaves_nothing_that_the_next_one_does_not_remove() -> None:
    mark = f"87{os.getpid()}"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", OPEN_THEN_HANG, mark]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "open\n"
        assert comes_to_run(mark)
        with BubblewrapSandbox.open(session_id="tests", limits=SMALL):
            assert running(mark), "a living process's sandbox was taken for one that is left"
        os.kill(host.pid, signal.SIGKILL)

    until = time.monotonic() + 10
    while running(mark) and time.monotonic() < until:
        time.sleep(0.1)
    assert not running(mark)
    while groups_of(host.pid) and time.monotonic() < until:
        BubblewrapSandbox.open(session_id="tests", limits=SMALL).close()
    assert groups_of(host.pid) == []


def test_address_space_is_no_memory_where_memory_is_counted(group: ControlGroup) -> None:
    group.remove()
    with BubblewrapSandbox.open(session_id="tests", limits=SMALL) as sandbox:
        done = cell(sandbox, "import mmap; len(mmap.mmap(-1, 2 << 30))")
        killed = cell(sandbox, "b = bytearray(b'x') * (2 << 30)")

    assert done.value == str(2 << 30)
    assert killed.exit_code == 128 + signal.SIGKILL
    assert any("put back" in note for note in killed.notes)


def test_where_groups_cannot_be_made_there_is_none_and_nothing_is_left(tmp_path: Path) -> None:
    assert make_group(LIMITS, root=tmp_path / "none") is None

    (tmp_path / "cgroup.controllers").write_text("memory pids")
    (tmp_path / "cgroup.subtree_control").write_text("memory pids")
    assert make_group(LIMITS, root=tmp_path) is None
    assert not list(tmp_path.glob("journeyman-*"))


def test_the_weaker_sandbox_says_what_is_weak() -> None:
    with BubblewrapSandbox.open(session_id="tests", limits=SMALL) as sandbox:
        assert sandbox.description.kind == "bubblewrap"
        assert Weakness.STORE in sandbox.description.weaknesses
        assert all(type(line) is str for line in sandbox.description.weaknesses)


def test_a_closed_sandbox_takes_its_processes_along_when_its_supervisor_hangs() -> None:
    mark = f"88{os.getpid()}"
    with BubblewrapSandbox.open(session_id="tests", limits=SMALL) as sandbox:
        cell(sandbox, f"import subprocess; kept = subprocess.Popen(['sleep', '{mark}'])")
        assert comes_to_run(mark)
        chain = [os.getpid()]
        while not first_of_its_namespace(chain[-1]):
            (child,) = Path(f"/proc/{chain[-1]}/task/{chain[-1]}/children").read_text().split()
            chain.append(int(child))
        os.kill(chain[-1], signal.SIGSTOP)
        os.kill(chain[1], signal.SIGKILL)  # what we started; as root it cannot take the rest along
    until = time.monotonic() + 5
    while running(mark) and time.monotonic() < until:
        time.sleep(0.01)
    assert not running(mark)


def first_of_its_namespace(pid: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(line.startswith("NSpid:") and line.endswith("\t1") for line in lines)
