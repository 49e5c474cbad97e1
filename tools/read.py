"""Read a text file of the workspace."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from policies.action import Observation, ReadRequest
from tools.tool import Tool, denial, number, numbered

LIMIT = 24_000


class ReadArguments(BaseModel):
    """Read a text file, with line numbers. Numbers and the tab after them are not in the file."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="Relative to the repository's root.")
    start: int = Field(1, ge=1, description="First line.")
    lines: int = Field(
        0, ge=0, description="How many lines; 0 reads on, up to some 24,000 characters."
    )
    symbol: str = Field(
        "", description="Only this definition of a Python file, such as `Parser.parse`."
    )


def to_request(arguments: ReadArguments) -> tuple[ReadRequest, float]:
    """Ask for the lines."""
    request = ReadRequest(
        path=arguments.path,
        start=arguments.start,
        lines=arguments.lines,
        symbol=arguments.symbol,
    )
    return request, 30.0


def to_text(observation: Observation) -> str:
    """The lines with their numbers, and how many more there are."""
    text = observation.data.get("text")
    if denied := denial(observation):
        return denied
    if not isinstance(text, str):
        return observation.stderr or "It could not be read."
    start = number(observation.data, "start", 1)
    total = number(observation.data, "total", 0)
    lines = text.splitlines()
    if not lines:
        return f"[empty; {total} lines in all]"
    shown = numbered(text, start)
    if len(shown) > LIMIT:
        # Whole lines, and the call that goes on: the middle of a file is no better cut than its end.
        shown = shown[: shown.rindex("\n", 0, LIMIT)] if "\n" in shown[:LIMIT] else shown[:LIMIT]
        lines = lines[: shown.count("\n") + 1]
    last = start + len(lines) - 1
    if observation.data.get("symbol") and len(lines) == number(observation.data, "lines", 0):
        return f"{shown}\n[all of it; lines {start} to {last} of {total}]"
    if last < total:
        return f"{shown}\n[lines {start} to {last} of {total}; go on with start={last + 1}]"
    return f"{shown}\n[lines {start} to {last} of {total}]" if start > 1 else shown


READ = Tool(name="read", arguments=ReadArguments, to_request=to_request, to_text=to_text)
