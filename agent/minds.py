"""Which proposer: the search, or chat models by their names; imports only what the choice needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from agent.loop.budget import Budget
from agent.models import findings, names
from agent.models.streaming import Heard
from agent.proposers.proposer import Proposer
from agent.session_store import Past
from policies.action import Action
from policies.record import Record
from sandbox.protocol import Outcome
from tools.tool import Tool
from tools.workbench import PerformerError, Workbench

BUILTIN = "builtin"
LOCAL = "openai-compatible/"
Tools: TypeAlias = Sequence[Tool[Any]]


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
    restore: Callable[[Past], None]


def check(models: Sequence[str], *, base_url: str) -> None:
    """Fail early on a name that cannot be used, of the first or of one that may take over.

    Raises:
        ModelNameError: There is no such model, or its key or address is missing.
    """
    if models[0] == BUILTIN:
        return
    for name, url in _served(models, base_url).items():
        if name == BUILTIN:
            raise names.ModelNameError(
                f"{BUILTIN} cannot take over from {models[0]}: it is a search and reads no history",
                remedy="Name a chat model with --fallback.",
            )
        parsed = names.parse(name, base_url=url)
        names.key(parsed, os.environ)
        parsed.address(os.environ)


def choose(
    models: Sequence[str],
    *,
    base_url: str,
    workbench: Workbench,
    budget: Budget,
    tools: Tools,
    record: Callable[[Record], object],
    home: Path,
    heard: Heard,
) -> Mind:
    """The mind of the first name, who knows of these tools; the others take over where it fails.

    Args:
        models: Names, the preferred one first.
        base_url: Where the first is served, and every one that is `openai-compatible/…`.
        workbench: Performs its calls.
        budget: They are reserved in it.
        tools: What it may call.
        record: Appends to the log.
        home: The state folder, where it is kept what a probe found of a model.
        heard: Gets what they say while they say it, and an empty text once a call is over.

    Raises:
        ModelNameError: There is no such model, or its key or address is missing.
    """
    if models[0] == BUILTIN:
        return _search()
    # They cost a second of CPU, which the search does not need.
    from agent.chain import Chain  # noqa: PLC0415
    from agent.proposers.chat import ChatProposer  # noqa: PLC0415
    from agent.proposers.chat_calls import Conversation  # noqa: PLC0415

    served = _served(models, base_url)
    chain = Chain(
        served,
        tools=tools,
        workbench=workbench,
        budget=budget,
        record=record,
        heard=heard,
        spoken=[name for name, url in served.items() if findings.speaks_only(home, name, url)],
    )
    conversation = Conversation(ask=chain.ask, length=chain.length, model=chain.current)
    proposer = ChatProposer(models[0], conversation=conversation, tools=tools, budget=budget)
    return Mind(proposer, chain.perform, chain.restore)


def _served(models: Sequence[str], base_url: str) -> dict[str, str]:
    """Each name with its base URL, empty where it has an address of its own."""
    return {
        name: base_url if name == models[0] or name.startswith(LOCAL) else "" for name in models
    }


def _search() -> Mind:
    from agent.proposers.search import SearchProposer  # noqa: PLC0415  only for this choice

    def no_model(_action: Action) -> Outcome:
        raise PerformerError("the search calls no model", remedy="Choose one with --model.")

    return Mind(SearchProposer(), no_model, lambda _past: None)
