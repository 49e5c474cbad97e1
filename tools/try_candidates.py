"""Try many changes at once against the tests, without touching the workspace.

A chat model writes its candidates out; the search of `builtin` names them by number and uses the
other operations too. One call is one action, however many candidates it holds.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.json_schema import SkipJsonSchema

from policies.action import Candidate, CandidatesRequest, Observation
from tools.tool import Tool, clip, denial, number

SHOWN = 6
"""Plausible candidates that are told with their diffs."""


class Change(BaseModel):
    """At `path`, the text `old` (which occurs exactly once) becomes `new`."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1, description="Relative to the repository's root.")
    old: str = Field(min_length=1, description="The text to replace, with enough lines around it.")
    new: str = Field("", description="What it becomes.")


class TryCandidatesArguments(BaseModel):
    """Try several changes at once: each is run against the failing tests, then against the others.

    Nothing in the workspace changes: put the best one in with `edit` afterwards. Python and pytest
    only.
    """

    model_config = ConfigDict(extra="forbid")

    candidates: list[list[Change]] = Field(
        default_factory=list,
        description="Each candidate is a list of changes that belong together.",
    )
    tests: list[str] = Field(
        min_length=1, description="Ids of the failing tests that a candidate has to turn green."
    )
    # The search's own: a chat model is not told of these.
    operation: SkipJsonSchema[Literal["try", "localise", "behaviours"]] = "try"
    ids: SkipJsonSchema[list[list[int]]] = Field(default_factory=list)
    others: SkipJsonSchema[list[str]] = Field(default_factory=list)
    command: SkipJsonSchema[str] = ""
    cpu_s: SkipJsonSchema[float] = Field(60.0, gt=0, le=1800)
    options: SkipJsonSchema[dict[str, JsonValue]] = Field(default_factory=dict)


def to_request(arguments: TryCandidatesArguments) -> tuple[CandidatesRequest, float]:
    """Ask for one step of the search; its wall time is three times its CPU time and a start."""
    request = CandidatesRequest(
        operation=arguments.operation,
        failing=tuple(arguments.tests),
        others=tuple(arguments.others),
        command=arguments.command,
        ids=tuple(tuple(group) for group in arguments.ids),
        candidates=tuple(
            tuple(Candidate(path=c.path, old=c.old, new=c.new) for c in group)
            for group in arguments.candidates
        ),
        cpu_s=arguments.cpu_s,
        options=arguments.options,
    )
    return request, 3 * arguments.cpu_s + 60.0


def to_text(observation: Observation) -> str:
    """Which candidates pass, with their diffs, and why the others do not."""
    if denied := denial(observation):
        return denied
    if observation.exit_code:
        why = " ".join(observation.notes)
        return f"The candidates were not tried. {why}\n{clip(observation.stderr, limit=2_000)}"
    data = observation.data
    if "columns" in data:
        return _localised(data)
    if "clusters" in data:
        return (
            f"{number(data, 'clusters', 0)} different behaviours on {number(data, 'inputs', 0)} "
            f"inputs; {number(data, 'examples', 0)} examples in docstrings."
        )
    return "\n\n".join([_tried(data), *observation.notes])


def _localised(data: dict[str, JsonValue]) -> str:
    lines = [
        f"{line['path']}:{line['line']}  {line['suspicion']}  {line['text']}"
        for line in _rows(data.get("lines"))[:12]
    ]
    red = data.get("red")
    confirmed = len(red) if isinstance(red, list) else 0
    head = f"{confirmed} failing tests confirmed, {number(data, 'count', 0)} single edits to try."
    return "\n".join([head, "Most suspicious lines (Ochiai):", *lines])


def _tried(data: dict[str, JsonValue]) -> str:
    plausible = _rows(data.get("plausible"))
    head = f"{number(data, 'tried', 0)} candidates tried, {len(plausible)} pass all tests."
    if left := number(data, "left", 0):
        head += f" {left} were not reached in the time given."
    parts = [head]
    parts += [
        f"Candidate {p['ids'][0]} ({p['operator']}) passes:\n{p['diff']}".rstrip()
        for p in plausible[:SHOWN]
    ]
    rejected = [
        f"Candidate {r['ids'][0]}: turns the failing tests green, but {r['test']} does not pass "
        f"any more ({r['error']})."
        for r in _rows(data.get("rejected"))
    ]
    reasons = [
        f"Candidate {r['candidate']}: {r['reason']} {r.get('test', '')} {r.get('error', '')}".rstrip()
        for r in _rows(data.get("reasons"))
    ]
    return "\n".join([*parts, *rejected[:SHOWN], *reasons[:20]])


def _rows(value: JsonValue | None) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


TRY_CANDIDATES = Tool(
    name="try_candidates",
    arguments=TryCandidatesArguments,
    to_request=to_request,
    to_text=to_text,
)
