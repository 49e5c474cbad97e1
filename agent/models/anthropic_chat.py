"""Anthropic's chat models through LangChain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from agent.models.names import ModelName


def open_chat(name: ModelName, *, address: str, key: str, timeout_s: float) -> BaseChatModel:
    """The chat model; nothing is sent yet."""
    # The client adds `/v1` itself, whereas the same address serves the other protocol with it.
    settings: dict[str, Any] = {
        "model": name.model,
        "base_url": address.removesuffix("/v1"),
        "api_key": SecretStr(key),
        "timeout": timeout_s,
        "max_retries": 0,
    }
    return ChatAnthropic(**settings)


def shape(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What goes with a call whose answer is to fit a JSON schema."""
    return {"output_config": {"format": {"type": "json_schema", "schema": dict(schema)}}}


def options() -> dict[str, Any]:
    """What goes with every call besides its limits: the history so far may be cached."""
    return {"cache_control": {"type": "ephemeral"}}
