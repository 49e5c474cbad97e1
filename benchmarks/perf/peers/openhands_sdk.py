"""OpenHands' software agent SDK as it comes, with a shell tool that answers from memory."""

from __future__ import annotations

import sys
from typing import Any

from openhands.sdk import (  # type: ignore[import-not-found]
    LLM,
    Action,
    Agent,
    Conversation,
    Observation,
    Tool,
    ToolDefinition,
    register_tool,
)
from openhands.sdk.tool.tool import ToolExecutor  # type: ignore[import-not-found]
from pydantic import SecretStr
from typing_extensions import override

from benchmarks.perf import script


class ShellAction(Action):  # type: ignore[misc]
    """A command."""

    command: str


class ShellObservation(Observation):  # type: ignore[misc]
    """What it shows."""


class ShellExecutor(ToolExecutor):  # type: ignore[misc]
    """Answers from memory.

    Args:
        marks: Told of each result.
    """

    def __init__(self, marks: script.Marks) -> None:
        self._marks = marks

    @override
    def __call__(self, action: ShellAction, conversation: Any = None) -> Any:
        self._marks.result()
        return ShellObservation.from_text(text=script.result(action.command))


class ShellTool(ToolDefinition):  # type: ignore[misc]
    """The tool `shell`."""

    @classmethod
    @override
    def create(cls, *_given: Any, **_more: Any) -> list[Any]:
        return [
            cls(
                description="Run a shell command.",
                action_type=ShellAction,
                observation_type=ShellObservation,
                executor=ShellExecutor(MARKS),
            )
        ]


MARKS = script.Marks(script.as_steps(sys.argv[3]))


def main() -> None:
    """Run the script to its end."""
    base_url, folder = sys.argv[1], sys.argv[2]
    register_tool("shell", ShellTool)
    model = LLM(model="openai/scripted", base_url=base_url, api_key=SecretStr("none"))
    agent = Agent(llm=model, tools=[Tool(name="shell")])
    conversation = Conversation(agent=agent, workspace=folder, visualizer=None)
    conversation.send_message(script.TASK)
    conversation.run()
    MARKS.show()


if __name__ == "__main__":
    main()
