"""What the red tests run: the functions they reach, and the source of those that matter most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent import as_found
from tools.read import READ
from tools.workbench import Workbench

TESTS = 3
"""Red tests whose functions are looked at."""
LINES = 240
"""Lines of source that are told in all."""
LONGEST = 120
"""Lines of one function that is still told."""
FEW = 25
"""Functions beyond which only the one that broke is told: the others are the way to it."""
INDEX = 200
"""Index, in step 0, of the first read."""


@dataclass(frozen=True, slots=True, order=True)
class Function:
    """A function of the workspace: its file, dotted name, first and last line (from 1)."""

    path: str
    name: str
    first: int
    last: int

    @property
    def length(self) -> int:
        """In lines."""
        return self.last - self.first + 1

    def holds(self, other: Function) -> bool:
        """Whether another function lies within this one."""
        return self.path == other.path and self.first <= other.first and other.last <= self.last


def reached(test: Mapping[str, Any]) -> list[Function]:
    """The functions that a test ran, in the order of their first call, without those of its own file."""
    own = str(test.get("id")).partition("::")[0]
    return [Function(*one) for one in test.get("reached") or () if one[0] != own]


def itself(test: Mapping[str, Any]) -> Function | None:
    """The test's own function; None where it is not known."""
    path, _, rest = str(test.get("id")).partition("::")
    name = rest.partition("[")[0].replace("::", ".")
    own = [Function(*one) for one in test.get("reached") or () if one[0] == path]
    return next((one for one in own if name == one.name or name.endswith(f".{one.name}")), None)


def choose(tests: Sequence[Mapping[str, Any]]) -> list[Function]:
    """The functions whose source is worth telling: where a test broke, then what it ran last."""
    chosen: list[Function] = []
    for test in tests[:TESTS]:
        functions = reached(test)
        broke = _broke(test, functions)
        # What is first called late is nearer to the failure than the way in, which all tests share.
        for function in [*broke, *(reversed(functions) if len(functions) <= FEW else ())]:
            used = sum(one.length for one in chosen)
            if any(one.holds(function) for one in chosen) or function.length > LONGEST:
                continue
            if used + function.length <= LINES:
                chosen.append(function)
    return chosen


def sources(workbench: Workbench, tests: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The source of those functions, read like any file: `path`, `name` and `text`, lines numbered.

    A function that is too long for it is named all the same.
    """
    workbench.begin_step(0, index=INDEX)
    chosen, found = choose(tests), []
    for function in chosen:
        observation = as_found.read(
            workbench, path=function.path, start=function.first, lines=function.length
        )
        if observation.status == "done" and not observation.exit_code:
            text = READ.to_text(observation).partition("\n[lines ")[0]
            found.append({"path": function.path, "name": function.name, "text": text})
    long = dict.fromkeys(
        one for test in tests[:TESTS] for one in reached(test) if one.length > LONGEST
    )
    found += [
        {
            "path": one.path,
            "name": one.name,
            "text": f"   [{one.name}, lines {one.first} to {one.last}: too long]",
        }
        for one in long
        if chosen
    ]
    return found


def _broke(test: Mapping[str, Any], functions: Sequence[Function]) -> list[Function]:
    """The innermost function that holds the line where the test broke; none in the test itself."""
    path, _, line = str(test.get("where") or "").rpartition(":")
    if not line.isdigit():
        return []
    holding = [one for one in functions if one.path == path and one.first <= int(line) <= one.last]
    return sorted(holding, key=lambda one: one.length)[:1]
