"""Where a model cannot be had the next one takes over; over a real gate, a real log and real servers."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent import minds
from agent.chain import Chain
from agent.loop.budget import Budget, BudgetExhausted
from agent.models import client
from agent.models.names import KeyMissing, ModelNameError
from agent.proposers.chat_calls import TOO_LONG
from agent.session_store import read_past
from agent.task import Limits, Task
from policies.action import ModelRequest, Observation
from policies.gate import Circumstances, Gate
from policies.log import SessionLog, read
from policies.masks import Masks
from policies.packs import builtin
from policies.record import ActionJudged, ModelChanged, Record, SessionStarted
from tests.model_server import ModelServer, Turn, texts
from tools.workbench import Workbench

FIRST, SECOND, THIRD = "anthropic/claude-haiku-4-5", "openai/gpt-5-mini", "openai-compatible/own"
DEAR = "anthropic/claude-opus-4-5"
REFUSED = Turn(status=401, text="no such key")
LIMIT = 1_000


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.001)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(variable, "not-a-key")


class Room:
    """A chain behind a workbench, begun or gone on with from the log of an earlier process."""

    def __init__(self, folder: Path, served: dict[str, str], **limits: Any) -> None:
        masks, key = Masks(b"k" * 32), b"k" * 32
        self.folder, begun = folder, folder.exists()
        past = read_past(folder) if begun else None
        self.log = (
            SessionLog.open(folder, key=key, mask=lambda data: data)
            if begun
            else SessionLog.create(folder, key=key, mask=lambda data: data)
        )
        self.stopped = False
        self.budget = Budget(Limits.model_validate(limits))
        performers: dict[str, Any] = {}
        self.bench = Workbench(
            session_id="s",
            gate=Gate([builtin("baseline")], Circumstances(contained=True, mode="terminal"), masks),
            log=self.log,
            masks=masks,
            performers=performers,
            approve=lambda _action, _verdict: "",
        )
        self.heard: list[str] = []
        self.chain = Chain(
            served,
            tools=(),
            workbench=self.bench,
            budget=self.budget,
            record=self.record,
            heard=self.heard.append,
        )
        performers["model"] = self.chain.perform
        if past:
            self.bench.restore(past.begun, past.done)
            self.chain.restore(past)
        else:
            task = Task(text="t", repo=folder).model_dump(mode="json")
            self.record(SessionStarted(session_id="s", task=task, settings={}, base="", packs={}))

    def record(self, record: Record) -> None:
        if self.stopped:
            raise InterruptedError
        self.log.append(record)

    def ask(self, step: int, text: str) -> Observation:
        self.bench.begin_step(step)
        return self.chain.ask([{"role": "user", "content": text}], LIMIT, 0)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Key and model of each call, as the gate judged it."""
        judged = [r for _, r in read(self.folder) if isinstance(r, ActionJudged)]
        models = [(one.action.key, one.action.request) for one in judged]
        return [(key, one.model) for key, one in models if isinstance(one, ModelRequest)]

    @property
    def changes(self) -> list[ModelChanged]:
        return [r for _, r in read(self.folder) if isinstance(r, ModelChanged)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_the_next_model_takes_over_from_the_same_turn_with_the_same_history(folder: Path) -> None:
    with ModelServer(["Hello.", REFUSED, "I go on.", "And on."]) as server:
        room = Room(folder, {FIRST: server.base_url, SECOND: server.base_url})
        room.ask(1, "one")
        answer = room.ask(2, "two")
        room.ask(3, "three")

    assert answer.status == "done"
    assert room.asked == [("s/1/0", FIRST), ("s/2/0", FIRST), ("s/2/1", SECOND), ("s/3/0", SECOND)]
    assert texts(server.requests[2]) == ["one", "Hello.", "two"]
    assert texts(server.requests[3]) == ["one", "Hello.", "two", "I go on.", "three"]
    (change,) = room.changes
    assert (change.key, change.before, change.after) == ("s/2/0", FIRST, SECOND)
    assert "no such key" in change.reason


def test_what_is_said_is_heard_until_the_call_is_over(folder: Path) -> None:
    with ModelServer(["Hello.", REFUSED, "I go on."]) as server:
        room = Room(folder, {FIRST: server.base_url, SECOND: server.base_url})
        room.ask(1, "one")
        assert room.heard == ["", "Hello.", ""]
        room.ask(2, "two")

    assert room.heard[3:] == ["", "", "", "I go on.", ""], "the refused call says nothing"


def test_each_model_has_its_own_price(folder: Path) -> None:
    with ModelServer([REFUSED, Turn("Hello.", input_tokens=1_000_000, output_tokens=0)]) as server:
        room = Room(folder, {FIRST: server.base_url, SECOND: server.base_url})
        answer = room.ask(1, "one")

    assert Decimal(str(answer.data["cost_usd"])) == Decimal("0.25")


@pytest.mark.parametrize(
    "fault",
    [
        Turn(status=429, code="rate_limit_exceeded", retry_after=0),
        Turn(status=429, code="insufficient_quota"),
        Turn(status=500, retry_after=0),
        Turn(status=404),
        Turn(text="cut", cut=True),
        Turn(text="half", half=True),
    ],
    ids=["rate limit", "quota", "server", "no such model", "cut", "half"],
)
def test_every_fault_that_the_retries_do_not_mend_is_handed_on(folder: Path, fault: Turn) -> None:
    def answer(request: dict[str, Any]) -> Turn | str:
        return fault if THIRD.endswith(request["model"]) else "Hello."

    with ModelServer(answer) as server:
        room = Room(folder, {THIRD: server.base_url, SECOND: server.base_url})
        assert room.ask(1, "one").status == "done"
    assert [change.after for change in room.changes] == [SECOND]


def test_a_history_that_is_too_long_is_not_handed_on(folder: Path) -> None:
    with ModelServer([Turn(status=400, code="context_length_exceeded")]) as server:
        room = Room(folder, {SECOND: server.base_url, FIRST: server.base_url})
        assert room.ask(1, "one").data["finish"] == TOO_LONG
    assert not room.changes


def test_what_policy_refuses_is_not_handed_on(folder: Path) -> None:
    with ModelServer([]) as server:
        room = Room(folder, {SECOND: server.base_url, FIRST: server.base_url})
        assert room.ask(1, "a\0b").status == "denied"
    assert not room.changes


def test_the_model_that_took_over_stays_and_its_answer_is_not_asked_for_twice(
    folder: Path,
) -> None:
    with ModelServer(["Hello.", REFUSED, "I go on.", "And on."]) as server:
        served = {FIRST: server.base_url, SECOND: server.base_url}
        room = Room(folder, served)
        room.ask(1, "one")
        answer = room.ask(2, "two")
        room.log.close()  # as if killed before the checkpoint

        later = Room(folder, served)
        assert later.ask(2, "two") == answer
        assert later.bench.next_key == "s/2/2"
        assert len(server.requests) == 3
        later.ask(3, "three")

    assert later.asked[-1] == ("s/3/0", SECOND)
    assert texts(server.requests[3]) == ["one", "Hello.", "two", "I go on.", "three"]


def test_a_chain_at_its_end_fails_and_a_resume_tries_every_model_again(folder: Path) -> None:
    served = (FIRST, SECOND, THIRD)
    with ModelServer(["Hello.", REFUSED, REFUSED, REFUSED, REFUSED, "I am back."]) as server:
        room = Room(folder, dict.fromkeys(served, server.base_url))
        room.ask(1, "one")
        assert room.ask(2, "two").status == "failed"
        room.log.close()
        later = Room(folder, dict.fromkeys(served, server.base_url))
        assert later.ask(2, "two").status == "done"

    models = [model for _, model in later.asked]
    assert models == [FIRST, FIRST, SECOND, THIRD, THIRD, FIRST]
    keys = [key for key, _ in later.asked]
    assert keys == ["s/1/0", "s/2/0", "s/2/1", "s/2/2", "s/2/2", "s/2/3"]
    assert texts(server.requests[-1]) == ["one", "Hello.", "two"]


def test_a_dearer_model_does_not_take_over_where_its_call_does_not_fit(folder: Path) -> None:
    with ModelServer([REFUSED]) as server:
        served = {FIRST: server.base_url, DEAR: server.base_url}
        room = Room(folder, served, cost_usd="0.01")
        with pytest.raises(BudgetExhausted) as caught:
            room.ask(1, "one")
        assert len(server.requests) == 1
    assert caught.value.which == "cost_usd"


def test_a_stop_comes_before_another_model_is_asked(folder: Path) -> None:
    with ModelServer([REFUSED]) as server:
        room = Room(folder, {FIRST: server.base_url, SECOND: server.base_url})
        room.stopped = True
        with pytest.raises(InterruptedError):
            room.ask(1, "one")
        assert len(server.requests) == 1


def test_all_models_are_checked_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    minds.check([FIRST, SECOND], base_url="")
    minds.check([FIRST, THIRD], base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ModelNameError, match="needs the address"):
        minds.check([FIRST, THIRD], base_url="")
    with pytest.raises(ModelNameError, match="builtin cannot take over"):
        minds.check([FIRST, minds.BUILTIN], base_url="")
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(KeyMissing, match="OPENAI_API_KEY"):
        minds.check([FIRST, SECOND], base_url="")


def test_a_base_url_is_for_the_first_model_and_for_servers_of_ones_own() -> None:
    served = minds._served([FIRST, SECOND, THIRD], "http://127.0.0.1:1/v1")
    assert [bool(url) for url in served.values()] == [True, False, True]
