"""One session: a task goes in, a result comes out. The public API that every door uses.

    session = Session.start(task, settings, approve=..., observe=...)
    result = session.run()
    session.apply()

It joins what the rooms offer: the site (base, environment, sandbox), the gate and the log behind
the workbench, the stores, the proposer, and runs the loop over them.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

from langchain_core.runnables import RunnableConfig
from langsmith import tracing_context

from agent import ending, minds, session_store
from agent.ending import Refused
from agent.hearing import Hearing
from agent.loop.budget import Budget, BudgetExhausted
from agent.loop.graph import Loop, after_act, build, go_on
from agent.loop.nodes import Stopped
from agent.loop.state import LoopState
from agent.opening import STATE_LOST, Opening
from agent.outcome import Outcome
from agent.recorder import Observe, Recorder
from agent.result import Result
from agent.session_store import Past, Summary, UnknownSession, list_sessions
from agent.settings import Settings
from agent.spending import Ledger
from agent.task import Limits, Task
from memory import redis_server
from memory.checkpoints import RedisSaver
from memory.errors import MemoryUnavailable
from memory.live import Live
from policies.action import ApplyRequest, Effect
from policies.gate import Circumstances, Gate
from policies.log import SessionLog
from policies.masks import ALL_KINDS, Masks
from policies.packs import Pack, builtin
from policies.record import Evidence, Record, SessionEnded
from sandbox.errors import SandboxError, SandboxLost
from tools import knowledge
from tools.site import Place, Site
from tools.toolbox import BY_NAME
from tools.workbench import Approve, Workbench

__all__ = ["Observe", "Refused", "Session", "Summary", "UnknownSession", "list_sessions"]

REOPENED_MOST = 3
RESUMABLE = ("interrupted", "terminated", "model_error", "environment", "internal_error")
"""Outcomes of a session that `resume` takes up again; at any other it is at its end."""
OUT_OF_BUDGET = Outcome.BUDGET.label
"""The outcome of one that is taken up again only where it is given more."""


class Session:
    """One task's run. Made by `start` or `resume`; `run` does the work.

    Attributes:
        id: The session's name.
        task: What is asked.
    """

    def __init__(
        self,
        task: Task,
        settings: Settings,
        session_id: str,
        *,
        approve: Approve,
        observe: Observe,
        past: Past | None,
    ) -> None:
        self.id = session_id
        self.task = task
        self._past = past
        model = task.model or settings.model or minds.BUILTIN
        models = tuple(dict.fromkeys((model, *task.fallbacks)))
        self._folder = session_store.session_folder(settings.home, session_id)
        self._stop: Outcome | None = None
        self._news: list[str] = []
        self._graph: Loop | None = None
        self._config: RunnableConfig = {
            "configurable": {"thread_id": session_id},
            "recursion_limit": 3 * task.limits.steps + 50,
            "max_concurrency": 1,  # checkpoints are kept by one thread, not by two in turns
        }
        self._budget = Budget(task.limits, session_id=session_id)
        self._ledger = past.ledger if past else Ledger()
        self._new_limits: Limits | None = None
        self._observe = observe
        key = session_store.seal_key(settings.home)
        self._masks = Masks(session_store.mask_key(key, session_id))
        self._log = self._open_log(key)
        self._redis = redis_server.connect(settings.home)
        self._saver = RedisSaver(self._redis)
        self._live = Live(self._redis, session_id)
        self._recorder = Recorder(self._log, self._recorded, self._publish)
        self._site = Site(_place(task, settings, self._folder, session_id))
        pack = builtin("baseline")
        gate = Gate([pack], _circumstances(task, settings, models[0]), self._masks)
        self._performers = {
            **self._site.performers(self._answer),
            **knowledge.performers(settings.home),
        }
        self._workbench = Workbench(
            session_id=session_id,
            gate=gate,
            log=self._recorder,
            masks=self._masks,
            performers=self._performers,
            approve=approve,
        )
        self._hearing = Hearing(self._masked)
        self._opening = self._open_with(settings, models, gate, pack)

    def _open_with(
        self, settings: Settings, models: tuple[str, ...], gate: Gate, pack: Pack
    ) -> Opening:
        return Opening(
            session_id=self.id,
            task=self.task,
            settings=settings,
            models=models,
            base_url=self.task.base_url or settings.base_url,
            past=self._past,
            site=self._site,
            gate=gate,
            pack=pack,
            recorder=self._recorder,
            workbench=self._workbench,
            budget=self._budget,
            news=self._news,
            stopped=lambda: self._stop,
            heard=self._hearing.take,
        )

    def _open_log(self, key: bytes) -> SessionLog:
        if self._past:
            return SessionLog.open(self._folder, key=key, mask=self._masked)
        return SessionLog.create(self._folder, key=key, mask=self._masked)

    @classmethod
    def start(
        cls, task: Task, settings: Settings, *, approve: Approve, observe: Observe
    ) -> Session:
        """A new session for a task; nothing happens before `run`.

        Raises:
            LogError, PackError, MemoryUnavailable: What every session needs cannot be had.
        """
        session_store.remove_unbegun(settings.home)
        session_id = session_store.new_id()
        return cls(task, settings, session_id, approve=approve, observe=observe, past=None)

    @classmethod
    def resume(
        cls,
        session_id: str,
        settings: Settings,
        *,
        approve: Approve,
        observe: Observe,
        limits: Mapping[str, Any] = {},
    ) -> Session:
        """A session that stopped; `run` goes on from its last step.

        Args:
            session_id: Its name.
            settings: As in `start`.
            approve: As in `start`.
            observe: As in `start`.
            limits: Fields of `Limits` that change, each for the whole of the session.

        Raises:
            UnknownSession: There is no such session.
            LogError, PackError, MemoryUnavailable: As in `start`.
        """
        past = session_store.read_past(session_store.session_folder(settings.home, session_id))
        before = past.task.limits
        given = before.model_copy(update=dict(limits))
        past.task = past.task.model_copy(update={"limits": given})
        session = cls(past.task, settings, session_id, approve=approve, observe=observe, past=past)
        session._new_limits = given if given != before else None
        return session

    def run(self) -> Result:
        """Do the work; every way it can end is a result."""
        try:
            if kept := self._at_its_end():
                return kept
            self._work()
            end = self._reached()["end"]
            outcome, reason = Outcome[end["outcome"].upper()], end["reason"]
        except Exception as error:  # noqa: BLE001  every kind has its outcome, in one place
            if self._stop is not None and isinstance(error, SandboxError):
                error = Stopped(self._stop)
            outcome, reason = ending.of(error, session_id=self.id, folder=self._folder)
        return self._finish(outcome, reason)

    def stop(self, outcome: Outcome) -> None:
        """End the run before its next action; for a signal handler or another thread."""
        self._stop = outcome
        self._site.interrupt()

    def saying(self) -> str:
        """What the model says at this moment, masked, but for what may become a secret; never kept.

        Empty where none speaks. For another thread, too.
        """
        return self._hearing.text()

    def apply(self) -> None:
        """Put the patch of the result into the user's tree, through the workbench.

        Raises:
            Refused: The gate or the person asked says no.
            SandboxError: The tree has changed meanwhile, or the patch does not go in.
        """
        result = session_store.load_result(self._folder)
        patch = result.patch if result else ""
        self._workbench.begin_step(result.steps + 1 if result else 0)
        observation = self._workbench.perform(
            "apply",
            ApplyRequest(patch=patch, target=str(self.task.repo)),
            effect=Effect.FIND_OR_CREATE,
            origin="user",
            timeout_s=60.0,
        )
        ending.refuse(observation.verdict)
        if observation.status == "failed":
            raise SandboxError(observation.notes[0].rstrip("."), remedy=observation.notes[-1])

    def close(self) -> None:
        """Release the log; the session can still be resumed by its id."""
        self._site.close()
        self._log.close()
        self._live.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _at_its_end(self) -> Result | None:
        """The kept result of an earlier process, where nothing is left to do, or to do it with."""
        if self._past is None:
            return None
        saved = self._saver.get_tuple(self._config)
        self._budget.restore(saved.checkpoint["channel_values"].get("budget", {}) if saved else {})
        kept = session_store.load_result(self._folder)
        if kept is None or not self._past.ended or self._past.ended in RESUMABLE:
            return None
        if self._past.ended != OUT_OF_BUDGET or self._new_limits is None:
            return kept
        try:
            self._budget.check()
        except BudgetExhausted as error:
            return kept.model_copy(update={"reason": f"{error}. {error.remedy}"})
        return None

    def _work(self) -> None:
        """All of it: what can be refused without effort first."""
        self._opening.begin(self._new_limits)
        self._opening.prepare(self._open)
        mind, nodes = self._opening.mind_and_nodes()
        self._performers["model"] = mind.perform
        self._graph = build(nodes, self._saver)
        self._drive()

    def _open(self) -> None:
        """Open the sandbox on the work as the last checkpoint knows it."""
        saved = self._saver.get_tuple(self._config)
        reached = saved.checkpoint["channel_values"] if saved else {}
        for path in self._site.open(str(reached.get("work", ""))):
            self._news.append(f"{path} was too large to be kept and is as it was found.")

    def _drive(self) -> None:
        """Run the loop to its end; a sandbox that dies is opened anew, a few times."""
        graph, config = self._graph, self._config
        if graph is None:
            raise ValueError("the loop is not built")
        known = self._reached()
        if end := known.get("end"):
            if end["outcome"] not in (*RESUMABLE, OUT_OF_BUDGET):
                return  # it was reached, and only the result was not written
            change: LoopState = {"end": {}, "calls": []}
            graph.update_state(config, go_on(after_act, known, change), as_node="act")
        start: LoopState | None = None if known else {"step": 0, "budget": self._budget.spent()}
        gc.freeze()  # all that was loaded to begin is needed to the end: the collector need not look
        try:
            self._invoke(graph, start)
        finally:
            gc.unfreeze()

    def _invoke(self, graph: Loop, start: LoopState | None) -> None:
        config, reopened = self._config, 0
        with tracing_context(enabled=False):  # a user's tracing account is no way past the gate
            while True:
                try:
                    # One key: what it would give back at each step is not looked at.
                    graph.invoke(start, config, durability="sync", output_keys="step")
                except SandboxLost as error:
                    reopened += 1
                    if self._stop is not None or reopened > REOPENED_MOST:
                        raise
                    self._opening.say(f"{error}; it is opened anew.")
                    self._news.append(f"{error}. {STATE_LOST}")
                    self._open()
                    start = None if graph.get_state(config).values else start
                else:
                    return

    def _reached(self) -> LoopState:
        """Where the loop is, as the last checkpoint has it; empty before it began."""
        if self._graph is None:
            return {}
        return cast("LoopState", self._graph.get_state(self._config).values)

    def _answer(self, name: str, arguments: Any) -> Any:
        """A tool call from Python code inside the sandbox: through the same door as any other."""
        tool = BY_NAME[name]
        return tool.to_text(tool.call(self._workbench, dict(arguments), origin="interpreter"))

    def _finish(self, outcome: Outcome, reason: str) -> Result:
        state, patch = self._reached(), self._last_patch()
        self._site.close()
        spent = self._budget.spent()
        claim, end = state.get("claim") or {}, state.get("end") or {}
        verification = state.get("verification") if patch else None
        result = Result(
            session_id=self.id,
            outcome=outcome.label,
            exit_code=outcome.exit_code,
            reason=reason,
            evidence=Evidence.model_validate(verification or {"level": "none"}),
            patch=patch,
            alternatives=tuple(claim.get("alternatives") or end.get("alternatives") or ()),
            confidence=claim.get("confidence"),
            steps=int(spent["steps"]),
            seconds=round(float(spent["seconds"]), 3),
            input_tokens=int(spent["input_tokens"]),
            output_tokens=int(spent["output_tokens"]),
            cost_usd=spent["cost_usd"],
            spending=self._ledger.spending(),
            candidates=state.get("candidates", 0),
            log=str(self._folder),
            notes=tuple(claim.get("notes", ())),
        )
        session_store.save_result(self._folder, result)
        self._recorder.append(SessionEnded(result=result.model_dump(mode="json")))
        return result

    def _last_patch(self) -> str:
        try:
            patch = self._site.diff()
        except SandboxError:
            return ""
        if patch:
            path = self._folder / "patch.diff"
            path.touch(mode=0o600)
            path.write_text(patch, "utf-8", "surrogateescape")
        return patch

    def _recorded(self, record: Record) -> None:
        self._ledger.take(record)
        self._observe(record)

    def _masked(self, data: Any) -> Any:
        return self._masks.mask_json(data, ALL_KINDS)

    def _publish(self, texts: Sequence[str]) -> None:
        # Who follows live misses a record; the log has it, and the next checkpoint says the rest.
        with contextlib.suppress(MemoryUnavailable):
            self._live.publish(*texts)


def _place(task: Task, settings: Settings, folder: Path, session_id: str) -> Place:
    """Where a session works, by its task."""
    return Place(
        session_id=session_id,
        repo=task.repo,
        folder=folder,
        kind=task.sandbox,
        settings=settings.environment,
        test_command=task.test_command,
        setup=task.setup,
    )


def _circumstances(task: Task, settings: Settings, model: str) -> Circumstances:
    commands = filter(None, (task.test_command, task.setup or ""))
    return Circumstances(
        contained=task.sandbox == "docker",
        mode=settings.mode,
        model=model,
        user_commands=frozenset(commands),
    )
