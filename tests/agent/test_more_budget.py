"""A session that ran out of budget goes on where it is given more, and only there."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent.doors.cli.failure import Failure
from agent.doors.cli.resume import last_unfinished, new_limits
from agent.result import Result
from agent.session import Session
from agent.settings import load
from agent.spending import Ledger
from agent.task import Limits, Task
from policies.log import read
from policies.record import SessionResumed
from tests.agent.test_resume import DONE, EDIT, NEW, READ
from tests.model_server import ModelServer, Turn
from tests.sessions import copy_fixture, run

PRICED = "anthropic/claude-haiku-4-5"


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "not-a-key")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return copy_fixture("red_test", tmp_path)


def first(
    repo: Path, server: ModelServer, fallbacks: tuple[str, ...] = (), **limits: Any
) -> Result:
    task = Task(
        text="Mend it.",
        repo=repo,
        model=PRICED,
        fallbacks=fallbacks,
        base_url=server.base_url,
        sandbox="bubblewrap",
        limits=Limits.model_validate(limits),
    )
    result = run(task).result
    assert result is not None
    assert (result.outcome, result.exit_code) == ("budget", 7), result.reason
    return result


def resume(session_id: str, **limits: Any) -> Result:
    with Session.resume(
        session_id, load(), approve=lambda _a, _v: "", observe=lambda _r: None, limits=limits
    ) as session:
        return session.run()


def assert_sums(result: Result) -> None:
    """The three views of the spending sum to the result, and are what the log says."""
    views: Sequence[Sequence[Any]] = (
        result.spending.models,
        result.spending.steps,
        result.spending.tools,
    )
    for view in views:
        assert sum(one.input_tokens for one in view) == result.input_tokens
        assert sum(one.output_tokens for one in view) == result.output_tokens
        assert sum(Decimal(one.cost_usd) for one in view) == Decimal(result.cost_usd or "x")
    ledger = Ledger()
    for _, record in read(Path(result.log)):
        ledger.take(record)
    assert ledger.spending() == result.spending


def test_more_steps_let_it_go_on_and_a_later_resume_knows_them(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer([READ, EDIT, READ, DONE]) as server:
        ended = first(repo, server, steps=1)
        session = ended.session_id
        assert f"`journeyman resume {session} --max-steps 2`" in ended.reason
        assert ended.input_tokens > 0
        assert_sums(ended)

        assert resume(session) == ended
        assert "--max-steps" in resume(session, cost_usd=Decimal(100)).reason
        assert len(server.requests) == 1

        again = resume(session, steps=2)
        assert f"`journeyman resume {session} --max-steps 4`" in again.reason
        assert resume(session) == again
        assert "all 2 steps" in resume(session, cost_usd=Decimal(100)).reason
        monkeypatch.chdir(repo)
        with pytest.raises(Failure, match="without its end"):
            last_unfinished(load())
        assert last_unfinished(load(), more=True) == session

        last = resume(session, steps=20)

    assert last.outcome == "verified", last.reason
    assert NEW in last.patch
    assert last.steps == 4
    assert_sums(last)
    assert [one.calls for one in last.spending.models] == [4]
    resumed = [r for _, r in read(Path(last.log)) if isinstance(r, SessionResumed)]
    assert [r.limits["steps"] for r in resumed] == [2, 20]
    assert {r.limits["seconds"] for r in resumed} == {3600.0}


@pytest.mark.parametrize(
    ("limit", "little", "more"), [("cost_usd", "0.005", 1), ("tokens", 9, 10**6)]
)
def test_more_money_or_tokens_let_it_go_on(repo: Path, limit: str, little: Any, more: int) -> None:
    with ModelServer([EDIT, DONE]) as server:
        ended = first(repo, server, **{limit: little})
        option = {"cost_usd": "--max-cost", "tokens": "--max-tokens"}[limit]
        assert f"`journeyman resume {ended.session_id} {option} " in ended.reason
        assert not server.requests
        last = resume(
            ended.session_id, **{limit: Limits.model_validate({limit: more}).model_dump()[limit]}
        )

    assert last.outcome == "verified", last.reason
    assert_sums(last)


def test_the_amount_that_is_named_is_enough(repo: Path) -> None:
    with ModelServer([EDIT, DONE]) as server:
        ended = first(repo, server, cost_usd="0.005")
        amount = ended.reason.rpartition("--max-cost ")[2].rstrip("`.")
        assert resume(ended.session_id, cost_usd=Decimal(amount)).outcome == "verified"


def test_the_model_that_took_over_goes_on_after_a_resume(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "openai/gpt-5-mini"
    refused = Turn(status=401, text="no such key")
    with ModelServer([READ, refused, READ, EDIT, DONE]) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "not-a-key")
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        ended = first(repo, server, fallbacks=(other,), steps=2)
        last = resume(ended.session_id, steps=20)

    assert last.outcome == "verified", last.reason
    assert [request["model"] for request in server.requests] == [
        *["claude-haiku-4-5"] * 2,
        *["gpt-5-mini"] * 3,
    ]
    assert [(one.model, one.calls) for one in last.spending.models] == [(PRICED, 1), (other, 3)]
    assert_sums(last)


def test_a_managed_ceiling_holds_for_a_resume_too(tmp_path: Path) -> None:
    managed = tmp_path / "managed" / "config.toml"
    managed.parent.mkdir(mode=0o755)
    managed.write_text("[limits]\nsteps = 10\n")
    flags = {"limits.steps": 50, "limits.cost_usd": "5", "limits.tokens": None}
    settings = load(flags=flags, managed_file=managed)
    with pytest.raises(Failure, match=r"limits\.steps may be 10 at most"):
        new_limits(settings, flags)
    flags["limits.steps"] = 10
    assert new_limits(settings, flags) == {"steps": 10, "cost_usd": Decimal(5)}
