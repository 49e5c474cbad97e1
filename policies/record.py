"""What happened, as typed records: the one stream that doors render, resume reads and auditors check.

The vocabulary only; the chained file that holds the records is `policies/log.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, TypeAdapter

from policies.action import Action, Frozen, Observation, Verdict

StepState = Literal["pending", "active", "done", "failed", "dropped"]


class PlanStep(Frozen):
    """One step of a plan, in words, with its state."""

    title: str
    state: StepState = "pending"
    note: str = ""


class Plan(Frozen):
    """The typed plan: shown when made, shown again when revised."""

    steps: tuple[PlanStep, ...]
    revision: int = 0
    reason: str = ""
    """Why it was revised; empty for the first."""


class Passed(Frozen):
    """How many of a set of tests passed."""

    passed: int = 0
    total: int = 0


EvidenceLevel = Literal["failing-test", "reproduction", "no-regression", "checks", "none"]
EVIDENCE_LEVELS: tuple[EvidenceLevel, ...] = (
    "failing-test",
    "reproduction",
    "no-regression",
    "checks",
    "none",
)
"""Strongest first."""


class Evidence(Frozen):
    """What stands behind a patch, taken in a fresh sandbox from the clean base plus the patch."""

    level: EvidenceLevel
    red_before: tuple[str, ...] = ()
    """Tests seen failing on the base, twice."""
    green_after: tuple[str, ...] = ()
    """The same tests seen passing with the patch, twice."""
    regressions: tuple[str, ...] = ()
    """Tests that passed on the base and do not pass with the patch."""
    others: Passed = Passed()
    checks: tuple[str, ...] = ()
    sandbox: str = ""
    reservations: tuple[str, ...] = ()
    """What a reader must know before trusting it: weaker sandbox, flaky tests, low confidence."""


class SessionStarted(Frozen):
    """First record: everything the run rests on."""

    type: Literal["session_started"] = "session_started"
    session_id: str
    task: dict[str, JsonValue]
    settings: dict[str, JsonValue]
    base: str
    """Digest of the base tree's manifest."""
    packs: dict[str, str]
    """Pack name and version to the SHA-256 of its text."""


class EnvironmentReady(Frozen):
    """Where the work happens: image, sandbox and its weak points."""

    type: Literal["environment_ready"] = "environment_ready"
    sandbox: str
    image: str
    test_command: str
    notes: tuple[str, ...] = ()


class PlanMade(Frozen):
    """A plan was made or revised."""

    type: Literal["plan_made"] = "plan_made"
    step: int
    plan: Plan


class StepTaken(Frozen):
    """The loop enters one of its nodes; `tree` is the key of the work as it is then, where known."""

    type: Literal["step_taken"] = "step_taken"
    step: int
    node: str
    tree: str = ""


class ActionJudged(Frozen):
    """The gate decided. Written before the effect: it also says that the effect may have begun."""

    type: Literal["action_judged"] = "action_judged"
    action: Action
    verdict: Verdict


class ActionDone(Frozen):
    """What came back. A judged action without this record is what a crash leaves behind."""

    type: Literal["action_done"] = "action_done"
    key: str
    tool: str
    observation: Observation


class Said(Frozen):
    """Words of a model or of the search, for people; never a fact."""

    type: Literal["said"] = "said"
    step: int
    text: str


class Noticed(Frozen):
    """Something the user should know that is no action: a warning, a progress line of set-up."""

    type: Literal["noticed"] = "noticed"
    text: str


class ModelChanged(Frozen):
    """A model could not be had, and another goes on from the same turn."""

    type: Literal["model_changed"] = "model_changed"
    key: str
    """Of the call that failed; the other model's call has the next one."""
    before: str
    after: str
    reason: str


class PatchVerified(Frozen):
    """`verify` took evidence for a patch (whether or not it is enough)."""

    type: Literal["patch_verified"] = "patch_verified"
    step: int
    patch: str
    evidence: Evidence


class SessionResumed(Frozen):
    """The session goes on after a stop."""

    type: Literal["session_resumed"] = "session_resumed"
    session_id: str
    step: int
    notes: tuple[str, ...] = ()
    limits: dict[str, JsonValue] = Field(default_factory=dict)
    """What the session may spend from here on, where the user gave it more; empty: as before."""


class SessionEnded(Frozen):
    """Last record of a run: the result as every door reports it."""

    type: Literal["session_ended"] = "session_ended"
    result: dict[str, JsonValue]


Record = Annotated[
    SessionStarted
    | EnvironmentReady
    | PlanMade
    | StepTaken
    | ActionJudged
    | ActionDone
    | Said
    | Noticed
    | ModelChanged
    | PatchVerified
    | SessionResumed
    | SessionEnded,
    Field(discriminator="type"),
]
RECORD: TypeAdapter[Record] = TypeAdapter(Record)
