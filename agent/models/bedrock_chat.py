"""Chat models on Amazon Bedrock (its Converse API) by LangChain; an extra (`journeyman[bedrock]`)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from langchain_aws import ChatBedrockConverse
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from typing_extensions import override

from agent.models.connection import CONNECT_S, certificates
from agent.models.names import ModelName, ModelNameError, region

CACHES = ("anthropic.", "amazon.nova")
"""Families of models that refuse no mark of what may be cached."""


class _Chat(ChatBedrockConverse):
    """`ChatBedrockConverse` with a time limit of each call, for which it has no argument."""

    @override
    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        deadline = time.monotonic() + kwargs["timeout"]
        if any(family in self.model_id for family in CACHES):
            kwargs["cache_control"] = {"type": "ephemeral"}
        for piece in super()._stream(messages, stop, run_manager, **kwargs):
            if time.monotonic() > deadline:
                raise TimeoutError("the answer was not whole in time")
            yield piece

    @override
    def _converse_params(self, **kwargs: Any) -> dict[str, Any]:
        kwargs.pop("timeout", None)
        return super()._converse_params(**kwargs)


def open_chat(name: ModelName, *, address: str, key: str, timeout_s: float) -> BaseChatModel:
    """The chat model; nothing is sent yet.

    Its client finds the credentials by itself, as every tool of AWS does: `key` is one of them.
    """
    del key
    config = Config(
        connect_timeout=min(CONNECT_S, timeout_s),
        read_timeout=timeout_s,
        retries={"total_max_attempts": 1},
    )
    try:
        client = boto3.Session().client(
            "bedrock-runtime",
            region_name=region(os.environ),
            endpoint_url=address.removesuffix("/v1"),
            config=config,
            verify=certificates(),
        )
    except BotoCoreError as error:
        raise ModelNameError(
            f"{name} cannot be opened: {error}",
            remedy="Check AWS_PROFILE, AWS_REGION and the files of AWS that they point to.",
        ) from error
    settings: dict[str, Any] = {"model": name.model, "client": client, "bedrock_client": client}
    return _Chat(**settings)


def options(max_output_tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes with a call: its limit, and the JSON schema that its answer is to fit."""
    limit: dict[str, Any] = {"max_tokens": max_output_tokens}
    if schema is None:
        return limit
    named = {"name": "answer", "schema": dict(schema)}
    return limit | {"response_format": {"type": "json_schema", "json_schema": named}}
