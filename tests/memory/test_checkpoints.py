from __future__ import annotations

import asyncio
import json
import operator
import os
import pickle
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import ormsgpack
import pytest
import redis
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import ChannelVersions, CheckpointMetadata, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from pydantic import BaseModel
from redis.backoff import NoBackoff
from redis.retry import Retry
from typing_extensions import override

from memory.checkpoints import RedisSaver
from memory.errors import CheckpointRefused, MemoryUnavailable
from memory.serializer import StrictSerializer

GOLDEN = Path(__file__).parent / "golden"


def thread(name: str = "t") -> RunnableConfig:
    return {"configurable": {"thread_id": name, "checkpoint_ns": ""}}


def metadata(**values: Any) -> CheckpointMetadata:
    return {"source": "loop", "step": 1, "parents": {}, **values}  # type: ignore[typeddict-item]


def put(saver: RedisSaver, config: RunnableConfig, **values: Any) -> RunnableConfig:
    checkpoint = empty_checkpoint()
    versions: ChannelVersions = {name: saver.get_next_version(None, None) for name in values}
    checkpoint["channel_values"] = values
    checkpoint["channel_versions"] = versions
    return saver.put(config, checkpoint, metadata(), versions)


def test_the_saver_passes_every_base_test_of_the_conformance_suite(
    redis_client: redis.Redis,
) -> None:
    @checkpointer_test(name="RedisSaver")
    async def saver() -> AsyncIterator[RedisSaver]:
        redis_client.flushall()
        yield RedisSaver(redis_client)

    report = asyncio.run(validate(saver))

    failures = {name: result.failures for name, result in report.results.items()}
    assert report.passed_all_base(), failures
    assert sum(result.tests_passed for result in report.results.values()) >= 58


# --- the synchronous side, which the conformance suite never calls


def test_a_checkpoint_comes_back_as_it_was_put(redis_client: redis.Redis) -> None:
    saver = RedisSaver(redis_client)
    messages = [HumanMessage("fix it", id="1"), AIMessage("yes", id="2")]

    config = put(saver, thread(), messages=messages, step=7, empty=None, raw=b"\x00\xff")

    found = saver.get_tuple(config)
    assert found is not None
    assert found.checkpoint["channel_values"] == {
        "messages": messages,
        "step": 7,
        "empty": None,
        "raw": b"\x00\xff",
    }
    assert found.metadata["step"] == 1
    assert found.parent_config is None


def test_the_latest_checkpoint_of_a_namespace_is_read_without_an_id(
    redis_client: redis.Redis,
) -> None:
    saver = RedisSaver(redis_client)
    for namespace in ("", "plan:1", "plan", "\x02"):
        place: RunnableConfig = {"configurable": {"thread_id": "t", "checkpoint_ns": namespace}}
        first = put(saver, place, at=[namespace, 1])
        second = put(saver, first, at=[namespace, 2])

        found = saver.get_tuple(place)
        assert found is not None
        assert found.config == second
        assert found.parent_config == first
        assert found.checkpoint["channel_values"] == {"at": [namespace, 2]}


def test_list_gives_the_newest_first_and_obeys_before_limit_and_filter(
    redis_client: redis.Redis,
) -> None:
    saver = RedisSaver(redis_client)
    configs = [put(saver, thread(), n=n) for n in range(5)]
    put(saver, thread("other"), n=9)

    def ns(**options: Any) -> list[int]:
        return [t.checkpoint["channel_values"]["n"] for t in saver.list(thread(), **options)]

    assert ns() == [4, 3, 2, 1, 0]
    assert ns(before=configs[3]) == [2, 1, 0]
    assert ns(limit=2) == [4, 3]
    assert ns(filter={"step": 2}) == []
    assert len(list(saver.list(None))) == 6


@pytest.mark.parametrize("name", ["a:w", "a:z", "{a}", "a%3Az", "a b", "ä", "a\0b", "a*"])
def test_a_thread_s_name_never_reaches_into_another_thread(
    redis_client: redis.Redis, name: str
) -> None:
    saver = RedisSaver(redis_client)
    kept = put(saver, thread("a"), n=1)
    config = put(saver, thread(name), n=2)
    saver.put_writes(config, [("n", 3)], "task")

    saver.delete_thread(name)

    assert saver.get_tuple(thread(name)) is None
    assert saver.get_tuple(kept) is not None
    assert redis_client.keys("jm1:a:*") != []
    assert redis_client.smembers("jm1:threads") == {b"a"}


def test_a_namespace_never_reaches_into_another_thread(redis_client: redis.Redis) -> None:
    saver = RedisSaver(redis_client)
    places: list[RunnableConfig] = [
        {"configurable": {"thread_id": name, "checkpoint_ns": namespace, "checkpoint_id": "1"}}
        for name, namespace in (("a", "x:w:y"), ("a:w:x", "y"))
    ]
    for place in places:
        saver.put_writes(place, [("n", 1)], "task")

    saver.delete_thread("a")

    assert len(redis_client.keys("*\0*")) == 1  # only keys of pending writes have a NUL


def test_deleting_a_thread_leaves_no_key_of_it(redis_client: redis.Redis) -> None:
    saver = RedisSaver(redis_client)
    config = put(saver, thread(), n=1)
    saver.put_writes(config, [("n", 2), ("m", 3)], "task", "path")

    saver.delete_thread("t")

    assert redis_client.keys("*") == []


def test_pending_writes_come_back_in_the_order_of_the_task_paths(
    redis_client: redis.Redis,
) -> None:
    saver = RedisSaver(redis_client)
    config = put(saver, thread(), n=1)
    saver.put_writes(config, [("n", "second"), ("n", "third")], "a-task", "2")
    saver.put_writes(config, [("n", "first")], "z-task", "1")
    saver.put_writes(config, [("n", "again"), ("n", "third")], "a-task", "2")

    found = saver.get_tuple(config)

    assert found is not None
    assert found.pending_writes == [
        ("z-task", "n", "first"),
        ("a-task", "n", "second"),
        ("a-task", "n", "third"),
    ]


def test_writes_go_out_with_the_next_checkpoint_unless_it_holds_all_of_a_task_as_values(
    redis_client: redis.Redis,
) -> None:
    saver, other = RedisSaver(redis_client), RedisSaver(redis_client)
    config = put(saver, thread(), n=1)
    saver.put_writes(config, [("n", 2)], "all of it")
    saver.put_writes(config, [("n", 2), ("gone", 3)], "not all")
    held = other.get_tuple(config)
    put(saver, config, n=2)
    sent = other.get_tuple(config)

    assert held is not None
    assert sent is not None
    assert held.pending_writes == []
    assert sent.pending_writes == [("not all", "n", 2), ("not all", "gone", 3)]


def test_writes_of_an_interrupted_task_go_out_at_once(redis_client: redis.Redis) -> None:
    saver = RedisSaver(redis_client)
    config = put(saver, thread(), n=1)
    saver.put_writes(config, [("n", 2)], "ended")
    saver.put_writes(config, [(INTERRUPT, ("may I?",))], "interrupted")

    found = RedisSaver(redis_client).get_tuple(config)

    assert found is not None
    assert [(task, channel) for task, channel, _ in found.pending_writes or ()] == [
        ("ended", "n"),
        ("interrupted", INTERRUPT),
    ]


def test_versions_grow_in_text_order_and_differ_between_two_forks() -> None:
    saver = RedisSaver(redis.Redis())
    version = None
    seen = []
    for _ in range(1200):
        version = saver.get_next_version(version, None)
        seen.append(version)

    assert seen == sorted(seen)
    assert saver.get_next_version(seen[5], None) != saver.get_next_version(seen[5], None)


# --- in a graph


def append(value: list[Any], writes: Sequence[list[Any]]) -> list[Any]:
    return [*value, *(item for write in writes for item in write)]


class Session(TypedDict, total=False):
    messages: Annotated[list[Any], DeltaChannel(append, list, snapshot_frequency=100)]
    step: int
    plan: list[str]
    last: dict[str, Any]


class Parallel(TypedDict, total=False):
    seen: Annotated[list[str], DeltaChannel(append, list, snapshot_frequency=3)]
    turn: int


class Asked(TypedDict, total=False):
    answer: str
    trail: Annotated[list[str], operator.add]


class Model(BaseModel):
    n: int = 1


@dataclass
class Ours:
    n: int = 1


def session_graph(steps: int) -> Any:
    """plan -> act -> observe, `steps` times; each step adds a call and a 2 kB tool result."""

    def plan(state: Session) -> Session:
        return {
            "plan": [f"step {state.get('step', 0)}", "verify"],
            "step": state.get("step", 0) + 1,
        }

    def act(state: Session) -> Session:
        n = state["step"]
        call = {"name": "shell", "args": {"command": f"make {n}"}, "id": f"c{n}"}
        return {"messages": [AIMessage("", tool_calls=[call], id=f"a{n}")], "last": call}

    def observe(state: Session) -> Session:
        n = state["step"]
        text = os.urandom(1024).hex()  # nothing that could be squeezed
        return {"messages": [ToolMessage(text, tool_call_id=f"c{n}", id=f"t{n}")]}

    graph = StateGraph(Session)
    for node in (plan, act, observe):
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "act")
    graph.add_edge("act", "observe")
    graph.add_conditional_edges("observe", lambda s: "plan" if s["step"] < steps else END)
    return graph


def test_a_session_of_200_steps_with_2_kb_results_stays_under_5_mb_of_keys(
    redis_client: redis.Redis,
) -> None:
    saver = RedisSaver(redis_client)
    app = session_graph(200).compile(checkpointer=saver)
    config: RunnableConfig = {"configurable": {"thread_id": "long"}, "recursion_limit": 10_000}

    result = app.invoke({"messages": [HumanMessage("go", id="0")]}, config, durability="sync")

    assert len(result["messages"]) == 401
    state = app.get_state(config).values
    assert state["messages"] == result["messages"]
    used = sum(redis_client.memory_usage(key, samples=0) or 0 for key in redis_client.keys("*"))
    assert used < 5_000_000, f"{used} bytes"


def test_a_delta_channel_reads_back_as_from_the_reference_saver(redis_client: redis.Redis) -> None:
    def fan(state: Parallel) -> list[Send]:
        return [Send("work", {"seen": [], "turn": n}) for n in range(5)]

    graph = StateGraph(Parallel)
    graph.add_node("start", lambda s: {"turn": s.get("turn", 0) + 1})
    graph.add_node("work", lambda s: {"seen": [f"w{s['turn']}"]})
    graph.add_edge(START, "start")
    graph.add_conditional_edges("start", fan, ["work"])
    config: RunnableConfig = {"configurable": {"thread_id": "d"}}

    seen = []
    for saver in (InMemorySaver(), RedisSaver(redis_client)):
        app = graph.compile(checkpointer=saver)
        for turn in range(4):
            app.invoke({"seen": [f"in{turn}"]}, config)
        seen.append([snapshot.values["seen"] for snapshot in app.get_state_history(config)])

    assert seen[1] == seen[0]
    assert len(seen[1][0]) == 24


def test_an_interrupted_graph_goes_on_in_a_new_saver(redis_client: redis.Redis) -> None:
    graph = StateGraph(Asked)
    graph.add_node("ask", lambda _: {"answer": interrupt("may I?"), "trail": ["ask"]})
    graph.add_node("end", lambda _: {"trail": ["end"]})
    graph.add_edge(START, "ask")
    graph.add_edge("ask", "end")
    config: RunnableConfig = {"configurable": {"thread_id": "i"}}
    stopped = graph.compile(checkpointer=RedisSaver(redis_client)).invoke({"trail": []}, config)
    assert stopped["__interrupt__"][0].value == "may I?"

    ended = graph.compile(checkpointer=RedisSaver(redis_client)).invoke(
        Command(resume="yes"), config
    )

    assert ended == {"answer": "yes", "trail": ["ask", "end"]}


# --- hostile bytes


def marker_call(tmp_path: Path) -> tuple[str, str]:
    marker = tmp_path / "ran"
    return f"touch {marker}", str(marker)


def hostile_values(command: str) -> dict[str, tuple[str, bytes]]:
    def extension(code: int, *parts: Any) -> bytes:
        return ormsgpack.packb(ormsgpack.Ext(code, ormsgpack.packb(parts)))

    class Bomb:
        @override
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (command,)

    nested = ormsgpack.packb(
        ormsgpack.Ext(
            0,
            ormsgpack.packb(
                ["builtins", "set", [ormsgpack.Ext(0, ormsgpack.packb(["os", "system", command]))]]
            ),
        )
    )
    snapshot = ormsgpack.packb(
        ormsgpack.Ext(
            7, ormsgpack.packb([ormsgpack.Ext(0, ormsgpack.packb(["os", "system", command]))])
        )
    )
    constructor = {"lc": 2, "type": "constructor", "id": ["os", "system"], "args": [command]}
    return {
        "one argument": ("msgpack", extension(0, "os", "system", command)),
        "arguments": ("msgpack", extension(1, "os", "system", [command])),
        "keywords": (
            "msgpack",
            extension(2, "subprocess", "run", {"args": command, "shell": True}),
        ),
        "method": ("msgpack", extension(3, "os", "path", command, "system")),
        "pydantic 1": ("msgpack", extension(4, "subprocess", "Popen", {"args": command})),
        "pydantic 2": ("msgpack", extension(5, "subprocess", "Popen", {"args": command}, "x")),
        "numpy": ("msgpack", extension(6, "<i8", [1], "C", b"12345678")),
        "unknown extension": ("msgpack", extension(99, "os", "system", command)),
        "nested": ("msgpack", nested),
        "in a snapshot": ("msgpack", snapshot),
        "short": ("msgpack", extension(0, "os")),
        "no list": ("msgpack", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb("os")))),
        "module no text": ("msgpack", extension(0, ["os"], "system", command)),
        "no msgpack": ("msgpack", b"\xc1"),
        "a pattern": ("msgpack", extension(1, "re", "compile", ["(a+)+$", 0])),
        "pickle": ("pickle", pickle.dumps(Bomb())),
        "json": ("json", json.dumps(constructor).encode()),
        "unknown kind": ("python", command.encode()),
    }


HOSTILE = sorted(hostile_values(""))


@pytest.mark.parametrize("where", ["channel", "write", "checkpoint", "metadata"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_in_a_key_are_refused_and_run_nothing(
    redis_client: redis.Redis, tmp_path: Path, name: str, where: str
) -> None:
    command, marker = marker_call(tmp_path)
    kind, raw = hostile_values(command)[name]
    saver = RedisSaver(redis_client)
    config = put(saver, thread(), n=1)
    saver.put_writes(config, [("n", 2)], "task")
    saver.get_tuple(config)  # the write is sent
    plant(redis_client, where, kind, raw)

    with pytest.raises(CheckpointRefused) as refusal:
        saver.get_tuple(config)
    with pytest.raises(CheckpointRefused):
        list(saver.list(None))

    assert refusal.value.remedy
    assert not Path(marker).exists()


def plant(client: redis.Redis, where: str, kind: str, raw: bytes) -> None:
    """Put (kind, raw) in place of what the saver wrote."""
    if where == "channel":
        (field,) = client.hkeys("jm1:t:b")
        client.hset("jm1:t:b", field, ormsgpack.packb([kind, raw]))
    elif where == "write":
        (key,) = client.smembers("jm1:t:k")
        (field,) = client.hkeys(key)
        client.hset(key, field, ormsgpack.packb(["", "n", kind, raw]))
    else:
        ((field, record),) = client.hgetall("jm1:t:c").items()
        parts = ormsgpack.unpackb(cast("bytes", record))
        at = 0 if where == "checkpoint" else 2
        parts[at : at + 2] = [kind, raw]
        client.hset("jm1:t:c", field, ormsgpack.packb(parts))


@pytest.mark.parametrize("name", ["a pydantic model", "a path", "a pattern", "a class of ours"])
def test_a_state_that_could_not_be_read_back_is_refused_when_it_is_written(
    redis_client: redis.Redis, name: str
) -> None:
    value = {
        "a pydantic model": Model(),
        "a path": Path("/etc"),
        "a pattern": re.compile("a"),
        "a class of ours": Ours(),
    }[name]

    with pytest.raises(CheckpointRefused):
        put(RedisSaver(redis_client), thread(), x=[{"deep": value}])
    assert redis_client.keys("*") == []


def test_a_graph_s_own_state_types_do_not_widen_what_may_be_built(
    redis_client: redis.Redis,
) -> None:
    saver = RedisSaver(redis_client)

    assert saver.with_allowlist([("subprocess", "Popen")]) is saver
    assert isinstance(saver.serde, StrictSerializer)


def test_langgraph_itself_is_strict_once_this_room_is_imported() -> None:
    code = (
        "import memory.checkpoints\n"
        "from langgraph.checkpoint.serde import _msgpack\n"
        "print(_msgpack.STRICT_MSGPACK_ENABLED)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "True\n"


# --- the format, and failures


def test_keys_written_by_version_1_are_read_for_ever(redis_client: redis.Redis) -> None:
    """The golden file is a dump of the keys of a small session, as this version wrote it."""
    golden = json.loads((GOLDEN / "checkpoints-v1.json").read_text())
    for key, dump in golden["keys"].items():
        load(redis_client, bytes.fromhex(key), dump)

    app = session_graph(2).compile(checkpointer=RedisSaver(redis_client))
    values = app.get_state({"configurable": {"thread_id": "golden"}}).values

    assert [type(message).__name__ for message in values["messages"]] == golden["messages"]
    assert values["step"] == 2


def load(client: redis.Redis, key: bytes, dump: dict[str, Any]) -> None:
    if "hash" in dump:
        client.hset(
            key, mapping={bytes.fromhex(f): bytes.fromhex(v) for f, v in dump["hash"].items()}
        )
    elif "zset" in dump:
        client.zadd(key, {bytes.fromhex(member): 0 for member in dump["zset"]})
    else:
        client.sadd(key, *(bytes.fromhex(member) for member in dump["set"]))


def test_a_redis_that_is_gone_is_said_with_a_remedy(tmp_path: Path) -> None:
    nowhere = redis.Redis(
        unix_socket_path=str(tmp_path / "none"), retry=Retry(NoBackoff(), 0), protocol=2
    )
    saver = RedisSaver(nowhere)

    for attempt in (
        lambda: put(saver, thread(), n=1),
        lambda: saver.get_tuple(thread()),
        lambda: list(saver.list(None)),
        lambda: saver.put_writes(
            {"configurable": {"thread_id": "t", "checkpoint_id": "1"}}, [], "t"
        ),
        lambda: saver.delete_thread("t"),
    ):
        with pytest.raises(MemoryUnavailable) as error:
            attempt()
        assert "resume" in error.value.remedy
