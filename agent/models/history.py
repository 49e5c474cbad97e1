"""What was said in a conversation so far: messages that are only ever appended, until it is compacted.

Because it only grows, what was sent once stays a byte-stable prefix (which providers cache) and the
log need hold each text only once. `compacted` breaks with that on purpose, rarely, and always in the
same way for the same messages, so that a history is built again from a log as it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from agent.models.messages import Message, to_langchain

OPENING = 2
"""Messages that are never cut: who the model is, and the task."""
KEPT_SHARE = 0.3
"""Of what a compaction aims at, the share of the newest messages that it leaves whole."""
SHORT = 400
"""Characters of a text that is not worth cutting."""


class History:
    """Messages in plain form (see `messages.py`) and as LangChain's, their length and digest.

    Args:
        messages: What it begins with.

    Attributes:
        messages: In plain form, oldest first; not to be changed.
        sent: The same as LangChain's.
        length: UTF-8 bytes of all messages as JSON.
    """

    def __init__(self, messages: Sequence[Message] = ()) -> None:
        self.messages: list[Message] = []
        self.sent: list[BaseMessage] = []
        self.length = 0
        self._digest = hashlib.sha256()
        self.extend(messages)

    def extend(self, messages: Sequence[Message]) -> None:
        """Append messages."""
        for message in messages:
            text = canonical(message)
            self.messages.append(message)
            self.sent.append(to_langchain(message))
            self._digest.update(text)
            self.length += len(text)

    def digest(self, messages: Sequence[Message] = ()) -> str:
        """SHA-256 of the history with `messages` after it: names what a call sends."""
        whole = self._digest.copy()
        for message in messages:
            whole.update(canonical(message))
        return whole.hexdigest()

    def compacted(self, most: int) -> History:
        """The same conversation in at most `most` bytes, as far as old texts can be cut.

        What is cut are the results of calls, oldest first, and then the long arguments of calls; a
        mark says what stood there. The opening and the newest messages stay as they are, and so
        does everything that was said. The answer may be longer than `most`: nothing more can go.
        """
        messages, length = list(self.messages), self.length
        for cut in (_result, _arguments):
            for index in self._old(most):
                if length <= most:
                    break
                shorter = cut(messages[index])
                length -= len(canonical(messages[index])) - len(canonical(shorter))
                messages[index] = shorter
        return History(messages)

    def _old(self, most: int) -> Iterator[int]:
        """Places of the messages that may be cut, oldest first."""
        kept, end = 0, len(self.messages)
        while end > OPENING and kept < most * KEPT_SHARE:
            end -= 1
            kept += len(canonical(self.messages[end]))
        return iter(range(OPENING, end))


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


def canonical(message: Message) -> bytes:
    """A message as one line of JSON with sorted keys, UTF-8."""
    return _CANONICAL.encode(message).encode() + b"\n"


def _result(message: Message) -> Message:
    """A call's result without its text."""
    if message["role"] != "tool":
        return message
    return message | {"content": _mark(message["content"], "call the tool again where it matters")}


def _arguments(message: Message) -> Message:
    """A turn without the long texts that it gave to tools."""
    calls = message.get("tool_calls")
    if not calls:
        return message
    shorter = [
        call | {"arguments": {name: _cut(value) for name, value in call["arguments"].items()}}
        for call in calls
    ]
    return message | {"tool_calls": shorter}


def _cut(value: Any) -> Any:
    return _mark(value, "it was done") if isinstance(value, str) else value


def _mark(text: str, then: str) -> str:
    if len(text) <= SHORT:
        return text
    return f"[{len(text)} characters were cut here to make room; {then}]"
