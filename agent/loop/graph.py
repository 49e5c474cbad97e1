"""The loop as a LangGraph graph: recall, plan, act, verify, remember.

    recall -> plan -> act -> plan ...      the proposer names calls, they are done and observed
              plan -> verify               the proposer claims to be done
                      verify -> remember   the evidence is enough
                      verify -> plan       it is not: the plan is revised
    any of plan, act, verify may end the run.

Each arrow is a checkpoint. The state is plain JSON data, and small: what actions brought lies in
the session's log and is looked up by key. The nodes are in `agent/loop/nodes.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from agent.loop.nodes import Nodes
from agent.loop.state import LoopState

Loop: TypeAlias = CompiledStateGraph[LoopState, None, LoopState, LoopState]


def build(nodes: Nodes, saver: BaseCheckpointSaver[Any]) -> Loop:
    """The compiled graph over these nodes."""

    def plan(state: LoopState) -> Command[str]:
        return go_on(after_plan, state, nodes.plan(state))

    def act(state: LoopState) -> Command[str]:
        return go_on(after_act, state, nodes.act(state))

    def verify(state: LoopState) -> Command[str]:
        return go_on(after_verify, state, nodes.verify(state))

    graph = StateGraph(LoopState)
    graph.add_node("recall", nodes.recall)
    graph.add_node("plan", plan, destinations=("act", "verify", "plan", END))
    graph.add_node("act", act, destinations=("plan", "verify", END))
    graph.add_node("verify", verify, destinations=("remember", "plan", END))
    graph.add_node("remember", nodes.remember)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "plan")
    graph.add_edge("remember", END)
    return graph.compile(checkpointer=saver)


Route: TypeAlias = Callable[[LoopState], str]


def go_on(route: Route, state: LoopState, change: LoopState) -> Command[str]:
    """What changes in the state, and the node that is next.

    A conditional edge would read the whole state anew.
    """
    return Command(update=change, goto=route({**state, **change}))


def after_plan(state: LoopState) -> str:
    """Do what was named; verify a bare claim; ask again where nothing was named; or stop."""
    if state.get("end"):
        return END
    if state.get("calls"):
        return "act"
    return "verify" if state.get("claim") else "plan"


def after_act(state: LoopState) -> str:
    """Verify a claim that came with calls; otherwise let the proposer go on."""
    if state.get("end"):
        return END
    return "verify" if state.get("claim") else "plan"


def after_verify(state: LoopState) -> str:
    """Remember what holds; revise what does not."""
    end = state.get("end")
    if end and end.get("outcome") == "verified":
        return "remember"
    return END if end else "plan"
