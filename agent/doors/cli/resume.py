"""`journeyman resume`: go on with a session that was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.doors.cli.failure import Failure
from agent.doors.cli.given import check_patch_file
from agent.doors.cli.options import result_options
from agent.outcome import Outcome

if TYPE_CHECKING:
    from agent.doors.cli.output import Form
    from agent.settings import Settings


@click.command()
@click.argument("session", default="")
@result_options
def resume(session: str, output: Form, patch_file: Path | None, *, apply: bool) -> int:
    """Go on with a session that did not come to its end: stopped, killed, or short of something.

    Without a name: with the last such one in this folder.
    """
    from agent.doors.cli.output import Output
    from agent.doors.cli.work import Work
    from agent.session import Observe, Session
    from agent.settings import load
    from tools.workbench import Approve

    def begin(approve: Approve, observe: Observe) -> Session:
        check_patch_file(patch_file)
        settings = load()
        name = session or last_unfinished(settings)
        return Session.resume(name, settings, approve=approve, observe=observe)

    return Work(Output(output), patch_file=patch_file, apply=apply).run(begin)


def last_unfinished(settings: Settings) -> str:
    """The session to go on with where none is named: the last one in this folder without an end.

    Raises:
        Failure: There is none.
    """
    from agent.session import RESUMABLE
    from agent.session_store import CUT_OFF, list_sessions

    here = Path.cwd()
    found = [
        summary
        for summary in list_sessions(settings)
        if summary.outcome in {CUT_OFF, *RESUMABLE} and here.is_relative_to(summary.repo)
    ]
    if not found:
        raise Failure(
            f"no session in {here} is without its end",
            remedy="journeyman sessions lists all; name one to resume it",
            outcome=Outcome.USAGE,
        )
    return max(found, key=lambda summary: summary.at).id
