"""The one narrow interface to a vector store, in plain Python data.

Adapters: `memory/edge_store.py` (embedded) and `memory/server_store.py` (a Qdrant server). Both
pass one contract test. A point has a sparse vector of weighted terms (the store adds the inverse
document frequency) and a small dense one; a query ranks by both and fuses the two rankings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Equalities: TypeAlias = Mapping[str, str | int]
"""Payload fields and what each must be equal to; all must hold."""

SPARSE, DENSE = "terms", "dense"
"""Names of the two vectors in a store."""
RRF_K = 2
"""Constant of the reciprocal rank fusion; the server's own default, so that both engines agree."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing kept.

    Attributes:
        id: A UUID as text; the same id replaces.
        sparse: Index (32 bit) to weight.
        dense: (memory.terms.DENSE_SIZE,).
        payload: Plain data; kept as it is.
    """

    id: str
    sparse: Mapping[int, float]
    dense: Sequence[float]
    payload: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found; `score` orders hits of one query and means nothing else."""

    id: str
    score: float
    payload: dict[str, Json]


class VectorStore(Protocol):
    """Six calls. Each raises `MemoryUnavailable` when the store cannot be had."""

    def upsert(self, points: Sequence[Point]) -> None:
        """Keep these points; durable when it returns."""
        ...

    def delete_ids(self, ids: Sequence[str]) -> None:
        """Forget points by id; unknown ids are no error."""
        ...

    def delete_by(self, where: Equalities) -> None:
        """Forget the points that match.

        Raises:
            ValueError: `where` is empty, which would forget everything.
        """
        ...

    def query_hybrid(
        self,
        sparse: Mapping[int, float],
        dense: Sequence[float],
        *,
        limit: int,
        where: Equalities | None = None,
    ) -> list[Hit]:
        """The nearest points by both vectors, best first."""
        ...

    def scroll(
        self, *, limit: int = 100, after: str | None = None, where: Equalities | None = None
    ) -> tuple[list[Hit], str | None]:
        """A page of points in the order of their ids (score 0), and where the next begins.

        Args:
            limit: At most so many.
            after: What the page before gave; None for the first page.
            where: Only those that match.
        """
        ...

    def count(self, where: Equalities | None = None) -> int:
        """How many points match, exactly."""
        ...


def not_empty(where: Equalities) -> Equalities:
    """`where` itself.

    Raises:
        ValueError: It is empty.
    """
    if not where:
        raise ValueError("delete_by needs at least one equality: an empty one matches every point")
    return where


def conditions(where: Equalities) -> Iterator[tuple[str, str | int]]:
    """The equalities one by one.

    Raises:
        TypeError: A value is a bool, which the embedded engine would compare as a number.
    """
    for key, value in where.items():
        if isinstance(value, bool):
            raise TypeError(f"{key} is compared to a bool: keep it as text or as a number")
        yield key, value
