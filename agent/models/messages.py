"""A conversation's messages as plain JSON, and their way to LangChain's types and back.

Plain form: {"role": "system" | "user" | "assistant" | "tool", "content": str}; an assistant's may
have "tool_calls": [{"id", "name", "arguments"}], a tool's names the call in "tool_call_id". A call
whose arguments were not a JSON object, or one that is nested too deep, has {} there and what was
sent in "broken".
"""

from __future__ import annotations

import json
from typing import Any, Literal, TypeAlias

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

Message: TypeAlias = dict[str, Any]
Finish = Literal["stop", "tool_calls", "length", "refusal"]
LEVELS = 16
"""Of lists and objects in a call's arguments; no tool takes more than a few."""

_FINISHES: dict[str, Finish] = {
    "tool_use": "tool_calls",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "content_filter": "refusal",
    "refusal": "refusal",
    "content_filtered": "refusal",
    "guardrail_intervened": "refusal",
    "MAX_TOKENS": "length",
    "SAFETY": "refusal",
    "RECITATION": "refusal",
    "BLOCKLIST": "refusal",
    "PROHIBITED_CONTENT": "refusal",
    "SPII": "refusal",
}
"""The providers' words for why a turn ended; any other word is an ordinary end."""
_NOT_WHOLE = {
    "MALFORMED_FUNCTION_CALL",
    "FINISH_REASON_UNSPECIFIED",
    "malformed_model_output",
    "malformed_tool_use",
}
"""The same for a turn that came to no end of its own."""


def to_langchain(message: Message) -> BaseMessage:
    """One plain message as LangChain's.

    Raises:
        ValueError: The role is none that there is.
    """
    content = message["content"]
    match message["role"]:
        case "system":
            return SystemMessage(content)
        case "user":
            return HumanMessage(content)
        case "tool":
            return ToolMessage(content, tool_call_id=message["tool_call_id"])
        case "assistant":
            calls = [
                ToolCall(name=call["name"], args=call["arguments"], id=call["id"])
                for call in message.get("tool_calls", ())
            ]
            # An assistant's message without any content is refused by some servers.
            return AIMessage(content or ("" if calls else "(no answer)"), tool_calls=calls)
        case role:
            raise ValueError(f"no message has the role {role!r}")


def from_langchain(answer: AIMessageChunk, number: int) -> Message:
    """An answer in plain form.

    Args:
        answer: What the model said; reasoning is not kept.
        number: How many messages stood before it: names calls that came without an id.
    """
    message: Message = {"role": "assistant", "content": str(answer.text)}
    calls = [
        {"id": chunk["id"] or "", "name": chunk["name"] or ""} | _arguments(chunk["args"] or "")
        for chunk in answer.tool_call_chunks
    ]
    seen: set[str] = set()
    for index, call in enumerate(calls):
        if not call["id"] or call["id"] in seen:
            call["id"] = f"call_{number}_{index}"
        seen.add(call["id"])
    if calls:
        message["tool_calls"] = calls
    return message


def _arguments(text: str) -> Message:
    """A call's arguments; LangChain's own reading would mend broken JSON by a guess."""
    try:
        arguments = json.loads(text or "{}")
    except (ValueError, RecursionError):
        arguments = None
    if isinstance(arguments, dict) and _fits(arguments, LEVELS):
        return {"arguments": arguments}
    return {"arguments": {}, "broken": text}


def _fits(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inner = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_fits(one, levels - 1) for one in inner)


def finish(answer: AIMessage) -> Finish | None:
    """Why the turn ended; None: it does not say, so it is not whole."""
    told = answer.response_metadata
    if told.get("status") == "incomplete":
        reason = str((told.get("incomplete_details") or {}).get("reason"))
        return _FINISHES.get(reason, "length")
    word = told.get("finish_reason") or told.get("stop_reason") or told.get("stopReason")
    if (told.get("prompt_feedback") or {}).get("block_reason"):
        return "refusal"
    if word == "STOP" or (not word and told.get("status") == "completed"):
        word = "tool_calls" if answer.tool_calls else "stop"
    if not word or word in _NOT_WHOLE:
        return None
    return _FINISHES.get(word, "stop")
