"""One record of each kind, with hostile text wherever text from outside can stand."""

from __future__ import annotations

from policies.action import (
    Action,
    CandidatesRequest,
    Decision,
    EditRequest,
    Observation,
    Request,
    RunTestsRequest,
    ShellRequest,
    Verdict,
)
from policies.record import (
    ActionDone,
    ActionJudged,
    EnvironmentReady,
    Evidence,
    ModelChanged,
    Noticed,
    Passed,
    PatchVerified,
    Plan,
    PlanMade,
    PlanStep,
    Record,
    Said,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    StepTaken,
)

BAD = "\x1b[2J\x1b]0;owned\x07\u202etxt\x9b"
ALLOW = Verdict(decision=Decision.ALLOW, rule="default")
DENY = Verdict(
    decision=Decision.DENY, rule="git.history", reason=f"loses work {BAD}", remedy="commit first"
)


def judged(request: Request, verdict: Verdict = ALLOW, tool: str = "shell") -> ActionJudged:
    action = Action(session_id="s", step=3, index=0, tool=tool, request=request)
    return ActionJudged(action=action, verdict=verdict)


def done(tool: str = "shell", **fields: object) -> ActionDone:
    observation = Observation.model_validate({"status": "done", "verdict": ALLOW, **fields})
    return ActionDone(key="s/3/0", tool=tool, observation=observation)


def plan(*states: str, revision: int = 0, reason: str = "") -> PlanMade:
    steps = tuple(PlanStep.model_validate({"title": f"step {s}", "state": s}) for s in states)
    return PlanMade(step=1, plan=Plan(steps=steps, revision=revision, reason=reason))


EVIDENCE = Evidence(
    level="failing-test",
    red_before=("tests/test_a.py::test_b",),
    green_after=(f"tests/test_a.py::test_b{BAD}",),
    others=Passed(passed=12, total=12),
    checks=("ruff check",),
    reservations=(f"bubblewrap shares the kernel {BAD}",),
)

RECORDS: tuple[Record, ...] = (
    SessionStarted(session_id=f"s{BAD}", task={}, settings={}, base="0", packs={}),
    EnvironmentReady(sandbox="docker", image=f"i{BAD}", test_command=f"pytest {BAD}", notes=(BAD,)),
    plan("done", "active", "pending", "failed", "dropped"),
    plan("active", revision=2, reason=f"the test contradicts it {BAD}"),
    StepTaken(step=1, node="act"),
    judged(ShellRequest(command=f"git reset --hard {BAD}"), DENY),
    judged(EditRequest(operation="replace", path=f"a{BAD}.py")),
    judged(RunTestsRequest(tests=(f"t{BAD}",)), tool="run_tests"),
    judged(CandidatesRequest(operation="try", failing=(), ids=((1,), (2,)))),
    done(exit_code=1, notes=(f"killed {BAD}",)),
    done("run_tests", data={"tests": [{"id": f"t{BAD}", "outcome": "failed"}], "complete": True}),
    done("try_candidates", data={"tried": 40, "plausible": [{"ids": [1]}]}),
    Said(step=1, text=f"two\nlines {BAD}"),
    Noticed(text=f"warning {BAD}"),
    PatchVerified(step=9, patch="", evidence=EVIDENCE),
    SessionResumed(session_id="s", step=4, notes=(BAD,), limits={"steps": 20, f"x{BAD}": BAD}),
    SessionEnded(result={}),
    ModelChanged(key="s/1/0", before=f"openai/a{BAD}", after="openai/b", reason=f"401 {BAD}"),
)
