"""One session from the command line: signals, questions, the patch, the result.

`run`, `resume` and `demo` differ in how a session begins; from there on they are this.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self, TypeAlias

from rich.text import Text

from agent.doors.clean_text import clean_line
from agent.doors.cli import signals
from agent.doors.cli.ask import ask
from agent.doors.cli.failure import Failure, crashed, failure_of
from agent.doors.cli.output import Output, result_without_run
from agent.doors.cli.render import request_line
from agent.outcome import Outcome
from agent.result import Result
from agent.session import RESUMABLE, Observe, Session
from policies.action import Action, Verdict
from policies.record import Record, SessionResumed, SessionStarted
from tools.workbench import Approve

Begin: TypeAlias = Callable[[Approve, Observe], Session]


class Stopped(BaseException):
    """A signal came while there was no session yet, or while a question stood open."""


class Stops:
    """Turns the first signal into a clean stop; the second ends the process at once."""

    def __init__(self) -> None:
        self.outcome: Outcome | None = None
        self.session: Session | None = None
        self._asking = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in signals.STOPPING:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's background job
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def question(self, text: str) -> bool:
        """Ask on the terminal; a signal while it stands open is a no and a stop."""
        self._asking = True
        try:
            return ask(text)
        except Stopped:
            self._stop_session()
            return False
        finally:
            self._asking = False

    def stop(self, outcome: Outcome) -> None:
        """End the run with this outcome, as a signal does."""
        self.outcome = self.outcome or outcome
        self._stop_session()

    def _stop_session(self) -> None:
        if self.session and self.outcome:
            self.session.stop(self.outcome)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        outcome = Outcome.INTERRUPTED if number == signal.SIGINT else Outcome.TERMINATED
        if self.outcome:
            os._exit(outcome.exit_code)
        self.outcome = outcome
        with contextlib.suppress(OSError):  # a terminal that was closed
            os.write(2, b"\nStopping; once more ends it at once.\n")
        if self._asking or not self.session:
            raise Stopped
        self._stop_session()


class Work:
    """One session, from its begin to the exit code.

    Args:
        output: Where records and the result go.
        patch_file: Where the patch is written as well.
        apply: Put a verified patch into the user's tree without asking.
    """

    def __init__(
        self, output: Output, *, patch_file: Path | None = None, apply: bool = False
    ) -> None:
        self._output = output
        self._patch_file = patch_file
        self._apply = apply
        self._session_id = ""
        self._stops = Stops()

    def run(self, begin: Begin) -> int:
        """Begin a session, run it to its end and deliver the result; returns the exit code."""
        problem: Failure | None = None
        with self._stops:
            try:
                signals.let_through()
                result = self._run_session(begin)
                self._output.show_patch(result.patch)
                result, problem = self._deliver(result)
            except Stopped:
                result = self._stopped_early()
            except Exception as error:  # noqa: BLE001  every end is a result, a fault of ours too
                # Raised in a callback of compiled code, `Stopped` comes out as that code's error.
                if self._stops.outcome and not self._stops.session:
                    result = self._stopped_early()
                else:
                    problem = failure_of(error) or crashed(error)
                    result = result_without_run(problem.outcome, problem.reason, self._session_id)
            finally:
                if self._stops.session:
                    self._stops.session.close()
        self._output.finish(result, problem)
        if problem is None and result.session_id and result.outcome in RESUMABLE:
            self._output.screen.tell(Text(f"Go on with: journeyman resume {result.session_id}"))
        return result.exit_code

    def _stopped_early(self) -> Result:
        outcome = self._stops.outcome or Outcome.INTERRUPTED
        return result_without_run(outcome, "stopped before it was under way", self._session_id)

    def _run_session(self, begin: Begin) -> Result:
        session = begin(self._approve, self._observe)
        self._stops.session = session
        self._session_id = session.id
        self._output.overhear(session.saying)
        if self._stops.outcome:
            session.stop(self._stops.outcome)
        return session.run()

    def _observe(self, record: Record) -> None:
        if isinstance(record, SessionStarted | SessionResumed):
            self._session_id = record.session_id
        self._output.observe(record)
        if self._output.gone:
            self._stops.stop(Outcome.INTERRUPTED)

    def _approve(self, action: Action, verdict: Verdict) -> str:
        what = f"{clean_line(action.tool)}  {request_line(action.request)}"
        why = clean_line(f"{verdict.rule}: {verdict.reason}", limit=400)
        self._output.screen.pause()
        yes = self._stops.question(f"\n{what}\n  asks by {why}\nAllow this once?")
        return _who() if yes else ""

    def _deliver(self, result: Result) -> tuple[Result, Failure | None]:
        """Write and apply the patch as far as it was asked for."""
        if not result.patch:
            return result, None
        try:
            if self._patch_file:
                self._patch_file.write_bytes(result.patch.encode("utf-8", "surrogateescape"))
            return self._applied(result), None
        except OSError as error:
            problem = Failure(
                f"{self._patch_file} cannot be written ({error.strerror})",
                remedy="take the patch from the output, or name another file with -o",
                outcome=Outcome.ENVIRONMENT,
            )
        except Exception as error:  # noqa: BLE001  whatever it is, the patch must still come out
            problem = failure_of(error) or crashed(error)
        ended = {"outcome": problem.outcome.label, "exit_code": problem.outcome.exit_code}
        return result.model_copy(update={**ended, "reason": problem.reason}), problem

    def _applied(self, result: Result) -> Result:
        session = self._stops.session
        if session is None:
            return result
        repo = session.task.repo
        if result.exit_code != Outcome.VERIFIED.exit_code:
            note = f"not applied to {repo}: only a verified patch is"
            return _noted(result, note) if self._apply else result
        if not self._apply and not self._ask_to_apply(result):
            return result
        session.apply()
        return _noted(result, f"applied to {repo}")

    def _ask_to_apply(self, result: Result) -> bool:
        if self._output.form != "text" or not sys.stdout.isatty():
            return False
        changed = sum(line.startswith("diff --git ") for line in result.patch.splitlines())
        assert self._stops.session is not None  # noqa: S101  narrowed by the only caller
        where = clean_line(str(self._stops.session.task.repo))
        files = "1 file" if changed == 1 else f"{changed} files"
        return self._stops.question(f"Verified. Apply it to {where} ({files})?")


def _noted(result: Result, note: str) -> Result:
    return result.model_copy(update={"notes": (*result.notes, note)})


def _who() -> str:
    """Name of the person at the terminal, for the log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
