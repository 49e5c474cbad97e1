"""What a chat model is told of the tools, and the two that never reach the workbench.

`plan` and `done` are the proposer's own: the first revises the plan, the second claims that the
task is done, which `verify` then looks at.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from agent.models.client import ToolSchema
from tools.tool import Tool

PLAN = "plan"
DONE = "done"


class PlanArguments(BaseModel):
    """Revise the plan that the user sees. Call it beside other calls, when the plan changes."""

    model_config = ConfigDict(extra="ignore")

    steps: list[str] = Field(
        min_length=1, max_length=20, description="What is still to be done, in order, a line each."
    )
    reason: str = Field("", description="Why the plan changed.")


class DoneArguments(BaseModel):
    """Say that the task is done. The change is then checked; if it does not hold you are told."""

    model_config = ConfigDict(extra="ignore")

    summary: str = Field("", description="What was wrong and what you changed, in two sentences.")


def tool_schemas(tools: Sequence[Tool[Any]]) -> tuple[ToolSchema, ...]:
    """Every tool a model may call, in a stable order (a changed order would spoil caches)."""
    named: list[tuple[str, type[BaseModel]]] = [(tool.name, tool.arguments) for tool in tools]
    named += [(PLAN, PlanArguments), (DONE, DoneArguments)]
    return tuple(_schema(name, arguments) for name, arguments in named)


def _schema(name: str, arguments: type[BaseModel]) -> ToolSchema:
    schema = arguments.model_json_schema()
    parameters = _plain(schema, schema.pop("$defs", {}))
    parameters.pop("description", None)
    parameters.setdefault("properties", {})
    return ToolSchema(name, inspect.cleandoc(arguments.__doc__ or ""), parameters)


def _plain(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema without titles and without references: models read it, and some servers too."""
    if isinstance(schema, list):
        return [_plain(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _plain(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {
        key: {name: _plain(one, definitions) for name, one in value.items()}
        if key == "properties"
        else _plain(value, definitions)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }
