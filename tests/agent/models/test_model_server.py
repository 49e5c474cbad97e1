"""The scripted server as the official clients see it, streamed answers included."""

from __future__ import annotations

from contextlib import suppress

import anthropic
import openai
import pytest

from tests.agent.models.conftest import KEY
from tests.model_server import Call, ModelServer, Turn, texts

LOOK = Turn("I look at it, " * 5, (Call("read", {"path": "a" * 60}), Call("ls")), input_tokens=9)


def test_openais_client_reads_a_streamed_answer() -> None:
    with ModelServer([LOOK]) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        with client.chat.completions.stream(
            model="m",
            messages=[{"role": "user", "content": "Look."}],
            stream_options={"include_usage": True},
        ) as stream:
            answer = stream.get_final_completion()

    (choice,) = answer.choices
    assert (choice.message.content, choice.finish_reason) == (LOOK.text, "tool_calls")
    arguments = [call.function.arguments for call in choice.message.tool_calls or ()]
    assert arguments == ['{"path": "' + "a" * 60 + '"}', "{}"]
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 9


def test_anthropics_client_reads_a_streamed_answer() -> None:
    with ModelServer([LOOK]) as server:
        address = server.base_url.removesuffix("/v1")
        client = anthropic.Anthropic(base_url=address, api_key=KEY, max_retries=0)
        with client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Look."}]
        ) as stream:
            answer = stream.get_final_message()

    assert [block.type for block in answer.content] == ["text", "tool_use", "tool_use"]
    assert (answer.stop_reason, answer.usage.input_tokens) == ("tool_use", 9)


def test_a_streamed_answer_can_end_early_without_any_error() -> None:
    with ModelServer([Turn("", LOOK.calls[:1], half=True)]) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        chunks = list(
            client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Look."}], stream=True
            )
        )

    assert not any(choice.finish_reason for chunk in chunks for choice in chunk.choices)


def test_a_script_can_react_to_what_was_asked_and_its_own_fault_fails_the_test() -> None:
    def ask(server: ModelServer) -> str | None:
        client = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        answer = client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Look."}]
        )
        return answer.choices[0].message.content

    with ModelServer(lambda request: f"You said {texts(request)}") as server:
        assert ask(server) == "You said ['Look.']"
    broken = ModelServer([lambda request: request["nothing"]])
    with pytest.raises(KeyError, match="nothing"), broken as server, suppress(openai.APIError):
        ask(server)


def test_a_script_that_is_over_says_so() -> None:
    with ModelServer([]) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        with pytest.raises(openai.BadRequestError, match="0 turns"):
            client.chat.completions.create(model="m", messages=[])
