"""Every fault that a model's server can show, at every turn of a run: it recovers, or goes on later.

Either way nothing is done twice, and no more money goes than the budget allows.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from agent import chain
from agent.models import client, names, prices
from agent.result import Result
from agent.task import Limits, Task
from policies.log import read, verify
from policies.record import ActionDone, ActionJudged
from tests.agent.test_more_budget import assert_sums, resume
from tests.agent.test_resume import DONE, EDIT, READ
from tests.model_server import Call, ModelServer, Turn
from tests.model_wire import Request
from tests.sessions import copy_fixture, run, state_home

OPENAI, ANTHROPIC = "openai/gpt-5-mini", "anthropic/claude-haiku-4-5"
SCRIPT = (
    Turn(calls=(Call("read", {"path": "HISTORY.md"}),)),
    READ,
    EDIT,
    Turn(calls=(Call("shell", {"command": "echo once >> HISTORY.md"}),)),
    DONE,
)
ONCE = {"read": 2, "edit": 1, "shell": 1}
"""How often each tool acts, whatever goes wrong on the way."""
CALL_S = 3.0
FAULTS: dict[str, Callable[[Turn, str], Turn]] = {
    "429": lambda _turn, _model: Turn(status=429, retry_after=0),
    "500": lambda _turn, _model: Turn(status=500, retry_after=0),
    "529": lambda _turn, _model: Turn(status=529, retry_after=0),
    "400": lambda _turn, _model: Turn(status=400, code="invalid_request_error"),
    "401": lambda _turn, _model: Turn(status=401),
    "quota": lambda _turn, model: Turn(
        status=429, code="insufficient_quota" if model == OPENAI else "billing_error"
    ),
    "cut": lambda turn, _model: replace(turn, cut=True),
    "early end": lambda turn, _model: replace(turn, half=True),
    "broken arguments": lambda turn, _model: Turn(calls=(Call(turn.calls[0].name, '{"path": '),)),
    "empty": lambda _turn, _model: Turn(),
    "timeout": lambda turn, _model: replace(turn, delay_s=60),
    "overflow": lambda _turn, model: Turn(
        status=400 if model == OPENAI else 413, code="context_length_exceeded"
    ),
}
PAID = ("early end", "broken arguments", "empty")
"""Faults of answers that came, and that the provider has to be paid for."""


@dataclass
class Faulty:
    """A script with one fault in it: shown `times` times, before the turn `at`.

    Attributes:
        paid: What the provider asks for its answers so far, in USD.
    """

    model: str
    fault: str = ""
    at: int = 0
    times: int = 0
    given: int = 0
    paid: Decimal = field(default=Decimal(0))

    def __call__(self, request: Request) -> Turn:
        turn = SCRIPT[self.given]
        if self.given == self.at and self.times:
            self.times -= 1
            turn = FAULTS[self.fault](turn, self.model)
        else:
            self.given += 1
        turn = replace(turn, input_tokens=len(json.dumps(request)) // 4)
        if turn.status == 200 and not (turn.cut or turn.delay_s):
            self.paid += cost(self.model, turn)
        return turn


def cost(model: str, turn: Turn) -> Decimal:
    usage = prices.Usage(turn.input_tokens or 0, turn.output_tokens)
    found = prices.cost(names.split(model), usage, datetime.now(UTC))
    assert found is not None
    return found


@dataclass(frozen=True)
class Case:
    """One fault at one turn; `lasting`: until the run ends."""

    fault: str
    at: int
    lasting: bool

    @property
    def model(self) -> str:
        return (OPENAI, ANTHROPIC)[(self.at + list(FAULTS).index(self.fault)) % 2]

    @override
    def __str__(self) -> str:
        return f"{self.fault}{' lasts' if self.lasting else ''} at {self.at}"


CASES = [Case(f, at, last) for f in FAULTS for at in range(len(SCRIPT)) for last in (False, True)]
SAMPLE = random.Random(11).sample(CASES, 10)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from state_home(tmp_path_factory)


@pytest.fixture(autouse=True)
def _place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(home))
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.001)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, "not-a-key")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """With a long file, so that there is something to cut where a model cannot read so much."""
    made = copy_fixture("red_test", tmp_path)
    (made / "HISTORY.md").write_text("Nothing of note happened.\n" * 600)
    return made


def begin(repo: Path, server: ModelServer, script: Faulty, cost_usd: str) -> Result:
    task = Task(
        text="Mend it.",
        repo=repo,
        model=script.model,
        base_url=server.base_url,
        sandbox="bubblewrap",
        limits=Limits(cost_usd=Decimal(cost_usd)),
    )
    result = run(task).result
    assert result is not None
    return result


def check_fault(case: Case, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = Faulty(case.model, case.fault, case.at, times=10**6 if case.lasting else 1)
    with ModelServer(script) as server:
        with monkeypatch.context() as patch:
            if case.fault == "timeout":
                patch.setattr(chain, "CALL_S", CALL_S)
            result = begin(repo, server, script, "0.2")
        if result.outcome == "model_error":
            assert result.exit_code == 6
            script.times = 0
            result = resume(result.session_id)

    assert_done_once(result)
    assert_sums(result)
    assert script.paid <= Decimal("0.2") + dearest_call(result)
    if case.fault == "overflow" and result.outcome == "unsolved":
        assert "cut" in result.reason
        return
    assert result.outcome == "verified", result.reason
    assert result.patch.count("\n+once\n") == 1


def assert_done_once(result: Result) -> None:
    records = [record for _, record in read(Path(result.log))]
    acts = [r for r in records if isinstance(r, ActionDone) and r.tool != "model"]
    done = [one for one in acts if one.observation.status == "done"]
    assert max(Counter(one.key for one in done).values()) == 1
    asked = {
        r.action.key for r in records if isinstance(r, ActionJudged) and r.action.origin == "model"
    }
    count = Counter(one.tool for one in done if one.key in asked)
    if result.outcome == "verified":
        assert {tool: count[tool] for tool in ONCE} == ONCE
    assert all(count[tool] <= times for tool, times in ONCE.items())
    assert verify(Path(result.log), key=None).whole


def dearest_call(result: Result) -> Decimal:
    requests: list[Any] = [
        record.action.request
        for _, record in read(Path(result.log))
        if isinstance(record, ActionJudged) and record.action.tool == "model"
    ]
    return max(Decimal(request.worst_cost_usd) for request in requests)


@pytest.mark.parametrize("case", SAMPLE, ids=str)
def test_a_fault_is_recovered_from_or_gone_on_after(
    case: Case, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_fault(case, repo, monkeypatch)


@pytest.mark.soak
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_fault_at_every_turn(case: Case, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_fault(case, repo, monkeypatch)


def check_tight_budget(fault: str, repo: Path) -> None:
    """Money runs out under way, beside answers that are of no use and have to be paid."""
    script = Faulty(ANTHROPIC, fault, at=1, times=1)
    limit = Decimal("0.03")
    with ModelServer(script) as server:
        ended = begin(repo, server, script, str(limit))
        assert (ended.outcome, ended.exit_code) == ("budget", 7), ended.reason
        assert script.paid <= limit + dearest_call(ended)
        last = resume(ended.session_id, cost_usd=Decimal("0.5"))
    assert last.outcome == "verified", last.reason
    assert_done_once(last)
    assert_sums(last)
    missed = script.paid - Decimal(last.cost_usd or "0")
    assert abs(missed) < Decimal("0.0005"), "an answer without a count is estimated"


def test_a_budget_that_runs_out_between_faults_holds(repo: Path) -> None:
    check_tight_budget("early end", repo)


@pytest.mark.soak
@pytest.mark.parametrize("fault", PAID)
def test_a_budget_that_runs_out_holds_whatever_answers_are_paid_for(fault: str, repo: Path) -> None:
    check_tight_budget(fault, repo)
