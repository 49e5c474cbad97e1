"""The vector store on a Qdrant server, by `qdrant-client`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from memory.errors import MemoryUnavailable
from memory.terms import DENSE_SIZE
from memory.vectors import DENSE, SPARSE, Equalities, Hit, Json, Point, conditions, not_empty

TIMEOUT_S = 10


class ServerStore:
    """Points in one collection of a server; see `VectorStore` for the calls.

    Args:
        location: The server's URL, or `:memory:` for the client's own imitation in this process.
        collection: Its name; made when it is not there.
    """

    def __init__(self, location: str, collection: str) -> None:
        self.location = location
        self.collection = collection
        with self._explained():
            if location == ":memory:":
                self._client = QdrantClient(location)
            else:
                self._client = QdrantClient(
                    url=location, timeout=TIMEOUT_S, check_compatibility=False
                )
            self._make_collection()

    def upsert(self, points: Sequence[Point]) -> None:
        """See `VectorStore`."""
        if points:
            with self._explained():
                self._client.upsert(self.collection, [_to_server(p) for p in points], wait=True)

    def delete_ids(self, ids: Sequence[str]) -> None:
        """See `VectorStore`."""
        if ids:
            selector = models.PointIdsList(points=list(ids))
            with self._explained():
                self._client.delete(self.collection, selector, wait=True)

    def delete_by(self, where: Equalities) -> None:
        """See `VectorStore`."""
        selector = models.FilterSelector(filter=_filter(not_empty(where)))
        with self._explained():
            self._client.delete(self.collection, selector, wait=True)

    def query_hybrid(
        self,
        sparse: Mapping[int, float],
        dense: Sequence[float],
        *,
        limit: int,
        where: Equalities | None = None,
    ) -> list[Hit]:
        """See `VectorStore`."""
        wanted = _filter(where) if where else None
        prefetch = [models.Prefetch(query=list(dense), using=DENSE, limit=limit, filter=wanted)]
        if sparse:
            prefetch.append(
                models.Prefetch(query=_sparse(sparse), using=SPARSE, limit=limit, filter=wanted)
            )
        with self._explained():
            found = self._client.query_points(
                self.collection,
                prefetch=prefetch,
                query=models.FusionQuery(fusion=models.Fusion.RRF),
                limit=limit,
                with_payload=True,
            ).points
        return [Hit(str(point.id), point.score, _payload(point)) for point in found]

    def scroll(
        self, *, limit: int = 100, after: str | None = None, where: Equalities | None = None
    ) -> tuple[list[Hit], str | None]:
        """See `VectorStore`."""
        with self._explained():
            found, following = self._client.scroll(
                self.collection,
                scroll_filter=_filter(where) if where else None,
                limit=limit,
                offset=after,
                with_payload=True,
            )
        page = [Hit(str(record.id), 0.0, _payload(record)) for record in found]
        return page, None if following is None else str(following)

    def count(self, where: Equalities | None = None) -> int:
        """See `VectorStore`."""
        with self._explained():
            return self._client.count(
                self.collection, count_filter=_filter(where) if where else None, exact=True
            ).count

    def _make_collection(self) -> None:
        if self._client.collection_exists(self.collection):
            return
        try:
            self._client.create_collection(
                self.collection,
                vectors_config={
                    DENSE: models.VectorParams(size=DENSE_SIZE, distance=models.Distance.COSINE)
                },
                sparse_vectors_config={
                    SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)
                },
            )
        except ApiException:
            if not self._client.collection_exists(self.collection):  # else another was faster
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (ApiException, QdrantException, OSError, ValueError) as error:
            raise MemoryUnavailable(
                f"Qdrant at {self.location} did not do what was asked: {error}",
                remedy=(
                    "Start it or correct JOURNEYMAN_QDRANT_URL; without it the embedded store is used."
                ),
            ) from error


def _to_server(point: Point) -> models.PointStruct:
    vectors: dict[str, list[float] | models.SparseVector] = {DENSE: list(point.dense)}
    if point.sparse:
        vectors[SPARSE] = _sparse(point.sparse)
    return models.PointStruct(
        id=point.id, vector=cast("models.VectorStruct", vectors), payload=dict(point.payload)
    )


def _sparse(vector: Mapping[int, float]) -> models.SparseVector:
    return models.SparseVector(indices=list(vector), values=list(vector.values()))


def _filter(where: Equalities) -> models.Filter:
    return models.Filter(
        must=[
            models.FieldCondition(key=key, match=models.MatchValue(value=value))
            for key, value in conditions(where)
        ]
    )


def _payload(point: models.ScoredPoint | models.Record) -> dict[str, Json]:
    return cast("dict[str, Json]", point.payload or {})
