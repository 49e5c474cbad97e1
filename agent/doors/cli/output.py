"""Where a run's output goes: progress to stderr, the result to stdout in the form asked for.

    text         stdout holds the patch, nothing else
    json         stdout holds one object, the result
    stream-json  one record a line as it is logged; the last line is the result

A reader that goes away is not an error: `gone` turns true, and nothing more is written.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Literal, TypeAlias

from agent.doors.clean_text import clean
from agent.doors.cli.failure import Failure
from agent.doors.cli.render import patch_text, render, summary, under_way
from agent.doors.cli.screen import Screen, console_for, lines, may_colour
from agent.doors.cli.streams import reader_left, write
from agent.outcome import Outcome
from agent.result import Result
from policies.record import Evidence, Plan, PlanMade, Record, SessionEnded

Form: TypeAlias = Literal["text", "json", "stream-json"]


class Output:
    """One run's output.

    Args:
        form: What stdout holds.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self.gone = False
        self.screen = Screen()
        self._plan: Plan | None = None

    def observe(self, record: Record) -> None:
        """Show a record as it is logged, and what is under way from there on."""
        now = under_way(record)
        if now is None:
            self.screen.pause()
        else:
            self.screen.wait_for("")
        if self.form == "stream-json" and not isinstance(record, SessionEnded):
            self._result_line(record.model_dump_json())
        self.screen.tell(*render(record, self._plan))
        if isinstance(record, PlanMade):
            self._plan = record.plan
        if now:
            self.screen.wait_for(now)

    def overhear(self, saying: Callable[[], str]) -> None:
        """Show a person what a model says while it says it."""
        if self.form == "text":
            self.screen.overhear(saying)

    def show_patch(self, patch: str) -> None:
        """Write the patch to stdout where that is what stdout holds: cleaned for eyes, else as it is."""
        if self.form != "text" or not patch:
            return
        if may_colour(sys.stdout):
            shown = lines(console_for(sys.stdout), patch_text(patch))
            self._text("".join(f"{line}\n" for line in shown))
        elif sys.stdout.isatty():
            self._text(clean(patch))
        else:
            self._bytes(patch.encode("utf-8", "surrogateescape"))

    def finish(self, result: Result, problem: Failure | None = None) -> None:
        """Show how the run ended, after `show_patch`, with the two lines of what went wrong."""
        self.screen.wait_for("")
        if self.form != "text":
            fields = {"type": "result", **result.model_dump(mode="json")}
            self._result_line(json.dumps(fields, ensure_ascii=True))
        if result.log or not problem:
            self.screen.tell(*summary(result))
        if problem:
            problem.show()

    def _result_line(self, text: str) -> None:
        self._bytes(text.encode("utf-8", "surrogatepass") + b"\n")

    def _text(self, text: str) -> None:
        self.gone = not write(sys.stdout, text) or self.gone

    def _bytes(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError:
            reader_left(sys.stdout)
            self.gone = True


def result_without_run(outcome: Outcome, reason: str, session_id: str = "") -> Result:
    """The result where the session itself came to none."""
    return Result(
        session_id=session_id,
        outcome=outcome.label,
        exit_code=outcome.exit_code,
        reason=reason,
        evidence=Evidence(level="none"),
    )
