"""How a run ends: one enum of outcomes with their exit codes.

It imports nothing of ours, so that the command line's help need not wait; the result that every
door reports is in `agent/result.py`.
"""

from __future__ import annotations

from enum import Enum


class Outcome(Enum):
    """The end of a run. The value is the process's exit code; the help text says what it means."""

    VERIFIED = 0, "the evidence that was asked for is there"
    INTERNAL_ERROR = 1, "a fault of Journeyman itself"
    USAGE = 2, "wrong use: an unknown option, a path that is not there"
    ENVIRONMENT = 3, "something needed is not there: Docker, an image, an interpreter, a setup step"
    UNSOLVED = 4, "no verified patch; one may be shown, marked with what stands behind it"
    REFUSED = 5, "policy does not allow it"
    MODEL_ERROR = 6, "the model could not be reached, or did not answer usefully"
    BUDGET = 7, "steps, seconds, tokens or money ran out"
    NEEDS_PERSON = 8, "a person has to answer first"
    INTERRUPTED = 130, "Ctrl-C; go on with `journeyman resume`"
    TERMINATED = 143, "SIGTERM; go on with `journeyman resume`"

    def __init__(self, exit_code: int, meaning: str) -> None:
        self.exit_code = exit_code
        self.meaning = meaning

    @property
    def label(self) -> str:
        """The word in JSON results, such as `needs_person`."""
        return self.name.lower()


def exit_code_table() -> str:
    """The exit codes as lines of `code  label  meaning`, for help texts and the README."""
    return "\n".join(f"{o.exit_code:>3}  {o.label:<14}  {o.meaning}" for o in Outcome)
