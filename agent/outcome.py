"""How a run ends: one enum of outcomes with their exit codes, and the result every door reports."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict

from policies.record import Evidence


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


class Result(BaseModel):
    """What a run ends with, the same for every door.

    `cost_usd` is decimal text; None where a call's price is not known. `seconds` is wall time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    session_id: str
    outcome: str
    exit_code: int
    reason: str
    evidence: Evidence
    patch: str = ""
    alternatives: tuple[str, ...] = ()
    """Other plausible patches, when the outcome is a proposal."""
    confidence: float | None = None
    steps: int = 0
    seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: str | None = "0"
    candidates: int = 0
    log: str = ""
    """Where the session's log lies."""
    notes: tuple[str, ...] = ()
