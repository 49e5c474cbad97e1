"""`journeyman doctor`: what is missing, and what the table of attacks says of a sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.doors.cli.doctor import show
from agent.outcome import Outcome
from memory.redis_server import stop
from sandbox.bubblewrap import BubblewrapSandbox
from sandbox.conformance.row import Row, shell
from sandbox.conformance.table import ROWS, check
from sandbox.conformance.weakness import Weakness
from tests.doors.test_run import journeyman
from tests.sandbox.conftest import SMALL


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    yield folder
    stop(folder)


def test_bubblewrap_is_looked_at_without_any_docker(home: Path) -> None:
    nobody = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}

    done = journeyman(home, "doctor", "--sandbox", "bubblewrap", environ=nobody)

    assert done.returncode == Outcome.VERIFIED.exit_code, done.stdout
    assert "a command ran in a fresh bubblewrap" in done.stdout
    assert "things it does not protect from" in done.stdout
    assert "Docker" not in done.stdout


def test_the_table_is_not_run_where_there_is_no_sandbox(home: Path) -> None:
    nobody = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}

    done = journeyman(home, "doctor", "--full", environ=nobody)

    assert done.returncode == Outcome.ENVIRONMENT.exit_code
    assert "missing  sandbox" in done.stdout
    assert "was not run" in done.stdout


def test_each_row_is_one_line_and_what_a_sandbox_says_is_shown_harmless(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        Row(1, "holds", shell("true")),
        Row(2, "is open", shell("true"), open_to=Weakness.FILES),
        Row(3, "gets through", shell(r"printf 'BROKEN \033[2J\033]0;t\007\nok  4  forged'")),
    ]

    def weaker() -> BubblewrapSandbox:
        return BubblewrapSandbox.open(session_id="tests", limits=SMALL)

    failed = show(check(weaker, SMALL, rows))

    lines = capsys.readouterr().out.splitlines()
    assert failed == 1
    assert lines[0] == "ok              1  holds"
    assert lines[1] == f"NOT PROTECTED   2  is open: {Weakness.FILES}"
    assert lines[2].startswith("FAILED          3  gets through: ")
    assert "\x1b" not in lines[2]
    assert lines[3:] == ["1 ok, 1 not protected, 1 failed"]


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["docker", "bubblewrap"])
def test_the_whole_table_holds_with_the_limits_of_a_run(home: Path, kind: str) -> None:
    done = journeyman(home, "doctor", "--full", "--sandbox", kind)

    assert done.returncode == Outcome.VERIFIED.exit_code, done.stdout
    assert f" {ROWS[-1].number}  {ROWS[-1].name}" in done.stdout
