from __future__ import annotations

import threading

import pytest

from agent.models import client, connection
from agent.models.client import ModelClient, ModelFailure
from tests.agent.models.conftest import (
    ANTHROPIC,
    BEDROCK,
    CHAT,
    COMPATIBLE,
    EVERY,
    GOOGLE,
    opened,
    said,
)
from tests.model_server import Call, ModelServer, Turn

LONG = "It is said piece by piece. " * 20


@pytest.mark.parametrize("name", EVERY)
def test_an_answer_is_heard_piece_by_piece(name: str) -> None:
    heard: list[str] = []
    with ModelServer([Turn(LONG, (Call("read", {"path": "a.py"}),))]) as server:
        reply = opened(server, name).call(
            [{"role": "user", "content": "Go on."}], max_output_tokens=9, heard=heard.append
        )

    assert "".join(heard) == reply.message["content"] == LONG
    assert heard[0] == ""
    assert len(heard) > 10


def test_an_answer_that_is_asked_for_again_is_heard_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT_S", 0.001)
    heard: list[str] = []
    with ModelServer([Turn(LONG, cut=True), "Whole."]) as server:
        opened(server, COMPATIBLE).call(
            [{"role": "user", "content": "Go on."}], max_output_tokens=9, heard=heard.append
        )

    assert heard.count("") == 2
    assert "".join(heard[heard.index("", 1) :]) == "Whole."


@pytest.mark.parametrize("name", EVERY)
def test_a_piece_is_heard_while_the_server_still_speaks(name: str) -> None:
    first = threading.Event()
    with ModelServer([Turn(LONG, silence_s=60)]) as server:
        client = opened(server, name)
        talk = threading.Thread(
            target=lambda: client.call(
                [{"role": "user", "content": "Go on."}],
                max_output_tokens=9,
                heard=lambda text: first.set() if text else None,
            )
        )
        talk.start()
        assert first.wait(30)
        assert client.history == []
    talk.join()


@pytest.mark.parametrize("name", [name for name in EVERY if name != BEDROCK])
def test_a_server_that_falls_silent_in_the_middle_is_asked_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_S", 0.2)
    with ModelServer([Turn(LONG, silence_s=60), "Whole."]) as server:
        reply = said(opened(server, name, timeout_s=50))

    assert reply.message["content"] == "Whole."
    assert "in time" in reply.notes[0]
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", EVERY)
def test_a_model_may_think_for_longer_than_it_may_be_silent(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENCE_S", 0.05)
    with ModelServer([Turn("Whole.", delay_s=0.3, thinks_s=0.3)]) as server:
        assert said(opened(server, name)).notes == ()


@pytest.mark.parametrize("name", EVERY)
def test_an_answer_that_trickles_is_left_when_the_time_is_over(name: str) -> None:
    with ModelServer([Turn(LONG, silence_s=60)] * 2) as server:
        client = opened(server, name, timeout_s=1)
        with pytest.raises(ModelFailure, match=r"in time|within"):
            said(client)

    assert client.history == []


@pytest.mark.parametrize("name", EVERY)
def test_what_a_broken_answer_had_said_is_paid_for_and_kept_nowhere(name: str) -> None:
    broken = Turn("word " * 400, cut=True, output_tokens=400)
    with ModelServer([broken, Turn("Whole.", input_tokens=7)]) as server:
        client = opened(server, name)
        reply = said(client, text="x" * 4_000)

    assert reply.message["content"] == "Whole."
    assert "word" not in str(client.history)
    assert reply.input_tokens > 1_000
    assert reply.output_tokens > 100


@pytest.mark.parametrize("name", EVERY)
def test_a_stream_that_breaks_twice_is_not_paid_for_a_third_time(name: str) -> None:
    answers = [Turn("word " * 400, cut=True)] * 3
    with ModelServer(answers) as server, pytest.raises(ModelFailure):
        said(opened(server, name))

    assert len(server.requests) == 2


@pytest.mark.parametrize("name", EVERY)
def test_an_answer_without_a_count_is_estimated_and_never_free(name: str) -> None:
    with ModelServer([Turn("word " * 400, counted=False)]) as server:
        reply = said(opened(server, name), text="x" * 4_000)

    assert reply.input_tokens >= 1_000
    assert reply.output_tokens >= 100


@pytest.mark.parametrize("name", EVERY)
def test_parallel_calls_keep_their_order_whatever_their_arguments(name: str) -> None:
    calls = tuple(Call("read", {"path": f"{number}" * 50}) for number in range(5))
    with ModelServer([Turn(calls=calls)]) as server:
        reply = said(opened(server, name))

    told = reply.message["tool_calls"]
    assert [call["arguments"] for call in told] == [call.arguments for call in calls]
    assert len({call["id"] for call in told}) == 5


def test_broken_arguments_are_not_mended_and_stay_in_their_place() -> None:
    calls = (Call("read", '{"path": "a'), Call("read", {"path": "b"}), Call("read", "[1, 2]"))
    with ModelServer([Turn(calls=calls)]) as server:
        told = said(opened(server, CHAT)).message["tool_calls"]

    assert [call.get("broken") for call in told] == ['{"path": "a', None, "[1, 2]"]
    assert [call["arguments"] for call in told] == [{}, {"path": "b"}, {}]


@pytest.mark.parametrize(
    "turn",
    [Turn(LONG), Turn("Look.", (Call("read", {"path": "a"}), Call("read", {"path": "b"})))],
    ids=["text", "calls"],
)
def test_a_small_server_may_answer_in_one_piece(turn: Turn) -> None:
    plain = Turn(turn.text, turn.calls, plain=True, input_tokens=50)
    with ModelServer([plain]) as server:
        reply = said(opened(server, COMPATIBLE))

    assert reply.message["content"] == turn.text
    told = reply.message.get("tool_calls", [])
    assert [call["arguments"] for call in told] == [call.arguments for call in turn.calls]
    assert (reply.input_tokens, reply.notes) == (50, ())


def test_what_is_no_answer_at_all_in_one_piece_is_told() -> None:
    with ModelServer([Turn("x", plain=True)] * 2) as server, pytest.raises(ModelFailure):
        said(opened(server, ANTHROPIC))


@pytest.mark.parametrize("name", [CHAT, ANTHROPIC, GOOGLE])
def test_an_answer_that_fits_a_schema_is_streamed_too_and_may_be_cut_at_its_limit(
    name: str,
) -> None:
    shape = {"type": "object", "properties": {"a": {"type": "integer"}}}
    with ModelServer([Turn('{"a": 1}'), Turn('{"a"', finish="length")]) as server:
        client = ModelClient(name, base_url=server.base_url, tools=[])
        ask = [{"role": "user", "content": "Answer."}]
        replies = [client.call(ask, max_output_tokens=9, schema=shape) for _ in range(2)]

    assert [reply.message["content"] for reply in replies] == ['{"a": 1}', '{"a"']
    assert replies[1].finish == "length"
