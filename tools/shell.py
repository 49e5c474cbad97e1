"""Run one shell command in the sandbox."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from policies.action import Observation, ShellRequest
from tools.tool import Tool, denial, streams_text


class ShellArguments(BaseModel):
    """Run one shell command at the repository's root. `cd` and variables do not outlive the call.

    There is no network. An output over 10,000 characters is cut in the middle; the answer then names
    the file that holds all of it.
    """

    model_config = ConfigDict(extra="forbid")

    command: str = Field(min_length=1, description="Given to `bash -c`.")
    timeout_s: float = Field(60.0, gt=0, le=600, description="Seconds until it is killed.")


def to_request(arguments: ShellArguments) -> tuple[ShellRequest, float]:
    """Ask for the command to be run."""
    return ShellRequest(command=arguments.command), arguments.timeout_s


def to_text(observation: Observation) -> str:
    """What it printed and how it ended."""
    return denial(observation) or streams_text(observation)


SHELL = Tool(name="shell", arguments=ShellArguments, to_request=to_request, to_text=to_text)
