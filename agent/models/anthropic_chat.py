"""Anthropic's chat models through LangChain."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import anthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import content
from pydantic import Field, SecretStr
from typing_extensions import override

from agent.models.connection import http_settings
from agent.models.names import ModelName

# LangChain works out the same few words anew for each block of a history, which is most of a call's
# CPU time in a long session.
if (words := getattr(content, "_get_data_content_block_types", None)) is not None:
    content._get_data_content_block_types = functools.cache(words)  # noqa: SLF001


class _Chat(ChatAnthropic):
    """`ChatAnthropic` with a client of ours for its connections, for which it has no argument."""

    http_client: Any = Field(exclude=True)

    @override
    @cached_property
    def _client(self) -> anthropic.Client:
        return anthropic.Client(**self._client_params, http_client=self.http_client)


def open_chat(name: ModelName, *, address: str, key: str, timeout_s: float) -> BaseChatModel:
    """The chat model; nothing is sent yet."""
    # The client adds `/v1` itself, whereas the same address serves the other protocol with it.
    settings: dict[str, Any] = {
        "model": name.model,
        "base_url": address.removesuffix("/v1"),
        "api_key": SecretStr(key),
        "timeout": timeout_s,
        "max_retries": 0,
        "http_client": anthropic.DefaultHttpxClient(**http_settings()),
    }
    return _Chat(**settings)


def options(max_output_tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes with a call: its limit, and the JSON schema that its answer is to fit.

    The history so far may be cached.
    """
    common = {"max_tokens": max_output_tokens, "cache_control": {"type": "ephemeral"}}
    if schema is None:
        return common
    return common | {"output_config": {"format": {"type": "json_schema", "schema": dict(schema)}}}
