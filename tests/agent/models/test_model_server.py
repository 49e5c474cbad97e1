"""The scripted server as the official clients see it, streamed answers included."""

from __future__ import annotations

from contextlib import suppress

import anthropic
import boto3
import openai
import pytest
from google import genai
from google.genai.types import HttpOptions

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


def test_openais_client_reads_streamed_responses() -> None:
    with ModelServer([LOOK]) as server:
        client = openai.OpenAI(base_url=server.base_url, api_key=KEY, max_retries=0)
        with client.responses.stream(model="m", input="Look.") as stream:
            answer = stream.get_final_response()

    assert answer.output_text == LOOK.text
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == [
        ("read", '{"path": "' + "a" * 60 + '"}'),
        ("ls", "{}"),
    ]
    assert answer.usage is not None
    assert answer.usage.input_tokens == 9


def test_googles_client_reads_a_streamed_answer() -> None:
    with ModelServer([LOOK]) as server:
        options = HttpOptions(base_url=server.base_url.removesuffix("/v1"))
        client = genai.Client(api_key=KEY, http_options=options)
        chunks = list(client.models.generate_content_stream(model="m", contents="Look."))

    parts = [part for chunk in chunks for part in (chunk.parts or ())]
    assert "".join(part.text or "" for part in parts) == LOOK.text
    calls = [part.function_call for part in parts if part.function_call]
    assert [call.args for call in calls] == [{"path": "a" * 60}, {}]
    usage = chunks[-1].usage_metadata
    assert usage is not None
    assert usage.prompt_token_count == 9


def test_amazons_client_reads_a_streamed_answer() -> None:
    with ModelServer([LOOK]) as server:
        client = boto3.client(
            "bedrock-runtime",
            region_name="us-east-1",
            endpoint_url=server.base_url.removesuffix("/v1"),
        )
        ask = [{"role": "user", "content": [{"text": "Look."}]}]
        events = list(client.converse_stream(modelId="m", messages=ask)["stream"])

    deltas = [
        event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event
    ]
    assert "".join(delta.get("text", "") for delta in deltas) == LOOK.text
    given = "".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)
    assert given == '{"path": "' + "a" * 60 + '"}{}'
    assert events[-2]["messageStop"]["stopReason"] == "tool_use"
    assert events[-1]["metadata"]["usage"]["inputTokens"] == 9


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
