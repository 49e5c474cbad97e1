"""Where a session works: the base as it was found, its environment, the sandbox, the performers.

The only place above `sandbox/` that opens one. What it does to the outside it does as a performer
of an action, so only when the workbench calls; the rest (capture, environment, snapshots) is the
set-up that a session needs before and between its actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from policies.action import Action, ApplyRequest, RunTestsRequest, VerifyRequest
from sandbox import workspace
from sandbox.base import Base
from sandbox.bubblewrap import BubblewrapSandbox
from sandbox.docker_sandbox import ContainerLimits, DockerSandbox
from sandbox.environment import (
    LAY_MADE,
    Environment,
    EnvironmentSettings,
    prepare,
    runner_of,
)
from sandbox.errors import SandboxError, SandboxLost
from sandbox.kept_work import KeptWork
from sandbox.protocol import Answer, Outcome, Sandbox
from sandbox.reports import Report
from tools import evidence
from tools.workbench import Performer, PerformerError

TESTS_TIMEOUT_S = 900.0
# The same objects every time: what is kept of the work names them.
OWN_REPOSITORY = (
    "git rev-parse --git-dir >/dev/null 2>&1 || { export GIT_AUTHOR_DATE='2000-01-01T00:00:00Z' "
    "GIT_COMMITTER_DATE='2000-01-01T00:00:00Z'; git init -q . && git add -A && "
    "git -c user.name=base -c user.email=base@localhost commit -qm 'The tree as it was found'; }"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a site is made from.

    Attributes:
        session_id: Labels containers.
        repo: The user's tree; read once, written only by an apply.
        folder: The session's own folder (base archive, kept workspace), mode 0700.
        kind: Which sandbox.
        settings: The `[environment]` table.
        test_command: The user's `--test`, over the environment's.
        setup: The user's `--setup`; None: the environment's.
    """

    session_id: str
    repo: Path
    folder: Path
    kind: Literal["docker", "bubblewrap"]
    settings: Mapping[str, Any]
    test_command: str = ""
    setup: str | None = None


class Site:
    """One session's base, environment and sandbox.

    Raises:
        SandboxError: From every method, when what it needs is not there; says what to do.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._archive = place.folder / "base.tar"
        self._manifest = place.folder / "base.json"
        self._kept = KeptWork(place.folder / "work")
        self._live: list[Sandbox] = []
        self._sandbox: Sandbox | None = None
        self._environment: Environment | None = None
        self._base: Base | None = None
        self._base_tree = ""
        self._known: dict[tuple[str, ...], Report] = {}
        self._interrupted = False

    @property
    def base(self) -> Base:
        """The tree as it was found."""
        if self._base is None:
            self._base = Base.load(self._manifest)
        return self._base

    @property
    def environment(self) -> Environment:
        """Image, interpreter and test command; there after `prepare`."""
        if self._environment is None:
            raise SandboxError("the environment is not prepared", remedy="Run `journeyman doctor`.")
        return self._environment

    @property
    def sandbox(self) -> Sandbox:
        """The session's sandbox; there after `open`."""
        if self._sandbox is None:
            raise SandboxError("the sandbox is not open", remedy="Run `journeyman doctor`.")
        return self._sandbox

    @property
    def test_command(self) -> str:
        """What runs the tests: the user's word, else the environment's."""
        return self._place.test_command or self.environment.test_command

    def capture(self) -> Base:
        """Take the user's tree as it is, once."""
        self._base = workspace.capture(self._place.repo, self._archive)
        self._base.save(self._manifest)
        return self._base

    def prepare(self, say: Callable[[str], None]) -> Environment:
        """Build or find the image with what the repository needs."""
        settings = EnvironmentSettings(**self._place.settings)
        self._environment = prepare(
            self._place.repo,
            settings,
            say=say,
            user_setup=self._place.setup,
            kind=self._place.kind,
        )
        return self._environment

    def open(self, work: str = "") -> tuple[str, ...]:
        """Open the sandbox on the base, and on the work so far; one that is open is ended.

        Args:
            work: Key of `keep`; empty: the base as it is.

        Returns:
            Paths of the work that could not be kept.
        """
        if self._sandbox is not None:
            self._live.remove(self._sandbox)
            self._sandbox.close()
        self._sandbox = self._fresh()
        # A folder without git gets a repository, so that `git diff` shows the work; it is no part
        # of the workspace's snapshots or of the patch.
        self._sandbox.perform("shell", {"command": OWN_REPOSITORY}, timeout_s=600.0)
        self._base_tree = self._sandbox.snapshot()
        return self._kept.lay(work, self._sandbox)

    def keep(self) -> str:
        """Keep the work as it is now, so that a later process can go on; returns its key."""
        return self._kept.keep(self.sandbox, self._base_tree)

    def diff(self) -> str:
        """The work so far as a git patch against the base."""
        return self.sandbox.diff(self._base_tree)

    def interrupt(self) -> None:
        """Stop what is running now, from another thread or a signal handler."""
        self._interrupted = True
        for sandbox in tuple(self._live):
            sandbox.interrupt()

    def _check_stop(self) -> None:
        """What is asked for after the interrupt does not begin: nothing would end it any more."""
        if self._interrupted:
            raise SandboxLost("the run was stopped", remedy="Go on with `journeyman resume`.")

    def close(self) -> None:
        """End every sandbox of this session."""
        for sandbox in tuple(self._live):
            sandbox.close()
        self._live.clear()
        self._sandbox = None

    def performers(self, answer: Answer) -> dict[str, Performer]:
        """What does each kind of request here; `answer` serves calls from inside Python."""

        def contained(action: Action) -> Outcome:
            arguments = action.request.model_dump(mode="json", exclude={"kind"})
            self._check_stop()
            if isinstance(action.request, RunTestsRequest):
                arguments = self._test_arguments(action.request)
            return self.sandbox.perform(
                action.request.kind, arguments, timeout_s=action.timeout_s, answer=answer
            )

        inside = ("shell", "python", "read", "edit", "search", "git", "tests", "candidates")
        return {
            **dict.fromkeys(inside, contained),
            "verify": self._verify,
            "apply": self._apply,
        }

    def _test_arguments(self, request: RunTestsRequest) -> dict[str, Any]:
        command = request.command or self.test_command
        environment = self.environment
        known = command == environment.test_command
        return {
            "command": command,
            "tests": list(request.tests),
            "junit": request.junit or (environment.junit if command == self.test_command else ""),
            "runner": environment.runner if known else runner_of(command),
            "reached": request.reached,
        }

    def _verify(self, action: Action) -> Outcome:
        if not isinstance(action.request, VerifyRequest):
            raise PerformerError("this is no verification", remedy="Report it.")
        try:
            found = evidence.take(action.request, self._evidence_taken_freshly())
        except SandboxLost:
            raise
        except SandboxError as error:
            raise PerformerError(str(error), remedy=error.remedy) from error
        weak = tuple(self.sandbox.description.weaknesses)
        kind = self.sandbox.description.kind
        said = (
            (f"Taken in a {kind} sandbox, which does not protect from everything.",) if weak else ()
        )
        whole = found.model_copy(
            update={"sandbox": kind, "reservations": (*found.reservations, *said)}
        )
        return Outcome(data={"evidence": whole.model_dump(mode="json")})

    def _evidence_taken_freshly(self) -> evidence.Fresh:
        def run_tests(sandbox: Sandbox, tests: Sequence[str]) -> Report:
            self._check_stop()
            arguments = self._test_arguments(RunTestsRequest(tests=tuple(tests)))
            return Report.of(sandbox.perform("tests", arguments, timeout_s=TESTS_TIMEOUT_S))

        def run_check(sandbox: Sandbox, command: str) -> bool:
            self._check_stop()
            outcome = sandbox.perform("shell", {"command": command}, timeout_s=TESTS_TIMEOUT_S)
            return outcome.exit_code == 0

        return evidence.Fresh(
            open=self._fresh, run_tests=run_tests, run_check=run_check, cache=self._known
        )

    def _apply(self, action: Action) -> Outcome:
        if not isinstance(action.request, ApplyRequest):
            raise PerformerError("this is no patch to apply", remedy="Report it.")
        try:
            target = Path(action.request.target)
            workspace.apply_to_tree(action.request.patch, self.base, self._archive, target)
        except SandboxError as error:
            raise PerformerError(str(error), remedy=error.remedy) from error
        return Outcome(exit_code=0)

    def _fresh(self) -> Sandbox:
        """A new sandbox on the clean base."""
        kinds: dict[str, type[DockerSandbox | BubblewrapSandbox]] = {
            "docker": DockerSandbox,
            "bubblewrap": BubblewrapSandbox,
        }
        size = self._archive.stat().st_size
        sandbox = kinds[self._place.kind].open(
            self.environment.image,
            session_id=self._place.session_id,
            python=self.environment.python,
            environment=self.environment.variables,
            limits=ContainerLimits.for_tree(size, len(self.base.entries)),
        )
        self._live.append(sandbox)
        sandbox.put(self._archive)
        # What the setup made in the tree (a version file, an extension) is no change of ours.
        sandbox.perform("shell", {"command": LAY_MADE}, timeout_s=60.0)
        return sandbox
