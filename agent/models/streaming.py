"""An answer out of the pieces that it comes in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, AIMessageChunk

Heard: TypeAlias = Callable[[str], None]
"""Gets the text of an answer piece by piece, after an empty one: there it begins, or begins anew."""


def joined(pieces: Sequence[AIMessageChunk]) -> AIMessageChunk:
    """The whole answer.

    Raises:
        ValueError: There is none.
    """
    if not pieces:
        raise ValueError("the answer is empty")
    told: dict[str, Any] = {}
    for piece in pieces:
        # LangChain would put the same word of two pieces together to one that is none.
        told |= {key: value for key, value in piece.response_metadata.items() if value}
        piece.response_metadata = {}
    # All at once: one by one copies what there is so far for each piece.
    answer = pieces[0] + pieces[1:]
    answer.response_metadata = told
    return answer


def as_piece(answer: AIMessage) -> AIMessageChunk:
    """A piece of an answer; a model that does not stream sends one that is the whole."""
    if isinstance(answer, AIMessageChunk):
        return answer
    fields = ("content", "tool_calls", "invalid_tool_calls", "usage_metadata", "response_metadata")
    return AIMessageChunk(**{field: getattr(answer, field) for field in fields})


def has_content(pieces: Sequence[AIMessageChunk]) -> bool:
    """The model has said something, which is paid even if the rest never comes."""
    return any(piece.content or piece.tool_call_chunks for piece in pieces)
