"""What was spent, by model, by step and by tool: each of the three sums to the whole."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.spending import NO_TOOL, Ledger, Spending
from policies.action import Action, ModelRequest, Observation, RecallRequest, Request
from policies.record import ActionDone, ActionJudged, Record
from tests.doors.records import ALLOW

Turns = Sequence[dict[str, Any]]
MODELS = st.sampled_from(["openai/a", "anthropic/b", "openai-compatible/c"])
TOKENS = st.integers(0, 10**6)
PRICES = st.decimals(0, 10, places=9)


def turns_of(prices: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(
        st.fixed_dictionaries(
            {
                "model": MODELS,
                "step": st.integers(1, 4),
                "input_tokens": TOKENS,
                "output_tokens": TOKENS,
                "cost_usd": prices,
                "tools": st.lists(st.sampled_from(["read", "shell", "plan", "done"]), max_size=5),
                "failed": st.booleans(),
            }
        ),
        max_size=8,
    )


def act(number: int, request: Request, step: int = 1, **observed: Any) -> list[Record]:
    tool = request.kind
    action = Action(
        session_id="s", step=step, index=number, tool=tool, request=request, origin="loop"
    )
    observation = Observation.model_validate({"status": "done", "verdict": ALLOW, **observed})
    return [
        ActionJudged(action=action, verdict=ALLOW),
        ActionDone(key=action.key, tool=tool, observation=observation),
    ]


def records_of(turns: Turns) -> list[Record]:
    records: list[Record] = []
    for number, turn in enumerate(turns):
        calls = [{"id": "", "name": name, "arguments": {}} for name in turn["tools"]]
        data = {name: turn[name] for name in ("input_tokens", "output_tokens")} | {
            "cached_tokens": turn["input_tokens"] // 2,
            "cost_usd": None if turn["cost_usd"] is None else str(turn["cost_usd"]),
            "message": {"role": "assistant", "content": "", "tool_calls": calls},
        }
        observed = {"status": "failed"} if turn["failed"] else {"data": data}
        request = ModelRequest(model=turn["model"], messages=(), history="", max_output_tokens=1)
        records += act(number, request, turn["step"], seconds=1.0, **observed)
    return records


def spending(records: Sequence[Record]) -> Spending:
    ledger = Ledger()
    for record in records:
        ledger.take(record)
    return ledger.spending()


@given(turns_of(PRICES))
def test_each_view_sums_to_the_whole(turns: Turns) -> None:
    found = spending(records_of(turns))

    answered = [turn for turn in turns if not turn["failed"]]
    for view in (found.models, found.steps, found.tools):
        for name in ("input_tokens", "output_tokens"):
            assert sum(getattr(one, name) for one in view) == sum(one[name] for one in answered)
        costs = [Decimal(one.cost_usd) for one in view if one.cost_usd is not None]
        assert len(costs) == len(view)
        assert sum(costs) == sum(turn["cost_usd"] for turn in answered)
    assert sum(one.calls for one in found.models) == len(answered)
    named = [name for turn in answered for name in turn["tools"]]
    assert {one.tool: one.calls for one in found.tools if one.calls} == {
        name: named.count(name) for name in named
    }
    assert sum(one.seconds for one in found.steps) == len(turns)


@given(turns_of(st.one_of(st.none(), PRICES)))
def test_a_price_that_is_not_known_is_never_taken_for_nothing(turns: Turns) -> None:
    found = spending(records_of(turns))
    unknown = [t for t in turns if not t["failed"] and t["cost_usd"] is None]

    assert {m.model for m in found.models if m.cost_usd is None} == {t["model"] for t in unknown}
    assert {s.step for s in found.steps if s.cost_usd is None} == {t["step"] for t in unknown}
    tools = {name for turn in unknown for name in turn["tools"] or [NO_TOOL]}
    assert {one.tool for one in found.tools if one.cost_usd is None} == tools


@given(turns_of(PRICES), st.integers(0, 20))
def test_it_goes_on_where_an_earlier_process_left_it(turns: Turns, cut: int) -> None:
    records = records_of(turns)
    ledger = Ledger()
    for record in records[:cut]:
        ledger.take(record)
    ledger.spending()
    for record in records[cut:]:
        ledger.take(record)
    assert ledger.spending() == spending(records)


def test_a_turn_is_divided_among_its_tools_and_one_without_a_call_is_nobodys() -> None:
    turn = {"model": "a", "step": 1, "input_tokens": 10, "output_tokens": 0, "failed": False}
    two = turn | {"cost_usd": Decimal("0.01"), "tools": ["read", "read", "done"]}
    none = turn | {"cost_usd": Decimal("0.5"), "tools": []}
    found = {one.tool: one for one in spending(records_of([two, none])).tools}

    assert (found["read"].calls, found["read"].input_tokens) == (2, 7)
    assert (found["done"].calls, found["done"].input_tokens) == (1, 3)
    assert (found[NO_TOOL].calls, found[NO_TOOL].cost_usd) == (0, "0.5")


def test_what_the_loop_does_itself_is_counted_once_though_a_crash_did_it_again() -> None:
    once = act(0, RecallRequest(query="q"), seconds=2.0)
    (recall,) = spending([once[0], *once]).tools
    assert (recall.tool, recall.calls, recall.cost_usd) == ("recall", 1, "0")
    again = spending([*once, *once]).tools[0]
    assert (again.calls, again.seconds) == (1, 4.0)
