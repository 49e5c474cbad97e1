"""What a tool is: a name, a model of its arguments, and two pure functions.

`Tool.call` is the only place in the house that hands a tool's request to the workbench.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from policies.action import Effect, Observation, Origin, Request

A = TypeVar("A", bound=BaseModel)


class Performs(Protocol):
    """The side of the workbench that a tool needs."""

    def perform(
        self, tool: str, request: Request, *, effect: Effect, origin: Origin, timeout_s: float
    ) -> Observation:
        """Judge, record, perform, mask, record."""
        ...


class BadArguments(Exception):
    """A model's arguments do not fit the tool; the text is for the model, which should try again."""


@dataclass(frozen=True, slots=True)
class Tool(Generic[A]):
    """One thing the agent can do.

    Attributes:
        name: What a model calls it.
        arguments: Its arguments; the class docstring is the description a model reads.
        to_request: Turns arguments into a request and its time limit in seconds.
        to_text: Turns what came back into text for a model, denial included.
    """

    name: str
    arguments: type[A]
    to_request: Callable[[A], tuple[Request, float]]
    to_text: Callable[[Observation], str]
    effect: Effect = Effect.CONTAINED

    def parse(self, arguments: dict[str, Any]) -> A:
        """Arguments as typed data.

        Raises:
            BadArguments: They do not fit; says which and how.
        """
        try:
            return self.arguments.model_validate(arguments)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or 'arguments'}: {e['msg']}"
                for e in error.errors()
            )
            raise BadArguments(f"{self.name} was not called: {problems}. Call it again.") from error

    def call(
        self, workbench: Performs, arguments: dict[str, Any], *, origin: Origin = "model"
    ) -> Observation:
        """Do it through the workbench."""
        request, timeout_s = self.to_request(self.parse(arguments))
        return workbench.perform(
            self.name, request, effect=self.effect, origin=origin, timeout_s=timeout_s
        )


def denial(observation: Observation) -> str:
    """Text of an observation that was not performed; empty where it was.

    A denied model can choose another way, so it is told the rule, the reason and the remedy.
    """
    verdict = observation.verdict
    match observation.status:
        case "denied":
            return f"Not run ({verdict.rule}): {verdict.reason} {verdict.remedy}".rstrip()
        case "failed":
            return "Not run: " + " ".join(observation.notes)
        case "unknown":
            return "The outcome is unknown: the run was cut off while this was under way."
        case "done":
            return ""


def clip(text: str, *, limit: int) -> str:
    """Head and tail of a text, about `limit` characters, with a mark that says what is cut.

    Lines stay whole where they are not long. A little more than the limit stays whole, too: the cut
    would cost a reader more than it saves.
    """
    if len(text) <= limit + limit // 8:
        return text
    half = limit // 2
    head, tail = text[:half], text[-half:]
    head = head[: head.rfind("\n", half - half // 4) + 1] or head
    tail = tail[tail.find("\n", 0, half // 4) + 1 :]
    first = head.count("\n") + 1
    last = text.count("\n") - tail.count("\n")
    cut = len(text) - len(head) - len(tail)
    where = f"lines {first} to {last}, " if last > first else ""
    return f"{head.removesuffix(chr(10))}\n[... {where}{cut} characters cut ...]\n{tail}"


OUTPUT_LIMIT = 10_000


def streams_text(observation: Observation, *, limit: int = OUTPUT_LIMIT) -> str:
    """What a process or a cell gave, as a model reads it: streams apart, then how it ended."""
    named = [
        ("", observation.stdout),
        ("stderr", observation.stderr),
        ("child processes", observation.children),
        ("value", observation.value or ""),
    ]
    parts = [
        (f"[{name}]\n" if name else "") + clip(text.rstrip("\n"), limit=limit)
        for name, text in named
        if text.strip()
    ]
    parts += [f"[{note}]" for note in observation.notes]
    if observation.exit_code is not None:
        parts.append(f"[exit code {observation.exit_code}]")
    return "\n".join(parts) or "[no output]"


def number(data: dict[str, JsonValue], key: str, default: int) -> int:
    """A whole number of an observation's data; `default` where it is missing or something else."""
    value = data.get(key)
    return value if isinstance(value, int) else default


def numbered(text: str, start: int) -> str:
    """Lines with their numbers and a tab, as `read` and `edit` show them."""
    return "\n".join(f"{start + i:>6}\t{line}" for i, line in enumerate(text.splitlines()))
