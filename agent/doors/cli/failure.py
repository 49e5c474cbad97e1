"""The one way an error reaches a user: what happened, and what to do next."""

from __future__ import annotations

import sys
from typing import IO, Any

import click
from typing_extensions import override

from agent import disk
from agent.doors.clean_text import clean
from agent.doors.cli.streams import write
from agent.outcome import Outcome

_OUTCOMES = {
    "KeyMissing": Outcome.ENVIRONMENT,
    "LogUnreadable": Outcome.USAGE,
    "PackageMissing": Outcome.ENVIRONMENT,
    "ModelNameError": Outcome.USAGE,
    "SettingsError": Outcome.USAGE,
    "UnknownSession": Outcome.USAGE,
    "Untrusted": Outcome.NEEDS_PERSON,
    "ModelFailure": Outcome.MODEL_ERROR,
    "ProposerError": Outcome.MODEL_ERROR,
}
"""How a run ends that a room's error of this name stopped, where the error does not say itself;
any other: the environment."""


class Failure(click.ClickException):
    """An error meant for people, shown as two lines.

    Args:
        happened: What happened, and to what, as one sentence without a full stop.
        remedy: What the reader does next; a command where there is one.
        outcome: How the run ends; gives the exit code.
    """

    def __init__(self, happened: str, *, remedy: str, outcome: Outcome) -> None:
        super().__init__(happened)
        self.remedy = remedy
        self.outcome = outcome

    @property
    def reason(self) -> str:
        """Both lines as one text, for a result."""
        return f"{self.message.rstrip('.')}. {self.remedy}"

    @override
    def show(self, file: IO[Any] | None = None) -> None:
        """Print `Error: …` and `  Next: …`."""
        happened = clean(self.message).rstrip(".")
        write(file or sys.stderr, f"Error: {happened}.\n  Next: {clean(self.remedy)}\n")


def failure_of(error: Exception) -> Failure | None:
    """A room's error with a way out as a `Failure`; None for a fault of ours.

    The rooms' errors share a form (`str(error)` and `.remedy`) and no base class: rooms do not
    import each other. Telling them by name keeps their imports out of the command line's start.
    """
    if isinstance(error, Failure):
        return error
    if full := disk.refused(error):
        return Failure(full[0], remedy=full[1], outcome=Outcome.ENVIRONMENT)
    remedy = getattr(error, "remedy", None)
    if not isinstance(remedy, str):
        return None
    ends = getattr(error, "outcome", None)
    if isinstance(ends, Outcome):
        return Failure(str(error), remedy=remedy, outcome=ends)
    names = [kind.__name__ for kind in type(error).__mro__]
    outcome = next((_OUTCOMES[n] for n in names if n in _OUTCOMES), Outcome.ENVIRONMENT)
    return Failure(str(error), remedy=remedy, outcome=outcome)


def crashed(error: Exception) -> Failure:
    """Keep a fault of ours in a file, and say where."""
    import tempfile
    import traceback

    from agent.settings import SettingsError, state_folder

    kind = type(error).__name__
    try:
        folder = state_folder() / "crashes"
        folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=folder, suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.writelines(traceback.format_exception(error))
        remedy = f"report it with the file {file.name}"
    except (SettingsError, OSError):
        remedy = f"report it with this text: {kind}: {error}"
    return Failure(
        f"a fault of Journeyman itself ({kind})", remedy=remedy, outcome=Outcome.INTERNAL_ERROR
    )
