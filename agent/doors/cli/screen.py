"""A stream as a person's screen, through rich: colours and a moving status where they belong.

On a terminal that wants them, styles are coloured, tables are fitted to its width, and a status
line moves while something long is under way; it shows what a model says meanwhile. Anywhere else
(a file, a pipe, NO_COLOR, TERM=dumb) the same things come out as plain text: not one escape byte,
no line wrapped or cut. Off a terminal a line every minute says that something long goes on.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text
from typing_extensions import override

from agent.doors.clean_text import clean
from agent.doors.cli.streams import write

_UNBOUNDED = 1_000_000
"""Columns of a screen that is none: no line is as long."""
_FRAMES_PER_S = 4
STILL_S = 60.0
"""Seconds between two lines that say off a terminal what is still under way."""


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
        self._over = threading.Event()
        self._status: Live | None = None
        self._saying: Callable[[], str] = str

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
        """Say what is under way, such as `running the tests`, until told otherwise or empty."""
        if what == self._waiting:
            return
        self.pause()
        self._over.set()
        self._waiting, self._over = what, threading.Event()
        if what and not sys.stderr.isatty():
            threading.Thread(target=_say_still, args=(what, self._over), daemon=True).start()
        self._start_status()

    def overhear(self, saying: Callable[[], str]) -> None:
        """Let the status show the end of what is said meanwhile, where anything is.

        Args:
            saying: What was said so far, without what must not be shown; asked at each frame, from
                a thread of its own.
        """
        self._saying = saying

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
        if not self._waiting or not self._moves:
            return
        console = _StatusConsole(stderr=True, force_terminal=True)
        spinner = Spinner("line", style="status.spinner")  # ASCII: right in any locale

        def frame() -> RenderableType:
            said = last_columns(self._saying(), max(1, console.width - len("-  ")))
            spinner.update(text=Text(said or self._waiting))
            return spinner

        self._status = Live(
            get_renderable=frame,
            console=console,
            refresh_per_second=_FRAMES_PER_S,
            transient=True,
        )
        self._status.start()


def last_columns(text: str, columns: int) -> str:
    """The end of a text from a model as one line of at most so many columns, safe to show."""
    line = " ".join(clean(text[-4 * columns :]).split())[-columns:]
    while cell_len(line) > columns:  # some characters take two
        line = line[1:]
    return line


def _say_still(what: str, over: threading.Event) -> None:
    began = time.monotonic()
    while not over.wait(STILL_S):
        write(sys.stderr, f"     still {what} ({time.monotonic() - began:.0f} s)\n")


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
