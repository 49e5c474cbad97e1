"""Performers of long-term memory: recall past solutions, remember verified ones."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from memory.errors import MemoryUnavailable
from memory.solutions import any_kept, open_solutions
from policies.action import Action, RecallRequest, RememberRequest
from sandbox.protocol import Outcome
from tools.workbench import Performer, PerformerError


def performers(home: Path) -> dict[str, Performer]:
    """The two performers over the user's own store; it is opened when first needed."""
    solutions = cache(lambda: open_solutions(home))

    def recall(action: Action) -> Outcome:
        request = action.request
        if not isinstance(request, RecallRequest):
            raise PerformerError("this is no recall", remedy="Report it.")
        try:
            kept = any_kept(home)
            found = solutions().recall(request.query, limit=request.limit) if kept else ()
        except MemoryUnavailable as error:
            raise PerformerError(str(error), remedy=error.remedy) from error
        return Outcome(data={"solutions": list(found)})

    def remember(action: Action) -> Outcome:
        request = action.request
        if not isinstance(request, RememberRequest):
            raise PerformerError("this is nothing to remember", remedy="Report it.")
        try:
            name = solutions().remember(request.solution)
        except MemoryUnavailable as error:
            raise PerformerError(str(error), remedy=error.remedy) from error
        except (ValueError, TypeError) as error:
            raise PerformerError(
                f"the solution cannot be kept: {error}", remedy="Nothing else is lost by it."
            ) from error
        return Outcome(data={"id": name})

    return {"recall": recall, "remember": remember}
