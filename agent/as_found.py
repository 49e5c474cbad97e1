"""Reading files as they were found, for what a proposer is told before the first step."""

from __future__ import annotations

from typing import Any

from policies.action import Effect, Observation
from tools.read import READ
from tools.workbench import Workbench


def read(workbench: Workbench, **arguments: Any) -> Observation:
    """Read like the tool does; after a resume what was read then, as the files may have changed."""
    request, timeout_s = READ.to_request(READ.parse(arguments))
    return workbench.perform(
        READ.name, request, effect=Effect.FIND_OR_CREATE, origin="loop", timeout_s=timeout_s
    )
