"""What is asked: one task on one repository, as every door builds it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from policies.record import EvidenceLevel


class Limits(BaseModel):
    """What a session may spend. Each is hard: reserved before it is spent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=100, gt=0)
    seconds: float = Field(default=3600.0, gt=0)
    tokens: int = Field(default=2_000_000, gt=0)
    cost_usd: Decimal = Field(default=Decimal(3), ge=0)


class Task(BaseModel):
    """One task.

    Attributes:
        text: What is wanted, in the user's words.
        repo: The folder to work on; never touched before the end.
        test_command: The user's own word (`--test`); empty: the environment's.
        setup: The user's own setup command (`--setup`); None: the environment's.
        failing: Tests said to be red; empty: found by running them.
        model: A model's name, `builtin`, or empty: settings, else `builtin` where it can work.
        fallbacks: Chat models that take over, in this order, where one cannot be had.
        base_url: For `openai-compatible/…`, and for the first model whatever it is.
        require: The evidence level asked for; None: what the task's kind needs.
        sandbox: Which kind of sandbox.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    repo: Path
    test_command: str = ""
    setup: str | None = None
    failing: tuple[str, ...] = ()
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    base_url: str = ""
    require: EvidenceLevel | None = None
    sandbox: Literal["docker", "bubblewrap"] = "docker"
    limits: Limits = Limits()
