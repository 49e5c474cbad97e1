"""`journeyman doctor`: is everything there that a run needs, and what to do where it is not."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from agent.doors.cli.failure import Failure, crashed, failure_of
from agent.outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path

_NEEDED_BYTES = 3 * 1024**3
"""The base image, one project's layers, and a workspace."""


class Check(NamedTuple):
    """One need: its name, and a look that says how it stands or raises an error with a remedy."""

    name: str
    look: Callable[[], str]


@click.command()
def doctor() -> int:
    """Check each thing a run needs. Exit codes: 0 all there, 3 something is missing."""
    from agent.settings import state_folder

    missing = 0
    home = state_folder()
    for check in _checks(home):
        try:
            click.echo(f"ok       {check.name:<10} {check.look()}")
        except Exception as error:  # noqa: BLE001  a check that breaks is a finding like any other
            missing += 1
            failure = failure_of(error) or crashed(error)
            click.echo(f"missing  {check.name:<10} {failure.message}")
            click.echo(f"         {'':<10} Next: {failure.remedy}")
    return Outcome.ENVIRONMENT.exit_code if missing else Outcome.VERIFIED.exit_code


def _checks(home: Path) -> Iterator[Check]:
    yield Check("Python", lambda: f"{platform.python_version()} at {sys.executable}")
    yield Check("disk", lambda: _disk(home))
    yield Check("git", _git)
    yield Check("Docker", _docker)
    yield Check("image", _image)
    yield Check("seccomp", _seccomp)
    yield Check("sandbox", _sandbox)
    yield Check("Redis", lambda: _redis(home))
    yield Check("Qdrant", lambda: _qdrant(home))


def _disk(home: Path) -> str:
    free = shutil.disk_usage(home).free
    text = f"{free / 1024**3:.1f} GiB free at {home}"
    if free < _NEEDED_BYTES:
        raise Failure(
            f"only {text}; 3 GiB are wanted",
            remedy="free some, or name a folder on another disk in JOURNEYMAN_HOME",
            outcome=Outcome.ENVIRONMENT,
        )
    return text


def _git() -> str:
    found = shutil.which("git")
    if not found:
        raise Failure(
            "there is no git, which --apply needs",
            remedy="install it (apt-get install git)",
            outcome=Outcome.ENVIRONMENT,
        )
    return found


def _docker() -> str:
    from sandbox.engine import connect

    client = connect()
    try:
        return f"answers, version {client.version()['Version']}"
    finally:
        client.close()


def _image() -> str:
    from sandbox.image import base_image

    def not_built(_progress: str) -> NoReturn:
        """A first word of progress means that it is not there."""
        raise Failure(
            "the sandbox image is not built yet",
            remedy="journeyman setup (the first run builds it as well)",
            outcome=Outcome.ENVIRONMENT,
        )

    return base_image(not_built)


def _seccomp() -> str:
    from sandbox.seccomp import filters

    machine, known = platform.machine(), filters()
    if machine not in known:
        raise Failure(
            f"there is no system call table for {machine}",
            remedy=f"use a machine of one of these kinds: {', '.join(sorted(known))}",
            outcome=Outcome.ENVIRONMENT,
        )
    return f"table for {machine}"


def _sandbox() -> str:
    from sandbox.docker_sandbox import DockerSandbox

    began = time.monotonic()
    with DockerSandbox.open(_image(), session_id="doctor") as box:
        box.perform("shell", {"command": "true"}, timeout_s=20)
    return f"a command ran in a fresh one, {time.monotonic() - began:.1f} s"


def _redis(home: Path) -> str:
    from memory.redis_server import connect

    client = connect(home)
    version = client.info("server")["redis_version"]
    return f"answers, version {version}"


def _qdrant(home: Path) -> str:
    from memory.solutions import open_solutions

    open_solutions(home).recall("doctor", limit=1)
    return "answers"
