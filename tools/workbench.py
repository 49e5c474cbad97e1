"""The one door: every action of a task is judged, recorded, performed, masked and recorded here.

    perform:  request -> Action -> Verdict (gate, then a person where it asks) -> log ("begun")
              -> performer of its kind -> masks -> log ("done") -> Observation

What a kind of request needs is a performer: a function from the action to an `Outcome`, injected
by the session (the sandbox for most, the model client, memory, the user's tree). Nothing happens
that is not in the log first; a log that cannot be written stops the run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

from pydantic import JsonValue

from policies import texts
from policies.action import (
    Action,
    CandidatesRequest,
    Decision,
    EditRequest,
    Effect,
    ModelRequest,
    Observation,
    Origin,
    RememberRequest,
    Request,
    Verdict,
)
from policies.gate import Gate
from policies.masks import Masks
from policies.record import ActionDone, ActionJudged, Record
from sandbox.protocol import Outcome

Performer: TypeAlias = Callable[[Action], Outcome]
Approve: TypeAlias = Callable[[Action, Verdict], str]
"""Asked where a verdict asks: returns who said yes, or an empty text for no."""


class Log(Protocol):
    """The side of the session's log that the workbench needs."""

    def append(self, record: Record, *, key: str = "") -> object:
        """Record it for good before returning."""
        ...

    def blob(self, data: bytes) -> str:
        """Keep bytes beside the log; returns their digest."""
        ...


class PerformerError(Exception):
    """A performer could not do what it was asked: said to whoever asked; the run goes on.

    Args:
        happened: What happened, and to what, as one sentence without a full stop.
        remedy: What to do next.
        data: What it brought all the same, such as what it cost.
    """

    def __init__(
        self, happened: str, *, remedy: str, data: Mapping[str, JsonValue] | None = None
    ) -> None:
        super().__init__(happened)
        self.remedy = remedy
        self.data = dict(data or {})


class Workbench:
    """Performs actions for one session.

    Args:
        session_id: Part of every idempotency key.
        gate: Judges.
        log: Records, before and after.
        masks: Hide values on the way out, and put them back in what a model edits.
        performers: By kind of request.
        approve: Asked where the gate asks.
    """

    def __init__(
        self,
        *,
        session_id: str,
        gate: Gate,
        log: Log,
        masks: Masks,
        performers: Mapping[str, Performer],
        approve: Approve,
    ) -> None:
        self._session_id = session_id
        self._gate = gate
        self._log = log
        self._masks = masks
        self._performers = performers
        self._approve = approve
        self._step = 0
        self._index = 0
        self._observations: dict[str, Observation] = {}
        self._begun: set[str] = set()

    def begin_step(self, step: int, *, index: int = 0) -> None:
        """Number the actions that follow: the same step gives the same keys after a resume."""
        self._step, self._index = step, index

    def restore(self, begun: set[str], done: Mapping[str, Observation]) -> None:
        """Take over what the log of an earlier process says was begun and done."""
        self._begun = begun
        self._observations = dict(done)

    def observation(self, key: str) -> Observation:
        """What an action of this session brought, by its key."""
        return self._observations[key]

    @property
    def next_index(self) -> int:
        """Number of the next action within the step."""
        return self._index

    @property
    def next_key(self) -> str:
        """Key of the next action that will be performed."""
        return f"{self._session_id}/{self._step}/{self._index}"

    def pass_over(self) -> None:
        """Leave the next number to the act that had it: it failed, and another took its place."""
        self._index += 1

    def perform(
        self, tool: str, request: Request, *, effect: Effect, origin: Origin, timeout_s: float
    ) -> Observation:
        """Do one action, whatever its kind; a refusal or a failing command is an observation.

        Raises:
            SandboxLost: The sandbox is gone; the run cannot go on in it.
            LogError: The log cannot be written; nothing more may happen.
        """
        action = Action(
            session_id=self._session_id,
            step=self._step,
            index=self._index,
            tool=tool,
            request=request,
            effect=effect,
            origin=origin,
            timeout_s=timeout_s,
        )
        self._index += 1
        if (earlier := self._from_before(action)) is not None:
            return earlier
        verdict = self._judge(action)
        action = self._masked(action, verdict)
        self._log.append(ActionJudged(action=_brief(action), verdict=verdict), key=action.key)
        observation = self._run(self._true(action), verdict)
        self._observations[action.key] = observation
        done = ActionDone(key=action.key, tool=tool, observation=observation)
        self._log.append(done, key=action.key)
        return observation

    def _judge(self, action: Action) -> Verdict:
        """The gate's verdict; where it asks, a person's answer makes it an allow or leaves it."""
        verdict = self._gate.judge(action)
        if verdict.decision is not Decision.ASK:
            return verdict
        who = self._approve(action, verdict)
        if not who:
            return verdict
        return verdict.model_copy(update={"decision": Decision.ALLOW, "approved_by": who})

    def _run(self, action: Action, verdict: Verdict) -> Observation:
        if verdict.decision is not Decision.ALLOW:
            return Observation(status="denied", verdict=verdict)
        began = time.monotonic()
        try:
            outcome = self._performers[action.request.kind](action)
            return self._observe(outcome, verdict, seconds=time.monotonic() - began)
        except PerformerError as error:
            notes = (f"{error}.", error.remedy)
            return Observation(status="failed", verdict=verdict, notes=notes, data=error.data)
        except texts.TooDeep as error:
            notes = (f"What came back holds {error}.", "Ask for less at a time.")
            return Observation(status="failed", verdict=verdict, notes=notes)

    def _observe(self, outcome: Outcome, verdict: Verdict, *, seconds: float) -> Observation:
        """An outcome as what may leave: masked, and the whole of what was cut kept as blobs."""
        kinds = verdict.obligations.mask

        def mask(text: str) -> str:
            return self._masks.mask(texts.whole(text), kinds)

        whole = {
            name: mask(data.decode("utf-8", "replace")).encode()
            for name, data in outcome.whole.items()
        }
        return Observation(
            status="done",
            verdict=verdict,
            exit_code=outcome.exit_code,
            stdout=mask(outcome.stdout),
            stderr=mask(outcome.stderr),
            value=None if outcome.value is None else mask(outcome.value),
            children=mask(outcome.children),
            timed_out=outcome.timed_out,
            notes=tuple(mask(note) for note in outcome.notes),
            data=_mask_data(self._masks, outcome.data, kinds),
            blobs={name: self._log.blob(data) for name, data in whole.items()},
            seconds=seconds,
        )

    def _from_before(self, action: Action) -> Observation | None:
        """What the log already knows of this very action, so that no effect happens twice.

        Contained actions are done again: the workspace was put back to the step's beginning.
        """
        if action.effect is Effect.CONTAINED:
            return None
        earlier = self._observations.get(action.key)
        if earlier and (earlier.status == "done" or action.effect is Effect.UNREPEATABLE):
            return earlier
        if action.key in self._begun and action.effect is Effect.UNREPEATABLE:
            verdict = Verdict(decision=Decision.ALLOW, rule="resume", reason="It had begun.")
            return Observation(status="unknown", verdict=verdict)
        return None

    def _masked(self, action: Action, verdict: Verdict) -> Action:
        """What goes to a model or into memory is masked before it is logged and sent."""
        request = action.request
        if not isinstance(request, ModelRequest | RememberRequest):
            return action
        open_data = request.model_dump(mode="json")
        data = self._masks.mask_json(open_data, verdict.obligations.mask)
        if data == open_data:
            return action
        return action.model_copy(update={"request": type(request).model_validate(data)})

    def _true(self, action: Action) -> Action:
        """Tokens that a model wrote back become the values they stand for, inside only."""
        request = action.request
        if not isinstance(request, EditRequest):
            return action
        old, new = self._masks.unmask(request.old), self._masks.unmask(request.new)
        edit = request.model_copy(update={"old": old, "new": new})
        return action.model_copy(update={"request": edit})


def _brief(action: Action) -> Action:
    """The action as the log keeps it: a batch of candidates by number, a patch once."""
    request = action.request
    if isinstance(request, CandidatesRequest) and len(request.ids) > 50:
        options: dict[str, JsonValue] = {**request.options, "count": len(request.ids)}
        brief = request.model_copy(update={"ids": request.ids[:50], "options": options})
        return action.model_copy(update={"request": brief})
    return action


def _mask_data(
    masks: Masks, data: Mapping[str, JsonValue], kinds: frozenset[str]
) -> dict[str, JsonValue]:
    masked = masks.mask_json(_whole(dict(data)), kinds)
    return masked if isinstance(masked, dict) else {}


def _whole(value: JsonValue) -> JsonValue:
    """The value with every string made text that a model, the gate and the log can take."""
    match value:
        case str():
            return texts.whole(value)
        case list():
            return [_whole(item) for item in value]
        case dict():
            return {texts.whole(name): _whole(item) for name, item in value.items()}
        case _:
            return value
