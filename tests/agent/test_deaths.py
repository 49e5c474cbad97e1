"""What a run stands on dies under it: Redis, the container, the Docker engine, the disk, the terminal.

Each time the run ends by itself or can be gone on with, to the same patch, and the user's tree is
as it was.
"""

from __future__ import annotations

import contextlib
import os
import pty
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.outcome import Outcome
from sandbox import orphans
from sandbox.engine import connect
from tests.agent.crashes import COMMAND, Crashing, assert_as_if_nothing_had_happened, tree_of
from tests.relay import Relay
from tests.sessions import copy_red_test

RUN_S = 4.0
"""Less than a whole run takes where nothing else is going on."""
ENVIRONMENT = Outcome.ENVIRONMENT.exit_code
VERIFIED = Outcome.VERIFIED.exit_code


@pytest.fixture
def run(tmp_path: Path) -> Crashing:
    return Crashing(tmp_path / "state", copy_red_test(tmp_path))


def while_it_runs(process: subprocess.Popen[bytes], strike: Callable[[], bool], at: float) -> int:
    """Strike as soon as there is something to strike at, after some seconds; the exit code."""
    time.sleep(at)
    while process.poll() is None and not strike():
        time.sleep(0.01)
    return process.wait(timeout=180)


def go_on(run: Crashing, code: int) -> None:
    """Do what is left to do after the run ended with `code`."""
    said = (run.home / "stderr.txt").read_text()
    assert code in {VERIFIED, ENVIRONMENT}, said
    assert "Traceback" not in said
    if code != VERIFIED:
        run.finish()


def instants(seeds: int) -> list[float]:
    chance = random.Random(7)
    return [round(chance.uniform(0, RUN_S), 2) for _ in range(seeds)]


def one_of(seeds: int) -> list[object]:
    """The first instant for every run of the suite, the others for the soak."""
    first, *others = instants(seeds)
    return [pytest.param(first), *(pytest.param(at, marks=pytest.mark.soak) for at in others)]


def kill_redis(run: Crashing) -> bool:
    try:
        pid = int((run.home / "redis" / "server.pid").read_text())
        os.kill(pid, signal.SIGKILL)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        return False
    return True


def kill_container(run: Crashing) -> bool:
    client = connect()
    filters = {"label": f"{orphans.SESSION}={run.session()}"}
    found = client.api.containers(filters=filters) if run.session() else []
    for container in found:
        with contextlib.suppress(Exception):  # it may have ended meanwhile
            client.api.kill(container["Id"])
    client.close()
    return bool(found)


def assert_outlives_its_redis(run: Crashing, at: float) -> None:
    before = tree_of(run.repo)
    with run.begin() as process:
        code = while_it_runs(process, lambda: kill_redis(run), at)
    assert code == VERIFIED, (run.home / "stderr.txt").read_text()
    assert_as_if_nothing_had_happened(run, before)


@pytest.mark.parametrize("at", instants(1))
def test_a_redis_server_that_dies_is_started_again(run: Crashing, at: float) -> None:
    assert_outlives_its_redis(run, at)


@pytest.mark.soak
@pytest.mark.parametrize("at", instants(50))
def test_a_redis_server_that_dies_at_many_instants(run: Crashing, at: float) -> None:
    assert_outlives_its_redis(run, at)


@pytest.mark.parametrize("at", one_of(3))
def test_a_container_that_dies_is_opened_anew(run: Crashing, at: float) -> None:
    before = tree_of(run.repo)
    with run.begin() as process:
        code = while_it_runs(process, lambda: kill_container(run), at)
    go_on(run, code)
    assert_as_if_nothing_had_happened(run, before)


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    target = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")
    with Relay(tmp_path / "docker.sock", Path(target)) as found:
        yield found


@pytest.mark.parametrize("at", one_of(3))
def test_a_docker_engine_that_dies_ends_the_run_and_it_goes_on_when_it_is_back(
    run: Crashing, relay: Relay, monkeypatch: pytest.MonkeyPatch, at: float
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")
    before = tree_of(run.repo)
    with run.begin() as process:
        code = while_it_runs(process, relay.cut, at)
    assert code == ENVIRONMENT, (run.home / "stderr.txt").read_text()
    relay.mend()
    go_on(run, code)
    assert_as_if_nothing_had_happened(run, before)


@pytest.mark.parametrize("room", [0, 4_000, 30_000, 60_000])
def test_a_disk_that_takes_no_more_ends_the_run_with_what_to_do(run: Crashing, room: int) -> None:
    before = tree_of(run.repo)
    # No file may grow beyond `room` bytes; what is said goes by a pipe, which has no such limit.
    run.prefix = ("bash", "-c", f'prlimit --fsize={room} "$@" 2> >(cat >&2)', "limited")
    code = run.begin().wait(timeout=180)
    run.prefix = ()
    said = (run.home / "stderr.txt").read_text()
    assert code == ENVIRONMENT, said
    assert "Traceback" not in said
    go_on(run, code)
    assert_as_if_nothing_had_happened(run, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("at", one_of(2))
def test_a_signal_at_any_instant_is_a_stop_that_can_be_gone_on_from(
    run: Crashing, number: int, at: float
) -> None:
    before = tree_of(run.repo)
    with run.begin() as process:
        time.sleep(at + 0.4)  # the interpreter's own start is not ours
        process.send_signal(number)
        code = process.wait(timeout=30)
    expected = Outcome.INTERRUPTED if number == signal.SIGINT else Outcome.TERMINATED
    assert code in {expected.exit_code, VERIFIED}, (run.home / "stderr.txt").read_text()
    assert "Traceback" not in (run.home / "stderr.txt").read_text()
    if code != VERIFIED:
        run.finish()
    assert_as_if_nothing_had_happened(run, before)


def test_a_terminal_that_is_closed_is_a_stop_that_can_be_gone_on_from(run: Crashing) -> None:
    before = tree_of(run.repo)
    mine, theirs = pty.openpty()
    run.home.mkdir()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *COMMAND, "run", "Mend it.", "--repo", str(run.repo)],
        env={**os.environ, "JOURNEYMAN_HOME": str(run.home)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    reading = threading.Thread(target=_drain, args=(mine, run), daemon=True)
    reading.start()
    while process.poll() is None and not run.kinds()["plan_made"]:
        time.sleep(0.01)
    run.home.joinpath("close").touch()
    reading.join()
    os.close(mine)
    code = process.wait(timeout=30)
    assert code in {Outcome.TERMINATED.exit_code, VERIFIED}
    run.finish()
    assert_as_if_nothing_had_happened(run, before)


def _drain(terminal: int, run: Crashing) -> None:
    """Read what is shown, as a terminal does, until it is to be closed."""
    os.set_blocking(terminal, False)
    while not (run.home / "close").exists():
        with contextlib.suppress(OSError):
            os.read(terminal, 4096)
        time.sleep(0.005)
