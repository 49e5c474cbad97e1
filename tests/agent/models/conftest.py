"""Talking to scripted servers on loopback, with keys that only look like keys."""

from __future__ import annotations

from typing import Any

import pytest

from agent.models import client as client_module
from agent.models.client import ModelClient, Reply, ToolSchema
from agent.models.names import KEY_VARIABLES
from tests.model_server import Call, ModelServer, Turn

KEY = "not-a-key"
CHAT, RESPONSES, ANTHROPIC = "openai/gpt-5.5", "openai/gpt-6.1-sol", "anthropic/claude-opus-5-5"
COMPATIBLE, GOOGLE, AZURE = "openai-compatible/local", "google/gemini-3.8-flash", "azure/gpt-5.5"
BEDROCK = "bedrock/us.anthropic.claude-opus-4-5-20251101-v1:0"
EVERY = [CHAT, RESPONSES, ANTHROPIC, GOOGLE, AZURE, BEDROCK, COMPATIBLE]
READ = ToolSchema(
    "read", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}}
)
HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Look at a.py."}]
LOOK = Turn("I look.", (Call("read", {"path": "a.py"}), Call("read", {"path": "b.py"})))


def opened(server: ModelServer, name: str, timeout_s: float = 60) -> ModelClient:
    return ModelClient(name, base_url=server.base_url, tools=[READ], timeout_s=timeout_s)


def said(client: ModelClient, text: str = "Go on.", most: int = 500) -> Reply:
    return client.call([{"role": "user", "content": text}], max_output_tokens=most)


def results(reply: Reply, text: str) -> list[dict[str, Any]]:
    return [
        {"role": "tool", "content": f"{text} {call['arguments']}", "tool_call_id": call["id"]}
        for call in reply.message["tool_calls"]
    ]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KEY_VARIABLES.values():
        monkeypatch.setenv(variable, KEY)
    # A token of Bedrock's own goes to servers with TLS only.
    monkeypatch.delenv(KEY_VARIABLES["bedrock"])
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_WAIT_S", 0.01)
