"""Where a run's output goes: progress to stderr, the result to stdout in the form asked for.

    text         stdout holds the patch, nothing else
    json         stdout holds one object, the result
    stream-json  one record a line as it is logged; the last line is the result

A reader that goes away is not an error: `gone` turns true, and nothing more is written.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from typing import IO, Literal, TypeAlias

from agent.doors.clean_text import clean
from agent.doors.cli.failure import Failure
from agent.doors.cli.render import Line, render, summary
from agent.result import Result
from policies.record import Plan, PlanMade, Record, SessionEnded

Form: TypeAlias = Literal["text", "json", "stream-json"]

_COLOURS = {"plain": "", "quiet": "2", "good": "32", "warn": "33", "bad": "31"}


class Output:
    """One run's output.

    Args:
        form: What stdout holds.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self.gone = False
        self._plan: Plan | None = None
        self._coloured = may_colour(sys.stderr)

    def observe(self, record: Record) -> None:
        """Show a record as it is logged."""
        if self.form == "stream-json" and not isinstance(record, SessionEnded):
            self._result_line(record.model_dump_json())
        self.tell(render(record, self._plan))
        if isinstance(record, PlanMade):
            self._plan = record.plan

    def show_patch(self, patch: str) -> None:
        """Write the patch to stdout where that is what stdout holds: cleaned for eyes, else as it is."""
        if self.form != "text" or not patch:
            return
        if sys.stdout.isatty():
            self._write(sys.stdout, clean(patch))
        else:
            self._bytes(patch.encode("utf-8", "surrogateescape"))

    def finish(self, result: Result, problem: Failure | None = None) -> None:
        """Show how the run ended, after `show_patch`, with the two lines of what went wrong."""
        if self.form != "text":
            fields = {"type": "result", **result.model_dump(mode="json")}
            self._result_line(json.dumps(fields, ensure_ascii=True))
        if result.log or not problem:
            self.tell(summary(result))
        if problem:
            problem.show()

    def tell(self, lines: Iterable[Line]) -> None:
        """Write lines to stderr."""
        for text, tone in lines:
            code = _COLOURS[tone] if self._coloured else ""
            self._write(sys.stderr, f"\x1b[{code}m{text}\x1b[0m\n" if code else f"{text}\n")

    def say(self, text: str) -> None:
        """Write one line of progress to stderr."""
        self.tell([Line(f"     {clean(text)}", "quiet")])

    def _result_line(self, text: str) -> None:
        self._bytes(text.encode("utf-8", "surrogatepass") + b"\n")

    def _bytes(self, data: bytes) -> None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError:
            self._reader_left(sys.stdout)

    def _write(self, stream: IO[str], text: str) -> None:
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            self._reader_left(stream)

    def _reader_left(self, stream: IO[str]) -> None:
        """Point the stream at nothing, so that its last flush at exit is quiet too."""
        self.gone = self.gone or stream is sys.stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def may_colour(stream: IO[str]) -> bool:
    """Whether colours belong on a stream: a terminal that wants them."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and stream.isatty()
