"""The scripted model's answers in OpenAI's two protocols: chat completions and responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from typing_extensions import override

from tests.model_wire import Request, Turn, Wire, event, pieces

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


class OpenAI(Wire):
    """Chat completions."""

    finishes: ClassVar[dict[str, str]] = {
        "stop": "stop",
        "tool_calls": "tool_calls",
        "length": "length",
        "refusal": "content_filter",
    }

    @classmethod
    @override
    def error(cls, turn: Turn) -> Request:
        code = turn.code or {429: "rate_limit_exceeded"}.get(turn.status, "server_error")
        said = {"message": turn.text or "ordered by the script", "type": code, "code": code}
        return {"error": said | {"param": None}}

    @classmethod
    @override
    def late_error(cls, number: int, turn: Turn) -> bytes:
        return event(cls.error(turn))

    @staticmethod
    def usage(turn: Turn) -> Request:
        return {
            "prompt_tokens": turn.asked_tokens,
            "completion_tokens": turn.output_tokens,
            "total_tokens": turn.asked_tokens + turn.output_tokens,
            "prompt_tokens_details": {"cached_tokens": turn.cached_tokens},
        }

    @staticmethod
    def head(number: int, request: Request, kind: str) -> Request:
        return {
            "id": f"chatcmpl-{number}",
            "object": kind,
            "created": 1_700_000_000 + number,
            "model": request["model"],
        }

    @classmethod
    @override
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        message: Request = {"role": "assistant", "content": turn.said or None}
        if turn.calls:
            message["tool_calls"] = [
                {
                    "id": call.id or f"call_{number}_{index}",
                    "type": "function",
                    "function": {"name": call.name, "arguments": turn.arguments(index)},
                }
                for index, call in enumerate(turn.calls)
            ]
        choice = {"index": 0, "message": message, "finish_reason": cls.finish(turn)}
        body = cls.head(number, request, "chat.completion") | {"choices": [choice]}
        if turn.counted:
            body["usage"] = cls.usage(turn)
        if turn.whole:
            ChatCompletion.model_validate(body)
        return body

    @classmethod
    @override
    def stream(cls, number: int, request: Request, turn: Turn) -> list[bytes]:
        frames: list[Request] = [{"choices": choices} for choices in cls._choices(number, turn)]
        asked = (request.get("stream_options") or {}).get("include_usage")
        if asked and turn.counted and not turn.half:
            frames.append({"choices": [], "usage": cls.usage(turn)})
        said = []
        for frame in frames:
            chunk = cls.head(number, request, "chat.completion.chunk") | frame
            ChatCompletionChunk.model_validate(chunk)
            said.append(event(chunk))
        return [*said, b"data: [DONE]\n\n"]

    @classmethod
    def _choices(cls, number: int, turn: Turn) -> Iterator[list[Request]]:
        def choice(delta: Request, finish: str | None = None) -> list[Request]:
            return [{"index": 0, "delta": delta, "finish_reason": finish}]

        yield choice({"role": "assistant", "content": ""})
        for piece in pieces(turn.said):
            yield choice({"content": piece})
        for index, call in enumerate(turn.calls):
            head = {"id": call.id or f"call_{number}_{index}", "type": "function"}
            function = {"name": call.name, "arguments": ""}
            yield choice({"tool_calls": [{"index": index, "function": function} | head]})
            for piece in pieces(turn.arguments(index)):
                yield choice({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        finish = cls.finish(turn)
        if finish is not None:
            yield choice({}, finish)


class Responses(OpenAI):
    """Responses."""

    @classmethod
    @override
    def late_error(cls, number: int, turn: Turn) -> bytes:
        told = cls.error(turn)["error"]
        failed = cls._frame(number, {"model": "scripted"}, "failed", [])
        failed["error"] = {"code": told["code"], "message": told["message"]}
        return event({"type": "response.failed", "sequence_number": 99, "response": failed})

    @classmethod
    @override
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        body = cls._whole(number, request, turn)
        Response.model_validate(body)
        return body

    @classmethod
    @override
    def stream(cls, number: int, request: Request, turn: Turn) -> list[bytes]:
        said = []
        for index, one in enumerate(cls._events(number, request, turn)):
            told = one | {"sequence_number": index}
            EVENT.validate_python(told)
            said.append(event(told, told["type"]))
        return said

    @classmethod
    def _events(cls, number: int, request: Request, turn: Turn) -> Iterator[Request]:
        begun = cls._frame(number, request, "in_progress", [])
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        items = cls._items(number, turn)
        for index, item in enumerate(items):
            broken_off = turn.half and index == len(items) - 1
            yield from cls._item(item, index, broken_off=broken_off)
        whole = cls._whole(number, request, turn)
        if whole["status"]:
            yield {"type": f"response.{whole['status']}", "response": whole}

    @staticmethod
    def _item(item: Request, index: int, *, broken_off: bool) -> Iterator[Request]:
        at = {"output_index": index, "item_id": item["id"]}
        added, done = "response.output_item.added", "response.output_item.done"
        if item["type"] == "message":
            begun = item | {"content": [], "status": "in_progress"}
            yield {"type": added, "output_index": index, "item": begun}
            (part,) = item["content"]
            at |= {"content_index": 0}
            empty = part | {"text": ""}
            yield {"type": "response.content_part.added", "part": empty} | at
            for piece in pieces(part["text"]):
                yield {"type": "response.output_text.delta", "delta": piece, "logprobs": []} | at
            if not broken_off:
                ended = {"type": "response.output_text.done", "text": part["text"], "logprobs": []}
                yield ended | at
                yield {"type": "response.content_part.done", "part": part} | at
        else:
            begun = item | {"arguments": "", "status": "in_progress"}
            yield {"type": added, "output_index": index, "item": begun}
            for piece in pieces(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", "delta": piece} | at
            if not broken_off:
                ended = {"arguments": item["arguments"], "name": item["name"]}
                yield {"type": "response.function_call_arguments.done"} | ended | at
        if not broken_off:
            yield {"type": done, "output_index": index, "item": item}

    @classmethod
    def _whole(cls, number: int, request: Request, turn: Turn) -> Request:
        status, reason = cls._ending(turn)
        body = cls._frame(number, request, status, cls._items(number, turn))
        if reason:
            body["incomplete_details"] = {"reason": reason}
        if turn.counted:
            body["usage"] = cls.usage(turn)
        return body

    @staticmethod
    def _frame(number: int, request: Request, status: str | None, output: list[Request]) -> Request:
        return {
            "id": f"resp_{number}",
            "object": "response",
            "created_at": 1_700_000_000 + number,
            "status": status,
            "model": request["model"],
            "output": output,
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
        }

    @staticmethod
    def _items(number: int, turn: Turn) -> list[Request]:
        output: list[Request] = []
        if turn.said:
            text = {"type": "output_text", "text": turn.said, "annotations": []}
            item = {"type": "message", "id": f"msg_{number}", "role": "assistant"}
            output.append(item | {"status": "completed", "content": [text]})
        for index, call in enumerate(turn.calls):
            item = {"type": "function_call", "id": f"fc_{number}_{index}", "name": call.name}
            item |= {"call_id": call.id or f"call_{number}_{index}", "status": "completed"}
            output.append(item | {"arguments": turn.arguments(index)})
        return output

    @classmethod
    @override
    def usage(cls, turn: Turn) -> Request:
        cached = {"cached_tokens": turn.cached_tokens, "cache_write_tokens": 0}
        return {
            "input_tokens": turn.asked_tokens,
            "input_tokens_details": cached,
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": turn.asked_tokens + turn.output_tokens,
        }

    @staticmethod
    def _ending(turn: Turn) -> tuple[str | None, str]:
        if turn.half or turn.finish is None:
            return None, ""
        reasons = {"length": "max_output_tokens", "refusal": "content_filter"}
        if reason := reasons.get(turn.finish):
            return "incomplete", reason
        return "completed", ""
