"""The scripted model's answers in Google's protocol: `generateContent` and its streamed form."""

from __future__ import annotations

from typing import ClassVar

from google.genai.types import GenerateContentResponse
from typing_extensions import override

from tests.model_wire import Request, Turn, Wire, event, pieces


class Gemini(Wire):
    """Google's models."""

    finishes: ClassVar[dict[str, str]] = {
        "stop": "STOP",
        "tool_calls": "STOP",
        "length": "MAX_TOKENS",
        "refusal": "SAFETY",
    }

    @classmethod
    @override
    def error(cls, turn: Turn) -> Request:
        kinds = {429: "RESOURCE_EXHAUSTED", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
        kind = turn.code or kinds.get(turn.status, "INTERNAL")
        said = turn.text or "ordered by the script"
        told: Request = {"code": turn.status, "message": said, "status": kind}
        if turn.details:
            told["details"] = list(turn.details)
        return {"error": told}

    @classmethod
    @override
    def late_error(cls, number: int, turn: Turn) -> bytes:
        return event(cls.error(turn))

    @classmethod
    @override
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        return cls._frame(number, turn, cls._parts(turn, [turn.said]), said=1)

    @classmethod
    @override
    def stream(cls, number: int, request: Request, turn: Turn) -> list[bytes]:
        parts = cls._parts(turn, pieces(turn.said)) or [{"text": ""}]
        return [
            event(cls._frame(number, turn, [part], said=(index + 1) / len(parts)))
            for index, part in enumerate(parts)
        ]

    @staticmethod
    def _parts(turn: Turn, texts: list[str]) -> list[Request]:
        parts: list[Request] = [{"text": text} for text in texts if text]
        for index, call in enumerate(turn.calls):
            parts.append({"functionCall": {"name": call.name, "args": turn.object(index)}})
        return parts

    @classmethod
    def _frame(cls, number: int, turn: Turn, parts: list[Request], *, said: float) -> Request:
        candidate: Request = {"index": 0, "content": {"role": "model", "parts": parts}}
        frame: Request = {
            "candidates": [candidate],
            "modelVersion": "scripted",
            "responseId": f"response-{number}",
        }
        if said == 1 and (finish := cls.finish(turn)) is not None:
            candidate["finishReason"] = finish
        if turn.counted:
            frame["usageMetadata"] = {
                "promptTokenCount": turn.asked_tokens,
                "candidatesTokenCount": int(turn.output_tokens * said),
                "cachedContentTokenCount": turn.cached_tokens,
                "totalTokenCount": turn.asked_tokens + turn.output_tokens,
            }
        GenerateContentResponse.model_validate(frame)
        return frame
