"""OpenAI's chat models (Azure's, too), and servers that speak the same protocol, by LangChain."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx2
import openai
import orjson
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.prompt_values import ChatPromptValue
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr, SecretStr
from typing_extensions import override

from agent.models.connection import http_settings
from agent.models.names import ModelName


class _Completions:
    """Chat completions as plain JSON both ways.

    The client's own would walk through all its types for the whole history at each call, and again
    for each event of the answer, which is most of a call's CPU time.
    """

    def __init__(self, client: openai.OpenAI) -> None:
        self._client = client
        self._address = f"{client.base_url}chat/completions"  # a relative one is parsed thrice
        self._written: list[tuple[object, bytes]] = []

    def create(
        self,
        *,
        timeout: float,
        extra_body: Mapping[str, Any],
        extra_headers: Mapping[str, str | openai.Omit],
        **body: Any,
    ) -> openai.Stream[object]:
        return self._client.post(
            self._address,
            content=self._json({**body, **extra_body}),
            options={"timeout": timeout, "headers": extra_headers},
            cast_to=object,
            stream=True,
            stream_cls=openai.Stream[object],
        )

    def _json(self, body: dict[str, Any]) -> bytes:
        """The body; a message that was sent before is not written anew."""
        messages = body.pop("messages")
        known = _unchanged(self._written, messages)
        self._written[known:] = [(message, orjson.dumps(message)) for message in messages[known:]]
        texts = [text for _, text in self._written]
        return b'%s,"messages":[%s]}' % (orjson.dumps(body)[:-1], b",".join(texts))


def _unchanged(before: Sequence[tuple[object, object]], now: Sequence[object]) -> int:
    """How many things at the beginning are the same as before, each with what was made of it."""
    same = [*map(operator.is_, map(operator.itemgetter(0), before), now)]
    return same.index(False) if False in same else len(same)


_UNTOLD = {
    f"x-stainless-{name}": openai.Omit()
    for name in (
        *("lang", "package-version", "os", "arch", "runtime", "runtime-version", "async"),
        *("retry-count", "read-timeout"),
    )
}
"""What the client would tell a server of this machine and of itself, at some cost to each call."""


class _Chat(ChatOpenAI):
    """`ChatOpenAI` whose history does not pass through the client's types."""

    _told: list[tuple[BaseMessage, dict[str, Any]]] = PrivateAttr(default_factory=list)
    """Messages of the call before, and what was sent for them: a history only grows."""

    @override
    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload = self._from_before(input_, stop=stop, **kwargs)
        extra = dict(payload.get("extra_body") or {})
        if "input" in payload:  # for responses: what is in `extra_body` is merged after the walk
            extra["input"] = payload["input"]
            payload["input"] = []
        # With a schema among its own arguments LangChain has the client judge the answer, which
        # refuses a cut one; here a finish reason tells of that.
        if "response_format" in payload:
            extra["response_format"] = payload.pop("response_format")
        return payload | {"extra_body": extra, "extra_headers": _UNTOLD}

    def _from_before(self, input_: LanguageModelInput, **kwargs: Any) -> dict[str, Any]:
        """The payload; what was made of a message for the call before is not made again."""
        messages = self._convert_input(input_).to_messages()
        known = _unchanged(self._told, messages)
        new = ChatPromptValue.model_construct(messages=messages[known:])
        payload = super()._get_request_payload(new, **kwargs)
        if "messages" not in payload:  # for responses, which are not one for one
            return super()._get_request_payload(messages, **kwargs) if known else payload
        self._told[known:] = zip(messages[known:], payload["messages"], strict=True)
        payload["messages"] = [*map(operator.itemgetter(1), self._told)]
        return payload


class _InOnePiece(httpx2.SyncByteStream):
    """An answer as JSON, turned into a stream of one event."""

    def __init__(self, body: httpx2.SyncByteStream) -> None:
        self._body = body

    @override
    def __iter__(self) -> Iterator[bytes]:
        said = b"".join(self._body)
        try:
            yield b"data: %s\n\n" % orjson.dumps(_as_chunk(orjson.loads(said)))
        except (ValueError, LookupError, TypeError, AttributeError):
            yield said

    @override
    def close(self) -> None:
        self._body.close()


def _as_chunk(answer: dict[str, Any]) -> dict[str, Any]:
    for choice in answer["choices"]:
        choice["delta"] = choice.pop("message")
        for index, call in enumerate(choice["delta"].get("tool_calls") or ()):
            call.setdefault("index", index)
    return answer | {"object": "chat.completion.chunk"}


def _stream(response: httpx2.Response) -> None:
    """Some small servers do not stream, whatever they are asked."""
    body, kind = response.stream, response.headers.get("content-type", "")
    if response.is_success and "json" in kind and isinstance(body, httpx2.SyncByteStream):
        response.stream = _InOnePiece(body)


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
    connection = http_settings()
    if name.provider == "openai-compatible":
        connection["event_hooks"]["response"].append(_stream)
    common: dict[str, Any] = {
        "model": name.model,
        "base_url": address,
        "api_key": SecretStr(key),
        "timeout": timeout_s,
        "max_retries": 0,
        "http_client": openai.DefaultHttpxClient(**connection),
        # Not used; one of LangChain's own would read all certificates again.
        "http_async_client": openai.DefaultAsyncHttpxClient(verify=connection["verify"]),
        "stream_usage": True,
    }
    chat: _Chat
    if name.provider == "openai-compatible":
        chat = _CompatibleChat(**common, use_responses_api=False)
    else:
        chat = _Chat(**common, store=False)
    chat.client = _Completions(chat.root_client)
    return chat


def options(max_output_tokens: int, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """What goes with a call: its limit, and the JSON schema that its answer is to fit."""
    limit: dict[str, Any] = {"max_tokens": max_output_tokens}
    if schema is None:
        return limit
    named = {"name": "answer", "strict": True, "schema": dict(schema)}
    return limit | {"response_format": {"type": "json_schema", "json_schema": named}}
