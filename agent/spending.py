"""What a session spent, by model, by step and by tool: a view over the records of its log.

The tokens and the money of a turn are the model's and the step's, and are divided equally among the
tools which that turn called, so that each of the three views sums to the whole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue

from policies.action import ModelRequest, Observation
from policies.record import ActionDone, ActionJudged, Record

NO_TOOL = "none"
"""Where a turn called no tool."""
_SMALLEST = Decimal("1e-12")


class _View(BaseModel):
    """`cost_usd` is decimal text; None where the price of a call is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSpending(_View):
    """What the calls to one model took; `cached_tokens` are part of `input_tokens`."""

    model: str
    calls: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: str | None


class StepSpending(_View):
    """What one step took: `calls` to models, and the seconds of all its acts."""

    step: int
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: str | None
    seconds: float


class ToolSpending(_View):
    """What one tool took: how often it was called, its own seconds, its share of the turns."""

    tool: str
    calls: int
    seconds: float
    input_tokens: int
    output_tokens: int
    cost_usd: str | None


class Spending(_View):
    """What was spent, three times over: models and tools in order of first use, steps in theirs."""

    models: tuple[ModelSpending, ...] = ()
    steps: tuple[StepSpending, ...] = ()
    tools: tuple[ToolSpending, ...] = ()


@dataclass(slots=True)
class _Sum:
    calls: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost: Decimal | None = Decimal(0)
    seconds: float = 0.0

    def add(self, input_tokens: int, output_tokens: int, cost: Decimal | None) -> None:
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        self.cost = None if self.cost is None or cost is None else self.cost + cost

    def part(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": None if self.cost is None else str(self.cost),
        }


@dataclass(slots=True)
class Ledger:
    """Adds up the records of a session, one by one, those of earlier processes first."""

    _models: dict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    _steps: dict[int, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    _tools: dict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    _judged: dict[str, ActionJudged] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)

    def take(self, record: Record) -> None:
        """Learn from the next record of the log."""
        if isinstance(record, ActionJudged):
            self._judged[record.action.key] = record
        elif isinstance(record, ActionDone) and record.key in self._judged:
            self._take(record, self._judged.pop(record.key))

    def spending(self) -> Spending:
        """What was spent so far."""
        return Spending(
            models=tuple(
                ModelSpending(model=name, cached_tokens=one.cached_tokens, **one.part())
                for name, one in self._models.items()
            ),
            steps=tuple(
                StepSpending(step=step, seconds=round(one.seconds, 3), **one.part())
                for step, one in sorted(self._steps.items())
            ),
            tools=tuple(
                ToolSpending(tool=name, seconds=round(one.seconds, 3), **one.part())
                for name, one in self._tools.items()
            ),
        )

    def _take(self, record: ActionDone, judged: ActionJudged) -> None:
        action, observation = judged.action, record.observation
        self._steps[action.step].seconds += observation.seconds
        if isinstance(action.request, ModelRequest):
            if "input_tokens" in observation.data:
                self._take_turn(action.step, action.request.model, observation)
            return
        tool = self._tools[record.tool]
        tool.seconds += observation.seconds
        # What a model called is counted with its turn: also where no act came of it.
        if action.origin != "model" and action.key not in self._counted:
            self._counted.add(action.key)
            tool.calls += 1

    def _take_turn(self, step: int, model: str, observation: Observation) -> None:
        data = observation.data
        told = data.get("cost_usd")
        cost = None if told is None else Decimal(str(told))
        asked, said = _number(data.get("input_tokens")), _number(data.get("output_tokens"))
        for one in (self._models[model], self._steps[step]):
            one.calls += 1
            one.add(asked, said, cost)
        self._models[model].cached_tokens += _number(data.get("cached_tokens"))
        names = _called(data.get("message"))
        of_input = _whole_shares(asked, len(names))
        of_output = _whole_shares(said, len(names))
        of_cost = _cost_shares(cost, len(names))
        for number, name in enumerate(names):
            self._tools[name].calls += name != NO_TOOL
            self._tools[name].add(of_input[number], of_output[number], of_cost[number])


def _called(message: JsonValue) -> list[str]:
    """Names of the tools that a model's turn called, in order; the one of none where there is none."""
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    found = calls if isinstance(calls, list) else []
    return [str(call.get("name")) for call in found if isinstance(call, dict)] or [NO_TOOL]


def _whole_shares(total: int, count: int) -> list[int]:
    """Equal shares that sum to the total; the first ones are larger by one where it must be."""
    share, over = divmod(total, count)
    return [share + (number < over) for number in range(count)]


def _cost_shares(total: Decimal | None, count: int) -> list[Decimal | None]:
    """Likewise of money; the last share takes what rounding leaves."""
    if total is None:
        return [None] * count
    share = total if count == 1 else (total / count).quantize(_SMALLEST)
    return [*[share] * (count - 1), total - share * (count - 1)]


def _number(value: JsonValue) -> int:
    return int(value) if isinstance(value, int | float) else 0
