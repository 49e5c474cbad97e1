"""`journeyman doctor`: is everything there that a run needs, and what to do where it is not."""

from __future__ import annotations

import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import click

from agent.doors.clean_text import clean_line
from agent.doors.cli.failure import Failure, crashed, failure_of
from agent.outcome import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.conformance.table import Finding
    from sandbox.supervised import SupervisedSandbox

_NEEDED_BYTES = 3 * 1024**3
"""The base image, one project's layers, and a workspace."""


_LINE = 400


class Check(NamedTuple):
    """One need: its name, and a look that says how it stands or raises an error with a remedy."""

    name: str
    look: Callable[[], str]


@click.command()
@click.option(
    "--sandbox",
    type=click.Choice(["docker", "bubblewrap"]),
    default="docker",
    show_default=True,
    help="The sandbox to look at.",
)
@click.option(
    "--full", is_flag=True, help="Also try to break out of it and to break it; takes minutes."
)
def doctor(*, sandbox: str, full: bool) -> int:
    """Check each thing a run needs. Exit codes: 0 all there, 3 something is missing or failed.

    With --full, one line for each row of the table of attacks: ok, NOT PROTECTED (where this kind
    of sandbox has no such protection, and says so in each result), or FAILED.
    """
    from agent.settings import state_folder

    home = state_folder()
    missing = [check.name for check in _checks(home, sandbox) if not _is_there(check)]
    failed = 0
    if full and "sandbox" in missing:
        click.echo("The table of attacks was not run: there is no sandbox to run it in.")
    elif full:
        from sandbox.conformance.table import check
        from sandbox.docker_sandbox import DEFAULT_LIMITS

        failed = show(check(lambda: _open(sandbox), DEFAULT_LIMITS))
    return Outcome.ENVIRONMENT.exit_code if missing or failed else Outcome.VERIFIED.exit_code


def _is_there(check: Check) -> bool:
    try:
        click.echo(f"ok       {check.name:<10} {check.look()}")
    except Exception as error:  # noqa: BLE001  a check that breaks is a finding like any other
        failure = failure_of(error) or crashed(error)
        click.echo(f"missing  {check.name:<10} {failure.message}")
        click.echo(f"         {'':<10} Next: {failure.remedy}")
        return False
    return True


def show(findings: Iterable[Finding]) -> int:
    """Print a line for each row of the table, and how many there are of each outcome.

    Returns:
        How many failed.
    """
    counts = {"ok": 0, "not protected": 0, "failed": 0}
    for finding in findings:
        counts[finding.outcome] += 1
        word = finding.outcome if finding.outcome == "ok" else finding.outcome.upper()
        detail = f": {finding.detail}" if finding.detail else ""
        line = f"{word:<13}  {finding.row.number:>2}  {finding.row.name}{detail}"
        click.echo(clean_line(line, limit=_LINE))
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return counts["failed"]


def _checks(home: Path, kind: str) -> Iterator[Check]:
    yield Check("Python", lambda: f"{platform.python_version()} at {sys.executable}")
    yield Check("disk", lambda: _disk(home))
    yield Check("git", _git)
    if kind == "docker":
        yield Check("Docker", _docker)
        yield Check("image", _image)
    yield Check("seccomp", _seccomp)
    yield Check("sandbox", lambda: _sandbox(kind))
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


def _sandbox(kind: str) -> str:
    began = time.monotonic()
    with _open(kind) as box:
        box.perform("shell", {"command": "true"}, timeout_s=20)
        weak = len(box.description.weaknesses)
    said = f", {weak} things it does not protect from" if weak else ""
    return f"a command ran in a fresh {kind}, {time.monotonic() - began:.1f} s{said}"


def _open(kind: str) -> SupervisedSandbox:
    if kind == "bubblewrap":
        from sandbox.bubblewrap import BubblewrapSandbox

        return BubblewrapSandbox.open(session_id="doctor")
    from sandbox.docker_sandbox import DockerSandbox

    return DockerSandbox.open(_image(), session_id="doctor")


def _redis(home: Path) -> str:
    from memory.redis_server import connect

    client = connect(home)
    version = client.info("server")["redis_version"]
    return f"answers, version {version}"


def _qdrant(home: Path) -> str:
    from memory.solutions import open_solutions

    open_solutions(home).recall("doctor", limit=1)
    return "answers"
