"""LangGraph's checkpoints in Redis, on plain hashes and sorted sets: no module is needed.

Keys of a thread, all below `jm1:THREAD:` (1 is the version of this format, the thread's id is
percent-encoded so that no id can reach into another's keys):

    c     hash   ns NUL id            -> [kind, checkpoint, kind, metadata, parent id]
    b     hash   ns NUL channel NUL version -> [kind, value]; the kind `empty` has no value
    z     zset   ns NUL id, all scores 0: ids are time-ordered and sort by text
    w:ns NUL id  hash   task NUL index -> [task path, channel, kind, value]
    k     set    the names of the thread's `w:` keys

Values in brackets are msgpack lists. A channel is stored when it changes, so an unchanged one
costs nothing. Every write can be repeated without harm, because a lost connection leaves unknown
whether it was kept.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, unquote

import ormsgpack
import redis
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
    writes_sort_key,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from typing_extensions import override

from memory.redis_server import explained
from memory.serializer import StrictSerializer

THREADS = b"jm1:threads"
EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class _TaskWrites:
    """What a task wrote, as (index, channel, value); negative indices are LangGraph's own."""

    thread: str
    key: bytes
    task: str
    path: str
    writes: list[tuple[int, str, Any]]

    def are_held_by(self, key: bytes, values: Mapping[str, Any]) -> bool:
        """Whether the checkpoint that follows the one of that key tells all of it by its values."""
        return self.key == key and all(
            index >= 0 and channel in values for index, channel, _ in self.writes
        )

    def add_to(self, pipe: redis.client.Pipeline, serde: SerializerProtocol) -> None:
        last: dict[Any, Any] = {}
        for index, channel, value in self.writes:
            name = _field(self.task, str(index))
            record = ormsgpack.packb([self.path, channel, *serde.dumps_typed(value)])
            if index < 0:
                last[name] = record
            else:  # the first stays as it is
                pipe.hsetnx(self.key, cast("Any", name), cast("Any", record))
        if last:
            pipe.hset(self.key, mapping=last)
        pipe.sadd(_key(self.thread, "k"), self.key)
        pipe.sadd(THREADS, quote(self.thread, safe=""))


class RedisSaver(BaseCheckpointSaver[str]):
    """Checkpoints in Redis. Every method raises `MemoryUnavailable` when Redis is out of reach.

    Args:
        client: A client that gives bytes, as `memory.redis_server.connect` makes it.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(serde=StrictSerializer())
        self.client = client
        self._waiting: list[_TaskWrites] = []
        self._turn = threading.Lock()

    @override
    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that `config` names, or the latest of its thread and namespace.

        Raises:
            CheckpointRefused: Its bytes name something that may not be built.
        """
        thread, namespace = _place(config)
        self._send_waiting()
        with explained(self.client):
            checkpoint_id = get_checkpoint_id(config) or self._latest_id(thread, namespace)
            return self._read(thread, namespace, checkpoint_id) if checkpoint_id else None

    @override
    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first within a thread; of all threads where `config` is None.

        Args:
            config: Thread, and where given namespace and checkpoint.
            filter: Metadata values that must be equal.
            before: Only checkpoints older than the one that this names.
            limit: At most so many.
        """
        self._send_waiting()
        wanted = config["configurable"] if config else {}
        limit_id = get_checkpoint_id(before) if before else None
        found = 0
        for thread, namespace, checkpoint_id in self._ids(wanted):
            if limit is not None and found >= limit:
                return
            if limit_id and checkpoint_id >= limit_id:
                continue
            with explained(self.client):
                saved = self._read(thread, namespace, checkpoint_id)
            if saved and _matches(saved.metadata, filter):
                found += 1
                yield saved

    @override
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint and the channels that changed, all or nothing.

        Raises:
            CheckpointRefused: The state holds what could not be read back.
        """
        thread, namespace = _place(config)
        values = checkpoint["channel_values"]
        header = {key: value for key, value in checkpoint.items() if key != "channel_values"}
        record = [
            *self.serde.dumps_typed(header),
            *self.serde.dumps_typed(get_checkpoint_metadata(config, metadata)),
            get_checkpoint_id(config),
        ]
        blobs = {
            _field(namespace, channel, str(version)): ormsgpack.packb(
                self.serde.dumps_typed(values[channel]) if channel in values else (EMPTY, b"")
            )
            for channel, version in new_versions.items()
        }
        member = _field(namespace, checkpoint["id"])
        before = _key(thread, "w:") + _field(namespace, get_checkpoint_id(config) or "")
        with self._sending(lambda writes: not writes.are_held_by(before, values)) as pipe:
            if blobs:
                pipe.hset(_key(thread, "b"), mapping=cast("dict[Any, Any]", blobs))
            pipe.hset(_key(thread, "c"), member, ormsgpack.packb(record))
            pipe.zadd(_key(thread, "z"), {member: 0})
            pipe.sadd(THREADS, quote(thread, safe=""))
        return _config(thread, namespace, checkpoint["id"])

    @override
    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep what a finished task of a step wrote, so that only unfinished ones run again.

        It goes out with a task that was interrupted or failed, or with the checkpoint that follows,
        unless that one holds it as values: a process that is killed in between does the step again.

        Raises:
            CheckpointRefused: A task wrote what could not be read back.
        """
        thread, namespace = _place(config)
        member = _field(namespace, config["configurable"]["checkpoint_id"])
        placed = [
            (WRITES_IDX_MAP.get(channel, position), channel, value)
            for position, (channel, value) in enumerate(writes)
        ]
        waiting = _TaskWrites(thread, _key(thread, "w:") + member, task_id, task_path, placed)
        with self._turn:
            self._waiting.append(waiting)
        if not placed or any(index < 0 for index, _, _ in placed):
            self._send_waiting()

    def _send_waiting(self) -> None:
        if self._waiting:
            with self._sending():
                pass

    @contextmanager
    def _sending(
        self, is_needed: Callable[[_TaskWrites], bool] = lambda _: True
    ) -> Iterator[redis.client.Pipeline]:
        """A transaction that begins with the writes that wait; a failure lets them wait on."""
        with self._turn:
            waiting, self._waiting = self._waiting, []
        try:
            with explained(self.client), self.client.pipeline(transaction=True) as pipe:
                for writes in filter(is_needed, waiting):
                    writes.add_to(pipe, self.serde)
                yield pipe
                pipe.execute()
        except BaseException:  # a stop, too, must not lose what a node has done
            with self._turn:
                self._waiting = waiting + self._waiting
            raise

    @override
    def delete_thread(self, thread_id: str) -> None:
        """Forget every checkpoint and write of a thread."""
        thread = str(thread_id)
        self._send_waiting()
        with explained(self.client):
            writes = cast("set[bytes]", self.client.smembers(_key(thread, "k")))
            with self.client.pipeline(transaction=True) as pipe:
                pipe.unlink(*(_key(thread, part) for part in "bczk"), *writes)
                pipe.srem(THREADS, quote(thread, safe=""))
                pipe.execute()

    @override
    def get_next_version(self, current: str | None, channel: None) -> str:
        """The version after `current`; the random end keeps two forks of a thread apart."""
        counter = int(current.partition(".")[0]) if current else 0
        return f"{counter + 1:08}.{random.getrandbits(32):08x}"

    @override
    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """`get_tuple` in a thread."""
        return await asyncio.to_thread(self.get_tuple, config)

    @override
    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """`list`, each checkpoint read in a thread."""
        found = self.list(config, filter=filter, before=before, limit=limit)
        while (saved := await asyncio.to_thread(next, found, None)) is not None:
            yield saved

    @override
    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """`put` in a thread."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    @override
    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """`put_writes` in a thread."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    @override
    async def adelete_thread(self, thread_id: str) -> None:
        """`delete_thread` in a thread."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    def _latest_id(self, thread: str, namespace: str) -> str | None:
        # NUL ends the namespace, so its members lie between "ns NUL" and "ns SOH".
        end, start = b"(" + namespace.encode() + b"\x01", b"(" + _field(namespace, "")
        found = self.client.zrevrangebylex(_key(thread, "z"), end, start, start=0, num=1)
        return _split(cast("list[bytes]", found)[0])[1] if found else None

    def _ids(self, wanted: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
        """(thread, namespace, checkpoint id) of what `wanted` names, newest first in a thread."""
        with explained(self.client):
            threads = (
                [str(wanted["thread_id"])]
                if "thread_id" in wanted
                else sorted(
                    unquote(name.decode())
                    for name in cast("set[bytes]", self.client.smembers(THREADS))
                )
            )
        for thread in threads:
            with explained(self.client):
                members = cast("list[bytes]", self.client.zrange(_key(thread, "z"), 0, -1))
            places = (_split(member) for member in members)
            for namespace, checkpoint_id in sorted(places, key=lambda p: p[1], reverse=True):
                if wanted.get("checkpoint_ns") not in {None, namespace}:
                    continue
                if wanted.get("checkpoint_id") not in {None, checkpoint_id}:
                    continue
                yield thread, namespace, checkpoint_id

    def _read(self, thread: str, namespace: str, checkpoint_id: str) -> CheckpointTuple | None:
        member = _field(namespace, checkpoint_id)
        record = cast("bytes | None", self.client.hget(_key(thread, "c"), cast("Any", member)))
        if record is None:
            return None
        kind, raw, metadata_kind, metadata, parent = ormsgpack.unpackb(record)
        header = self.serde.loads_typed((kind, raw))
        versions = cast("ChannelVersions", header["channel_versions"])
        values, writes = self._read_values(thread, namespace, member, versions)
        return CheckpointTuple(
            config=_config(thread, namespace, checkpoint_id),
            checkpoint=cast("Checkpoint", {**header, "channel_values": values}),
            metadata=self.serde.loads_typed((metadata_kind, metadata)),
            parent_config=_config(thread, namespace, parent) if parent else None,
            pending_writes=_ordered(self.serde, writes),
        )

    def _read_values(
        self, thread: str, namespace: str, member: bytes, versions: ChannelVersions
    ) -> tuple[dict[str, Any], dict[bytes, bytes]]:
        channels = list(versions)
        with self.client.pipeline(transaction=False) as pipe:
            pipe.hgetall(_key(thread, "w:") + member)
            if channels:
                fields = [_field(namespace, name, str(versions[name])) for name in channels]
                pipe.hmget(_key(thread, "b"), cast("Any", fields))
            writes, *found = pipe.execute()
        blobs: Iterable[bytes | None] = found[0] if found else ()
        values: dict[str, Any] = {}
        for channel, blob in zip(channels, blobs, strict=True):
            kind, raw = ormsgpack.unpackb(blob) if blob is not None else (EMPTY, b"")
            if kind != EMPTY:
                values[channel] = self.serde.loads_typed((kind, raw))
        return values, writes


def _ordered(serde: SerializerProtocol, writes: dict[bytes, bytes]) -> list[PendingWrite]:
    """Pending writes in the order in which the live run applies them."""
    ordered: list[tuple[tuple[str, str, int], PendingWrite]] = []
    for name, record in writes.items():
        task_id, index = _split(name)
        path, channel, kind, raw = ormsgpack.unpackb(record)
        key = writes_sort_key(path, task_id, int(index))
        ordered.append((key, (task_id, channel, serde.loads_typed((kind, raw)))))
    return [write for _, write in sorted(ordered, key=lambda pair: pair[0])]


def _place(config: RunnableConfig) -> tuple[str, str]:
    return str(config["configurable"]["thread_id"]), config["configurable"].get("checkpoint_ns", "")


def _config(thread: str, namespace: str, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": thread,
            "checkpoint_ns": namespace,
            "checkpoint_id": checkpoint_id,
        }
    }


def _matches(metadata: CheckpointMetadata, wanted: dict[str, Any] | None) -> bool:
    values = cast("dict[str, Any]", metadata)
    return all(values.get(name) == value for name, value in (wanted or {}).items())


def _key(thread: str, part: str) -> bytes:
    return f"jm1:{quote(thread, safe='')}:{part}".encode()


def _field(*parts: str) -> bytes:
    return "\0".join(parts).encode()


def _split(field: bytes) -> tuple[str, str]:
    first, _, second = field.decode().partition("\0")
    return first, second
