"""What the search asks for and says: its calls, the answers to them, its proposals."""

from __future__ import annotations

from typing import Any

from agent.proposers.proposer import Done, Proposal, Situation, ToolCall
from agent.repair import budget, stages

Mind = dict[str, Any]


def failing(situation: Situation) -> list[str]:
    """Ids of the failing tests of the task."""
    baseline = situation.environment.get("baseline", {})
    return [str(test["id"]) for test in baseline.get("failing", ())]


def refusal(situation: Situation) -> str:
    """Why the search cannot work here; empty where it can."""
    if situation.environment.get("runner") != "pytest":
        return (
            "the search without a model mends Python code with a failing pytest test, and this "
            "project's tests do not run under pytest: choose a model with --model"
        )
    if not failing(situation):
        return (
            "the search without a model needs a failing test and none is there: write one that "
            "shows what is wanted, or choose a model with --model"
        )
    return ""


def search_call(situation: Situation, mind: Mind, **arguments: Any) -> ToolCall:
    """A call of the search's own tool: by default for the tests that it is at."""
    command = situation.environment.get("test_command", "")
    fixed = {"tests": mind.get("red") or failing(situation), "command": command}
    return ToolCall("try_candidates", {**fixed, **arguments})


def cpu(situation: Situation, wanted: float) -> float:
    """CPU seconds for a call, by what is left of the run."""
    return budget.cpu_seconds(wanted, float(situation.remaining.get("seconds", wanted * 4)))


def counted(number: int, one: str, many: str) -> str:
    """A number with what is counted: `1 patch passes`, `3 patches pass`."""
    return f"{number} {one if number == 1 else many}"


def show(mind: Mind, **changes: tuple[str, str]) -> Mind:
    """The mind with some stages of its plan in another state, each with its note."""
    return {**mind, "plan": stages.moved(mind["plan"], **changes)}


def say(mind: Mind, text: str, **more: Any) -> Proposal:
    """A proposal with the plan as it stands."""
    return Proposal(mind=mind, plan=stages.plan_of(mind["plan"]), text=text, **more)


def answer(situation: Situation) -> tuple[Done | None, dict[str, Any]]:
    """The last search call and its answer; an empty answer where it was not done."""
    for done in situation.last:
        if done.call.name == "try_candidates":
            good = done.observation.status == "done" and done.observation.exit_code == 0
            return done, dict(done.observation.data) if good else {}
    return None, {}


def give_up(mind: Mind, reason: str, candidates: int = 0) -> Proposal:
    """The end without a patch that holds; what else passed is handed on."""
    left = mind.get("clusters", [])[1:] if mind.get("clusters") else []
    return Proposal(
        mind=mind,
        plan=stages.plan_of(mind["plan"]),
        gives_up=reason,
        alternatives=tuple(cluster["diff"] for cluster in left),
        candidates=candidates,
    )
