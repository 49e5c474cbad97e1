from __future__ import annotations

import itertools
import sys
import time
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tracers.langchain import wait_for_all_tracers

from agent import models
from agent.models.client import ModelClient, ModelFailure
from agent.models.messages import finish
from agent.models.names import KeyMissing, PackageMissing
from tests.agent.models.conftest import (
    ANTHROPIC,
    AZURE,
    BEDROCK,
    CHAT,
    COMPATIBLE,
    EVERY,
    GOOGLE,
    HELLO,
    KEY,
    LOOK,
    RESPONSES,
    opened,
    results,
    said,
)
from tests.model_server import Call, ModelServer, Turn, texts


@pytest.mark.parametrize("name", EVERY)
def test_tool_calls_their_results_and_an_answer_go_back_and_forth(name: str) -> None:
    with ModelServer([LOOK, "Both are fine."]) as server:
        client = opened(server, name)
        first = client.call(HELLO, max_output_tokens=500)
        last = client.call(results(first, "text of"), max_output_tokens=500)

    assert [call["arguments"]["path"] for call in first.message["tool_calls"]] == ["a.py", "b.py"]
    assert (first.message["content"], first.finish) == ("I look.", "tool_calls")
    assert (last.message["content"], last.finish) == ("Both are fine.", "stop")
    sent = "\n".join(texts(server.requests[1]))
    assert "Be brief." in sent
    assert sent.index("text of {'path': 'a.py'}") < sent.index("text of {'path': 'b.py'}")
    roles = [message["role"] for message in client.history]
    assert roles == ["system", "user", "assistant", "tool", "tool", "assistant"]


@pytest.mark.parametrize("name", EVERY)
def test_what_was_sent_once_is_sent_the_same_ever_after(name: str) -> None:
    with ModelServer([LOOK, "One.", LOOK, "Two."]) as server:
        client = opened(server, name)
        reply = client.call(HELLO, max_output_tokens=500)
        reply = client.call(results(reply, "is"), max_output_tokens=500)
        reply = said(client)
        said_last = client.call(results(reply, "was"), max_output_tokens=500)

    field = {RESPONSES: "input", GOOGLE: "contents"}.get(name, "messages")
    bodies = [request[field] for request in server.requests]
    for part in (part for body in bodies for turn in body for part in turn.get("parts", ())):
        part.pop("thoughtSignature", "")  # LangChain signs the calls since the last question only
    for turn in (turn for body in bodies for turn in body if isinstance(turn.get("content"), list)):
        # Amazon's mark of what may be cached is no part of what is cached, and moves on.
        turn["content"] = [part for part in turn["content"] if "cachePoint" not in part]
    for earlier, later in itertools.pairwise(bodies):
        assert later[: len(earlier)] == earlier
    assert said_last.message["content"] == "Two."


@pytest.mark.parametrize("name", EVERY)
def test_a_conversation_that_is_restored_sends_what_the_first_would_have_sent(name: str) -> None:
    with ModelServer([LOOK, "One.", Turn(status=400), "Two.", "Two."]) as server:
        client = opened(server, name)
        first = client.call(HELLO, max_output_tokens=500)
        second = client.call(results(first, "is"), max_output_tokens=500)
        with pytest.raises(ModelFailure):
            said(client)
        other = opened(server, name)
        failed = [{"role": "user", "content": "Go on."}]
        looked = results(first, "is")
        other.restore([(HELLO, first.message, 0), (looked, second.message, 0), (failed, None, 0)])

        assert (other.digest(), other.history) == (client.digest(), client.history)
        assert other.length() == client.length()
        said(client)
        said(other)
        assert server.requests[-1] == server.requests[-2]


def test_a_history_that_was_cut_is_restored_as_it_was_cut() -> None:
    long = [{"role": "user", "content": "x" * 3_000}]
    with ModelServer([LOOK, "One.", "Two.", "Two."]) as server:
        client = opened(server, "openai/gpt-5.5")
        first = client.call(HELLO, max_output_tokens=500)
        looked = results(first, "y" * 9_000)
        second = client.call(looked, max_output_tokens=500)
        third = client.call(long, max_output_tokens=500, cut_to=100)
        other = opened(server, "openai/gpt-5.5")
        other.restore(
            [(HELLO, first.message, 0), (looked, second.message, 0), (long, third.message, 100)]
        )

        assert "y" * 9_000 not in str(client.history)
        assert (other.digest(), other.history) == (client.digest(), client.history)


def test_a_cut_whose_call_fails_leaves_the_history_whole() -> None:
    with ModelServer([LOOK, "One.", Turn(status=400)]) as server:
        client = opened(server, "openai/gpt-5.5")
        first = client.call(HELLO, max_output_tokens=500)
        client.call(results(first, "y" * 9_000), max_output_tokens=500)
        before = list(client.history)
        with pytest.raises(ModelFailure):
            client.call(HELLO, max_output_tokens=500, cut_to=2_000)

        assert list(client.history) == before


def test_the_digest_names_the_whole_of_what_a_call_sends() -> None:
    with ModelServer(["One.", "Two."]) as server:
        client = opened(server, CHAT)
        before = client.digest(HELLO)
        assert before != client.digest()
        reply = client.call(HELLO, max_output_tokens=5)

        assert client.digest() == ModelClient.digest(opened(server, CHAT), [*HELLO, reply.message])
        assert client.digest() != before


FAULTS = {
    "a rate limit": Turn(status=429, retry_after=0.02),
    "an overload": Turn(status=529),
    "a server's error": Turn(status=500),
    "a gateway's error": Turn(status=502),
    "a dropped connection": Turn("cut " * 50, cut=True),
    "half a tool call": Turn("", (Call("read", {"path": "a" * 40}),), half=True),
    "half a text": Turn("This is not the whole of it.", half=True),
    "no finish reason": Turn("Is it whole?", finish=None),
    "an overload within the stream": Turn(status=529, late=True),
    "a server's error within the stream": Turn(status=500, late=True),
    "a rate limit within the stream": Turn(status=429, late=True),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_that_may_pass_is_tried_again_and_leaves_no_trace(fault: Turn, name: str) -> None:
    with ModelServer([fault, "Whole."]) as server:
        client = opened(server, name)
        reply = said(client)

    assert reply.message == {"role": "assistant", "content": "Whole."}
    assert [message["role"] for message in client.history] == ["user", "assistant"]
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]
    assert len(reply.notes) == 1


HOPELESS = {
    "a spent account": (Turn(status=429, code="insufficient_quota"), "Top up"),
    "a wrong key": (Turn(status=401), "Check the key"),
    "a key without the right": (Turn(status=403), "Check the key"),
    "no such model": (Turn(status=404), "Check the model's name"),
    "a bad request": (Turn(status=400, text="no such field"), "documentation"),
    "a history too long": (Turn(status=400, code="context_length_exceeded"), "narrower task"),
    "a body too large": (Turn(status=413), "narrower task"),
    "a spent account, found within the stream": (
        Turn(status=429, code="insufficient_quota", text="Too many tokens per day.", late=True),
        "Top up",
    ),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(("fault", "remedy"), HOPELESS.values(), ids=HOPELESS)
def test_a_fault_that_stays_is_told_at_once_with_a_way_out(
    fault: Turn, remedy: str, name: str
) -> None:
    with ModelServer([fault]) as server:
        client = opened(server, name)
        with pytest.raises(ModelFailure) as caught:
            said(client)

    assert remedy in caught.value.remedy
    assert not caught.value.retryable
    assert len(server.requests) == 1
    assert client.history == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (ANTHROPIC, "prompt is too long: 9 tokens > 8"),
        (GOOGLE, "The input token count (9) exceeds the maximum number of tokens allowed (8)."),
    ],
)
def test_what_a_provider_says_of_a_prompt_too_long_is_understood(name: str, text: str) -> None:
    with (
        ModelServer([Turn(status=400, text=text)]) as server,
        pytest.raises(ModelFailure) as caught,
    ):
        said(opened(server, name))

    assert "no longer fits" in str(caught.value)


@pytest.mark.parametrize("name", EVERY)
def test_there_are_at_most_six_attempts_of_which_none_is_the_librarys(name: str) -> None:
    with ModelServer([Turn(status=500)] * 7) as server, pytest.raises(ModelFailure) as caught:
        said(opened(server, name))

    assert len(server.requests) == 6
    assert caught.value.retryable


@pytest.mark.parametrize("name", EVERY)
def test_an_answer_that_is_not_whole_is_paid_for_twice_at_most(name: str) -> None:
    answers = [Turn("a", finish=None)] * 3
    with (
        ModelServer(answers) as server,
        pytest.raises(ModelFailure, match=r"without saying|Incomplete"),
    ):
        said(opened(server, name))

    assert len(server.requests) == 2


def test_no_wait_is_longer_than_what_is_left_of_the_time_limit() -> None:
    with ModelServer([Turn(status=429, retry_after=3600)]) as server:
        began = time.monotonic()
        with pytest.raises(ModelFailure):
            said(opened(server, CHAT, timeout_s=30))

    assert time.monotonic() - began < 20


@pytest.mark.parametrize("name", EVERY)
def test_a_server_that_is_silent_for_too_long_is_left(name: str) -> None:
    with ModelServer([Turn("late", delay_s=60)] * 9) as server:
        began = time.monotonic()
        with pytest.raises(ModelFailure, match=r"in time|within"):
            said(opened(server, name, timeout_s=0.5))

    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("told", "ended"),
    [
        ({"finish_reason": "STOP"}, "stop"),
        ({"finish_reason": "RECITATION"}, "refusal"),
        ({"finish_reason": "MALFORMED_FUNCTION_CALL"}, None),
        ({"prompt_feedback": {"block_reason": "SAFETY"}}, "refusal"),
        ({"prompt_feedback": None}, None),
    ],
)
def test_googles_words_for_an_end_are_understood(told: dict[str, Any], ended: str | None) -> None:
    assert finish(AIMessage("", response_metadata=told)) == ended


def test_a_provider_whose_package_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "langchain_google_genai", None)
    monkeypatch.delitem(sys.modules, "agent.models.google_chat", raising=False)
    monkeypatch.delattr(models, "google_chat", raising=False)

    with pytest.raises(PackageMissing) as caught:
        ModelClient(GOOGLE, tools=[])
    assert "journeyman[google]" in caught.value.remedy


def test_a_server_that_is_not_there_is_named_with_what_to_check() -> None:
    with ModelServer([]) as server:
        gone = server.base_url
    client = ModelClient(COMPATIBLE, base_url=gone, tools=[], timeout_s=5)

    with pytest.raises(ModelFailure) as caught:
        said(client)
    assert gone in str(caught.value)
    assert "address" in caught.value.remedy


DEEP = '{"path": ' + "[" * 40 + "]" * 40 + "}"


@pytest.mark.parametrize("name", [CHAT, RESPONSES, COMPATIBLE])
@pytest.mark.parametrize("broken", ['{"path": "a', "a.py", "{'path': 'a.py'}", DEEP])
def test_arguments_that_are_of_no_use_come_back_as_they_were_sent(broken: str, name: str) -> None:
    with ModelServer([Turn(calls=(Call("read", broken),)), "Sorry."]) as server:
        client = opened(server, name)
        reply = said(client)
        client.call(results(reply, "no JSON"), max_output_tokens=9)

    (call,) = reply.message["tool_calls"]
    assert (call["name"], call["arguments"], call["broken"]) == ("read", {}, broken)


def test_an_answer_that_the_library_cannot_read_is_paid_for_twice_at_most() -> None:
    with ModelServer([Turn(calls=(Call("read", "[1, 2]"),))] * 3) as server:
        client = opened(server, RESPONSES)
        with pytest.raises(ModelFailure, match="cannot be read"):
            said(client)

    assert len(server.requests) == 2


def test_calls_without_an_id_or_with_the_same_are_told_apart() -> None:
    calls = (Call("read", {}, id="x"), Call("read", {}, id="x"))
    with ModelServer([Turn(calls=calls)]) as server:
        reply = said(opened(server, CHAT))

    assert len({call["id"] for call in reply.message["tool_calls"]}) == 2


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("finish", ["length", "refusal"])
def test_why_a_turn_ended_is_told_in_the_same_words_for_every_provider(
    finish: str, name: str
) -> None:
    with ModelServer([Turn("Well", finish=finish)]) as server:
        assert said(opened(server, name)).finish == finish


@pytest.mark.parametrize("name", EVERY)
def test_tokens_are_those_that_the_server_counted_and_cached_ones_count_once(name: str) -> None:
    turn = Turn("Yes.", input_tokens=1_000, cached_tokens=800, output_tokens=7)
    with ModelServer([turn]) as server:
        reply = said(opened(server, name))

    assert (reply.input_tokens, reply.cached_tokens, reply.output_tokens) == (1_000, 800, 7)


def test_the_cost_is_known_where_the_price_is() -> None:
    turn = Turn("Yes.", input_tokens=1_000, output_tokens=1_000)
    for name, known in ((ANTHROPIC, True), (COMPATIBLE, False), ("openai/no-such", False)):
        with ModelServer([turn]) as server:
            reply = said(opened(server, name))
        assert (reply.cost_usd == Decimal("0.024")) is known
        assert (reply.cost_usd is None) is not known


def test_an_answer_without_a_count_is_estimated_and_never_free() -> None:
    with ModelServer([Turn("word " * 400, input_tokens=0)]) as server:
        reply = said(opened(server, CHAT), text="x" * 4_000)

    assert reply.input_tokens >= 1_000
    assert reply.output_tokens >= 100


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (CHAT, "max_completion_tokens"),
        (RESPONSES, "max_output_tokens"),
        (ANTHROPIC, "max_tokens"),
        (GOOGLE, "maxOutputTokens"),
        (AZURE, "max_completion_tokens"),
        (BEDROCK, "maxTokens"),
        (COMPATIBLE, "max_tokens"),
    ],
)
def test_the_limit_of_an_answer_goes_out_in_the_providers_word(name: str, field: str) -> None:
    with ModelServer(["Yes."]) as server:
        said(opened(server, name), most=321)

    (request,) = server.requests
    words = {"max_completion_tokens", "max_output_tokens", "max_tokens", "maxOutputTokens"}
    words |= {"maxTokens"}
    told: Any = request.get("generationConfig", request.get("inferenceConfig", request))
    assert {word: told[word] for word in words & told.keys()} == {field: 321}
    assert request.get("store") is (False if name in (CHAT, RESPONSES, AZURE) else None)
    assert (request.get("cache_control") is not None) is (name == ANTHROPIC)


@pytest.mark.parametrize("name", EVERY)
def test_the_key_goes_to_the_server_and_never_into_an_error(name: str) -> None:
    refusal = Turn(status=401, text=f"wrong key {KEY}")
    with ModelServer([refusal]) as server, pytest.raises(ModelFailure) as caught:
        said(opened(server, name))

    headers = server.headers[0]
    sent = headers.get("authorization", headers.get("x-goog-api-key", ""))
    assert sent in (KEY, f"Bearer {KEY}") or f"Credential={KEY}/" in sent
    assert KEY not in str(caught.value)
    assert "[key]" in str(caught.value)


def test_without_the_key_of_its_provider_a_model_is_not_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")

    with pytest.raises(KeyMissing):
        ModelClient(CHAT, tools=[])


@pytest.mark.parametrize("name", EVERY)
def test_variables_of_a_tracing_service_send_no_prompt_anywhere_else(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ModelServer(["Yes."]) as server, ModelServer([]) as spy:
        for prefix in ("LANGSMITH", "LANGCHAIN"):
            monkeypatch.setenv(f"{prefix}_TRACING_V2", "true")
            monkeypatch.setenv(f"{prefix}_ENDPOINT", spy.base_url)
            monkeypatch.setenv(f"{prefix}_API_KEY", KEY)
        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGSMITH_GATEWAY", "true")
        monkeypatch.setenv("LC_OUTPUT_VERSION", "v1")
        assert said(opened(server, name)).message["content"] == "Yes."
        wait_for_all_tracers()

    assert len(server.requests) == 1
    assert spy.requests == []
