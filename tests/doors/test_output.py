"""What goes to stdout, what to stderr, and when colours belong there."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from rich.cells import cell_len

from agent.doors.cli.output import Output
from agent.doors.cli.screen import Screen, may_colour
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


SHOW = """
import sys, time
from agent.doors.cli.output import Output
from agent.doors.cli.screen import Screen
from policies.record import Noticed
from tests.doors.records import RECORDS, judged
from tests.doors.test_output import RESULT
from policies.action import RunTestsRequest, VerifyRequest
output = Output(sys.argv[1])
for record in RECORDS:
    output.observe(record)
output.observe(judged(RunTestsRequest(), tool="run_tests"))
time.sleep(0.4)
output.observe(Noticed(text="x" * 300))
time.sleep(0.4)
output.observe(judged(VerifyRequest(patch="")))
output.show_patch(RESULT.patch)
output.finish(RESULT)
print("end", file=sys.stderr)
"""


def on_a_terminal(form: str = "text", *, script: str = SHOW, **variables: str) -> str:
    """What a run (of every record) leaves on a terminal of 80 columns, byte for byte."""
    mine, theirs = pty.openpty()
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "TERM", "COLORTERM"}}
    command = [sys.executable, "-c", script, form]
    with subprocess.Popen(
        command, cwd=ROOT, env=kept | variables, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # how a terminal says that the other end has left
            while part := os.read(mine, 65536):
                seen += part
        assert process.wait(timeout=60) == 0, seen
    os.close(mine)
    return seen.decode()


def test_a_terminal_has_colours_and_a_status_that_leaves_nothing_behind() -> None:
    screen = on_a_terminal(TERM="xterm-256color")
    assert "\x1b[32mEvidence: failing-test\x1b[0m" in screen
    assert "\x1b[92m+" in screen, "the patch is coloured as a diff"
    assert "-\x1b[0m running the tests" in screen
    assert "verifying in a fresh sandbox" in screen
    assert "\x1b[?25l" not in screen, "a killed process could not bring the cursor back"
    assert "x" * 300 in screen, "a line is left to the terminal to wrap"
    assert "\x1b[2J" not in screen
    left = what_is_left(screen)
    assert "running the tests" not in left
    assert "verifying in" not in left
    assert left[-1] == "end"


def test_a_stream_that_is_watched_on_a_terminal_has_its_lines_to_itself() -> None:
    left = what_is_left(on_a_terminal("stream-json", TERM="xterm"))
    kinds = [json.loads(line)["type"] for line in left if '{"' in line]
    assert len(kinds) > len(RECORDS)
    assert kinds[-1] == "result"


LISTEN = """
import sys, time
from agent.doors.cli.output import Output
from policies.action import ModelRequest
from tests.doors.records import BAD, done, judged
said = ["x" * 90, "and so " * 90 + BAD + "\\u8a71" * 30 + "\\nto the end"]
output = Output(sys.argv[1])
output.overhear(lambda: said.pop(0) if len(said) > 1 else said[0])
output.observe(judged(ModelRequest(model="openai/a", messages=(), history="", max_output_tokens=1)))
time.sleep(1)
output.observe(done("model"))
print("end", file=sys.stderr)
"""
"""The model first says one thing, then another, which has wide characters in it."""


def test_what_a_model_says_meanwhile_stands_on_the_status_line_and_leaves_nothing() -> None:
    screen = on_a_terminal(TERM="xterm", script=LISTEN)
    frames = [frame for frame in re.split(r"[\r\n]+", screen) if "\u8a71" in frame]
    assert frames
    for frame in frames:
        (shown,) = what_is_left(frame)
        assert cell_len(shown) < 80, shown
        assert "\u8a71 to the end" in shown
        assert len(frame.encode()) < 200
    assert not set(screen) & {"\x07", "\u202e", "\x9b"}
    assert what_is_left(screen)[-1] == "end"
    assert "to the end" not in "".join(what_is_left(screen))


def test_no_one_hears_it_where_the_result_is_for_a_program_or_nothing_moves() -> None:
    as_json = on_a_terminal("json", TERM="xterm", script=LISTEN)
    assert "waiting for openai/a" in as_json
    assert "to the end" not in as_json
    for variables in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        plain = on_a_terminal(**variables, script=LISTEN)
        assert plain.splitlines()[1:] == ["end"], "only the call itself is told"


def test_off_a_terminal_lines_tell_that_it_goes_on_until_it_is_over(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.doors.cli.screen.STILL_S", 0.001)
    before, told = set(threading.enumerate()), ""
    with Screen().waiting_for("running the tests"):
        begun = set(threading.enumerate()) - before
        while told.count("\n") < 2:
            told += capfd.readouterr().err
    assert re.fullmatch(r"(     still running the tests \(\d+ s\)\n)+", told)
    assert begun
    for thread in begun:
        thread.join(30)
    assert not any(thread.is_alive() for thread in begun)


def what_is_left(screen: str) -> list[str]:
    """The lines after a terminal has obeyed: line erased, cursor up, colours dropped."""
    shown = [""]
    for part in re.split(r"(\x1b\[[0-9;?]*[a-zA-Z]|\r|\n)", screen):
        if part == "\n":
            shown.append("")
        elif part == "\x1b[2K":
            shown[-1] = ""
        elif part == "\x1b[1A":
            shown.pop()
        elif not part.startswith(("\x1b", "\r")):
            shown[-1] += part
    return [line for line in shown if line]


@pytest.mark.parametrize(
    "variables", [{"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}, {}], ids=str
)
def test_a_terminal_that_wants_no_colours_gets_plain_text_only(variables: dict[str, str]) -> None:
    screen = on_a_terminal(**variables, FORCE_COLOR="1", COLUMNS="20")
    assert "\x1b" not in screen
    assert screen.count("running the tests") == 0, "no status"
    assert "x" * 300 in screen
    assert "bubblewrap shares the kernel" in screen, "a table is not folded either"


def test_a_file_gets_every_line_whole_and_no_escapes(tmp_path: Path) -> None:
    plain = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": "20", "TTY_COMPATIBLE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW, "text"],
        cwd=ROOT,
        env=os.environ | plain,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == PATCH.encode()
    told = done.stderr.decode()
    assert "\x1b" not in told
    assert "x" * 300 in told
    assert "bubblewrap shares the kernel" in told
    assert "running the tests" not in told
    assert all(line == line.rstrip() for line in told.splitlines())
