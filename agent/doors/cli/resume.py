"""`journeyman resume`: go on with a session that was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.doors.cli.failure import Failure
from agent.doors.cli.given import check_patch_file
from agent.doors.cli.options import limit_flags, limit_options, result_options
from agent.outcome import Outcome

if TYPE_CHECKING:
    from agent.doors.cli.output import Form
    from agent.settings import Settings


@click.command()
@click.argument("session", default="")
@limit_options(*["as before"] * 4)
@result_options
def resume(
    session: str, output: Form, patch_file: Path | None, *, apply: bool, **options: Any
) -> int:
    """Go on with a session that did not come to its end: stopped, killed, or short of something.

    Without a name: with the last such one in this folder. A limit is of the whole session: what
    was spent before counts. One that ran out of budget goes on only with more of it.
    """
    from agent.doors.cli.output import Output
    from agent.doors.cli.work import Work
    from agent.session import Observe, Session
    from agent.settings import load
    from tools.workbench import Approve

    def begin(approve: Approve, observe: Observe) -> Session:
        check_patch_file(patch_file)
        flags = limit_flags(options)
        settings = load(flags=flags)
        limits = new_limits(settings, flags)
        name = session or last_unfinished(settings, more=bool(limits))
        return Session.resume(name, settings, approve=approve, observe=observe, limits=limits)

    return Work(Output(output), patch_file=patch_file, apply=apply).run(begin)


def new_limits(settings: Settings, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `Limits` that were given, with the administrator's word on them.

    Raises:
        Failure: More was given than the administrator allows.
    """
    limits: dict[str, Any] = {}
    for key, value in flags.items():
        if value is None:
            continue
        name = key.rpartition(".")[2]
        limits[name] = getattr(settings.limits, name)
        if limits[name] < Decimal(str(value)):
            raise Failure(
                f"{key} may be {limits[name]} at most on this machine, by its managed settings",
                remedy=f"give no more than {limits[name]}, or ask the administrator",
                outcome=Outcome.USAGE,
            )
    return limits


def last_unfinished(settings: Settings, *, more: bool = False) -> str:
    """The session to go on with where none is named: the last one in this folder without an end.

    Args:
        settings: Say where sessions lie.
        more: More may be spent: one that ran out of budget counts as well.

    Raises:
        Failure: There is none.
    """
    from agent.session import OUT_OF_BUDGET, RESUMABLE
    from agent.session_store import CUT_OFF, list_sessions

    here = Path.cwd()
    wanted = {CUT_OFF, *RESUMABLE} | ({OUT_OF_BUDGET} if more else set())
    found = [
        summary
        for summary in list_sessions(settings)
        if summary.outcome in wanted and here.is_relative_to(summary.repo)
    ]
    if not found:
        raise Failure(
            f"no session in {here} is without its end",
            remedy="journeyman sessions lists all; name one to resume it",
            outcome=Outcome.USAGE,
        )
    return max(found, key=lambda summary: summary.at).id
