"""`journeyman log`: read a session's log, and check that nothing in it was changed."""

from __future__ import annotations

from pathlib import Path

import click

from agent.doors.cli.failure import Failure
from agent.outcome import Outcome


@click.group()
def log() -> None:
    """Check or read a session's log."""


@log.command()
@click.argument("session", default="")
def verify(session: str) -> int:
    """Check the whole chain of SESSION's log; without a name, of the newest.

    Exit codes: 0 whole, 4 not whole, 2 unreadable or no such session.
    """
    from agent.doors.clean_text import clean_line
    from agent.session_store import seal_key
    from agent.settings import state_folder
    from policies.log import LogUnreadable
    from policies.log import verify as verify_log

    home = state_folder()
    try:
        verification = verify_log(log_folder(home, session), key=seal_key(home))
    except LogUnreadable as error:
        raise Failure(
            str(error), remedy="restore the session's folder from a backup", outcome=Outcome.USAGE
        ) from error
    for finding in verification.findings:
        click.echo(clean_line(finding, limit=400))
    if verification.whole:
        click.echo(f"whole: {verification.records} records")
        return Outcome.VERIFIED.exit_code
    click.echo(f"not whole: {verification.records} records read")
    return Outcome.UNSOLVED.exit_code


@log.command()
@click.argument("session", default="")
def show(session: str) -> int:
    """Print SESSION's records, one after the other; without a name, the newest's."""
    from agent.doors.clean_text import clean_line
    from agent.doors.cli.render import render
    from agent.doors.cli.screen import lines, plain_console
    from agent.settings import state_folder
    from policies.log import LogUnreadable, read

    console = plain_console()
    try:
        for envelope, record in read(log_folder(state_folder(), session)):
            click.echo(f"{envelope.seq:>5}  {clean_line(str(envelope.at))}  {record.type}")
            for renderable in render(record):
                for line in lines(console, renderable):
                    click.echo(f"       {line}")
    except LogUnreadable as error:
        raise Failure(
            str(error),
            remedy=f"see what is wrong: journeyman log verify {session}".rstrip(),
            outcome=Outcome.USAGE,
        ) from error
    return Outcome.VERIFIED.exit_code


def log_folder(home: Path, session: str) -> Path:
    """Where a session's log lies; without a name, the newest's.

    Raises:
        Failure: There is no such session.
    """
    found = [path.name for path in (home / "sessions").glob("*/")]
    if not session and not found:
        raise Failure(
            "there is no session yet",
            remedy='begin one: journeyman run "TASK"',
            outcome=Outcome.USAGE,
        )
    session = session or max(found)  # a name begins with its time
    folder = home / "sessions" / session
    if Path(session).name != session or not folder.is_dir():
        raise Failure(
            f"there is no session {session}",
            remedy="journeyman sessions lists them",
            outcome=Outcome.USAGE,
        )
    return folder
