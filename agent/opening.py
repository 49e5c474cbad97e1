"""What comes before the loop: the base, the environment, the tests as found, and who proposes.

In the order that refuses first what can be refused without effort. After a stop, what the log
knows of it already is taken from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent import baseline, ending, minds
from agent.baseline import NothingFails
from agent.loop.budget import Budget
from agent.loop.nodes import Nodes, Stopped
from agent.loop.verify import needed
from agent.minds import Mind
from agent.models.streaming import Heard
from agent.outcome import Outcome
from agent.recorder import Recorder
from agent.session_store import Past
from agent.settings import Settings
from agent.task import Limits, Task
from memory.signature import failure_text
from policies.action import Action, Observation, ShellRequest
from policies.gate import Gate
from policies.packs import Pack
from policies.record import (
    ActionJudged,
    EnvironmentReady,
    Noticed,
    Record,
    SessionResumed,
    SessionStarted,
)
from tools.site import Site
from tools.toolbox import BY_NAME, usable
from tools.workbench import Workbench

STATE_LOST = (
    "The files of the repository are as the last finished step left them; variables of the "
    "interpreter, running processes and files outside of the repository are lost."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """One session on its way to the loop.

    Attributes:
        session_id: Its name.
        task: What is asked.
        settings: As they were found.
        models: Names, the preferred one first.
        base_url: Where the first is served.
        past: What the log of an earlier process holds, on a resume.
        site: Where it happens.
        gate: Judges the setup command.
        pack: The rules, for the log.
        recorder: Appends to the log.
        workbench: Runs the tests.
        budget: A model's calls are reserved in it.
        news: What the proposer is told at its next turn.
        stopped: How the run is to end, once it is told to.
        heard: Gets what a model says while it says it.
    """

    session_id: str
    task: Task
    settings: Settings
    models: Sequence[str]
    base_url: str
    past: Past | None
    site: Site
    gate: Gate
    pack: Pack
    recorder: Recorder
    workbench: Workbench
    budget: Budget
    news: list[str]
    stopped: Callable[[], Outcome | None]
    heard: Heard

    def begin(self, limits: Limits | None) -> None:
        """Record that the session begins, or goes on with other limits; keep the base.

        Raises:
            ModelNameError, Refused: A model's name or the setup command will not do.
        """
        if self.past is None:
            self._start()
        else:
            self._go_on(self.past, limits)
        minds.check(self.models, base_url=self.base_url)
        self._allow_setup()

    def prepare(self, open_sandbox: Callable[[], None]) -> None:
        """Build the environment and open a sandbox of it."""
        environment = self.site.prepare(self.say)
        open_sandbox()
        description = self.site.sandbox.description
        self.recorder.append(
            EnvironmentReady(
                sandbox=description.kind,
                image=description.image,
                test_command=self.site.test_command,
                notes=(*environment.notes, *description.weaknesses),
            )
        )

    def mind_and_nodes(self) -> tuple[Mind, Nodes]:
        """Run the tests as they are; who proposes, and the loop's nodes.

        Raises:
            NothingFails, NoTestRan: There is nothing to make green.
        """
        found = self._baseline()
        again = self._again(found)
        for test in baseline.unstable(found, again):
            self.say(f"{test} was red once and green when run again: it does not count.")
        failing = baseline.to_make_green(self.task, found, again)
        mind = self._choose(found, failing)
        return mind, self._nodes(mind, baseline.with_reached(found, again), failing)

    def say(self, text: str) -> None:
        """Tell whoever watches."""
        self.tell(Noticed(text=text))

    def tell(self, record: Record) -> None:
        """Record something between two acts: a stop comes before it."""
        self._check_stop()
        self.recorder.append(record)

    def _check_stop(self) -> None:
        outcome = self.stopped()
        if outcome is not None:
            raise Stopped(outcome)

    def _start(self) -> None:
        base = self.site.capture()
        self.recorder.append(
            SessionStarted(
                session_id=self.session_id,
                task=self.task.model_dump(mode="json"),
                settings={"mode": self.settings.mode, "sandbox": self.task.sandbox},
                base=base.digest,
                packs={f"{self.pack.name} {self.pack.version}": self.pack.sha256},
            )
        )
        for left in base.left_out:
            self.say(f"Not taken along: {left}")

    def _go_on(self, past: Past, limits: Limits | None) -> None:
        self.workbench.restore(past.begun, past.done)
        self.news.append(f"The run was stopped and goes on now. {STATE_LOST}")
        self.recorder.append(
            SessionResumed(
                session_id=self.session_id,
                step=max((int(key.split("/")[1]) for key in past.begun), default=0),
                notes=(STATE_LOST,),
                limits=limits.model_dump(mode="json") if limits else {},
            )
        )

    def _allow_setup(self) -> None:
        """The user's setup command is judged like any act before its container is built."""
        if not self.task.setup:
            return
        action = Action(
            session_id=self.session_id,
            step=0,
            index=999,
            tool="setup",
            request=ShellRequest(command=self.task.setup),
            origin="user",
        )
        verdict = self.gate.judge(action)
        self.recorder.append(ActionJudged(action=action, verdict=verdict), key=action.key)
        ending.refuse(verdict)

    def _baseline(self) -> Observation:
        """The tests as they are on what was found; from the log where it is known already."""
        if known := self._known(0):
            return known
        observation = baseline.take(self.workbench, self.site, limit_s=self.task.limits.seconds)
        ending.refuse(observation.verdict)
        self._check_stop()
        return observation

    def _again(self, found: Observation) -> Observation | None:
        """The red tests once more; from the log where it is known already."""
        if known := self._known(baseline.AGAIN):
            return known
        limit_s = self.task.limits.seconds
        again = baseline.confirm(self.workbench, self.site, found, limit_s=limit_s)
        self._check_stop()
        return again

    def _known(self, index: int) -> Observation | None:
        """A run of the tests that the log holds, if it came to its end: a stop may have cut it."""
        known = self.past.done.get(f"{self.session_id}/0/{index}") if self.past else None
        return known if known and known.data.get("complete") else None

    def _choose(self, found: Observation, failing: tuple[str, ...]) -> Mind:
        if self.models[0] == minds.BUILTIN:
            if not failing and baseline.tests_of(found):
                raise NothingFails("all tests pass on the code as it was found")
            if why := baseline.why_none_ran(found):
                raise why
        mind = minds.choose(
            self.models,
            base_url=self.base_url,
            workbench=self.workbench,
            budget=self.budget,
            tools=usable(
                python=bool(self.site.environment.python),
                pytest=found.data.get("runner") == "pytest",
            ),
            record=self.tell,
            home=self.settings.home,
            heard=self.heard,
        )
        if self.past:
            mind.restore(self.past)
        return mind

    def _nodes(self, mind: Mind, found: Observation, failing: tuple[str, ...]) -> Nodes:
        facts = baseline.facts(self.workbench, self.site, self.task.text, found, failing)
        checks = tuple(self.settings.environment.get("checks", ()))
        return Nodes(
            task=self.task,
            proposer=mind.proposer,
            workbench=self.workbench,
            tools=BY_NAME,
            budget=self.budget,
            workspace=self.site,
            record=self.recorder.append,
            facts=facts,
            failing=failing,
            requirement=needed(self.task, failing, checks),
            remember_as={
                "repo": self.task.repo.name,
                "language": next(iter(facts["languages"]), ""),
                "failure": failure_text(facts["baseline"]["failing"]),
                "session_id": self.session_id,
            },
            stopped=self.stopped,
            news=self.news,
        )
