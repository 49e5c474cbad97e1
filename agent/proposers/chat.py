"""A chat model as proposer: one model call a step, through the workbench like any other act.

What is sent are only the messages that are new: at first the system's and the task's, later the
results of the calls that the model named, by their ids, and what the loop has to say. The history
itself lies with the model client. `mind` keeps which calls wait for their results, and how often in
a row the model named none.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

from pydantic import ValidationError

from agent.models import names, prices
from agent.proposers import chat_texts
from agent.proposers.chat_tools import DONE, PLAN, DoneArguments, PlanArguments
from agent.proposers.proposer import Proposal, ProposerError, Situation, ToolCall
from policies.action import Observation
from policies.record import Plan, PlanStep
from tools.tool import BadArguments, Tool, denial

MOST_OUTPUT = 16_384
"""Tokens of one answer, where the budget allows them."""
LEAST_OUTPUT = 1_024
"""Fewer are of no use: then the budget is used up."""
BYTES_PER_TOKEN = 3
"""Fewer than there are in code and prose, so that an estimate errs upwards."""
USELESS_MOST = 3
"""Turns in a row that name nothing to do."""
FEATURE = re.compile(
    r"^\s*(add|implement|support|allow|introduce|create|build|extend|provide)\b", re.IGNORECASE
)


class Reserves(Protocol):
    """The side of the budget that a proposer needs; it raises where a call does not fit."""

    def reserve(self, *, cost_usd: Decimal | None, tokens: int) -> Any:
        """Set aside the most that a call can spend."""
        ...

    def settle(
        self,
        reservation: Any,
        *,
        cost_usd: Decimal | None,
        input_tokens: int,
        output_tokens: int,
    ) -> None:
        """Put what was really spent in its place."""
        ...


class ChatProposer:
    """Lets a chat model say what to do next.

    Args:
        name: The model's, such as `anthropic/NAME`.
        ask: Sends new messages with a limit of output tokens, through the workbench; what comes
            back has in `data` the keys message, input_tokens, output_tokens, cost_usd and finish.
        tools: What the model may call.
        budget: Each call is reserved in it first.
        history_length: UTF-8 bytes of what was sent and answered so far, tools included.
    """

    def __init__(
        self,
        name: str,
        *,
        ask: Callable[[Sequence[dict[str, Any]], int], Observation],
        tools: Sequence[Tool[Any]],
        budget: Reserves,
        history_length: Callable[[], int],
    ) -> None:
        self._name = name
        self._model = names.split(name)
        self._ask = ask
        self._tools = {tool.name: tool for tool in tools}
        self._budget = budget
        self._history_length = history_length

    @property
    def name(self) -> str:
        """As the user names it."""
        return self._name

    def plan(self, situation: Situation) -> Proposal:
        """A plan for this kind of task, which costs no call; the model may revise it."""
        steps = [PlanStep(title=title) for title in _titles(situation)]
        steps[0] = steps[0].model_copy(update={"state": "active"})
        return Proposal(mind=situation.mind, plan=Plan(steps=tuple(steps)))

    def propose(self, situation: Situation) -> Proposal:
        """Ask the model once.

        A turn that names nothing to do is a proposal without calls: its answer goes out with the
        next one.

        Raises:
            ProposerError: The model cannot be had, declines, or named nothing to do too often.
            BudgetExhausted: The call does not fit into what is left (raised by the budget).
        """
        observation, limit = self._call(self._new_messages(situation), situation.remaining)
        message = observation.data.get("message")
        if not isinstance(message, dict):
            raise ProposerError(
                f"the call to {self.name} brought no message",
                remedy="Go on with `journeyman resume`.",
            )
        finish = str(observation.data.get("finish"))
        text = str(message.get("content") or "")
        calls = _objects(message.get("tool_calls"))
        if finish == "refusal" and not calls:
            raise ProposerError(
                f"{self.name} declined to go on: {text or 'it gave no reason'}".rstrip("."),
                remedy="Word the task otherwise, or choose another model.",
            )
        turn = _Turn(situation, self._tools, limit if finish == "length" else 0)
        for call in calls:
            turn.take(call)
        return turn.proposal(text, self.name)

    def _new_messages(self, situation: Situation) -> list[dict[str, Any]]:
        mind = situation.mind
        if not mind.get("begun"):
            return [
                {"role": "system", "content": chat_texts.system()},
                {"role": "user", "content": chat_texts.task(situation)},
            ]
        texts = {done.call.id: done.text for done in situation.last}
        messages: list[dict[str, Any]] = []
        claimed = False
        for call in mind.get("waiting", ()):
            if call["name"] == DONE and not call["text"]:
                claimed = True
                text = chat_texts.refuted(situation.replan)
            else:
                text = (
                    call["text"] or texts.get(call["id"]) or "Not run: the run was cut off before."
                )
            messages.append({"role": "tool", "content": text, "tool_call_id": call["id"]})
        said = [*situation.news, mind.get("say", "")]
        if situation.replan and not claimed:
            said.append(chat_texts.render("replan", reason=situation.replan))
        if user := "\n\n".join(text.strip() for text in said if text):
            messages.append({"role": "user", "content": user})
        return messages or [{"role": "user", "content": "Go on."}]

    def _call(
        self, messages: list[dict[str, Any]], remaining: Mapping[str, float]
    ) -> tuple[Observation, int]:
        """One answered call, and its limit of output tokens; paid from the budget."""
        for _ in range(2):
            limit, reservation, worst = self._reserve(messages, remaining)
            observation = self._ask(messages, limit)
            if observation.status == "unknown":
                # A crash hid the answer: it counts as the dearest, and nothing but money is lost
                # by asking once more.
                self._budget.settle(
                    reservation,
                    cost_usd=worst,
                    input_tokens=self._tokens(messages),
                    output_tokens=limit,
                )
                continue
            self._settle(reservation, observation)
            if observation.status == "done":
                return observation, limit
            break
        happened, *rest = observation.notes or (denial(observation),)
        raise ProposerError(
            happened.rstrip("."),
            remedy=" ".join(rest) or "Choose another model, or ask who keeps the rules.",
        )

    def _reserve(
        self, messages: list[dict[str, Any]], remaining: Mapping[str, float]
    ) -> tuple[int, Any, Decimal | None]:
        """As long an answer as the budget allows: (output tokens, reservation, worst cost)."""
        tokens, at = self._tokens(messages), datetime.now(UTC)
        limit = max(LEAST_OUTPUT, min(MOST_OUTPUT, int(remaining["tokens"]) - tokens))
        worst = prices.worst_case(self._model, tokens, limit, at)
        while worst is not None and worst > Decimal(str(remaining["cost_usd"])):
            if limit == LEAST_OUTPUT:
                break
            limit = max(LEAST_OUTPUT, limit // 2)
            worst = prices.worst_case(self._model, tokens, limit, at)
        return limit, self._budget.reserve(cost_usd=worst, tokens=tokens + limit), worst

    def _settle(self, reservation: Any, observation: Observation) -> None:
        """What a call cost; a call that was refused or failed is taken to have cost nothing."""
        data = observation.data
        cost: Decimal | None = Decimal(0)
        if observation.status == "done":
            told = data.get("cost_usd")
            cost = None if told is None else Decimal(str(told))
        self._budget.settle(
            reservation,
            cost_usd=cost,
            input_tokens=_number(data.get("input_tokens")),
            output_tokens=_number(data.get("output_tokens")),
        )

    def _tokens(self, messages: Sequence[dict[str, Any]]) -> int:
        new = sum(len(json.dumps(message, ensure_ascii=False).encode()) for message in messages)
        return (self._history_length() + new) // BYTES_PER_TOKEN


class _Turn:
    """One answer of the model on its way to a proposal: every call is answered, now or later."""

    def __init__(self, situation: Situation, tools: Mapping[str, Tool[Any]], cut_at: int) -> None:
        self._situation = situation
        self._tools = tools
        self._cut_at = cut_at
        self._calls: list[ToolCall] = []
        self._waiting: list[dict[str, str]] = []
        self._plan: Plan | None = None
        self._summary: str | None = None

    def take(self, call: dict[str, Any]) -> None:
        """Sort one call: to be done, the proposer's own, or wrong and answered at once."""
        name, arguments = str(call["name"]), call["arguments"]
        try:
            text = self._sort(name, arguments, call)
        except BadArguments as error:
            text = str(error)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            text = f"{name} was not called: {where}: {problem['msg']}. Call it again."
        self._waiting.append({"id": call["id"], "name": name, "text": text})

    def _sort(self, name: str, arguments: dict[str, Any], call: dict[str, Any]) -> str:
        """The answer to a call, empty where it comes with the next step.

        Raises:
            BadArguments: The arguments do not fit.
            ValidationError: Likewise, for the proposer's own tools.
        """
        if "broken" in call:
            if self._cut_at:
                return chat_texts.render("cut_off", limit=str(self._cut_at)).rstrip()
            return f"{name} was not called: its arguments are no JSON object. Call it again."
        if name == PLAN:
            self._plan = self._revised(PlanArguments.model_validate(arguments))
            return "Noted."
        if name == DONE:
            self._summary = DoneArguments.model_validate(arguments).summary
            return ""
        if name not in self._tools:
            return self._unknown(name)
        self._tools[name].parse(arguments)
        self._calls.append(ToolCall(name=name, arguments=arguments, id=call["id"]))
        return ""

    def proposal(self, text: str, model: str) -> Proposal:
        """What the turn amounts to.

        Raises:
            ProposerError: Too many turns in a row named nothing to do.
        """
        acts = bool(self._calls) or self._summary is not None
        useless = 0 if acts else int(self._situation.mind.get("useless", 0)) + 1
        if useless >= USELESS_MOST:
            raise ProposerError(
                f"{model} named nothing to do in {useless} turns in a row",
                remedy="Choose a model that can call tools, or go on with `journeyman resume`.",
            )
        say = ""
        if not self._waiting:
            cut = chat_texts.render("cut_off", limit=str(self._cut_at))
            say = cut if self._cut_at else chat_texts.render("no_call")
        return Proposal(
            mind={"begun": True, "waiting": self._waiting, "useless": useless, "say": say},
            calls=tuple(self._calls),
            text=text or self._summary or "",
            plan=self._plan,
            claims_done=self._summary is not None,
        )

    def _revised(self, arguments: PlanArguments) -> Plan:
        """What is finished stays; what was open gives way to the new steps."""
        old = self._situation.plan
        kept = [step for step in old.steps if step.state in ("done", "failed")]
        new = [PlanStep(title=title) for title in arguments.steps]
        new[0] = new[0].model_copy(update={"state": "active"})
        reason = arguments.reason or self._situation.replan or "revised by the model"
        return Plan(steps=(*kept, *new), revision=old.revision + 1, reason=reason)

    def _unknown(self, name: str) -> str:
        there = [*self._tools, PLAN, DONE]
        near = difflib.get_close_matches(name, there, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return f"There is no tool {name!r}.{hint} There are: {', '.join(there)}."


def _titles(situation: Situation) -> list[str]:
    baseline = situation.environment.get("baseline") or {}
    red = situation.task.failing or [str(test.get("id")) for test in baseline.get("failing") or ()]
    if red:
        more = f" and {len(red) - 1} more" if len(red) > 1 else ""
        return [
            f"See why {red[0]}{more} fails",
            "Find the cause in the code",
            "Make the smallest change",
            "Run the nearest tests and hand in",
        ]
    if FEATURE.match(situation.task.text):
        return [
            "Find where it belongs and how the neighbours do it",
            "Write a test for it and see it fail",
            "Write it",
            "Run the nearest tests and hand in",
        ]
    return [
        "Find the code that the report is about",
        "Write a test that fails for the report's reason",
        "Make the smallest change",
        "Run the nearest tests and hand in",
    ]


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
