"""Run one cell in the session's stateful Python interpreter, in the sandbox."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from policies.action import Observation, PythonRequest
from tools.tool import Tool, denial, streams_text


class PythonArguments(BaseModel):
    """Run Python code in an interpreter that keeps variables, imports and functions over calls.

    The value of a last expression comes back. `shell(command)`, `read(path, start=1, lines=0)`,
    `edit(path, old, new)` and `search(pattern, path=".")` can be called from the code: each gives
    the text that the tool of that name gives. After a crash or a time-out the state from before the
    call is brought back, and the answer says so.
    """

    model_config = ConfigDict(extra="forbid")

    code: str = Field(min_length=1, description="One cell of Python code.")
    timeout_s: float = Field(60.0, gt=0, le=600, description="Seconds until it is interrupted.")


def to_request(arguments: PythonArguments) -> tuple[PythonRequest, float]:
    """Ask for the cell to be run."""
    return PythonRequest(code=arguments.code), arguments.timeout_s


def to_text(observation: Observation) -> str:
    """What it printed, its value, and what was lost."""
    return denial(observation) or streams_text(observation)


PYTHON = Tool(name="python", arguments=PythonArguments, to_request=to_request, to_text=to_text)
