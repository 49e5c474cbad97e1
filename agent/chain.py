"""Chat models in a row: where one cannot be had, the next takes over, from the same turn.

Each call is an act of its own, judged, logged and priced by the model that it goes to. Which model
is the current one is in the log, so that a resume goes on with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agent.loop.budget import Budget
from agent.models import names, prices
from agent.models.client import ModelClient, ModelFailure
from agent.models.streaming import Heard
from agent.proposers.chat_calls import BYTES_PER_TOKEN, TOO_LONG
from agent.proposers.chat_tools import tool_schemas
from agent.session_store import Past
from policies.action import Action, Effect, ModelRequest, Observation
from policies.record import ModelChanged, Record
from sandbox.protocol import Outcome
from tools.tool import Tool
from tools.workbench import PerformerError, Workbench

CALL_S = 600.0
"""Seconds of one call with all its attempts."""


class Chain:
    """The models of one session, and the one conversation that they lead.

    Args:
        served: Name to base URL, the preferred one first.
        tools: What a model may call.
        workbench: Performs the calls.
        budget: Holds what a call may cost beyond what was reserved for the model it began with.
        record: Appends to the log; raises where the run was told to stop.
        heard: Gets what a model says while it says it, and an empty text once the call is over.
        spoken: Names of those that speak their calls, as they call no tools.

    Raises:
        ModelNameError: One of them cannot be used, or what it needs is not there.
    """

    def __init__(
        self,
        served: Mapping[str, str],
        *,
        tools: Sequence[Tool[Any]],
        workbench: Workbench,
        budget: Budget,
        record: Callable[[Record], object],
        heard: Heard,
        spoken: Collection[str] = (),
    ) -> None:
        self._served = served
        self._schemas = tool_schemas(tools)
        self._workbench = workbench
        self._budget = budget
        self._record = record
        self._heard = heard
        self._spoken = spoken
        self._failure: ModelFailure | None = None
        self._replaced: set[str] = set()
        # All are opened, so that one that cannot be is known before it is needed.
        clients = [self._open(name) for name in served]
        self._names = list(served)
        self._current, self._client = self._names[0], clients[0]
        self._reserved_for = self._current

    def current(self) -> str:
        """Name of the model that the next call goes to."""
        return self._current

    def length(self, cut_to: int = 0) -> int:
        """UTF-8 bytes of the history, tools included; if it were cut to so many, where told."""
        return self._client.length(cut_to)

    def ask(
        self, messages: Sequence[dict[str, Any]], max_output_tokens: int, cut_to: int
    ) -> Observation:
        """Call the current model; where it cannot be had, each other one once.

        Raises:
            BudgetExhausted: The call to another model does not fit into what is left.
        """
        self._reserved_for = self._current
        while self._workbench.next_key in self._replaced:
            self._workbench.pass_over()
        for successor in self._others():
            key = self._workbench.next_key
            observation = self._ask_current(messages, max_output_tokens, cut_to)
            if observation.status != "failed" or self._failure is None:
                return observation
            self._hand_over(key, successor, str(self._failure))
        return self._ask_current(messages, max_output_tokens, cut_to)

    def perform(self, action: Action) -> Outcome:
        """Make one call, for the workbench."""
        request = action.request
        if not isinstance(request, ModelRequest):
            raise PerformerError("this is no model call", remedy="Report it.")
        self._failure = None
        try:
            reply = self._client.call(
                request.messages,
                max_output_tokens=request.max_output_tokens,
                cut_to=request.cut_to,
                heard=self._heard,
            )
        except ModelFailure as failure:
            if failure.too_long:
                return Outcome(data={"finish": TOO_LONG, "cost_usd": "0"})
            self._failure = failure
            raise PerformerError(
                str(failure), remedy=failure.remedy, data=_spent(failure)
            ) from failure
        finally:
            self._heard("")
        return Outcome(
            notes=reply.notes,
            data={
                "message": reply.message,
                "finish": reply.finish,
                "input_tokens": reply.input_tokens,
                "output_tokens": reply.output_tokens,
                "cached_tokens": reply.cached_tokens,
                "cost_usd": None if reply.cost_usd is None else str(reply.cost_usd),
            },
            seconds=reply.seconds,
        )

    def restore(self, past: Past) -> None:
        """Go on where the log of an earlier process ends."""
        if past.model:
            self._current, self._client = past.model, self._open(past.model)
        self._client.restore(past.turns)
        self._replaced = past.replaced

    def _open(self, name: str) -> ModelClient:
        return ModelClient(
            name,
            base_url=self._served[name],
            tools=self._schemas,
            timeout_s=CALL_S,
            spoken=name in self._spoken,
        )

    def _others(self) -> list[str]:
        """The models after the current one, then those before it: one may be well again."""
        at = self._names.index(self._current)
        return self._names[at + 1 :] + self._names[:at]

    def _hand_over(self, key: str, successor: str, reason: str) -> None:
        """Let another model go on from the same history."""
        self._record(ModelChanged(key=key, before=self._current, after=successor, reason=reason))
        history = self._client.history
        self._current, self._client = successor, self._open(successor)
        if history:
            self._client.restore([(history[:-1], history[-1], 0)])

    def _ask_current(
        self, messages: Sequence[dict[str, Any]], limit: int, cut_to: int
    ) -> Observation:
        """One call to the current model; what it may cost beyond what is reserved is held back."""
        tokens = (self.length(cut_to) + len(json.dumps(messages))) // BYTES_PER_TOKEN
        worst = _worst_cost(self._current, tokens, limit)
        reserved = _worst_cost(self._reserved_for, tokens, limit)
        beyond = max(Decimal(0), (worst or Decimal(0)) - (reserved or Decimal(0)))
        held = self._budget.reserve(cost_usd=beyond or None, tokens=0)
        request = ModelRequest(
            model=self._current,
            messages=tuple(messages),
            history=self._client.digest(messages, cut_to),
            max_output_tokens=limit,
            worst_cost_usd=None if worst is None else str(worst),
            cut_to=cut_to,
        )
        try:
            # Found again in the log after a stop: an answer that was paid for is not asked for twice.
            return self._workbench.perform(
                "model", request, effect=Effect.FIND_OR_CREATE, origin="loop", timeout_s=900.0
            )
        finally:
            self._budget.settle(held, cost_usd=Decimal(0), input_tokens=0, output_tokens=0)


def _spent(failure: ModelFailure) -> dict[str, Any]:
    """What a failed call cost: answers that are of no use are paid for, too."""
    if not failure.usage.input_tokens:
        return {}
    cost = failure.cost_usd
    return {
        "input_tokens": failure.usage.input_tokens,
        "output_tokens": failure.usage.output_tokens,
        "cached_tokens": failure.usage.cached_tokens,
        "cost_usd": None if cost is None else str(cost),
    }


def _worst_cost(name: str, input_tokens: int, limit: int) -> Decimal | None:
    return prices.worst_case(names.split(name), input_tokens, limit, datetime.now(UTC))
