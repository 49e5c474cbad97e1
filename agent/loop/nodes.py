"""What each node of the loop does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from agent.loop import plan as plans
from agent.loop.budget import Budget, BudgetExhausted
from agent.loop.state import LoopState
from agent.loop.stuck import note
from agent.loop.verify import Requirement, shortfall
from agent.outcome import Outcome
from agent.prompts import render
from agent.proposers.proposer import Done, Proposal, Proposer, ProposerError, Situation, ToolCall
from agent.task import Task
from policies.action import (
    Decision,
    Effect,
    Observation,
    Origin,
    RecallRequest,
    RememberRequest,
    Verdict,
    VerifyRequest,
)
from policies.record import Evidence, PatchVerified, Plan, PlanMade, Record, Said, StepTaken
from tools.edit import EDIT
from tools.evidence import split_patch
from tools.tool import BadArguments, Tool, clip
from tools.workbench import Workbench

TEXT_KEPT = 40_000
"""Characters of one call's text that are checkpointed, more than any tool tells; the log has all."""
REFUTED_MOST = 6
CONFIDENT = 0.7
"""Below this share a patch is a proposal: measured on functions, see benchmarks/repair.py."""


class Stopped(Exception):
    """The run was told to stop between two actions.

    Args:
        outcome: INTERRUPTED or TERMINATED.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.label)
        self.outcome = outcome


class Workspace(Protocol):
    """What the loop needs of the site beside actions."""

    def keep(self) -> str:
        """Keep the work as it is, for a resume; returns its key."""
        ...

    def diff(self) -> str:
        """The work so far, as a git patch."""
        ...


@dataclass(frozen=True, slots=True)
class Nodes:
    """The loop's collaborators; each node is a method from state to what changes in it.

    Attributes:
        record: Appends to the log and tells the doors.
        facts: `Situation.environment`.
        failing: Tests to be made green; empty where none is red.
        remember_as: Parts of a solution that the loop does not know (repository, failure text).
        stopped: Which outcome the run was told to end with, if any.
        news: What became of the sandbox since the proposer was last asked; told to it once.
    """

    task: Task
    proposer: Proposer
    workbench: Workbench
    tools: Mapping[str, Tool[Any]]
    budget: Budget
    workspace: Workspace
    record: Callable[[Record], object]
    facts: dict[str, Any]
    failing: tuple[str, ...]
    requirement: Requirement
    remember_as: dict[str, Any]
    stopped: Callable[[], Outcome | None]
    news: list[str]

    def recall(self, state: LoopState) -> LoopState:
        """Look up past solutions of similar failures."""
        self._enter(0, "recall")
        self.workbench.begin_step(0, index=1)
        query = str(self.remember_as.get("failure") or self.task.text)
        observation = self.workbench.perform(
            "recall",
            RecallRequest(query=query),
            effect=Effect.FIND_OR_CREATE,
            origin="loop",
            timeout_s=30.0,
        )
        solutions: Any = observation.data.get("solutions")
        found: list[dict[str, Any]] = solutions if isinstance(solutions, list) else []
        return {"recalled": found, "step": state.get("step", 0), "mind": {}}

    def plan(self, state: LoopState) -> LoopState:
        """Ask the proposer what to do next; the first time, and when it must, for the plan."""
        step = state["step"] + 1
        self._enter(step, "plan", work=state.get("work", ""))
        self.workbench.begin_step(step)
        try:
            self.budget.take_step()
            situation = self._situation(state, step)
            if not situation.plan.steps:
                opening = self.proposer.plan(situation)
                situation = self._show_plan(situation, opening)
            proposal = self.proposer.propose(situation)
        except ProposerError as error:
            return self._end(Outcome.MODEL_ERROR, f"{error}. {error.remedy}")
        except BudgetExhausted as error:
            return self._end(Outcome.BUDGET, f"{error}. {error.remedy}")
        self.news.clear()
        situation = self._show_plan(situation, proposal)
        if proposal.text:
            self.record(Said(step=step, text=proposal.text))
        return self._proposed(state, situation, proposal)

    def _proposed(self, state: LoopState, situation: Situation, proposal: Proposal) -> LoopState:
        change: LoopState = {
            "step": situation.step,
            "index": self.workbench.next_index,
            "plan": situation.plan.model_dump(mode="json"),
            "mind": proposal.mind,
            "calls": [
                {"name": call.name, "arguments": call.arguments, "id": call.id}
                for call in proposal.calls
            ],
            "done": [],
            "claim": {},
            "replan": "",
            "candidates": state.get("candidates", 0) + proposal.candidates,
            "budget": self.budget.spent(),
        }
        if proposal.claims_done:
            change["claim"] = {
                "confidence": proposal.confidence,
                "alternatives": list(proposal.alternatives),
                "notes": list(proposal.notes),
            }
        if proposal.gives_up:
            change |= self._end(Outcome.UNSOLVED, proposal.gives_up)
            change["end"]["alternatives"] = list(proposal.alternatives)
        return change

    def act(self, state: LoopState) -> LoopState:
        """Do the calls, in order, through the workbench, and notice when they go in circles.

        A claim beside a refused edit is dropped.
        """
        self._enter(state["step"], "act")
        self.workbench.begin_step(state["step"], index=state["index"])
        done, refused = [], False
        for call in state["calls"]:
            self._check_stop()
            key = self.workbench.next_key
            text = self._call(ToolCall(**call))
            made = self.workbench.next_key != key
            refused |= call["name"] == EDIT.name and not (made and self._succeeded(key))
            done.append(
                {"call": call, "key": key if made else "", "text": clip(text, limit=TEXT_KEPT)}
            )
        # Kept before the checkpoint that says so: whoever goes on finds both or neither.
        work = self.workspace.keep()
        change: LoopState = {"done": done, "index": self.workbench.next_index, "work": work}
        if refused:
            change["claim"] = {}
        return change | self._observe(state, done)

    def _succeeded(self, key: str) -> bool:
        observation = self.workbench.observation(key)
        return observation.status == "done" and not observation.exit_code

    def _call(self, call: ToolCall) -> str:
        tool = self.tools.get(call.name)
        if tool is None:
            return f"There is no tool {call.name}. There are: {', '.join(self.tools)}."
        try:
            origin: Origin = "search" if self.proposer.name == "builtin" else "model"
            observation = tool.call(self.workbench, call.arguments, origin=origin)
        except BadArguments as error:
            return str(error)
        return tool.to_text(observation)

    def _observe(self, state: LoopState, done: Sequence[dict[str, Any]]) -> LoopState:
        """What follows when the run goes in circles."""
        calls = [one["call"] for one in done]
        texts = [one["text"] for one in done]
        stuck, advice = note(state.get("stuck", {}), calls, texts)
        change: LoopState = {"stuck": stuck, "calls": []}
        if advice == "stop":
            change |= self._end(
                Outcome.UNSOLVED,
                "the same was done again and again and brought the same each time, also after the "
                "plan was revised",
            )
        elif advice == "replan":
            change["replan"] = render("in_circles")
        return change

    def verify(self, state: LoopState) -> LoopState:
        """Take evidence for what the workspace holds; only here is a run said to be done."""
        self._enter(state["step"], "verify", work=state.get("work", ""))
        self.workbench.begin_step(state["step"], index=state["index"])
        patch = self.workspace.diff()
        if not patch:
            return self._refute(state, render("nothing_changed"))
        source, _, test_files = split_patch(patch)
        if not source and not state.get("questioned"):
            reason = render("only_tests", files=", ".join(test_files[:5]))
            return {"questioned": True} | self._refute(state, reason)
        observation = self.workbench.perform(
            "verify",
            VerifyRequest(patch=patch, failing=self.failing, checks=self.requirement.checks),
            effect=Effect.CONTAINED,
            origin="loop",
            timeout_s=3600.0,
        )
        if observation.status != "done":
            said = " ".join(observation.notes) or observation.verdict.reason
            return self._refute(state, render("not_verifiable", said=said), patch)
        evidence = Evidence.model_validate(observation.data["evidence"])
        self.record(PatchVerified(step=state["step"], patch=patch, evidence=evidence))
        change: LoopState = {
            "verification": evidence.model_dump(mode="json"),
            "index": self.workbench.next_index,
        }
        if missing := shortfall(evidence, self.requirement, self.failing):
            return change | self._refute(state, missing, patch)
        confidence = state["claim"].get("confidence")
        if confidence is not None and confidence < CONFIDENT:
            reason = f"a proposal: the confidence is {confidence:.0%}, below {CONFIDENT:.0%}"
            return change | self._end(Outcome.UNSOLVED, reason)
        plan = plans.finish_all(Plan.model_validate(state["plan"]))
        self.record(PlanMade(step=state["step"], plan=plan))
        change["plan"] = plan.model_dump(mode="json")
        return change | self._end(Outcome.VERIFIED, Outcome.VERIFIED.meaning)

    def remember(self, state: LoopState) -> LoopState:
        """Write the verified solution to long-term memory."""
        self._enter(state["step"], "remember")
        self.workbench.begin_step(state["step"], index=state["index"])
        edit = state["mind"].get("edit") or {}
        solution = {
            **self.remember_as,
            "tests": list(self.failing),
            "patch": self.workspace.diff(),
            "operator": edit.get("operator", "model"),
            "old": edit.get("old", ""),
            "new": edit.get("new", ""),
            "evidence": state["verification"]["level"],
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self.workbench.perform(
            "remember",
            RememberRequest(solution=solution),
            effect=Effect.FIND_OR_CREATE,
            origin="loop",
            timeout_s=30.0,
        )
        return {"budget": self.budget.spent()}

    def _situation(self, state: LoopState, step: int) -> Situation:
        verification = state.get("verification")
        return Situation(
            task=self.task,
            environment=self.facts,
            plan=Plan.model_validate(state["plan"]) if state.get("plan") else Plan(steps=()),
            recalled=tuple(state.get("recalled", ())),
            last=tuple(self._done(done) for done in state.get("done", ())),
            verification=Evidence.model_validate(verification) if verification else None,
            replan=state.get("replan", ""),
            remaining=self.budget.remaining(),
            mind=state.get("mind", {}),
            step=step,
            news=tuple(self.news),
        )

    def _done(self, done: dict[str, Any]) -> Done:
        if done["key"]:
            observation = self.workbench.observation(done["key"])
        else:
            verdict = Verdict(decision=Decision.DENY, rule="tool.arguments", reason=done["text"])
            observation = Observation(status="denied", verdict=verdict)
        return Done(call=ToolCall(**done["call"]), observation=observation, text=done["text"])

    def _show_plan(self, situation: Situation, proposal: Proposal) -> Situation:
        """Record a plan that is new or revised; a needed revision that did not come is made."""
        plan = proposal.plan
        if plan is None and situation.replan:
            plan = plans.revise(situation.plan, situation.replan)
        if plan is None or plan == situation.plan:
            return _with(situation, plan=situation.plan, mind=proposal.mind)
        self.record(PlanMade(step=situation.step, plan=plan))
        return _with(situation, plan=plan, mind=proposal.mind)

    def _refute(self, state: LoopState, reason: str, patch: str = "") -> LoopState:
        """Send a claim back; one that comes again as it was is handed in as it is."""
        refuted = state.get("refuted", 0) + 1
        claim = hashlib.sha256(f"{reason}\n{patch}".encode("utf-8", "surrogateescape")).hexdigest()
        change: LoopState = {"refuted": refuted, "claim": {}, "index": self.workbench.next_index}
        change["refuted_claim"] = claim
        if claim == state.get("refuted_claim"):
            said = f"handed in without a further change. {reason}".rstrip(".")
            return change | self._end(Outcome.UNSOLVED, said)
        if refuted >= REFUTED_MOST:
            said = f"{refuted} claims did not hold: {reason}".rstrip(".")
            return change | self._end(Outcome.UNSOLVED, said)
        change["replan"] = reason
        return change

    def _end(self, outcome: Outcome, reason: str) -> LoopState:
        return {
            "end": {"outcome": outcome.label, "reason": reason},
            "budget": self.budget.spent(),
        }

    def _enter(self, step: int, node: str, work: str = "") -> None:
        self._check_stop()
        self.record(StepTaken(step=step, node=node, tree=work))

    def _check_stop(self) -> None:
        if (outcome := self.stopped()) is not None:
            raise Stopped(outcome)


def _with(situation: Situation, *, plan: Plan, mind: dict[str, Any]) -> Situation:
    """The situation after a plan was shown; the revision that was asked for is done."""
    return replace(situation, plan=plan, mind=mind)
