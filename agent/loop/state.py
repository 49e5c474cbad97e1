"""What the loop keeps between its nodes: plain JSON data, checkpointed at every arrow."""

from __future__ import annotations

from typing import Any, TypedDict


class LoopState(TypedDict, total=False):
    """What is checkpointed.

    Attributes:
        step: Number of the proposal under way.
        index: Number of the next action within the step.
        plan: `policies.record.Plan` as data.
        mind: The proposer's own.
        recalled: Past solutions.
        calls: What the proposer wants done: name, arguments, id.
        done: What was done of it: the call, the action's key (empty where it made no action), text.
        work: Key of the work as the last acts left it; empty: the base.
        claim: Set where the proposer claims to be done: confidence and alternatives.
        verification: `policies.record.Evidence` of the last claim, as data.
        refuted: How many claims did not hold.
        refuted_claim: Digest of the last of them: what was handed in, and why it did not hold.
        questioned: Whether a patch of nothing but tests was sent back, which is done once.
        stuck: What the stuck detector keeps.
        replan: Why the plan must be revised; empty otherwise.
        candidates: How many candidates were tried.
        budget: What was spent, for a resume.
        end: Outcome label and reason, where the run is over.
    """

    step: int
    index: int
    plan: dict[str, Any]
    mind: dict[str, Any]
    recalled: list[dict[str, Any]]
    calls: list[dict[str, Any]]
    done: list[dict[str, Any]]
    work: str
    claim: dict[str, Any]
    verification: dict[str, Any]
    refuted: int
    refuted_claim: str
    questioned: bool
    stuck: dict[str, Any]
    replan: str
    candidates: int
    budget: dict[str, Any]
    end: dict[str, Any]
