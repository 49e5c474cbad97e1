"""deepagents as it comes, with a shell tool that answers from memory."""

from __future__ import annotations

import sys

from deepagents import create_deep_agent  # type: ignore[import-not-found]
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from benchmarks.perf import script


def main() -> None:
    """Run the script to its end."""
    base_url, steps = sys.argv[1], script.as_steps(sys.argv[3])
    marks = script.Marks(steps)

    @tool
    def shell(command: str) -> str:
        """Run a shell command."""
        marks.result()
        return script.result(command)

    model = ChatOpenAI(model="scripted", base_url=base_url, api_key=SecretStr("none"))
    agent = create_deep_agent(model, tools=[shell])
    task = {"messages": [{"role": "user", "content": script.TASK}]}
    agent.invoke(task, {"recursion_limit": 20 * max(steps) + 100})
    marks.show()


if __name__ == "__main__":
    main()
