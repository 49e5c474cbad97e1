"""What every agent is asked and answered for `overhead.py`, the same for all; standard library only.

The model is a script: so many calls of one tool, each to show other 50 lines of one file, which are
2,000 characters; then it says that it is done.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path

TASK = "Find out which entry of listing.py is counted twice, and mend it."
FIRST = 5
"""The step from which CPU is counted: those before it build and warm what is used after."""
LINES = 50
_NUMBERED = re.compile(r"'(\d+),(\d+)p'")


def command(step: int) -> str:
    """The command that the model names in a step, from 0."""
    return f"sed -n '{step * LINES + 1},{(step + 1) * LINES}p' listing.py"


def result(text: str) -> str:
    """What such a command shows, for agents whose tool answers from memory."""
    found = _NUMBERED.search(text)
    if found is None:
        raise ValueError(f"{text!r} is no command of the script")
    return "".join(_line(number) for number in range(int(found[1]), int(found[2]) + 1))


def _line(number: int) -> str:
    return f"part_{10_000 + number} = measure(bins, {10_000 + number}, unit)\n"


def lay(folder: Path, steps: int, *, red: bool) -> Path:
    """A small repository with the listing and one test, which fails if it is to be red."""
    repo = folder / ("red" if red else "green")
    repo.mkdir()
    (repo / "listing.py").write_text("".join(map(_line, range(1, steps * LINES + 1))), "utf-8")
    (repo / "total.py").write_text(
        f"def total(prices):\n    return sum(prices){' - 1' if red else ''}\n", "utf-8"
    )
    (repo / "test_total.py").write_text(
        "from total import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n", "utf-8"
    )
    return repo


class Marks:
    """CPU seconds of this process at some results of the tool, counted from 1.

    Args:
        steps: Where to read the clock, beside `start(steps)`.
    """

    def __init__(self, steps: Sequence[int]) -> None:
        self._at = {start(steps), *steps}
        self._results = 0
        self._read: dict[int, float] = {}

    def result(self) -> None:
        """Another result of the tool is there."""
        self._results += 1
        if self._results in self._at:
            self._read[self._results] = time.process_time()

    def show(self) -> None:
        """Print what was read, for the process that measures."""
        print(json.dumps(self._read))


def start(steps: Sequence[int]) -> int:
    """The step from which CPU is counted: `FIRST`, or an earlier one in a very short run."""
    return min(FIRST, min(steps) - 1)


def as_steps(text: str) -> list[int]:
    """The last argument of a driver: steps, with commas between."""
    return [int(step) for step in text.split(",")]
