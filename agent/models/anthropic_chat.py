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


def options(max_output_tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes with a call: its limit, and the JSON schema that its answer is to fit.

    The history so far may be cached.
    """
    common = {"max_tokens": max_output_tokens, "cache_control": {"type": "ephemeral"}}
    if schema is None:
        return common
    return common | {"output_config": {"format": {"type": "json_schema", "schema": dict(schema)}}}
