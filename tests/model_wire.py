"""What the scripted model's answers are, and what all its protocols have in common.

Each protocol (`wire_*.py`) says how an answer or a fault looks in it, as JSON and as a stream, and
checks it against the official client's own types before it leaves.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

Request: TypeAlias = dict[str, Any]


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
        finish: `stop`, `tool_calls`, `length`, `refusal`, `auto` (one of the first two), or None:
            the answer names no finish reason.
        status: Of an error; then `code`, `text` (the message), `retry_after` (seconds) and `details`
            (Google's) go with it.
        late: The error comes within a stream that had begun well.
        cut: The connection drops in the middle of the answer.
        half: The answer ends cleanly but too early: half of the last call's arguments (or of the
            text), and no finish reason.
        plain: What was to be streamed comes as JSON in one piece.
        silence_s: In the middle of the stream nothing comes for so long.
        counted: The answer says how many tokens it took.
        input_tokens: None: a quarter of the request's characters.
        cached_tokens: How many of the input tokens were read from a cache.
        delay_s: Waits before it answers.
        thinks_s: Waits between the head of its answer and the first of the body.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    finish: str | None = "auto"
    status: int = 200
    code: str = ""
    retry_after: float | None = None
    details: tuple[Request, ...] = ()
    late: bool = False
    cut: bool = False
    half: bool = False
    plain: bool = False
    silence_s: float = 0.0
    counted: bool = True
    input_tokens: int | None = None
    output_tokens: int = 20
    cached_tokens: int = 0
    delay_s: float = 0.0
    thinks_s: float = 0.0

    @property
    def whole(self) -> bool:
        """It is an answer that the official types must accept."""
        broken = any(isinstance(call.arguments, str) for call in self.calls)
        return not (self.half or self.finish is None or broken)

    @property
    def asked_tokens(self) -> int:
        return self.input_tokens or 0

    @property
    def said(self) -> str:
        """The text as far as it is sent."""
        return self.text[: len(self.text) // 2] if self.half and not self.calls else self.text

    def arguments(self, index: int) -> str:
        """A call's arguments as far as they are sent."""
        arguments = self.calls[index].arguments
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        last = index == len(self.calls) - 1
        return text[: len(text) // 2] if self.half and last else text

    def object(self, index: int) -> dict[str, Any]:
        """A call's arguments where they can be nothing but an object.

        Such a form cannot carry broken JSON: what arrives is an object that no tool expects.
        """
        arguments = self.calls[index].arguments
        if self.half:
            return {}
        return arguments if isinstance(arguments, dict) else {"": arguments}


class Wire(ABC):
    """A protocol."""

    content_type: ClassVar[str] = "text/event-stream"
    """Of a streamed answer."""
    finishes: ClassVar[dict[str, str]]
    """Why a turn ended, in its words."""

    @classmethod
    def finish(cls, turn: Turn) -> str | None:
        if turn.half or turn.finish is None:
            return None
        kind = turn.finish
        if kind == "auto":
            kind = "tool_calls" if turn.calls else "stop"
        return cls.finishes[kind]

    @classmethod
    @abstractmethod
    def error(cls, turn: Turn) -> Request:
        """The body of an error."""

    @classmethod
    @abstractmethod
    def body(cls, number: int, request: Request, turn: Turn) -> Request:
        """A whole answer as JSON."""

    @classmethod
    @abstractmethod
    def stream(cls, number: int, request: Request, turn: Turn) -> list[bytes]:
        """The same as a stream, event by event."""

    @classmethod
    @abstractmethod
    def late_error(cls, number: int, turn: Turn) -> bytes:
        """The event that tells of an error within a stream."""


def event(said: Request, name: str = "") -> bytes:
    """One event of a stream of server-sent events."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(said)}\n\n".encode()


def pieces(text: str, size: int = 24) -> list[str]:
    """A text in the pieces that it is streamed in."""
    return [text[at : at + size] for at in range(0, len(text), size)]
