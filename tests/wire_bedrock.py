"""The scripted model's answers in Amazon's protocol: Converse and its streamed form."""

from __future__ import annotations

import json
import struct
from binascii import crc32
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar

import botocore.session
from botocore.validate import ParamValidator
from typing_extensions import override

from tests.model_wire import Request, Turn, Wire, pieces

ERRORS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


class Bedrock(Wire):
    """Converse."""

    content_type = "application/vnd.amazon.eventstream"
    finishes: ClassVar[dict[str, str]] = {
        "stop": "end_turn",
        "tool_calls": "tool_use",
        "length": "max_tokens",
        "refusal": "guardrail_intervened",
    }

    @classmethod
    @override
    def error(cls, turn: Turn) -> Request:
        code = turn.code or ERRORS.get(turn.status, "ServiceUnavailableException")
        return {"__type": code, "message": turn.text or "ordered by the script"}

    @classmethod
    @override
    def late_error(cls, number: int, turn: Turn) -> bytes:
        told = cls.error(turn)
        code = told.pop("__type")
        if code not in ERRORS.values():  # a client knows no others within a stream
            code = ERRORS[turn.status]
        name = code[0].lower() + code[1:]
        return _frame({":message-type": "exception", ":exception-type": name}, told)

    @classmethod
    @override
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        content: list[Request] = [{"text": turn.said}] if turn.said else []
        for index, call in enumerate(turn.calls):
            head = {"toolUseId": call.id or f"tooluse_{number}_{index}", "name": call.name}
            content.append({"toolUse": head | {"input": turn.object(index)}})
        body = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": cls.finish(turn) or "",
            "usage": cls._usage(turn),
            "metrics": {"latencyMs": 1},
        }
        _check("ConverseResponse", body)
        return body

    @classmethod
    @override
    def stream(cls, number: int, request: Request, turn: Turn) -> list[bytes]:
        said = []
        for name, told in cls._events(number, turn):
            _check("ConverseStreamOutput", {name: told})
            said.append(_frame({":message-type": "event", ":event-type": name}, told))
        return said

    @classmethod
    def _events(cls, number: int, turn: Turn) -> Iterator[tuple[str, Request]]:
        yield "messageStart", {"role": "assistant"}
        texts = pieces(turn.said)
        for text in texts:
            yield "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}}
        if texts and not turn.half:
            yield "contentBlockStop", {"contentBlockIndex": 0}
        for index, call in enumerate(turn.calls):
            at = {"contentBlockIndex": index + bool(texts)}
            head = {"toolUseId": call.id or f"tooluse_{number}_{index}", "name": call.name}
            yield "contentBlockStart", {"start": {"toolUse": head}} | at
            for part in pieces(turn.arguments(index)):
                yield "contentBlockDelta", {"delta": {"toolUse": {"input": part}}} | at
            if not turn.half:
                yield "contentBlockStop", at
        finish = cls.finish(turn)
        if finish is not None:
            yield "messageStop", {"stopReason": finish}
            if turn.counted:
                yield "metadata", {"usage": cls._usage(turn), "metrics": {"latencyMs": 1}}

    @staticmethod
    def _usage(turn: Turn) -> Request:
        return {
            "inputTokens": turn.asked_tokens - turn.cached_tokens,
            "outputTokens": turn.output_tokens,
            "totalTokens": turn.asked_tokens + turn.output_tokens,
            "cacheReadInputTokens": turn.cached_tokens,
            "cacheWriteInputTokens": 0,
        }


def _frame(headers: dict[str, str], said: Request) -> bytes:
    """One message of Amazon's event stream: lengths, headers, payload, two checksums."""
    named = b""
    for name, value in (headers | {":content-type": "application/json"}).items():
        named += bytes([len(name)]) + name.encode() + b"\x07"  # 7: a text
        named += struct.pack(">H", len(value)) + value.encode()
    payload = json.dumps(said).encode()
    prelude = struct.pack(">II", 16 + len(named) + len(payload), len(named))
    message = prelude + struct.pack(">I", crc32(prelude)) + named + payload
    return message + struct.pack(">I", crc32(message))


def _check(shape: str, said: Request) -> None:
    report = ParamValidator().validate(said, _service().shape_for(shape))
    if report.has_errors():
        raise ValueError(report.generate_report())


@cache
def _service() -> Any:
    return botocore.session.get_session().get_service_model("bedrock-runtime")
