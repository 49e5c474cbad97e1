"""Bare LangGraph with LangChain's OpenAI client: a node for the model, a node for its calls."""

from __future__ import annotations

import sys
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import SecretStr

from benchmarks.perf import script


def main() -> None:
    """Run the script to its end."""
    base_url, steps = sys.argv[1], script.as_steps(sys.argv[3])
    marks = script.Marks(steps)

    @tool
    def shell(command: str) -> str:
        """Run a shell command."""
        return script.result(command)

    model = ChatOpenAI(model="scripted", base_url=base_url, api_key=SecretStr("none"))
    bound = model.bind_tools([shell])

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [bound.invoke(state["messages"])]}

    def act(state: MessagesState) -> dict[str, Any]:
        said = state["messages"][-1]
        calls = said.tool_calls if isinstance(said, AIMessage) else []
        shown = [ToolMessage(shell.invoke(c["args"]), tool_call_id=c["id"]) for c in calls]
        marks.result()
        return {"messages": shown}

    def after(state: MessagesState) -> str:
        said = state["messages"][-1]
        return "act" if isinstance(said, AIMessage) and said.tool_calls else END

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("act", act)
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", after, ["act", END])
    graph.add_edge("act", "ask")
    opening: list[AnyMessage] = [
        SystemMessage("You are a coding agent."),
        HumanMessage(script.TASK),
    ]
    limit: RunnableConfig = {"recursion_limit": 3 * max(steps) + 10}
    graph.compile().invoke(MessagesState(messages=opening), limit)
    marks.show()


if __name__ == "__main__":
    main()
