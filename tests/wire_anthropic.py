"""The scripted model's answers in Anthropic's protocol: messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter
from typing_extensions import override

from tests.model_wire import Request, Turn, Wire, event, pieces

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


class Anthropic(Wire):
    """Messages."""

    finishes: ClassVar[dict[str, str]] = {
        "stop": "end_turn",
        "tool_calls": "tool_use",
        "length": "max_tokens",
        "refusal": "refusal",
    }

    @classmethod
    @override
    def error(cls, turn: Turn) -> Request:
        kinds = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}
        kind = turn.code or kinds.get(
            turn.status, "api_error" if turn.status >= 500 else "invalid_request_error"
        )
        said = {"type": kind, "message": turn.text or "ordered by the script"}
        return {"type": "error", "error": said, "request_id": "req_0"}

    @classmethod
    @override
    def late_error(cls, number: int, turn: Turn) -> bytes:
        return event(cls.error(turn), "error")

    @staticmethod
    def usage(turn: Turn) -> Request:
        if not turn.counted:
            return {"input_tokens": 0, "output_tokens": 0}
        return {
            "input_tokens": turn.asked_tokens - turn.cached_tokens,
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
    @override
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        content: list[Request] = [{"type": "text", "text": turn.said}] if turn.said else []
        for index, call in enumerate(turn.calls):
            tool_use = {"type": "tool_use", "id": call.id or f"toolu_{number}_{index}"}
            content.append(tool_use | {"name": call.name, "input": turn.object(index)})
        body = cls.head(number, request, turn)
        body |= {"content": content, "stop_reason": cls.finish(turn)}
        Message.model_validate(body)
        return body

    @classmethod
    @override
    def stream(cls, number: int, request: Request, turn: Turn) -> list[bytes]:
        said = []
        for one in cls._events(number, request, turn):
            EVENT.validate_python(one)
            said.append(event(one, one["type"]))
        return said

    @classmethod
    def _events(cls, number: int, request: Request, turn: Turn) -> Iterator[Request]:
        yield {"type": "message_start", "message": cls.head(number, request, turn)}
        for index, (block, deltas) in enumerate(cls._blocks(number, turn)):
            yield {"type": "content_block_start", "index": index, "content_block": block}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            if not turn.half:
                yield {"type": "content_block_stop", "index": index}
        finish = cls.finish(turn)
        if finish is not None:
            ended: Request = {"stop_reason": finish, "stop_sequence": None}
            yield {"type": "message_delta", "delta": ended, "usage": cls.usage(turn)}
        if not turn.half:
            yield {"type": "message_stop"}

    @staticmethod
    def _blocks(number: int, turn: Turn) -> Iterator[tuple[Request, list[Request]]]:
        if turn.said:
            texts = [{"type": "text_delta", "text": piece} for piece in pieces(turn.said)]
            yield {"type": "text", "text": ""}, texts
        for index, call in enumerate(turn.calls):
            parts = pieces(turn.arguments(index))
            deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
            block = {"type": "tool_use", "id": call.id or f"toolu_{number}_{index}", "input": {}}
            yield block | {"name": call.name}, deltas
