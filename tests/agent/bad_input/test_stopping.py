"""Ctrl-C at each stage: the run ends with 130, says how to go on, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import docker
import pytest

from agent.outcome import Outcome
from tests.agent.bad_input import trees
from tests.agent.bad_input.trees import Make

START = [sys.executable, str(Path(__file__).resolve().parents[3] / "journeyman.py")]
SLOW = "def test_slow():\n    import time\n    time.sleep(60)\n"


def slow(folder: Path) -> None:
    trees.broken(folder)
    (folder / "test_slow.py").write_text(SLOW)


@pytest.mark.parametrize(
    ("make", "options", "at", "later_s"),
    [
        (trees.broken, [], "Session ", 0.0),
        (trees.broken, ["--setup", "echo begun; sleep 60"], "begun", 0.0),
        (trees.broken, [], "Sandbox docker", 0.0),
        (slow, [], "run_tests", 0.0),
        (slow, [], "run_tests", 3.0),
        (trees.broken, [], "try_candidates", 0.0),
        (trees.broken, [], "verify", 0.0),
    ],
    ids=["start", "setup", "opened", "tests", "in a test", "search", "verify"],
)
def test_ctrl_c_ends_a_run_cleanly(  # noqa: PLR0917 - a table's columns
    make: Make,
    options: list[str],
    at: str,
    later_s: float,
    home: Path,
    made: Callable[[Make], Path],
) -> None:
    command = [*START, "run", "mend it", "--repo", str(made(make)), *options]
    with subprocess.Popen(
        command,
        env={**os.environ, "JOURNEYMAN_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stderr is not None
        said = []
        for line in run.stderr:
            said.append(line)
            if at in line and not line.lstrip().startswith("["):  # a step of the plan is no act
                break
        time.sleep(later_s)
        run.send_signal(signal.SIGINT)
        rest, _ = run.stderr.read(), run.wait(60)
    shown = "".join(said) + rest
    session = said[0].split()[1]

    assert run.returncode == Outcome.INTERRUPTED.exit_code, shown
    assert f"journeyman resume {session}" in rest
    assert "Traceback" not in shown
    left = docker.from_env().containers.list(
        all=True, filters={"label": f"journeyman.session={session}"}
    )
    assert left == []
