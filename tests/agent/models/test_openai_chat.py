from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from langchain_openai import ChatOpenAI
from openai import _utils as openai_transform
from openai.resources.chat.completions import completions
from openai.resources.responses import responses
from pydantic import SecretStr

from agent.models.names import parse
from agent.models.openai_chat import open_chat
from tests.agent.models.conftest import KEY
from tests.model_server import ModelServer, Turn

TOOL = {
    "type": "function",
    "function": {
        "name": "read",
        "description": "Read a file.",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
HISTORY = [
    SystemMessage("Be brief."),
    HumanMessage("Look at ä.py."),
    AIMessage("", tool_calls=[ToolCall(name="read", args={"path": "ä.py"}, id="c1")]),
    ToolMessage("text", tool_call_id="c1"),
    HumanMessage("And?"),
]


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6.1-sol"])
def test_the_way_round_the_clients_walk_sends_the_very_same_body(model: str) -> None:
    with ModelServer([Turn("Yes.")] * 2) as server:
        ours = open_chat(parse(f"openai/{model}"), address=server.base_url, key=KEY, timeout_s=30)
        plain = ChatOpenAI(
            model=model,
            base_url=server.base_url,
            api_key=SecretStr(KEY),
            store=False,
            stream_usage=True,
        )
        for chat in (ours, plain):
            list(chat.bind_tools([TOOL]).stream(HISTORY, max_tokens=9, timeout=30))

    assert server.requests[0] == server.requests[1]
    assert server.requests[0]["tools"]


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6.1-sol"])
def test_a_server_is_not_told_of_the_users_machine(model: str) -> None:
    with ModelServer([Turn("Yes.")]) as server:
        chat = open_chat(parse(f"openai/{model}"), address=server.base_url, key=KEY, timeout_s=30)
        list(chat.stream(HISTORY, max_tokens=9, timeout=30))

    assert not [name for name in server.headers[0] if "stainless" in name]


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6.1-sol"])
def test_the_history_does_not_pass_through_the_clients_own_types(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def transform(data: object, kind: object) -> object:
        seen.append(data)
        return openai_transform.maybe_transform(data, kind)

    for module in (completions, responses):
        monkeypatch.setattr(module, "maybe_transform", transform)
    with ModelServer([Turn("Yes.")]) as server:
        chat = open_chat(parse(f"openai/{model}"), address=server.base_url, key=KEY, timeout_s=30)
        list(chat.bind_tools([TOOL]).stream(HISTORY, max_tokens=9, timeout=30))

    assert "Be brief." not in str(seen)
    assert "Be brief." in str(server.requests)


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6.1-sol", "o3"])
def test_what_is_remembered_of_a_history_sends_the_very_same_body(model: str) -> None:
    cut = [*HISTORY[:3], ToolMessage("cut", tool_call_id="c1"), HISTORY[4]]
    histories = [HISTORY[:2], HISTORY, HISTORY, cut, HISTORY[:4]]

    with ModelServer([Turn("Yes.")] * 2 * len(histories)) as server:
        name, address = parse(f"openai/{model}"), server.base_url
        one = open_chat(name, address=address, key=KEY, timeout_s=30)
        for history in histories:
            fresh = open_chat(name, address=address, key=KEY, timeout_s=30)
            for chat in (one, fresh):
                list(chat.bind_tools([TOOL]).stream(history, max_tokens=9, timeout=30))

    assert server.requests[::2] == server.requests[1::2]
