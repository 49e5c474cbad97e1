"""A chat model as proposer: one model call a step, through the workbench like any other act.

What is sent are only the messages that are new: at first the system's and the task's, later the
results of the calls that the model named, by their ids, and what the loop has to say. The history
itself lies with the model client. `mind` keeps which calls wait for their results, and how often in
a row the model named none.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from agent.prompts import render
from agent.proposers import chat_texts
from agent.proposers.chat_calls import ChatCalls, Conversation, Reserves, WindowFull
from agent.proposers.chat_tools import DONE, PLAN, DoneArguments, PlanArguments
from agent.proposers.proposer import Proposal, ProposerError, Situation, ToolCall
from policies.record import Plan, PlanStep
from tools.tool import BadArguments, Tool

USELESS_MOST = 3
"""Turns in a row that name nothing to do."""
FEATURE = re.compile(
    r"^\s*(add|implement|support|allow|introduce|create|build|extend|provide)\b", re.IGNORECASE
)


class ChatProposer:
    """Lets a chat model say what to do next.

    Args:
        name: The model's, such as `anthropic/NAME`.
        conversation: Asks it, through the workbench.
        tools: What the model may call.
        budget: Each call is reserved in it first.
    """

    def __init__(
        self,
        name: str,
        *,
        conversation: Conversation,
        tools: Sequence[Tool[Any]],
        budget: Reserves,
    ) -> None:
        self._name = name
        self._calls = ChatCalls(conversation, budget)
        self._tools = {tool.name: tool for tool in tools}

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
        next one. A conversation that the model can no longer read is given up.

        Raises:
            ProposerError: The model cannot be had, declines, or named nothing to do too often.
            BudgetExhausted: The call does not fit into what is left (raised by the budget).
        """
        messages = self._new_messages(situation)
        try:
            observation, limit = self._calls.call(messages, situation.remaining)
        except WindowFull as full:
            return Proposal(mind=situation.mind, gives_up=str(full))
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
            said.append(render("replan", reason=situation.replan))
        if user := "\n\n".join(text.strip() for text in said if text):
            messages.append({"role": "user", "content": user})
        return messages or [{"role": "user", "content": "Go on."}]


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
                return render("cut_off", limit=str(self._cut_at))
            what = "its arguments are no JSON object, or one that is nested too deep"
            return f"{name} was not called: {what}. Call it again."
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
                remedy=f"See with `journeyman model probe {model}` how it calls tools, then go on with "
                "`journeyman resume`; or choose another model.",
            )
        say = ""
        if not self._waiting:
            cut = render("cut_off", limit=str(self._cut_at))
            say = cut if self._cut_at else render("no_call")
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
