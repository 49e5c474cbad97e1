"""OpenAI's chat models (Azure's, too), and servers that speak the same protocol, by LangChain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_openai import ChatOpenAI
from pydantic import SecretStr
from typing_extensions import override

from agent.models.names import ModelName


class _Chat(ChatOpenAI):
    """`ChatOpenAI` whose body does not pass through the client's walk over its type unions.

    That walk looks at the whole history at each call, which is most of a call's CPU time in a long
    session; what is in `extra_body` is merged after it and goes out the same.
    """

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload = super()._get_request_payload(input_, stop=stop, **kwargs)
        extra = dict(payload.get("extra_body") or {})
        # Where the tools stand decides between OpenAI's two protocols, so with `input` they stay.
        for field in ("input",) if "input" in payload else ("messages", "tools"):
            if field in payload:
                extra[field] = payload[field]
                payload[field] = []
        return payload | {"extra_body": extra}


class _CompatibleChat(_Chat):
    """The same for other servers, many of which know only the older name of the output limit."""

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload = super()._get_request_payload(input_, stop=stop, **kwargs)
        if "max_completion_tokens" in payload:
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        return payload


def open_chat(name: ModelName, *, address: str, key: str, timeout_s: float) -> BaseChatModel:
    """The chat model; nothing is sent yet. What OpenAI need not keep it is asked not to keep."""
    common: dict[str, Any] = {
        "model": name.model,
        "base_url": address,
        "api_key": SecretStr(key),
        "timeout": timeout_s,
        "max_retries": 0,
    }
    if name.provider == "openai-compatible":
        return _CompatibleChat(**common, use_responses_api=False)
    return _Chat(**common, store=False)


def options(max_output_tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes with a call: its limit, and the JSON schema that its answer is to fit."""
    limit: dict[str, Any] = {"max_tokens": max_output_tokens}
    if schema is None:
        return limit
    named = {"name": "answer", "strict": True, "schema": dict(schema)}
    return limit | {"response_format": {"type": "json_schema", "json_schema": named}}
