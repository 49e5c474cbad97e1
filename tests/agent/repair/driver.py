"""A small loop around the search: its calls are done over a folder, by the engine itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.proposers.proposer import Done, Proposal, Situation, ToolCall
from agent.proposers.search import SearchProposer
from agent.task import Task
from policies.action import Decision, Observation, Verdict
from policies.record import Evidence, Plan
from tests.sandbox.repair_bench import Bench
from tools.try_candidates import TRY_CANDIDATES

ALLOWED = Verdict(decision=Decision.ALLOW, rule="test")
REFUTED = Evidence(level="none")


@dataclass
class Run:
    """One search from plan to end.

    `verify` says what is wrong with a claim; empty: nothing. `cold` says whether the tests that
    are run after an edit pass.
    """

    bench: Bench
    failing: Sequence[str]
    recalled: tuple[dict[str, Any], ...] = ()
    verify: Callable[[Run], str] = lambda _run: ""
    cold: Callable[[Run], bool] = lambda _run: True
    runner: str = "pytest"
    plans: list[Plan] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    candidates: int = 0
    claims: list[Proposal] = field(default_factory=list)
    end: Proposal | None = None
    mind: dict[str, Any] = field(default_factory=dict)
    news: list[str] = field(default_factory=list)

    def go(self) -> Proposal:
        """Until a claim holds or the search gives up; the last proposal."""
        proposer = SearchProposer()
        last: tuple[Done, ...] = ()
        replan, evidence = "", None
        self._keep(proposer.plan(self._situation(last, replan, evidence)))
        for _ in range(60):
            proposal = proposer.propose(self._situation(last, replan, evidence))
            self._keep(proposal)
            replan = ""
            last = tuple(self._do(call) for call in proposal.calls)
            if proposal.claims_done:
                self.claims.append(proposal)
                replan = self.verify(self)
                evidence = REFUTED
                if not replan:
                    return proposal
            if proposal.gives_up:
                return proposal
        raise AssertionError("the search does not end")

    def _keep(self, proposal: Proposal) -> None:
        self.mind = json.loads(json.dumps(proposal.mind))
        self.candidates += proposal.candidates
        if proposal.plan is not None:
            self.plans.append(proposal.plan)

    def _situation(
        self, last: tuple[Done, ...], replan: str, evidence: Evidence | None
    ) -> Situation:
        baseline = {"failing": [{"id": test} for test in self.failing]}
        told, self.news = tuple(self.news), []
        return Situation(
            task=Task(text="Mend it.", repo=self.bench.workspace),
            environment={
                "runner": self.runner,
                "test_command": "python -m pytest -q",
                "baseline": baseline,
            },
            plan=self.plans[-1] if self.plans else Plan(steps=()),
            recalled=self.recalled,
            last=last,
            verification=evidence,
            replan=replan,
            remaining={"seconds": 600.0},
            mind=self.mind,
            step=len(self.plans),
            news=told,
        )

    def _do(self, call: ToolCall) -> Done:
        self.calls.append(call)
        if call.name == "try_candidates":
            request, _ = TRY_CANDIDATES.to_request(TRY_CANDIDATES.parse(call.arguments))
            outcome = self.bench.ask(**_verb(json.loads(request.model_dump_json())))
            notes = tuple(outcome.pop("notes", ()))
            observation = Observation(status="done", verdict=ALLOWED, notes=notes, **outcome)
            text = TRY_CANDIDATES.to_text(observation)
            return Done(call=call, observation=observation, text=text)
        if call.name == "edit":
            return Done(call=call, observation=self._edit(call.arguments), text="")
        outcome_of = "passed" if self.cold(self) else "failed"
        tests = [{"id": test, "outcome": outcome_of} for test in call.arguments["tests"]]
        ran = Observation(status="done", verdict=ALLOWED, exit_code=0, data={"tests": tests})
        return Done(call=call, observation=ran, text="")

    def _edit(self, arguments: dict[str, Any]) -> Observation:
        path = self.bench.workspace / arguments["path"]
        text = path.read_bytes().decode()
        fits = text.count(arguments["old"]) == 1
        if fits:
            path.write_bytes(text.replace(arguments["old"], arguments["new"]).encode())
        return Observation(status="done", verdict=ALLOWED, exit_code=0 if fits else 1)


def _verb(request: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in request.items() if key != "kind"}
