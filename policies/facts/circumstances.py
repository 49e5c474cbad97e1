"""What is so for a whole session, whatever the act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Circumstances:
    """What the gate is told once, when a session begins.

    Attributes:
        contained: The sandbox is hardened, has no network, and is put back to its snapshot.
        mode: Who is there: a person at a terminal, a CI run, a benchmark.
        model: The model's name, as the user gives it.
        model_is_local: It runs on this machine.
        user_commands: Commands that are the user's own word (`--test`, `--setup`): what only asks
            is allowed for them, what denies is not.
    """

    contained: bool
    mode: Literal["terminal", "ci", "benchmark"]
    model: str = ""
    model_is_local: bool = False
    user_commands: frozenset[str] = frozenset()
