"""Who says what to do next: the `Proposer` protocol and the plain data it sees and gives.

A proposer decides; it never does. What it wants done it names as tool calls, the loop does them
through the workbench, and "done" is only a claim that `verify` looks at. Everything a proposer
must remember lies in `mind` (plain JSON data, checkpointed by the loop), so that a new process can
go on where another stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from agent.task import Task
from policies.action import Observation
from policies.record import Evidence, Plan


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool by name with its arguments; `id` is what the answer must name (chat models)."""

    name: str
    arguments: dict[str, Any]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """A call that was performed: what came back, and its text for a model."""

    call: ToolCall
    observation: Observation
    text: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What a proposer may know when it decides.

    Attributes:
        task: What is asked.
        environment: Facts for the proposer: `test_command`, `runner`, `python`, `baseline` (counts
            and failing test ids with messages), `languages`, `instructions` (AGENTS.md and its like).
        plan: The plan as it stands.
        recalled: Past solutions, most similar first (plain data of `memory/solutions.py`).
        last: What the calls of the step before brought, in order.
        verification: What `verify` said of the last claim; None before the first.
        replan: Why the plan must be revised now; empty otherwise.
        remaining: What is left of the budget, by name: steps, seconds, tokens, cost_usd.
        mind: What this proposer kept from before (its own JSON data).
        step: Number of this step.
        news: What became of the sandbox since the last proposal, one sentence each.
    """

    task: Task
    environment: dict[str, Any]
    plan: Plan
    recalled: tuple[dict[str, Any], ...]
    last: tuple[Done, ...]
    verification: Evidence | None
    replan: str
    remaining: dict[str, float]
    mind: dict[str, Any]
    step: int
    news: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a proposer says: calls to do, or a claim to be done, or that it gives up.

    Attributes:
        calls: Tools to call, in order.
        text: Words for people.
        plan: A revised plan, where it changed.
        claims_done: The workspace holds the patch: verify it.
        gives_up: Why nothing more will be tried; empty otherwise.
        confidence: In [0, 1]; None where the proposer has no measure.
        alternatives: Other plausible patches (git diffs).
        candidates: How many candidates were tried since the last proposal.
        mind: What to keep for the next call.
    """

    mind: dict[str, Any]
    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    plan: Plan | None = None
    claims_done: bool = False
    gives_up: str = ""
    confidence: float | None = None
    alternatives: tuple[str, ...] = ()
    candidates: int = 0
    notes: tuple[str, ...] = field(default_factory=tuple)


class ProposerError(Exception):
    """The proposer cannot go on: the model is out of reach, refuses, or never answers usefully.

    Args:
        happened: One sentence without a full stop.
        remedy: What the user does next.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


class Proposer(Protocol):
    """Decides what to do next; the same protocol for a chat model and for the search."""

    @property
    def name(self) -> str:
        """As the user names it: `builtin`, `openai/…`."""
        ...

    def plan(self, situation: Situation) -> Proposal:
        """The first plan (in `Proposal.plan`); may cost no call at all."""
        ...

    def propose(self, situation: Situation) -> Proposal:
        """The next step.

        Raises:
            ProposerError: It cannot go on.
        """
        ...
