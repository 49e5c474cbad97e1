"""What goes to stdout, what to stderr, and when colours belong there."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent.doors.cli.output import Output, may_colour
from agent.result import Result
from tests.doors.records import EVIDENCE, RECORDS

ROOT = Path(__file__).resolve().parents[2]
PATCH = "diff --git a/a b/a\r\n+\x1b[31mred\n"
RESULT = Result(
    session_id="s", outcome="verified", exit_code=0, reason="r", evidence=EVIDENCE, patch=PATCH
)


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({}, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(
    variables: dict[str, str], *, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    mine, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        assert may_colour(terminal) is coloured
    os.close(mine)


def test_a_file_gets_no_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with (tmp_path / "file").open("w") as file:
        assert not may_colour(file)


def test_text_puts_the_patch_on_stdout_byte_for_byte(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    output = Output("text")
    output.show_patch(RESULT.patch)
    output.finish(RESULT)
    shown, told = capfdbinary.readouterr()
    assert shown == PATCH.encode()
    assert told.startswith(b"verified: r\n")


def test_json_puts_one_object_on_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    output = Output("json")
    for record in RECORDS:
        output.observe(record)
    output.show_patch(RESULT.patch)
    output.finish(RESULT)
    shown, told = capfdbinary.readouterr()
    fields = json.loads(shown)
    assert (fields["type"], fields["patch"]) == ("result", PATCH)
    assert b"Evidence: failing-test" in told
    assert b"\x1b" not in told


def test_a_stream_is_one_record_a_line_and_the_result_last(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    output = Output("stream-json")
    for record in RECORDS:
        output.observe(record)
    output.finish(RESULT)
    lines = capfdbinary.readouterr().out.splitlines()
    kinds = [json.loads(line)["type"] for line in lines]
    assert kinds == [r.type for r in RECORDS if r.type != "session_ended"] + ["result"]


def test_a_reader_that_went_away_is_noted_and_nothing_breaks() -> None:
    code = """
import os
from agent.doors.cli.output import Output
from tests.doors.records import RECORDS
read_end, write_end = os.pipe()
os.close(read_end)
os.dup2(write_end, 1)
output = Output("stream-json")
for record in RECORDS:
    output.observe(record)
os._exit(7 if output.gone else 8)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode == 7, done.stderr
