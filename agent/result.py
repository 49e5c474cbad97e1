"""The result of a run, the same for every door: how it ended, the patch, and what stands behind it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from agent.spending import Spending
from policies.record import Evidence


class Result(BaseModel):
    """What a run ends with.

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
    spending: Spending = Spending()
    """The same by model, by step and by tool."""
    candidates: int = 0
    log: str = ""
    """Where the session's log lies."""
    notes: tuple[str, ...] = ()
