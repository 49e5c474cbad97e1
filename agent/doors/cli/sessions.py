"""`journeyman sessions`: what was done on this machine."""

from __future__ import annotations

import click


@click.command()
def sessions() -> None:
    """List the sessions, newest first.

    A line is name, time of its beginning, outcome, folder and task.
    """
    from datetime import datetime

    from agent.doors.clean_text import clean_line
    from agent.session_store import list_sessions
    from agent.settings import load

    found = sorted(list_sessions(load()), key=lambda summary: summary.at, reverse=True)
    if not found:
        click.echo('No sessions yet. Begin one: journeyman run "TASK"', err=True)
    for summary in found:
        began = f"{datetime.fromisoformat(summary.at).astimezone():%Y-%m-%d %H:%M:%S}"
        folder, task = clean_line(str(summary.repo)), clean_line(summary.text, limit=60)
        click.echo(f"{summary.id}  {began}  {summary.outcome:<14}  {folder}  {task}")
