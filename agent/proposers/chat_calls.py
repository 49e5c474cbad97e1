"""One call to a chat model: fitted into what the model can read, and paid from the budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from agent.models import names, prices
from agent.proposers.proposer import ProposerError
from policies.action import Observation
from tools.tool import denial

MOST_OUTPUT = 16_384
"""Tokens of one answer, where the budget allows them."""
LEAST_OUTPUT = 1_024
"""Fewer are of no use: then the budget is used up."""
BYTES_PER_TOKEN = 3
"""Fewer than there are in code and prose, so that an estimate errs upwards."""
FULL_SHARE = 0.85
"""Of what a model can read: from here on the history is compacted."""
CUT_SHARE = 0.5
"""What a compaction aims at, so that the next one is far away."""
TOO_LONG = "too_long"
"""What a call says in `finish` where the model could not read so much."""


class Reserves(Protocol):
    """The side of the budget that a proposer needs; it raises where a call does not fit."""

    def reserve(self, *, cost_usd: Decimal | None, tokens: int) -> Any:
        """Set aside the most that a call can spend."""
        ...

    def settle(
        self,
        reservation: Any,
        *,
        cost_usd: Decimal | None,
        input_tokens: int,
        output_tokens: int,
    ) -> None:
        """Put what was really spent in its place."""
        ...


class WindowFull(Exception):
    """The conversation no longer fits into what the model can read, and nothing in it can be cut."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """The side of a model's client that a proposer needs.

    Attributes:
        ask: Sends new messages through the workbench, with a limit of output tokens, and with the
            bytes that the history before them is to be cut to (0: it stays). What comes back has in
            `data` the keys message, input_tokens, output_tokens, cost_usd and finish.
        length: UTF-8 bytes of what was sent and answered so far, tools included; with a number: if
            it were cut to so many.
        model: Name of the model that the next call goes to.
    """

    ask: Callable[[Sequence[dict[str, Any]], int, int], Observation]
    length: Callable[[int], int]
    model: Callable[[], str]


class ChatCalls:
    """Asks a model; every call is reserved first and settled afterwards."""

    def __init__(self, conversation: Conversation, budget: Reserves) -> None:
        self._conversation = conversation
        self._budget = budget

    def call(
        self, messages: Sequence[dict[str, Any]], remaining: Mapping[str, float]
    ) -> tuple[Observation, int]:
        """One answered call, and its limit of output tokens.

        Raises:
            ProposerError: There is no answer.
            WindowFull: There is no room for it.
            BudgetExhausted: It does not fit into what is left (raised by the budget).
        """
        cut_to = self._cut_for_window(messages)
        for _ in range(3):
            observation, limit = self._pay(messages, remaining, cut_to)
            if observation.status == "unknown":
                continue  # nothing but money is lost by asking once more
            if observation.data.get("finish") != TOO_LONG:
                return _answered(observation), limit
            cut_to = self._cut_to(messages, self._length(messages, cut_to))
        name = self._conversation.model()
        raise WindowFull(f"{name} could not read the conversation, even when it was cut")

    def _cut_for_window(self, messages: Sequence[dict[str, Any]]) -> int:
        """What the history is to be cut to, so that the call fits; 0 where it does."""
        window = prices.window(self._model())
        length = self._length(messages, 0)
        if window is None or length <= window * FULL_SHARE * BYTES_PER_TOKEN:
            return 0
        return self._cut_to(messages, int(window * FULL_SHARE * BYTES_PER_TOKEN))

    def _cut_to(self, messages: Sequence[dict[str, Any]], most: int) -> int:
        """What the history is to be cut to, so that with `messages` it is well below `most` bytes.

        Raises:
            WindowFull: Nothing, or too little, can be cut.
        """
        cut_to = max(1, int(most * CUT_SHARE) - _size(messages))
        if self._length(messages, cut_to) > most * FULL_SHARE:
            raise WindowFull(
                f"the conversation no longer fits into what {self._conversation.model()} can read, "
                "and nothing in it can be cut any more"
            )
        return cut_to

    def _pay(
        self, messages: Sequence[dict[str, Any]], remaining: Mapping[str, float], cut_to: int
    ) -> tuple[Observation, int]:
        tokens = self._length(messages, cut_to) // BYTES_PER_TOKEN
        limit, worst = self._limit(tokens, remaining)
        reservation = self._budget.reserve(cost_usd=worst, tokens=tokens + limit)
        observation = self._conversation.ask(messages, limit, cut_to)
        spent: dict[str, Any] = {"cost_usd": worst, "input_tokens": tokens, "output_tokens": limit}
        if observation.status != "unknown":  # else a crash hid the answer: it counts as the dearest
            spent = _spent(observation)
        self._budget.settle(reservation, **spent)
        return observation, limit

    def _limit(self, tokens: int, remaining: Mapping[str, float]) -> tuple[int, Decimal | None]:
        """As long an answer as the budget allows: (output tokens, worst cost)."""
        at = datetime.now(UTC)
        limit = max(LEAST_OUTPUT, min(MOST_OUTPUT, int(remaining["tokens"]) - tokens))
        model = self._model()
        worst = prices.worst_case(model, tokens, limit, at)
        while worst is not None and worst > Decimal(str(remaining["cost_usd"])):
            if limit == LEAST_OUTPUT:
                break
            limit = max(LEAST_OUTPUT, limit // 2)
            worst = prices.worst_case(model, tokens, limit, at)
        return limit, worst

    def _model(self) -> names.ModelName:
        return names.split(self._conversation.model())

    def _length(self, messages: Sequence[dict[str, Any]], cut_to: int) -> int:
        return self._conversation.length(cut_to) + _size(messages)


def _size(messages: Sequence[dict[str, Any]]) -> int:
    return sum(len(json.dumps(message, ensure_ascii=False).encode()) for message in messages)


def _answered(observation: Observation) -> Observation:
    """The observation of a call that was answered.

    Raises:
        ProposerError: It was not.
    """
    if observation.status == "done":
        return observation
    happened, *rest = observation.notes or (denial(observation),)
    raise ProposerError(
        happened.rstrip("."),
        remedy=" ".join(rest) or "Choose another model, or ask who keeps the rules.",
    )


def _spent(observation: Observation) -> dict[str, Any]:
    """What a call cost; one that was refused, or failed and does not say, cost nothing."""
    data = observation.data
    told = data.get("cost_usd", None if observation.status == "done" else "0")
    return {
        "cost_usd": None if told is None else Decimal(str(told)),
        "input_tokens": _number(data.get("input_tokens")),
        "output_tokens": _number(data.get("output_tokens")),
    }


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
