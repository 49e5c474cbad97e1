"""The command line as a process: what it imports, how it ends, what it prints where."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from agent.doors.cli.run import LEVELS
from agent.outcome import Outcome
from policies.record import EVIDENCE_LEVELS

ROOT = Path(__file__).resolve().parents[2]
START = [sys.executable, str(ROOT / "journeyman.py")]
HEAVY = ("docker", "langgraph", "langchain_core", "pydantic", "qdrant_client", "redis", "rich")


def journeyman(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    defaults = {"capture_output": True, "text": True, "timeout": 60, "stdin": subprocess.DEVNULL}
    return subprocess.run([*START, *arguments], **(defaults | options))  # type: ignore[call-overload,no-any-return]


def test_the_help_imports_nothing_heavy() -> None:
    code = f"""
import sys, journeyman
sys.argv = ["journeyman", "--help"]
try:
    journeyman.main()
except SystemExit as end:
    assert end.code == 0
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_the_help_takes_little_processor_time() -> None:
    journeyman("--help")
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        journeyman("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.15


def test_the_help_names_every_exit_code() -> None:
    shown = journeyman("--help").stdout
    for outcome in Outcome:
        assert f"{outcome.exit_code:>3}  {outcome.label}" in shown


@pytest.mark.parametrize(
    "command",
    ["run", "init", "sessions", "resume", "log", "doctor", "model", "setup", "demo", "clean"],
)
def test_every_command_explains_itself(command: str) -> None:
    done = journeyman(command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"Usage: journeyman {command}")


def test_the_evidence_levels_of_the_option_are_those_of_the_record() -> None:
    assert LEVELS == EVIDENCE_LEVELS


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "x", "--max-steps", "none"],
        ["run", "x", "--output", "xml"],
        ["run", "x", "--repo", "/does/not/exist"],
        ["run", "x", "-o", "/does/not/exist/a.patch"],
        ["run", "   "],
        ["run", "x", "--max-cost", "much"],
        ["resume", "no-such-session"],
        ["resume"],
        ["log", "verify", "no-such-session"],
        ["log", "show", "../../etc"],
        ["init", "--repo", "/does/not/exist"],
    ],
    ids=" ".join,
)
def test_wrong_use_is_two_lines_and_exit_2(arguments: list[str], tmp_path: Path) -> None:
    done = journeyman(*arguments, cwd=tmp_path)
    assert done.returncode == Outcome.USAGE.exit_code, done.stderr
    first, second = done.stderr.splitlines()
    assert first.startswith("Error: ")
    assert second.startswith("  Next: ")
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_wrong_use_is_one_object_where_an_object_was_asked_for() -> None:
    done = journeyman("run", "x", "--repo", "/does/not/exist", "--output", "json")
    result = json.loads(done.stdout)
    assert (result["outcome"], result["exit_code"]) == ("usage", 2)
    assert "/does/not/exist" in result["reason"]
    assert "--repo" in result["reason"], "what to do next is said here too"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "x", "--nonsense", "--output", "json"],
        ["run", "--output=json"],
        ["run", "x", "--output", "json", "--max-steps", "none"],
        ["run", "x", "--require", "much", "--output", "stream-json"],
        ["run", "x", "--output", "json", "-o"],
        ["resume", "a", "b", "--output", "json"],
        ["demo", "--nonsense", "--output=stream-json"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_read_is_one_object_too(arguments: list[str]) -> None:
    done = journeyman(*arguments)
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert (result["type"], result["outcome"], result["exit_code"]) == ("result", "usage", 2)
    assert done.returncode == Outcome.USAGE.exit_code
    first, second = done.stderr.splitlines()
    assert first.startswith("Error: ")
    assert second.startswith("  Next: ")
    assert second.removeprefix("  Next: ") in result["reason"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "x", "--nonsense", "--", "--output", "json"],
        ["run", "x", "--nonsense", "--output", "json", "--output", "text"],
    ],
    ids=" ".join,
)
def test_an_object_that_was_not_asked_for_is_not_printed(arguments: list[str]) -> None:
    done = journeyman(*arguments)
    assert done.returncode == Outcome.USAGE.exit_code
    assert not done.stdout


def test_a_fault_of_ours_is_two_lines_and_a_file(tmp_path: Path) -> None:
    code = """
import sys, journeyman
import agent.doors.cli.sessions as module
def broken():
    raise ZeroDivisionError("inside")
module.sessions.callback = broken
sys.argv = ["journeyman", "sessions"]
journeyman.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == Outcome.INTERNAL_ERROR.exit_code
    first, second = done.stderr.splitlines()
    assert first == "Error: a fault of Journeyman itself (ZeroDivisionError)."
    file = Path(second.rpartition(" ")[2])
    assert "ZeroDivisionError: inside" in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_project_file_nobody_agreed_to_needs_a_person(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    (repo / ".journeyman").mkdir(parents=True)
    (repo / ".journeyman" / "config.toml").write_text('[environment]\ntest = "make test"\n')
    done = journeyman("run", "x", "--repo", str(repo), "--output", "json")
    assert done.returncode == Outcome.NEEDS_PERSON.exit_code
    assert json.loads(done.stdout)["outcome"] == "needs_person"


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["sessions"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error(arguments: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        done = journeyman(
            *arguments, capture_output=False, stdout=write_end, stderr=subprocess.PIPE
        )
    finally:
        os.close(write_end)
    assert "Error" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closing", ["2>&-", "2>/dev/full", "1>&-", "1>/dev/full"])
def test_a_stream_that_takes_nothing_changes_no_exit_code(closing: str) -> None:
    wrong = ["run", "x", "--repo", "/does/not/exist", "--output", "json"]
    command = shlex.join([*START, *wrong])
    done = subprocess.run(["sh", "-c", f"{command} {closing}"], capture_output=True, timeout=60)
    assert done.returncode == Outcome.USAGE.exit_code, done
    assert b"Traceback" not in done.stderr


def test_the_command_works_where_there_is_no_locale_and_no_terminal() -> None:
    bare = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C",
        "JOURNEYMAN_HOME": os.environ["JOURNEYMAN_HOME"],
    }
    done = journeyman("sessions", env=bare)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
