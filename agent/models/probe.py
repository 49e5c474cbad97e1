"""What a model can do, found by asking it: three short calls with fixed texts, nothing of the user's."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from agent.models import prices
from agent.models.client import ModelClient, ModelFailure, ToolSchema

TIMEOUT_S = 60.0
MOST_OUTPUT = 600
_LEFT, _RIGHT = 19, 23
_NUMBERS = {"left": {"type": "integer"}, "right": {"type": "integer"}}
_PAIR = {
    "type": "object",
    "properties": _NUMBERS,
    "required": ["left", "right"],
    "additionalProperties": False,
}
_ADD = ToolSchema("add", "Add two integers.", _PAIR)


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a model can do one thing, and what it did instead where it cannot."""

    works: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found.

    Attributes:
        name: As the user names it.
        address: The base URL that was asked.
        seconds: Wall time of the first call.
        tokens_per_s: Output tokens of the first call by its wall time.
        tools: A call to a tool with the right arguments.
        schema: An answer that fits a JSON schema that was sent.
        price: USD for a million input and a million output tokens today, in short calls; None where
            it is not known.
    """

    name: str
    address: str
    seconds: float
    tokens_per_s: float
    tools: Finding
    schema: Finding
    price: tuple[Decimal, Decimal] | None


def probe(name: str, *, base_url: str = "") -> Probe:
    """Ask a model what it can do.

    Raises:
        ModelNameError: The name cannot be used, or the key it needs is not there.
        ModelFailure: It cannot be reached, or answers nothing usable.
    """
    client = _client(name, base_url)
    first = client.call(
        _ask("Count from 1 to 60, only the numbers."), max_output_tokens=MOST_OUTPUT
    )
    return Probe(
        name=str(client.name),
        address=client.name.address(os.environ),
        seconds=first.seconds,
        tokens_per_s=first.output_tokens / max(first.seconds, 1e-3),
        tools=_tools(_client(name, base_url, _ADD)),
        schema=_schema(_client(name, base_url)),
        price=_price(client),
    )


def _client(name: str, base_url: str, *tools: ToolSchema) -> ModelClient:
    return ModelClient(name, base_url=base_url, tools=tools, timeout_s=TIMEOUT_S, attempts=1)


def _ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _tools(client: ModelClient) -> Finding:
    text = f"Call the tool `add` with left {_LEFT} and right {_RIGHT}. Say nothing else."
    try:
        message = client.call(_ask(text), max_output_tokens=MOST_OUTPUT).message
    except ModelFailure as failure:
        return Finding(works=False, detail=str(failure))
    for call in message.get("tool_calls", ()):
        if (call["name"], call["arguments"]) == ("add", {"left": _LEFT, "right": _RIGHT}):
            return Finding(works=True)
        return Finding(works=False, detail=f"it called {call['name']} with {call['arguments']}")
    return Finding(works=False, detail=f"it called none, and said: {message['content']}")


def _schema(client: ModelClient) -> Finding:
    text = f"Answer with a JSON object: left is {_LEFT}, right is {_RIGHT}."
    try:
        reply = client.call(_ask(text), max_output_tokens=MOST_OUTPUT, schema=_PAIR)
        answer = json.loads(reply.message["content"])
    except ModelFailure as failure:
        return Finding(works=False, detail=str(failure))
    except ValueError:
        return Finding(works=False, detail=f"it said: {reply.message['content']}")
    if answer == {"left": _LEFT, "right": _RIGHT}:
        return Finding(works=True)
    return Finding(works=False, detail=f"it answered {answer}")


def _price(client: ModelClient) -> tuple[Decimal, Decimal] | None:
    now, short, scale = datetime.now(UTC), 1_000, 1_000
    read = prices.cost(client.name, prices.Usage(short, 0), now)
    written = prices.cost(client.name, prices.Usage(0, short), now)
    return None if read is None or written is None else (read * scale, written * scale)
