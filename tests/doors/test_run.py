"""`journeyman run` and its companions as a user calls them, in real containers, by `builtin`."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.outcome import Outcome
from policies.detectors import sample
from policies.record import RECORD
from tests.model_server import ModelServer, Turn
from tests.sessions import state_home

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
START = [sys.executable, str(ROOT / "journeyman.py")]
TASK = (FIXTURES / "red_test.md").read_text()
SECOND = """
from stockroom.levels import Shelf


def test_an_empty_shelf_at_minimum_0_is_not_ordered():
    assert Shelf({"nut": 0, "bolt": 3}).to_order(0) == []
"""
BUG = "if count <= minimum)"
"""On the line that the search must change; in which of several right ways is its own choice."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from state_home(tmp_path_factory)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A folder without git with two red tests of one bug: enough for the search to be sure."""
    shutil.copytree(FIXTURES / "red_test", tmp_path / "stockroom")
    (tmp_path / "stockroom" / "tests" / "test_empty.py").write_text(SECOND)
    return tmp_path / "stockroom"


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JOURNEYMAN_")}
    return {**kept, "JOURNEYMAN_HOME": str(home), **more}


def journeyman(home: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    more = options.pop("environ", {})
    return subprocess.run(
        [*START, *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=240,
        **({"stdin": subprocess.DEVNULL} | options if "input" not in options else options),
    )


def files(folder: Path) -> dict[str, bytes]:
    found = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def git(repo: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", *who, *arguments]
    return subprocess.run(command, cwd=repo, check=True, capture_output=True, text=True).stdout


def test_a_red_test_ends_with_a_verified_patch_and_the_folder_is_not_touched(
    home: Path, repo: Path, tmp_path: Path
) -> None:
    before = files(repo)
    patch_file = tmp_path / "out.patch"
    done = journeyman(home, "run", "-", "--repo", str(repo), "-o", str(patch_file), input=TASK)

    assert done.returncode == Outcome.VERIFIED.exit_code, done.stderr
    (removed,) = [line for line in done.stdout.splitlines() if line.startswith("-  ")]
    assert BUG in removed
    assert patch_file.read_text() == done.stdout
    assert files(repo) == before
    subprocess.run(["git", "apply", "--check", patch_file], cwd=repo, check=True)
    for said in ("Plan", "Evidence: failing-test", "verified: ", "Log: "):
        assert said in done.stderr
    assert "\x1b" not in done.stdout + done.stderr

    listed = journeyman(home, "sessions").stdout.splitlines()[0]
    session = listed.split()[0]
    assert "verified" in listed
    shown = journeyman(home, "log", "show").stdout
    assert shown == journeyman(home, "log", "show", session).stdout
    assert "session_started" in shown
    assert "session_ended" in shown
    check_the_log(home, session)


def check_the_log(home: Path, session: str) -> None:
    """`log verify`: 0 as it was written, 4 with one byte changed, 2 where there is nothing to read."""
    log = home / "sessions" / session / "log.jsonl"
    assert journeyman(home, "log", "verify", session).returncode == Outcome.VERIFIED.exit_code
    whole = log.read_bytes()
    at = whole.index(b'"kind"') + 9
    log.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    assert journeyman(home, "log", "verify", session).returncode == Outcome.UNSOLVED.exit_code
    log.unlink()
    unreadable = journeyman(home, "log", "verify", session)
    assert unreadable.returncode == Outcome.USAGE.exit_code
    assert "Next: " in unreadable.stderr
    log.write_bytes(whole)


def test_apply_puts_the_patch_into_a_dirty_tree_and_touches_nothing_else(
    home: Path, repo: Path
) -> None:
    git(repo, "init", "-q")
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "first")
    (repo / "README.md").write_text("changed, not committed\n")
    (repo / "notes.txt").write_text("not tracked\n")
    before = files(repo)

    done = journeyman(home, "run", TASK, "--repo", str(repo), "--apply", "--output", "json")

    result = json.loads(done.stdout)
    assert (result["outcome"], result["exit_code"]) == ("verified", 0), done.stderr
    assert result["evidence"]["level"] == "failing-test"
    after = files(repo)
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {"stockroom/levels.py"}
    assert BUG not in (repo / "stockroom" / "levels.py").read_text()
    assert set(before) == set(after)
    assert git(repo, "diff", "--name-only").split() == ["README.md", "stockroom/levels.py"]


def test_a_stream_of_records_ends_with_the_result_and_standard_input_is_never_read(
    home: Path, repo: Path
) -> None:
    command = [
        *START,
        "run",
        TASK,
        "--repo",
        str(repo),
        "--output",
        "stream-json",
        "--max-steps",
        "1",
    ]
    with subprocess.Popen(
        command,
        env=environment(home),
        stdin=subprocess.PIPE,  # a pipe that nobody writes to and nobody closes
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        assert process.wait(timeout=10) == Outcome.BUDGET.exit_code

    records = [RECORD.validate_json(line) for line in lines[:-1]]
    result = json.loads(lines[-1])
    assert json.loads(lines[0])["session_id"] == result["session_id"]
    assert records[0].type == "session_started"
    assert (result["type"], result["outcome"]) == ("result", "budget")
    assert {"evidence", "patch", "steps", "seconds", "input_tokens", "cost_usd"} <= set(result)


def test_where_nothing_fails_builtin_says_so_and_ends_with_4(home: Path, repo: Path) -> None:
    levels = repo / "stockroom" / "levels.py"
    levels.write_text(levels.read_text().replace(BUG, BUG.replace("<=", "<")))
    done = journeyman(home, "run", "mend it", "--repo", str(repo))
    assert done.returncode == Outcome.UNSOLVED.exit_code, done.stderr
    assert "nothing fails" in done.stderr
    assert done.stdout == ""


def test_without_docker_it_is_exit_3_and_what_to_do(home: Path, repo: Path, tmp_path: Path) -> None:
    nobody = {"DOCKER_HOST": f"unix://{tmp_path}/nobody.sock"}
    done = journeyman(home, "run", TASK, "--repo", str(repo), "--output", "json", environ=nobody)
    assert done.returncode == Outcome.ENVIRONMENT.exit_code
    assert json.loads(done.stdout)["outcome"] == "environment"
    assert "nobody.sock" in done.stderr

    looked = journeyman(home, "doctor", environ=nobody)
    assert looked.returncode == Outcome.ENVIRONMENT.exit_code
    assert "missing  Docker" in looked.stdout
    assert "ok       Redis" in looked.stdout


def test_a_model_nobody_knows_is_wrong_use(home: Path, repo: Path) -> None:
    done = journeyman(
        home, "run", TASK, "--repo", str(repo), "--model", "opnai/x", "--output", "json"
    )
    assert done.returncode == Outcome.USAGE.exit_code, done.stderr
    assert "opnai" in json.loads(done.stdout)["reason"]


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(signal.SIGINT, Outcome.INTERRUPTED), (signal.SIGTERM, Outcome.TERMINATED)],
    ids=["interrupted", "terminated"],
)
def test_a_signal_stops_cleanly_and_the_session_can_be_resumed(
    home: Path, repo: Path, number: signal.Signals, outcome: Outcome
) -> None:
    slow = "import time\n\n\ndef test_slow():\n    time.sleep(1.5)\n"
    (repo / "tests" / "test_slow.py").write_text(slow)
    command = [*START, "run", TASK, "--repo", str(repo), "--output", "stream-json"]
    with subprocess.Popen(
        command, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if '"action_judged"' in line:
                process.send_signal(number)
                break
        rest, errors = process.communicate(timeout=60)

    assert process.returncode == outcome.exit_code
    result = json.loads(rest.splitlines()[-1])
    assert (result["type"], result["outcome"]) == ("result", outcome.label)
    session = result["session_id"]
    assert f"journeyman resume {session}" in errors
    if number == signal.SIGTERM:
        return  # the way on is the same, and costs half a minute

    again = journeyman(home, "resume", session, "--output", "json")
    assert again.returncode == Outcome.VERIFIED.exit_code, again.stderr
    assert BUG in json.loads(again.stdout)["patch"]


def test_init_says_five_lines_and_what_it_wrote_is_used(home: Path, repo: Path) -> None:
    first = journeyman(home, "init", "--repo", str(repo))
    words = [line.split()[0] for line in first.stdout.splitlines()]
    assert words == ["Language", "Interpreter", "Setup", "Tests", "Baseline"]
    assert "red: 2 failed, 16 passed" in first.stdout
    assert "is_not_ordered fails: AssertionError: assert [" in first.stderr
    config = repo / ".journeyman" / "config.toml"
    assert not config.exists(), "without a yes nothing is written"

    assert journeyman(home, "init", "--repo", str(repo), "--yes").returncode == 0
    assert "test = " in config.read_text()
    done = journeyman(home, "run", TASK, "--repo", str(repo))
    assert done.returncode == Outcome.VERIFIED.exit_code, done.stderr

    config.write_text(config.read_text().replace("pytest", "pytest -x"))
    refused = journeyman(home, "run", TASK, "--repo", str(repo))
    assert refused.returncode == Outcome.NEEDS_PERSON.exit_code
    assert "init --repo" in refused.stderr


def test_on_a_terminal_the_patch_is_offered_and_a_yes_applies_it(home: Path, repo: Path) -> None:
    mine, theirs = pty.openpty()
    command = [*START, "run", TASK, "--repo", str(repo)]
    with subprocess.Popen(
        command,
        env=environment(home, TERM="xterm"),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        screen = read_until(mine, b"Apply it to ")
        os.write(mine, b"y\n")
        screen += read_until(mine, b"Log: ")
        assert process.wait(timeout=30) == Outcome.VERIFIED.exit_code
    os.close(mine)
    assert BUG not in (repo / "stockroom" / "levels.py").read_text()
    assert b"\x1b[32m" in screen, "a terminal has colours"
    assert b"running the tests" in screen, "and a status, while something is under way"
    assert b"\x1b[2J" not in screen


def test_a_terminal_shows_what_a_model_says_while_it_says_it_but_no_secret(
    home: Path, repo: Path
) -> None:
    secret = sample("token")
    said = f"I look at the shelf. {secret} opens it, and the counts come first. " * 2
    mine, theirs = pty.openpty()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(ModelServer([Turn(said, silence_s=600)]))
        model = ["--model", "openai-compatible/m", "--base-url", server.base_url]
        process = subprocess.Popen(
            [*START, "run", TASK, "--repo", str(repo), *model],
            env=environment(home, TERM="xterm"),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        screen = read_until(mine, b" opens it, and ")
        process.send_signal(signal.SIGINT)
    with process:  # the server is gone, and its answer comes to its end
        screen += read_until(mine, b"Log: ")
        assert process.wait(timeout=30) == Outcome.INTERRUPTED.exit_code
    os.close(mine)
    assert b"waiting for openai-compatible/m" in screen
    assert b"<token:" in screen
    assert secret[:8].encode() not in screen


def read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    deadline = time.monotonic() + 120
    while wanted not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 65536)
    assert wanted in seen, seen.decode(errors="replace")
    return seen
