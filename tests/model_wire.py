"""What the scripted model's answers look like on the wire: three providers, four protocols.

Whole answers are checked against the official clients' own types before they leave.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from anthropic.types import Message, RawMessageStreamEvent
from google.genai.types import GenerateContentResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response
from pydantic import TypeAdapter
from typing_extensions import override

Request: TypeAlias = dict[str, Any]
EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
FINISHES = {
    "stop": ("stop", "end_turn", "STOP"),
    "tool_calls": ("tool_calls", "tool_use", "STOP"),
    "length": ("length", "max_tokens", "MAX_TOKENS"),
    "refusal": ("content_filter", "refusal", "SAFETY"),
}
"""Why a turn ended, in the words of OpenAI, of Anthropic and of Google."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of the scripted model; a text as `arguments` is sent as it stands (broken JSON)."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer, or one fault to order.

    Attributes:
        text: What the model says.
        calls: What it calls.
        finish: A key of FINISHES, `auto`, or None: the answer names no finish reason.
        status: Of an error; then `code`, `text` (the message) and `retry_after` (seconds) go with it.
        cut: The connection drops in the middle of the answer.
        half: The answer ends cleanly but too early: half of the last call's arguments (or of the
            text), and no finish reason.
        input_tokens: None: a quarter of the request's characters.
        cached_tokens: How many of the input tokens were read from a cache.
        delay_s: Waits before it answers.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = "auto"
    status: int = 200
    code: str = ""
    retry_after: float | None = None
    cut: bool = False
    half: bool = False
    input_tokens: int | None = None
    output_tokens: int = 20
    cached_tokens: int = 0
    delay_s: float = 0.0

    @property
    def whole(self) -> bool:
        """It is an answer that the official types must accept."""
        broken = any(isinstance(call.arguments, str) for call in self.calls)
        return not (self.half or self.finish is None or broken)


class OutOfProtocol(Exception):
    """What was asked is none of the protocols that are spoken."""


def protocol(path: str) -> type[OpenAI | Responses | Anthropic | Gemini]:
    """The protocol that is spoken at a path."""
    for end, spoken in SPOKEN.items():
        if path.endswith(end):
            return spoken
    raise OutOfProtocol(f"nothing is spoken at {path}; there are {', '.join(SPOKEN)}")


def _finish(turn: Turn, protocol: int) -> str | None:
    if turn.half or turn.finish is None:
        return None
    kind = turn.finish
    if kind == "auto":
        kind = "tool_calls" if turn.calls else "stop"
    return FINISHES[kind][protocol]


def _arguments(turn: Turn, index: int) -> str:
    arguments = turn.calls[index].arguments
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    last = index == len(turn.calls) - 1
    return text[: len(text) // 2] if turn.half and last else text


def _said(turn: Turn) -> str:
    return turn.text[: len(turn.text) // 2] if turn.half and not turn.calls else turn.text


def _pieces(text: str, size: int = 24) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


class OpenAI:
    """Chat completions."""

    @staticmethod
    def error(turn: Turn) -> Request:
        code = turn.code or {429: "rate_limit_exceeded"}.get(turn.status, "server_error")
        said = {"message": turn.text or "ordered by the script", "type": code, "code": code}
        return {"error": said | {"param": None}}

    @staticmethod
    def usage(turn: Turn) -> Request:
        asked = turn.input_tokens or 0
        return {
            "prompt_tokens": asked,
            "completion_tokens": turn.output_tokens,
            "total_tokens": asked + turn.output_tokens,
            "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
        }

    @classmethod
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        message: Request = {"role": "assistant", "content": _said(turn) or None}
        if turn.calls:
            message["tool_calls"] = [
                {
                    "id": call.id or f"call_{number}_{index}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": _arguments(turn, index)},
                }
                for index, call in enumerate(turn.calls)
            ]
        body = {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "created": 1_700_000_000 + number,
            "model": request["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": _finish(turn, 0)}],
            "usage": cls.usage(turn),
        }
        if turn.whole:
            ChatCompletion.model_validate(body)
        return body

    @classmethod
    def stream(cls, number: int, request: Request, turn: Turn) -> bytes:
        frames: list[Request] = [{"choices": choices} for choices in cls._choices(number, turn)]
        if (request.get("stream_options") or {}).get("include_usage") and turn.whole:
            frames.append({"choices": [], "usage": cls.usage(turn)})
        said = b""
        for frame in frames:
            chunk = {
                "id": f"chatcmpl-{number}",
                "object": "chat.completion.chunk",
                "created": 1_700_000_000 + number,
                "model": request["model"],
            } | frame
            ChatCompletionChunk.model_validate(chunk)
            said += b"data: " + json.dumps(chunk).encode() + b"\n\n"
        return said + b"data: [DONE]\n\n"

    @staticmethod
    def _choices(number: int, turn: Turn) -> Iterator[list[Request]]:
        def choice(delta: Request, finish: str | None = None) -> list[Request]:
            return [{"index": 0, "delta": delta, "finish_reason": finish}]

        yield choice({"role": "assistant", "content": ""})
        for piece in _pieces(_said(turn)):
            yield choice({"content": piece})
        for index, call in enumerate(turn.calls):
            head = {"id": call.id or f"call_{number}_{index}", "type": "function"}
            function = {"name": call.name, "arguments": ""}
            yield choice({"tool_calls": [{"index": index, "function": function} | head]})
            for piece in _pieces(_arguments(turn, index)):
                yield choice({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        finish = _finish(turn, 0)
        if finish is not None:
            yield choice({}, finish)


class Responses(OpenAI):
    """OpenAI's responses, as JSON only."""

    @classmethod
    @override
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        output: list[Request] = []
        if _said(turn):
            text = {"type": "output_text", "text": _said(turn), "annotations": []}
            item = {"type": "message", "id": f"msg_{number}", "role": "assistant"}
            output.append(item | {"status": "completed", "content": [text]})
        for index, call in enumerate(turn.calls):
            item = {"type": "function_call", "id": f"fc_{number}_{index}", "name": call.name}
            item |= {"call_id": call.id or f"call_{number}_{index}", "status": "completed"}
            output.append(item | {"arguments": _arguments(turn, index)})
        body = cls._ending(turn) | {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": 1_700_000_000 + number,
            "model": request["model"],
            "output": output,
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "usage": {
                "input_tokens": turn.input_tokens or 0,
                "input_tokens_details": {
                    "cached_tokens": turn.cached_tokens,
                    "cache_write_tokens": 0,
                },
                "output_tokens": turn.output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": (turn.input_tokens or 0) + turn.output_tokens,
            },
        }
        Response.model_validate(body)
        return body

    @classmethod
    @override
    def stream(cls, number: int, request: Request, turn: Turn) -> bytes:
        raise OutOfProtocol(f"responses are not streamed here: {number}, {request}, {turn}")

    @staticmethod
    def _ending(turn: Turn) -> Request:
        if turn.half or turn.finish is None:
            return {"status": None}
        reason = {"length": "max_output_tokens", "refusal": "content_filter"}.get(turn.finish)
        if reason:
            return {"status": "incomplete", "incomplete_details": {"reason": reason}}
        return {"status": "completed"}


class Anthropic:
    """Messages."""

    @staticmethod
    def error(turn: Turn) -> Request:
        kinds = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}
        kind = turn.code or kinds.get(
            turn.status, "api_error" if turn.status >= 500 else "invalid_request_error"
        )
        said = {"type": kind, "message": turn.text or "ordered by the script"}
        return {"type": "error", "error": said, "request_id": "req_0"}

    @staticmethod
    def usage(turn: Turn) -> Request:
        return {
            "input_tokens": (turn.input_tokens or 0) - turn.cached_tokens,
            "output_tokens": turn.output_tokens,
            "cache_read_input_tokens": turn.cached_tokens,
            "cache_creation_input_tokens": 0,
        }

    @classmethod
    def head(cls, number: int, request: Request, turn: Turn) -> Request:
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": request["model"],
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": cls.usage(turn),
        }

    @classmethod
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        content: list[Request] = [{"type": "text", "text": _said(turn)}] if _said(turn) else []
        for index, call in enumerate(turn.calls):
            # This form carries arguments as an object, so a text cannot be broken JSON in it:
            # what arrives is an object that no tool expects.
            given = call.arguments if isinstance(call.arguments, dict) else {"": call.arguments}
            tool_use = {"type": "tool_use", "id": call.id or f"toolu_{number}_{index}"}
            content.append(tool_use | {"name": call.name, "input": {} if turn.half else given})
        body = cls.head(number, request, turn)
        body |= {"content": content, "stop_reason": _finish(turn, 1)}
        Message.model_validate(body)
        return body

    @classmethod
    def stream(cls, number: int, request: Request, turn: Turn) -> bytes:
        said = b""
        for event in cls._events(number, request, turn):
            EVENT.validate_python(event)
            said += f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        return said

    @classmethod
    def _events(cls, number: int, request: Request, turn: Turn) -> Iterator[Request]:
        yield {"type": "message_start", "message": cls.head(number, request, turn)}
        blocks: list[tuple[Request, list[Request]]] = []
        if _said(turn):
            deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(_said(turn))]
            blocks.append(({"type": "text", "text": ""}, deltas))
        for index, call in enumerate(turn.calls):
            pieces = _pieces(_arguments(turn, index))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
            block = {"type": "tool_use", "id": call.id or f"toolu_{number}_{index}", "input": {}}
            blocks.append((block | {"name": call.name}, deltas))
        for index, (block, deltas) in enumerate(blocks):
            yield {"type": "content_block_start", "index": index, "content_block": block}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            if not turn.half:
                yield {"type": "content_block_stop", "index": index}
        finish = _finish(turn, 1)
        if finish is not None:
            ended: Request = {"stop_reason": finish, "stop_sequence": None}
            yield {"type": "message_delta", "delta": ended, "usage": cls.usage(turn)}
        if not turn.half:
            yield {"type": "message_stop"}


class Gemini:
    """Google's `generateContent`, as JSON only."""

    @staticmethod
    def error(turn: Turn) -> Request:
        kinds = {429: "RESOURCE_EXHAUSTED", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
        kind = turn.code or kinds.get(turn.status, "INTERNAL")
        said = turn.text or "ordered by the script"
        return {"error": {"code": turn.status, "message": said, "status": kind}}

    @classmethod
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        del request
        parts: list[Request] = [{"text": _said(turn)}] if _said(turn) else []
        for call in turn.calls:
            given = call.arguments if isinstance(call.arguments, dict) else {"": call.arguments}
            parts.append({"functionCall": {"name": call.name, "args": {} if turn.half else given}})
        candidate: Request = {"index": 0, "content": {"role": "model", "parts": parts}}
        if (finish := _finish(turn, 2)) is not None:
            candidate["finishReason"] = finish
        body = {
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": turn.input_tokens or 0,
                "candidatesTokenCount": turn.output_tokens,
                "cachedContentTokenCount": turn.cached_tokens,
                "totalTokenCount": (turn.input_tokens or 0) + turn.output_tokens,
            },
            "modelVersion": "scripted",
            "responseId": f"response-{number}",
        }
        GenerateContentResponse.model_validate(body)
        return body

    @classmethod
    def stream(cls, number: int, request: Request, turn: Turn) -> bytes:
        raise OutOfProtocol(f"generateContent is not streamed here: {number}, {request}, {turn}")


SPOKEN: dict[str, type[OpenAI | Responses | Anthropic | Gemini]] = {
    "/chat/completions": OpenAI,
    "/responses": Responses,
    "/messages": Anthropic,
    ":generateContent": Gemini,
}
