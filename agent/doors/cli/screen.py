"""A stream as a person's screen, through rich: colours and a moving status where they belong.

On a terminal that wants them, styles are coloured, tables are fitted to its width, and a status
line moves while something long is under way. Anywhere else (a file, a pipe, NO_COLOR, TERM=dumb)
the same things come out as plain text: not one escape byte, no line wrapped or cut.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import IO

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text
from typing_extensions import override

from agent.doors.clean_text import clean
from agent.doors.cli.streams import write

_UNBOUNDED = 1_000_000
"""Columns of a screen that is none: no line is as long."""
_FRAMES_PER_S = 4


class _StatusConsole(Console):
    @override
    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor alone: a process that is killed could not bring a hidden one back."""
        return False


class Screen:
    """Standard error, as progress is told there."""

    def __init__(self) -> None:
        self._console = console_for(sys.stderr)
        self._moves = self._console.is_terminal
        self._waiting = ""
        self._status: Status | None = None

    def tell(self, *renderables: RenderableType) -> None:
        """Write each on lines of its own; a status that stands below is drawn anew."""
        self.pause()
        for renderable in renderables:
            write(sys.stderr, "".join(f"{line}\n" for line in lines(self._console, renderable)))
        self._start_status()

    def say(self, text: str) -> None:
        """Write one line of progress, whatever it holds."""
        self.tell(Text(f"     {clean(text)}", "dim"))

    def wait_for(self, what: str) -> None:
        """Say on a terminal what is under way, until told otherwise; nothing where empty."""
        if what != self._waiting:
            self.pause()
            self._waiting = what
            self._start_status()

    def pause(self) -> None:
        """Take the status away until the next `tell`: somebody else writes to the terminal."""
        if self._status:
            with contextlib.suppress(OSError):  # the terminal is gone; the next write notices
                self._status.stop()
            self._status = None

    @contextlib.contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """`wait_for` as long as the block runs."""
        self.wait_for(what)
        try:
            yield
        finally:
            self.wait_for("")

    def _start_status(self) -> None:
        if self._waiting and self._moves:
            self._status = Status(
                Text(self._waiting),
                console=_StatusConsole(stderr=True, force_terminal=True),
                spinner="line",  # ASCII: right in any locale
                refresh_per_second=_FRAMES_PER_S,
            )
            self._status.start()


def lines(console: Console, renderable: RenderableType) -> list[str]:
    """What a console makes of a renderable, line by line; nothing is written.

    A text is never wrapped by us: a path, a command or a patch stays whole when it is copied. A
    table is fitted, and pads its last column: plain lines lose that.
    """
    whole = isinstance(renderable, Text)
    with console.capture() as captured:
        console.print(renderable, soft_wrap=whole)
    shown = captured.get().removesuffix("\n").split("\n")
    return shown if whole else [padded.rstrip() for padded in shown]


def console_for(stream: IO[str]) -> Console:
    """A console that makes the lines for a stream, with colours where they belong there."""
    if not may_colour(stream):
        return plain_console()
    return Console(
        file=io.StringIO(), force_terminal=True, markup=False, highlight=False, emoji=False
    )


def plain_console() -> Console:
    """A console that makes plain lines of any length."""
    return Console(
        file=io.StringIO(),
        force_terminal=False,
        color_system=None,
        width=_UNBOUNDED,
        markup=False,
        highlight=False,
        emoji=False,
    )


def may_colour(stream: IO[str]) -> bool:
    """Whether colours belong on a stream: a terminal that wants them."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and stream.isatty()
