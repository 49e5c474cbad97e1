from __future__ import annotations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolCall, ToolMessage
from langchain_openai import ChatOpenAI
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
            model=model, base_url=server.base_url, api_key=SecretStr(KEY), store=False
        )
        for chat in (ours, plain):
            chat.bind_tools([TOOL]).invoke(HISTORY, max_tokens=9)

    assert server.requests[0] == server.requests[1]
    assert server.requests[0]["tools"]


def test_the_history_does_not_pass_through_the_clients_own_arguments() -> None:
    chat = open_chat(parse("openai/gpt-5.5"), address="http://127.0.0.1:1/v1", key=KEY, timeout_s=1)

    payload = chat._get_request_payload(HISTORY, tools=[TOOL])  # type: ignore[attr-defined]
    assert payload["messages"] == []
    assert len(payload["extra_body"]["messages"]) == len(HISTORY)
