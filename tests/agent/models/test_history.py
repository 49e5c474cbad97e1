from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.models.history import OPENING, History, canonical

OPENED = [{"role": "system", "content": "S" * 900}, {"role": "user", "content": "T" * 900}]


def turn(number: int, *, result: int, argument: int = 10) -> list[dict[str, Any]]:
    """A call with an argument and a result of so many characters."""
    call = {"id": f"c{number}", "name": "edit", "arguments": {"new": "n" * argument}}
    return [
        {"role": "assistant", "content": f"Step {number}.", "tool_calls": [call]},
        {"role": "tool", "content": "r" * result, "tool_call_id": f"c{number}"},
    ]


def spoken(*turns: list[dict[str, Any]]) -> History:
    return History([*OPENED, *(message for one in turns for message in one)])


def test_a_history_that_fits_is_left_as_it_is() -> None:
    history = spoken(turn(1, result=5_000))
    assert history.compacted(history.length).messages == history.messages


def test_the_oldest_results_are_cut_first_and_only_as_many_as_needed() -> None:
    history = spoken(*(turn(number, result=5_000) for number in range(10)))
    shorter = history.compacted(40_000)
    contents = [len(one["content"]) for one in shorter.messages if one["role"] == "tool"]
    assert contents == sorted(contents)
    assert contents.count(5_000) == 7
    assert shorter.length <= 40_000


def test_a_mark_says_how_much_was_cut_and_what_can_be_done() -> None:
    cut = spoken(turn(1, result=5_000), turn(2, result=9_000)).compacted(3_000)
    assert cut.messages[3]["content"] == (
        "[5000 characters were cut here to make room; call the tool again where it matters]"
    )


def test_long_arguments_go_where_results_are_not_enough() -> None:
    history = spoken(*(turn(number, result=100, argument=9_000) for number in range(5)))
    shorter = history.compacted(20_000)
    assert shorter.length <= 20_000
    oldest = shorter.messages[OPENING]["tool_calls"][0]
    assert oldest["arguments"]["new"] == "[9000 characters were cut here to make room; it was done]"
    assert shorter.messages[-2] == history.messages[-2]


def test_the_opening_is_never_cut_and_what_cannot_be_cut_stays() -> None:
    history = spoken(*(turn(number, result=100) for number in range(5)))
    shorter = history.compacted(10)
    assert shorter.messages[:OPENING] == OPENED
    assert shorter.length == history.length


def test_every_call_keeps_its_answer() -> None:
    history = spoken(*(turn(number, result=5_000, argument=5_000) for number in range(6)))
    shorter = history.compacted(4_000)
    ids = [call["id"] for message in shorter.messages for call in message.get("tool_calls", ())]
    answered = [one["tool_call_id"] for one in shorter.messages if one["role"] == "tool"]
    assert ids == answered == [f"c{number}" for number in range(6)]


sizes = st.integers(0, 3_000)


@given(st.lists(st.tuples(sizes, sizes), max_size=12), st.integers(0, 30_000))
def test_compacting_is_the_same_each_time_and_never_makes_it_longer(
    turns: list[tuple[int, int]], most: int
) -> None:
    history = spoken(
        *(turn(n, result=result, argument=given) for n, (result, given) in enumerate(turns))
    )
    shorter = history.compacted(most)
    assert shorter.length <= history.length
    assert shorter.length == sum(len(canonical(message)) for message in shorter.messages)
    assert shorter.digest() == history.compacted(most).digest()
    assert shorter.compacted(most).messages == shorter.messages
