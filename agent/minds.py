"""Which proposer: the search, or a chat model by its name; imports only what the choice needs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.loop.budget import Budget
from agent.models import names, prices
from agent.proposers.proposer import Proposer
from policies.action import Action, Effect, ModelRequest, Observation
from sandbox.protocol import Outcome
from tools.tool import Tool
from tools.workbench import PerformerError, Workbench

if TYPE_CHECKING:
    from agent.models.client import ModelClient

BUILTIN = "builtin"
Tools: TypeAlias = Sequence[Tool[Any]]
Turns = Sequence[tuple[Sequence[dict[str, Any]], dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Mind:
    """A proposer with what serves it.

    Attributes:
        proposer: Says what to do next.
        perform: Performs its model calls; refuses where there is no model.
        restore: Rebuilds its conversation from the log, on a resume.
    """

    proposer: Proposer
    perform: Callable[[Action], Outcome]
    restore: Callable[[Turns], None]


def check(name: str, *, base_url: str) -> None:
    """Fail early on a name that cannot be used.

    Raises:
        ModelNameError: There is no such model, or its key or address is missing.
    """
    if name != BUILTIN:
        parsed = names.parse(name, base_url=base_url)
        names.key(parsed, os.environ)
        parsed.address(os.environ)


def choose(name: str, *, base_url: str, workbench: Workbench, budget: Budget, tools: Tools) -> Mind:
    """The mind of this name, who knows of these tools.

    Raises:
        ModelNameError: There is no such model, or its key or address is missing.
    """
    return _search() if name == BUILTIN else _chat(name, base_url, workbench, budget, tools)


def _search() -> Mind:
    from agent.proposers.search import SearchProposer  # noqa: PLC0415  only for this choice

    def no_model(_action: Action) -> Outcome:
        raise PerformerError("the search calls no model", remedy="Choose one with --model.")

    return Mind(SearchProposer(), no_model, lambda _turns: None)


def _chat(name: str, base_url: str, workbench: Workbench, budget: Budget, tools: Tools) -> Mind:
    from agent.models.client import ModelClient  # noqa: PLC0415  costs a second of CPU
    from agent.proposers.chat import BYTES_PER_TOKEN, ChatProposer  # noqa: PLC0415  likewise
    from agent.proposers.chat_tools import tool_schemas  # noqa: PLC0415  likewise

    client = ModelClient(name, base_url=base_url, tools=tool_schemas(tools))

    def worst_cost(messages: Sequence[dict[str, Any]], max_output_tokens: int) -> str | None:
        sent = client.length + len(json.dumps(messages))
        cost = prices.worst_case(
            client.name, sent // BYTES_PER_TOKEN, max_output_tokens, datetime.now(UTC)
        )
        return None if cost is None else str(cost)

    def ask(messages: Sequence[dict[str, Any]], max_output_tokens: int) -> Observation:
        request = ModelRequest(
            model=name,
            messages=tuple(messages),
            history=client.digest(messages),
            max_output_tokens=max_output_tokens,
            worst_cost_usd=worst_cost(messages, max_output_tokens),
        )
        # Found again in the log after a stop: an answer that was paid for is not asked for twice.
        return workbench.perform(
            "model", request, effect=Effect.FIND_OR_CREATE, origin="loop", timeout_s=900.0
        )

    proposer = ChatProposer(
        name, ask=ask, tools=tools, budget=budget, history_length=lambda: client.length
    )
    return Mind(proposer, _performer(client), client.restore)


def _performer(client: ModelClient) -> Callable[[Action], Outcome]:
    from agent.models.client import ModelFailure  # noqa: PLC0415  it is imported already

    def perform(action: Action) -> Outcome:
        request = action.request
        if not isinstance(request, ModelRequest):
            raise PerformerError("this is no model call", remedy="Report it.")
        try:
            reply = client.call(request.messages, max_output_tokens=request.max_output_tokens)
        except ModelFailure as failure:
            raise PerformerError(str(failure), remedy=failure.remedy) from failure
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

    return perform
