"""How a run ends when something ended it: each error's outcome and its words, in one place."""

from __future__ import annotations

import traceback
from pathlib import Path

from agent import disk
from agent.baseline import NoTestRan, NothingFails
from agent.loop.nodes import Stopped
from agent.models.names import KeyMissing, ModelNameError, PackageMissing
from agent.outcome import Outcome
from memory.errors import CheckpointRefused, MemoryUnavailable
from policies.action import Decision, Verdict
from policies.log import LogError
from sandbox.errors import SandboxError


class Refused(Exception):
    """Policy does not allow it, or the person asked said no.

    Args:
        happened: What was refused and by which rule, as one sentence without a full stop.
        remedy: What to do next.
        outcome: REFUSED, or NEEDS_PERSON where nobody was there to be asked.
    """

    def __init__(self, happened: str, *, remedy: str, outcome: Outcome = Outcome.REFUSED) -> None:
        super().__init__(happened)
        self.remedy = remedy
        self.outcome = outcome


def refuse(verdict: Verdict) -> None:
    """Go no further than a verdict allows.

    Raises:
        Refused: It is a no, or nobody was there to be asked.
    """
    if verdict.decision is Decision.ALLOW:
        return
    asked = verdict.decision is Decision.ASK
    raise Refused(
        f"{verdict.rule}: {verdict.reason}".rstrip("."),
        remedy=verdict.remedy,
        outcome=Outcome.NEEDS_PERSON if asked else Outcome.REFUSED,
    )


def of(error: Exception, *, session_id: str, folder: Path) -> tuple[Outcome, str]:
    """The outcome that an error means, and the reason as one or two sentences.

    What is no known kind of error is a fault of ours: its trace is kept in the session's folder.
    """
    match error:
        case Stopped():
            return error.outcome, f"go on with `journeyman resume {session_id}`"
        case NothingFails():
            return Outcome.UNSOLVED, f"nothing fails: {error}"
        case Refused():
            outcome = error.outcome
        case NoTestRan() | SandboxError() | MemoryUnavailable() | CheckpointRefused() | LogError():
            outcome = Outcome.ENVIRONMENT
        case KeyMissing() | PackageMissing():
            outcome = Outcome.ENVIRONMENT
        case ModelNameError():
            outcome = Outcome.USAGE
        case _ if full := disk.refused(error):
            return Outcome.ENVIRONMENT, ". ".join(full)
        case _:
            crash = folder / "crash.txt"
            crash.write_text("".join(traceback.format_exception(error)), "utf-8")
            reason = f"{type(error).__name__}: {error}. The trace lies in {crash}"
            return Outcome.INTERNAL_ERROR, reason
    return outcome, f"{error}. {error.remedy}".rstrip()
