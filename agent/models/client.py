"""One conversation with a chat model: its history and calls that are bounded in time.

A call that fails leaves no trace in the history (see `history.py`).
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.prompt_values import ChatPromptValue
from langsmith import tracing_context

from agent.models import names, prices
from agent.models.failures import ModelFailure, explain
from agent.models.history import History, canonical
from agent.models.messages import Finish, Message, finish, from_langchain, to_langchain
from agent.models.spoken_calls import SpokenCalls
from agent.models.streaming import Heard, as_piece, has_content, joined
from agent.prompts import render

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


@dataclass(slots=True)
class _Question:
    """What one call asks, since when, and what its attempts have brought so far."""

    prompt: list[BaseMessage]
    max_output_tokens: int
    schema: Mapping[str, Any] | None
    heard: Heard | None = None
    began: float = field(default_factory=time.monotonic)
    usage: prices.Usage = field(default_factory=lambda: prices.Usage(0, 0))
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began


class ModelClient:
    """One conversation: its history and the chat model behind it.

    Args:
        name: `PROVIDER/NAME`, as `names.py` has them.
        base_url: Where it is served; needed for `openai-compatible/NAME`.
        tools: What the model may call.
        timeout_s: Of one call with all its attempts.
        attempts: Of one call at most: the first, and again where a fault may pass.
        spoken: It calls no tools but keeps to a JSON schema: it is told of them in words, and speaks
            its calls.

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
        spoken: bool = False,
    ) -> None:
        self.name = names.parse(name, base_url=base_url)
        self._key = names.key(self.name, os.environ)
        self._address = self.name.address(os.environ)
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._history = History()
        told = [[tool.name, tool.description, tool.parameters] for tool in tools]
        self._tools_length = len(json.dumps(told))
        self._spoken = SpokenCalls(tools) if spoken else None
        self._model, self._options = self._open(() if spoken else tools)

    @property
    def history(self) -> Sequence[Message]:
        """The messages so far, in plain form (see `messages.py`)."""
        return self._history.messages

    def length(self, cut_to: int = 0) -> int:
        """UTF-8 bytes of the history as JSON, tools included: what an estimate of tokens rests on.

        With `cut_to`: if the history were cut to so many bytes, as far as it can be.
        """
        return self._tools_length + self._cut(cut_to).length

    def digest(self, messages: Sequence[Message] = (), cut_to: int = 0) -> str:
        """SHA-256 of the history with `messages` after it: names what a call sends."""
        return self._cut(cut_to).digest(messages)

    def restore(self, turns: Sequence[tuple[Sequence[Message], Message | None, int]]) -> None:
        """Build the history again from a log.

        Args:
            turns: (new messages, answer, cut_to) of each earlier call, in order; a call without an
                answer had failed, and what it sent was asked anew by a later one.
        """
        for messages, answer, cut_to in turns:
            if answer is not None:
                self._history = self._cut(cut_to)
                self._history.extend([*messages, answer])

    def call(
        self,
        messages: Sequence[Message],
        *,
        max_output_tokens: int,
        schema: Mapping[str, Any] | None = None,
        cut_to: int = 0,
        heard: Heard | None = None,
    ) -> Reply:
        """Send the history with `messages` after it; both they and the answer are appended.

        With a JSON schema of an object, the server is asked to answer with nothing else. With
        `cut_to` the history is cut to so many bytes first, as far as it can be. `heard` gets the
        answer's text while it comes.

        A fault that may pass (rate limit, overload, connection, an answer that is not whole) is
        tried again with growing waits, as long as the time limit allows.

        Raises:
            ModelFailure: There is no usable answer; the history is as it was.
        """
        at = datetime.now(UTC)
        past = self._cut(cut_to)
        question = self._question(past, messages, max_output_tokens, schema)
        question.heard = heard
        number = len(past.messages) + len(messages)
        try:
            message, ended = self._ask_for_message(question, number)
        except ModelFailure as failure:
            failure.usage, failure.cost_usd = question.usage, self._cost(question.usage, at)
            raise
        past.extend([*messages, message])
        self._history = past
        usage = question.usage
        return Reply(
            message=message,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cost_usd=self._cost(usage, at),
            finish=ended,
            seconds=question.seconds,
            notes=tuple(question.notes),
        )

    def _question(
        self,
        past: History,
        messages: Sequence[Message],
        max_output_tokens: int,
        schema: Mapping[str, Any] | None,
    ) -> _Question:
        """What goes over the wire."""
        if self._spoken is None:
            prompt = [*past.sent, *map(to_langchain, messages)]
            return _Question(prompt, max_output_tokens, schema)
        plain = self._spoken.prompt([*past.messages, *messages])
        wanted = self._spoken.schema(past.messages)
        return _Question([*map(to_langchain, plain)], max_output_tokens, wanted)

    def _ask_for_message(self, question: _Question, number: int) -> tuple[Message, Finish]:
        """The answer in plain form, and why it ended; `number` is its place in the history."""
        answer, ended = self._ask_until_whole(question)
        message = from_langchain(answer, number)
        if self._spoken is None:
            return message, ended
        return self._called(question, self._spoken, message, ended)

    def _cost(self, usage: prices.Usage, at: datetime) -> Decimal | None:
        if not usage.input_tokens and not usage.output_tokens:
            return Decimal(0)
        return prices.cost(self.name, usage, at)

    def _called(
        self, question: _Question, spoken: SpokenCalls, message: Message, ended: Finish
    ) -> tuple[Message, Finish]:
        """A spoken answer as the call that it means; the code that it lacks is asked for by itself."""
        found = spoken.call(message["content"])
        if found is None:
            return message, ended
        thought, call = found
        if wanted := spoken.wanted(call):
            then = {"role": "user", "content": render("spoken_code", what=wanted)}
            question.prompt = [*question.prompt, to_langchain(message), to_langchain(then)]
            question.schema = None
            answer, ended = self._ask_until_whole(question)
            if ended == "length":
                return message, ended
            call = spoken.with_code(call, str(answer.text))
        calls = [{"id": f"call_{len(question.prompt)}_0", **call}]
        return {"role": "assistant", "content": thought, "tool_calls": calls}, "tool_calls"

    def _cut(self, cut_to: int) -> History:
        return self._history.compacted(cut_to) if cut_to else self._history

    def _ask_until_whole(self, question: _Question) -> tuple[AIMessageChunk, Finish]:
        """An answer that says why it ended."""
        answered = 0
        for attempt in range(1, self._attempts + 1):
            try:
                answer = self._ask(question)
                question.usage = _sum(question.usage, self._usage(answer, question.prompt))
                if (ended := finish(answer)) is not None:
                    return answer, ended
                raise self._cut_short()
            except ModelFailure as failure:
                answered += failure.answered
                last = self._attempts if answered >= PAID_ANSWERS else attempt
                self._wait(failure, last, question.seconds)
                question.notes.append(f"Asked again: {failure}.")
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

    def _ask(self, question: _Question) -> AIMessageChunk:
        """One request; a library's error comes out as a `ModelFailure`."""
        left = self._timeout_s - question.seconds
        if left <= 0:
            raise ModelFailure(
                f"{self.name} did not answer within {self._timeout_s:g} s",
                remedy="Go on later with `journeyman resume`, or choose another model.",
            )
        options = self._options(question.max_output_tokens, question.schema)
        pieces: list[AIMessageChunk] = []
        if question.heard is not None:
            question.heard("")
        # A list would be walked and copied at each call.
        prompt = ChatPromptValue.model_construct(messages=question.prompt)
        try:
            # A tracing variable in the user's environment must not send prompts past the gate.
            with tracing_context(enabled=False):
                for said in self._model.stream(prompt, timeout=left, **options):
                    pieces.append(piece := as_piece(said))
                    if question.heard is not None and (text := str(piece.text)):
                        question.heard(text)
            return joined(pieces)
        except Exception as error:
            failure = explain(error, self.name, self._address, self._key)
            if has_content(pieces):
                failure.answered = True
                part = self._usage(joined(pieces), question.prompt)
                question.usage = _sum(question.usage, part)
            raise failure from error

    def _wait(self, failure: ModelFailure, attempt: int, passed: float) -> None:
        """Wait before the next attempt, or raise the failure where there can be none."""
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
        wait *= random.uniform(0.75, 1.25)  # noqa: S311  (spreads clients; nothing secret)
        if failure.retry_after_s is not None:
            wait = failure.retry_after_s
        left = self._timeout_s - passed
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

    def _usage(self, answer: AIMessageChunk, prompt: Sequence[BaseMessage]) -> prices.Usage:
        """Tokens as the server counted; from the length of the texts where it did not."""
        counted = answer.usage_metadata
        if counted is None or not counted["input_tokens"]:
            sent = sum(len(one.model_dump_json()) for one in prompt)
            said = len(canonical(from_langchain(answer, 0)))
            return prices.Usage(
                (self._tools_length + sent) // CHARACTERS_PER_TOKEN, said // CHARACTERS_PER_TOKEN
            )
        details = counted.get("input_token_details") or {}
        return prices.Usage(
            input_tokens=counted["input_tokens"],
            output_tokens=counted["output_tokens"],
            cached_tokens=details.get("cache_read") or 0,
            cache_write_tokens=details.get("cache_creation") or 0,
        )


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
            case "bedrock":
                from agent.models import bedrock_chat as chat  # type: ignore[no-redef]  # noqa: PLC0415
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
