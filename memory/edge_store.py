"""The embedded vector store: Qdrant's engine in this process, on one folder.

The engine takes one process at a time, so the folder is opened for each operation and closed
after it; a lock beside it makes others wait a moment.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import qdrant_edge as edge

from memory.errors import MemoryUnavailable
from memory.private import open_lock, private_folder
from memory.terms import DENSE_SIZE
from memory.vectors import DENSE, RRF_K, SPARSE, Equalities, Hit, Point, conditions, not_empty

LOCK_WAIT_S = 2.0
POLL_S = 0.003
"""Short, so that one who waits gets its turn between two operations of one who does many."""


class EdgeStore:
    """Points in the folder `home`/qdrant/`name`; see `VectorStore` for the calls.

    Args:
        home: The state folder.
        name: What is kept there; one store each.
    """

    def __init__(self, home: Path, name: str) -> None:
        self.folder = home / "qdrant" / name
        self._lock = self.folder.with_name(f"{name}.lock")

    def upsert(self, points: Sequence[Point]) -> None:
        """See `VectorStore`."""
        if points:
            with self._shard() as shard:
                shard.update(edge.UpdateOperation.upsert_points([_to_edge(p) for p in points]))
                shard.flush()

    def delete_ids(self, ids: Sequence[str]) -> None:
        """See `VectorStore`."""
        if ids:
            with self._shard() as shard:
                shard.update(edge.UpdateOperation.delete_points(list(ids)))
                shard.flush()

    def delete_by(self, where: Equalities) -> None:
        """See `VectorStore`."""
        wanted = _filter(not_empty(where))
        with self._shard() as shard:
            shard.update(edge.UpdateOperation.delete_points_by_filter(wanted))
            shard.flush()

    def query_hybrid(
        self,
        sparse: Mapping[int, float],
        dense: Sequence[float],
        *,
        limit: int,
        where: Equalities | None = None,
    ) -> list[Hit]:
        """See `VectorStore`."""
        nearest = [edge.Query.Nearest(list(dense), DENSE)]
        if sparse:
            nearest.append(edge.Query.Nearest(_sparse(sparse), SPARSE))
        wanted = _filter(where) if where else None
        request = edge.QueryRequest(
            limit=limit,
            prefetches=[edge.Prefetch(limit=limit, query=q, filter=wanted) for q in nearest],
            query=cast("edge.Fusion", edge.Fusion.Rrf(RRF_K)),  # the stub does not relate them
            with_payload=True,
        )
        with self._shard() as shard:
            found = shard.query(request)
        return [Hit(str(p.id), float(p.score), p.payload or {}) for p in found]

    def scroll(
        self, *, limit: int = 100, after: str | None = None, where: Equalities | None = None
    ) -> tuple[list[Hit], str | None]:
        """See `VectorStore`."""
        request = edge.ScrollRequest(
            offset=after,
            limit=limit,
            filter=_filter(where) if where else None,
            with_payload=True,
        )
        with self._shard() as shard:
            found, following = shard.scroll(request)
        page = [Hit(str(record.id), 0.0, record.payload or {}) for record in found]
        return page, None if following is None else str(following)

    def count(self, where: Equalities | None = None) -> int:
        """See `VectorStore`."""
        request = edge.CountRequest(exact=True, filter=_filter(where) if where else None)
        with self._shard() as shard:
            return int(shard.count(request))

    @contextmanager
    def _shard(self) -> Iterator[edge.EdgeShard]:
        """The open shard, for one operation.

        Raises:
            MemoryUnavailable: Another process holds it, or the engine cannot do what is asked.
        """
        with self._locked():
            try:
                shard = self._open()
                try:
                    yield shard
                finally:
                    shard.close()
            except Exception as error:  # the engine raises bare Exceptions
                raise MemoryUnavailable(
                    f"The embedded Qdrant store {self.folder} failed: {error}",
                    remedy=(
                        f"If the disk has room (df -h {self.folder.parent}), start it anew: "
                        f"mv {self.folder} {self.folder}.damaged (past solutions are lost, no more)."
                    ),
                ) from error

    def _open(self) -> edge.EdgeShard:
        if self.folder.exists():
            return edge.EdgeShard.load(str(self.folder))
        # Made elsewhere and renamed: a kill in between leaves no half of a store behind.
        fresh = self.folder.with_name(f"{self.folder.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        edge.EdgeShard.create(
            str(fresh),
            edge.EdgeConfig(
                vectors={DENSE: edge.EdgeVectorParams(DENSE_SIZE, edge.Distance.Cosine)},
                sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
            ),
        ).close()
        fresh.rename(self.folder)
        return edge.EdgeShard.load(str(self.folder))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        private_folder(self.folder.parent)
        lock = open_lock(self._lock)
        try:
            self._wait_for(lock)
            yield
        finally:
            os.close(lock)

    def _wait_for(self, lock: int) -> None:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise MemoryUnavailable(
                        f"The store {self.folder} was in use by another process for {LOCK_WAIT_S:.0f} s",
                        remedy="Try again, or share a server: set JOURNEYMAN_QDRANT_URL.",
                    ) from error
                time.sleep(POLL_S)
            else:
                return


def _to_edge(point: Point) -> edge.Point:
    vectors: dict[str, edge.NamedVector] = {DENSE: list(point.dense)}
    if point.sparse:
        vectors[SPARSE] = _sparse(point.sparse)
    return edge.Point(point.id, vectors, dict(point.payload))


def _sparse(vector: Mapping[int, float]) -> edge.SparseVector:
    return edge.SparseVector(indices=list(vector), values=list(vector.values()))


def _filter(where: Equalities) -> edge.Filter:
    return edge.Filter(
        must=[
            edge.FieldCondition(key, match=edge.MatchValue(value))
            for key, value in conditions(where)
        ]
    )
