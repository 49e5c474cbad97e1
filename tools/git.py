"""Run git in the sandbox's workspace."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from policies.action import GitRequest, Observation
from tools.tool import Tool, denial, streams_text


class GitArguments(BaseModel):
    """Run git at the repository's root: history, blame, diff. Nothing leaves the sandbox by it.

    Changes need not be committed: the patch is taken from the files as they are at the end.
    """

    model_config = ConfigDict(extra="forbid")

    arguments: list[str] = Field(
        min_length=1, description='Arguments after `git`, such as ["log", "-3", "--stat"].'
    )


def to_request(arguments: GitArguments) -> tuple[GitRequest, float]:
    """Ask for git to be run."""
    return GitRequest(arguments=tuple(arguments.arguments)), 60.0


def to_text(observation: Observation) -> str:
    """What git printed and how it ended."""
    return denial(observation) or streams_text(observation)


GIT = Tool(name="git", arguments=GitArguments, to_request=to_request, to_text=to_text)
