"""The table of all rows, and the check that runs it on a kind of sandbox."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.conformance import escapes, exhaustion, host, interpreter
from sandbox.conformance.row import Arena, Broken, Row
from sandbox.docker_sandbox import ContainerLimits
from sandbox.errors import SandboxError, SandboxLost
from sandbox.supervised import SupervisedSandbox

ROWS = tuple(
    sorted(
        (*exhaustion.ROWS, *interpreter.ROWS, *escapes.ROWS, *host.ROWS),
        key=lambda row: row.number,
    )
)

_EMPTY = (
    "chmod -R u+rwX . 2>/dev/null; find . -mindepth 1 -delete; "
    "find /tmp /home/agent /dev/shm -mindepth 1 -not -path '/tmp/journeyman*' -delete; ps -eo args"
)
_LEFT = "sleep 300"
"""What rows leave running; it must be gone with the row."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one row.

    Attributes:
        row: The row.
        outcome: It holds; it was not run, since the sandbox does not protect from it; it failed.
        detail: Why it is not protected, or what was seen.
    """

    row: Row
    outcome: Literal["ok", "not protected", "failed"]
    detail: str = ""


def check(
    open_sandbox: Callable[[], SupervisedSandbox],
    limits: ContainerLimits,
    rows: Sequence[Row] = ROWS,
) -> Iterator[Finding]:
    """Try each row, one after the other in one sandbox; after one that ended it, in a fresh one.

    A row holds when what it says holds, and the sandbox then answers, with its interpreter's state.

    Args:
        open_sandbox: Opens one.
        limits: What it gives each.
        rows: Of the table.

    Raises:
        SandboxError: No sandbox can be opened.
    """
    sandbox = open_sandbox()
    try:
        for row in rows:
            if row.open_to is not None and row.open_to in sandbox.description.weaknesses:
                yield Finding(row, "not protected", str(row.open_to))
                continue
            with tempfile.TemporaryDirectory(prefix="journeyman-row-") as folder:
                arena = Arena(sandbox, open_sandbox, limits, Path(folder))
                problem, usable = _problem(row, arena)
            yield Finding(row, "failed" if problem else "ok", problem)
            if not usable:
                sandbox.close()
                sandbox = open_sandbox()
    finally:
        sandbox.close()


def _problem(row: Row, arena: Arena) -> tuple[str, bool]:
    """What did not hold, empty where all did; and whether the sandbox is of use still."""
    problem = ""
    try:
        arena.cell("kept = 41")
        try:
            notes = row.attempt(arena)
        except Broken as broken:
            problem, notes = str(broken), []
        except SandboxLost:
            raise
        except SandboxError as error:
            problem, notes = f"the sandbox itself failed: {error}", []
        after = _what_is_left(row, arena, notes)
    except SandboxLost as lost:
        return f"the sandbox was lost: {lost}", False
    return problem or after, not after


def _what_is_left(row: Row, arena: Arena, notes: list[str]) -> str:
    """What is wrong with the sandbox after a row."""
    arena.sandbox.ping()
    alive = arena.shell("echo alive")
    if alive.stdout != "alive\n":
        return f"no command runs afterwards: {alive.stdout}{alive.stderr}"
    after = arena.cell("kept + 1")
    if after.value != ("42" if row.state == "kept" else None):
        return f"the interpreter's state is not {row.state}: {after.value} {after.stderr[-200:]}"
    if row.state == "lost" and "lost" not in " ".join((*notes, *alive.notes, *after.notes)):
        return "the interpreter's state is lost, and nothing says so"
    emptied = arena.shell(_EMPTY)
    if emptied.exit_code != 0:
        return f"the workspace cannot be emptied afterwards: {emptied.stderr[-200:]}"
    if _LEFT in emptied.stdout.replace(_EMPTY, ""):
        return "a process of it is still there afterwards"
    return ""
