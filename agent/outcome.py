"""How a run ends: one enum of outcomes with their exit codes.

`Result`, what every door reports, lies in `agent/result.py` and is given here on demand: the
command line's help needs the exit codes and must not wait for pydantic.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.result import Result

__all__ = ["Outcome", "Result", "exit_code_table"]


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


def __getattr__(name: str) -> type:
    """Give `Result` without importing pydantic before someone asks for it."""
    if name == "Result":
        from agent.result import Result  # noqa: PLC0415  the point is to import it late

        return Result
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
