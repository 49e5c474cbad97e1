"""One conversation with a chat model: an append-only history and calls that are bounded in time.

The history only grows, so that what was sent once stays a byte-stable prefix (which providers
cache) and the log need hold each text only once. A call that fails leaves no trace in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage
from langsmith import tracing_context

from agent.models import names, prices
from agent.models.failures import ModelFailure, explain
from agent.models.messages import Finish, Message, finish, from_langchain, to_langchain

__all__ = ["ModelClient", "ModelFailure", "Reply", "ToolSchema"]

_Options: TypeAlias = Callable[[int, Mapping[str, Any] | None], dict[str, Any]]
ATTEMPTS = 6
PAID_ANSWERS = 2
"""Answers that are paid for in one call: one that is of no use is asked for once more, so that a
call costs at most twice what was reserved for it."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 60.0
CHARACTERS_PER_TOKEN = 4
"""Only for an answer that comes without a count."""


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A tool as a model is told of it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call brought.

    Attributes:
        message: The assistant's message in plain form, as it stands in the history.
        input_tokens: Of all attempts that were counted; the cached ones included.
        output_tokens: Likewise.
        cached_tokens: How many of the input tokens were read from the provider's cache.
        cost_usd: None where the price is not known.
        finish: Why the turn ended.
        seconds: Wall time, waits included.
        notes: What went wrong on the way and was mended, one sentence each.
    """

    message: Message
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: Decimal | None
    finish: Finish
    seconds: float
    notes: tuple[str, ...] = ()


class ModelClient:
    """One conversation: an append-only history and the chat model behind it.

    Args:
        name: `PROVIDER/NAME`, as `names.py` has them.
        base_url: Where it is served; needed for `openai-compatible/NAME`.
        tools: What the model may call.
        timeout_s: Of one call with all its attempts.
        attempts: Of one call at most: the first, and again where a fault may pass.

    Attributes:
        history: The messages so far, in plain form (see `messages.py`); not to be changed.

    Raises:
        ModelNameError: The name cannot be used, or the key or the package it needs is not there.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str = "",
        tools: Sequence[ToolSchema],
        timeout_s: float = 600,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.name = names.parse(name, base_url=base_url)
        self.history: list[Message] = []
        self._key = names.key(self.name, os.environ)
        self._address = self.name.address(os.environ)
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._sent: list[BaseMessage] = []
        self._digest = hashlib.sha256()
        self._length = len(json.dumps([tool.parameters for tool in tools]))
        self._model, self._options = self._open(tools)

    @property
    def length(self) -> int:
        """UTF-8 bytes of the history as JSON, tools included: what an estimate of tokens rests on."""
        return self._length

    def digest(self, messages: Sequence[Message] = ()) -> str:
        """SHA-256 of the history with `messages` after it: names what a call sends."""
        whole = self._digest.copy()
        for message in messages:
            whole.update(_canonical(message))
        return whole.hexdigest()

    def restore(self, turns: Sequence[tuple[Sequence[Message], Message | None]]) -> None:
        """Build the history again from a log.

        Args:
            turns: (new messages, answer) of each earlier call, in order; a call without an answer
                had failed, and what it sent was asked anew by a later one.
        """
        for messages, answer in turns:
            if answer is not None:
                self._append([*messages, answer])

    def call(
        self,
        messages: Sequence[Message],
        *,
        max_output_tokens: int,
        schema: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Send the history with `messages` after it; both they and the answer are appended.

        With a JSON schema of an object, the server is asked to answer with nothing else.

        A fault that may pass (rate limit, overload, connection, an answer that is not whole) is
        tried again with growing waits, as long as the time limit allows.

        Raises:
            ModelFailure: There is no usable answer; the history is as it was.
        """
        began, at = time.monotonic(), datetime.now(UTC)
        notes: list[str] = []
        answer, ended, usage = self._ask_until_whole(
            messages, max_output_tokens, schema, began, notes
        )
        message = from_langchain(answer, len(self.history) + len(messages))
        self._append([*messages, message])
        return Reply(
            message=message,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cost_usd=prices.cost(self.name, usage, at),
            finish=ended,
            seconds=time.monotonic() - began,
            notes=tuple(notes),
        )

    def _ask_until_whole(
        self,
        messages: Sequence[Message],
        max_output_tokens: int,
        schema: Mapping[str, Any] | None,
        began: float,
        notes: list[str],
    ) -> tuple[AIMessage, Finish, prices.Usage]:
        """An answer that says why it ended, and the tokens of all attempts."""
        prompt = [*self._sent, *map(to_langchain, messages)]
        usage = prices.Usage(0, 0)
        answered = 0
        for attempt in range(1, self._attempts + 1):
            left = self._timeout_s - (time.monotonic() - began)
            try:
                answer = self._ask(prompt, max_output_tokens, schema, left)
                usage = _sum(usage, self._usage(answer, messages))
                if (ended := finish(answer)) is not None:
                    return answer, ended, usage
                raise self._cut_short()
            except ModelFailure as failure:
                answered += failure.answered
                self._wait(failure, attempt if answered < PAID_ANSWERS else self._attempts, began)
                notes.append(f"Asked again: {failure}.")
        raise AssertionError("the last attempt returns or raises")

    def _open(self, tools: Sequence[ToolSchema]) -> tuple[Any, _Options]:
        """The chat model with its tools, and what makes the options of a call."""
        chat = _provider(self.name)
        model = chat.open_chat(
            self.name, address=self._address, key=self._key, timeout_s=self._timeout_s
        )
        if not tools:
            return model, chat.options
        told = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in tools
        ]
        return model.bind_tools(told), chat.options

    def _ask(
        self,
        prompt: list[BaseMessage],
        max_output_tokens: int,
        schema: Mapping[str, Any] | None,
        left: float,
    ) -> AIMessage:
        """One request; a library's error comes out as a `ModelFailure`."""
        if left <= 0:
            raise ModelFailure(
                f"{self.name} did not answer within {self._timeout_s:g} s",
                remedy="Go on later with `journeyman resume`, or choose another model.",
            )
        options = self._options(max_output_tokens, schema)
        try:
            # A tracing variable in the user's environment must not send prompts past the gate.
            with tracing_context(enabled=False):
                answer = self._model.invoke(prompt, timeout=left, **options)
        except Exception as error:
            raise explain(error, self.name, self._address, self._key) from error
        if not isinstance(answer, AIMessage):
            raise TypeError(f"{self.name} answered with {type(answer).__name__}")
        return answer

    def _wait(self, failure: ModelFailure, attempt: int, began: float) -> None:
        """Wait before the next attempt, or raise the failure where there can be none."""
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
        wait *= random.uniform(0.75, 1.25)  # noqa: S311  (spreads clients; nothing secret)
        if failure.retry_after_s is not None:
            wait = failure.retry_after_s
        left = self._timeout_s - (time.monotonic() - began)
        if not failure.retryable or attempt == self._attempts or wait >= left:
            raise failure
        time.sleep(wait)

    def _cut_short(self) -> ModelFailure:
        return ModelFailure(
            f"{self.name} at {self._address} ended its answer without saying why",
            remedy="Go on later with `journeyman resume`; a proxy may be cutting answers off.",
            retryable=True,
            answered=True,
        )

    def _usage(self, answer: AIMessage, messages: Sequence[Message]) -> prices.Usage:
        """Tokens as the server counted; from the length of the texts where it did not."""
        counted = answer.usage_metadata
        if counted is None or not counted["input_tokens"]:
            sent = self._length + sum(len(_canonical(message)) for message in messages)
            said = len(_canonical(from_langchain(answer, 0)))
            return prices.Usage(sent // CHARACTERS_PER_TOKEN, said // CHARACTERS_PER_TOKEN)
        details = counted.get("input_token_details") or {}
        return prices.Usage(
            input_tokens=counted["input_tokens"],
            output_tokens=counted["output_tokens"],
            cached_tokens=details.get("cache_read") or 0,
            cache_write_tokens=details.get("cache_creation") or 0,
        )

    def _append(self, messages: Sequence[Message]) -> None:
        for message in messages:
            text = _canonical(message)
            self.history.append(message)
            self._sent.append(to_langchain(message))
            self._digest.update(text)
            self._length += len(text)


def _canonical(message: Message) -> bytes:
    return json.dumps(message, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _sum(one: prices.Usage, other: prices.Usage) -> prices.Usage:
    return prices.Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_tokens + other.cached_tokens,
        one.cache_write_tokens + other.cache_write_tokens,
    )


def _provider(name: names.ModelName) -> Any:
    """The module of a model's provider; each is imported only when it is asked for (1 to 2 s)."""
    try:
        match name.provider:
            case "anthropic":
                from agent.models import anthropic_chat as chat  # noqa: PLC0415
            case "google":
                from agent.models import google_chat as chat  # type: ignore[no-redef]  # noqa: PLC0415
            case _:
                from agent.models import openai_chat as chat  # type: ignore[no-redef]  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise names.PackageMissing(
            f"{name} needs the package {error.name}, which is not installed",
            remedy=f"Install it: pip install 'journeyman[{name.provider}]'.",
        ) from error
    return chat
