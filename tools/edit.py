"""Change one file of the workspace: exact replace, whole function, or a new file."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from policies.action import EditRequest, Observation
from tools.tool import Tool, denial, number, numbered

SHOWN = 16
"""Lines of the changed place that are told."""


class EditArguments(BaseModel):
    """Change one file. Text outside the edited span stays byte for byte.

    `replace`: `old` must occur exactly once; give enough lines around it. `function`: `old` is a
    dotted name such as `Parser.parse`, `new` its whole new definition; its decorators stay where
    `new` has none, and other definitions may follow it there. `create`: `new` is the content of a
    file that does not exist. An edit that stops a Python file from parsing is refused.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="Relative to the repository's root.")
    old: str = Field("", description="The text to replace, or the function's name.")
    new: str = Field("", description="What it becomes.")
    operation: Literal["replace", "function", "create"] = "replace"


def to_request(arguments: EditArguments) -> tuple[EditRequest, float]:
    """Ask for the change."""
    request = EditRequest(
        operation=arguments.operation,
        path=arguments.path,
        old=arguments.old,
        new=arguments.new,
    )
    return request, 30.0


def to_text(observation: Observation) -> str:
    """Where it was changed, or why not and what is nearest."""
    if denied := denial(observation):
        return denied
    if observation.exit_code:
        return f"Not changed: {observation.stderr}"
    data = observation.data
    line, removed = number(data, "line", 1), number(data, "removed", 0)
    counts = f"{removed} lines out, {number(data, 'added', 0)} lines in"
    text = f"Changed {data.get('path')} at line {line}: {counts}."
    now = data.get("now")
    if not isinstance(now, str) or not now:
        return text
    lines = numbered(now, number(data, "start", line)).splitlines()
    if len(lines) > SHOWN:
        lines = [*lines[: SHOWN // 2], "   ...", *lines[-SHOWN // 2 :]]
    return "\n".join([f"{text} It reads now:", *lines])


EDIT = Tool(name="edit", arguments=EditArguments, to_request=to_request, to_text=to_text)
