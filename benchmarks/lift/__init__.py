"""Real bugs, each worked on twice by a capable mind: through this agent, and through a plain one.

`python -m benchmarks.lift` prints the paired table of what was recorded. The answers of the mind lie
in `trajectories/`, and replay the run through today's loop (`tests/agent/test_replayed.py`). How it
was done is told in `docs/measured-lift.md`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "trajectories"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one agent.

    Attributes:
        solved: The hidden tests pass, and what passed before.
        requests: Answers that were asked of the mind.
        calls: Tool calls in them.
        input_tokens: Of all requests together, a quarter of their characters.
        output_tokens: Of all answers, likewise.
        outcome: What the agent said of it; empty where it says nothing.
    """

    solved: bool
    requests: int
    calls: int
    input_tokens: int
    output_tokens: int
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """One bug: how it is had, and both runs.

    Attributes:
        round: 1, or 2 for the bugs that were not seen before the mends of round 1.
        id: Of SWE-bench Lite, or PACKAGE-OLD of a pair of releases.
        source: `swebench-lite`, or {package, old, new, failing} of the pair.
        ours: This agent's run.
        peer: The other's (mini-swe-agent).
        answers: What the mind answered to this agent: {text, calls: [{name, arguments}]} each.
    """

    round: int
    id: str
    source: dict[str, Any] | str
    ours: Run
    peer: Run
    answers: tuple[dict[str, Any], ...]


def pairs() -> list[Pair]:
    """All that was recorded, by round and name."""
    found = [_read(path) for path in FOLDER.glob("*.json")]
    return sorted(found, key=lambda pair: (pair.round, pair.id))


def _read(path: Path) -> Pair:
    told = json.loads(path.read_text("utf-8"))
    return Pair(
        round=told["round"],
        id=told["id"],
        source=told["source"],
        ours=Run(**told["ours"]),
        peer=Run(**told["peer"]),
        answers=tuple(told["answers"]),
    )
