"""The plan of the search: fixed stages, each with a state that a reader can follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from policies.record import Plan, PlanStep, StepState

STAGES: dict[str, str] = {
    "reproduce": "Confirm that the named tests fail",
    "localise": "Rank lines by how failing and passing tests run them",
    "likely": "Try the likely edits on suspicious lines",
    "wider": "Try the wider edits",
    "pairs": "Try two edits at a time, near each other",
    "choose": "Compare what the patches that pass do, and choose",
    "apply": "Put the chosen patch in and have it verified",
}


def first() -> dict[str, Any]:
    """The plan as plain data, for the proposer's mind: nothing done yet."""
    states = {name: ["pending", ""] for name in STAGES}
    states["reproduce"][0] = "active"
    return {"states": states, "revision": 0, "reason": ""}


def plan_of(kept: Mapping[str, Any]) -> Plan:
    """The plan as people see it."""
    return Plan(
        steps=tuple(
            PlanStep(title=STAGES[name.rstrip("'")], state=cast("StepState", state), note=str(note))
            for name, (state, note) in kept["states"].items()
        ),
        revision=int(kept["revision"]),
        reason=str(kept["reason"]),
    )


def moved(kept: Mapping[str, Any], /, **changes: tuple[str, str]) -> dict[str, Any]:
    """The plan with some stages in another state, each with its note."""
    states = dict(kept["states"])
    for name, (state, note) in changes.items():
        states[name] = [state, note]
    return {**kept, "states": states}


def revised(kept: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The plan after a contradiction: one more revision, with its reason."""
    return {**kept, "revision": int(kept["revision"]) + 1, "reason": reason}


def anew(kept: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """The plan from its beginning, for other tests: one more revision."""
    return {**revised(kept, reason), "states": first()["states"]}


def again(kept: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The plan with a stage that failed to be done once more, below what failed."""
    states = dict(kept["states"])
    fresh = name
    while fresh in states:
        fresh += "'"
    states[fresh] = ["active", ""]
    return {**kept, "states": states}


def current(kept: Mapping[str, Any], name: str) -> str:
    """The key of the latest try of a stage."""
    while f"{name}'" in kept["states"]:
        name += "'"
    return name
