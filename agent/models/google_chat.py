"""Google's chat models through LangChain; an extra (`journeyman[google]`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_google_genai import ChatGoogleGenerativeAI
from pydantic import SecretStr

from agent.models.connection import http_settings
from agent.models.names import BASE_URLS, ModelName

# It tells on standard error of each schema field that it leaves out, and of each empty answer.
logging.getLogger("langchain_google_genai").setLevel(logging.ERROR)


def open_chat(name: ModelName, *, address: str, key: str, timeout_s: float) -> BaseChatModel:
    """The chat model; nothing is sent yet."""
    settings: dict[str, Any] = {
        "model": name.model,
        "api_key": SecretStr(key),
        "timeout": timeout_s,
        "max_retries": 0,
        "client_args": http_settings(),
    }
    if address != BASE_URLS["google"]:  # at its own address it knows the protocol's version itself
        settings["base_url"] = address.removesuffix("/v1")
    return ChatGoogleGenerativeAI(**settings)


def options(max_output_tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes with a call: its limit, and the JSON schema that its answer is to fit."""
    limit: dict[str, Any] = {"max_output_tokens": max_output_tokens}
    if schema is None:
        return limit
    return limit | {
        "response_mime_type": "application/json",
        "response_json_schema": dict(schema),
    }
