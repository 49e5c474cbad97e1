"""One row of the table: what is tried, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from sandbox.conformance.weakness import Weakness
from sandbox.docker_sandbox import ContainerLimits
from sandbox.protocol import Outcome
from sandbox.supervised import SupervisedSandbox

PATIENCE_S = 60.0
"""For what ends by itself; what must be ended has a limit of its own."""


class Broken(Exception):
    """What must hold does not; the text says what was seen."""


@dataclass(frozen=True, slots=True)
class Arena:
    """Where a row is tried.

    Attributes:
        sandbox: An open one; its workspace is empty.
        another: Opens a second one of the same kind.
        limits: What each of them may take.
        folder: An empty folder of the host's.
    """

    sandbox: SupervisedSandbox
    another: Callable[[], SupervisedSandbox]
    limits: ContainerLimits
    folder: Path

    def shell(self, command: str, timeout_s: float = PATIENCE_S) -> Outcome:
        """Run a command in the sandbox."""
        return self.sandbox.perform("shell", {"command": command}, timeout_s=timeout_s)

    def cell(self, code: str, timeout_s: float = PATIENCE_S) -> Outcome:
        """Run a Python cell in the sandbox."""
        return self.sandbox.perform("python", {"code": code}, timeout_s=timeout_s)


Attempt: TypeAlias = Callable[[Arena], "list[str]"]
"""Tries something and returns the notes that came with it; raises `Broken` where it did not hold."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that must hold.

    Attributes:
        number: What it is called by; it never changes.
        name: What is tried.
        attempt: Tries it.
        state: What becomes of the interpreter's variables: kept, or lost and said to be.
        open_to: The weakness of a sandbox in which it does not hold, and is not run.
    """

    number: int
    name: str
    attempt: Attempt
    state: Literal["kept", "lost"] = "kept"
    open_to: Weakness | None = None


def shell(
    command: str, *says: str, never: str = "BROKEN", timeout_s: float = PATIENCE_S
) -> Attempt:
    """Run a shell command.

    Args:
        command: Prints `never` where it gets through.
        says: One of these must be in what comes back, notes included; none: anything may.
        never: Must not be in it.
        timeout_s: Its limit.
    """
    return lambda arena: judged(arena.shell(command, timeout_s), says, never)


def cell(code: str, *says: str, never: str = "BROKEN", timeout_s: float = PATIENCE_S) -> Attempt:
    """Run a Python cell; arguments as in `shell`."""
    return lambda arena: judged(arena.cell(code, timeout_s), says, never)


def judged(outcome: Outcome, says: tuple[str, ...], never: str) -> list[str]:
    """The outcome's notes.

    Raises:
        Broken: It holds what it must not, or nothing of what it must.
    """
    seen = "\n".join(
        (outcome.stdout, outcome.stderr, outcome.children, str(outcome.value), *outcome.notes)
    )
    if never in seen:
        raise Broken(f"{_line_with(never, seen)!r} came back")
    if says and not any(text in seen for text in says):
        raise Broken(f"nothing of {' | '.join(says)} came back, but {seen[-300:]!r}")
    return list(outcome.notes)


def _line_with(text: str, seen: str) -> str:
    return next(line for line in seen.splitlines() if text in line)[:200]
