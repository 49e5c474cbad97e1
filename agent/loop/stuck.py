"""Whether the loop goes in circles: the same acts with the same results, again and again.

Pure functions over plain data, so that the state can lie in a checkpoint. The first time a circle
is seen the plan must be revised; when the same circle comes back the run stops.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal

Advice = Literal["go on", "replan", "stop"]
TIMES = 3
"""How often a step, or a round of steps, may come with the same results."""
WAITS = 10
"""The same for a step that only waits for something: polling is no circle."""
LONGEST_ROUND = 3
"""Steps in the longest round that is recognised (two: an alternating pair)."""
MOST_CIRCLES = 3
"""Different circles after which a run stops, too."""

_WAITS = "waits:"
_WAITING = re.compile(r"\b(sleep|wait|wait_for|tail -f)\b")
_PASSING = re.compile(
    # A digit comes first, for that is quick to look for; then whether a word begins with it.
    r"[0-9](?:(?<=0)[xX][0-9a-fA-F]{6,}"
    r"|(?<!\w.)(?:[0-9]:[0-9]{2}:[0-9]{2}|[0-9]*(?:\.[0-9]+)?\s?(?i:ms|s|sec|seconds))\b)"
)
"""What differs from run to run without meaning: addresses, times of day, durations."""


def note(
    state: dict[str, Any], calls: Sequence[dict[str, Any]], texts: Sequence[str]
) -> tuple[dict[str, Any], Advice]:
    """Take in one step.

    Args:
        state: As the last call left it; empty at the beginning. Plain JSON data.
        calls: What was called in this step: each with its `name` and `arguments`.
        texts: What came back, as the proposer saw it.

    Returns:
        The state to keep, and what to do: `go on`, `replan` (the same came back again and again),
        or `stop` (also after a revision).
    """
    steps: list[str] = list(state.get("steps", ()))
    circles: list[str] = list(state.get("circles", ()))
    if calls:
        steps.append(_fingerprint(calls, texts))
    size = _round(steps) if calls else 0
    if size == 0:
        return {"steps": steps[-WAITS * LONGEST_ROUND :], "circles": circles}, "go on"
    circle = min(steps[-size:])
    again = circle in circles or len(circles) >= MOST_CIRCLES
    return {"steps": [], "circles": [*circles, circle]}, "stop" if again else "replan"


def _round(steps: Sequence[str]) -> int:
    """Length of the shortest round that the last steps have gone too often; 0: none."""
    for size in range(1, LONGEST_ROUND + 1):
        waits = any(step.startswith(_WAITS) for step in steps[-size:])
        times = WAITS if waits else TIMES
        tail = list(steps[-size * times :])
        if len(tail) == size * times and tail == tail[:size] * times:
            return size
    return 0


def _fingerprint(calls: Sequence[dict[str, Any]], texts: Sequence[str]) -> str:
    asked = [[call["name"], call["arguments"]] for call in calls]
    brought = [_PASSING.sub("…", text) for text in texts]
    whole = json.dumps([asked, brought], sort_keys=True).encode()
    return (_WAITS if any(map(_waits, calls)) else "") + hashlib.sha256(whole).hexdigest()[:32]


def _waits(call: dict[str, Any]) -> bool:
    asked = call["arguments"].get("command") or call["arguments"].get("code") or ""
    return bool(_WAITING.search(str(asked)))
