"""Past solutions: what a failure looked like, and the change that was verified to mend it.

Whoever calls `remember` has verified the patch; nothing else is ever kept, and nothing here is
a model's words about itself. What comes back is data: the caller tries it again from the start.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

from memory.terms import cosine, dense, sparse, weights
from memory.vectors import Json, Point, VectorStore

URL_VARIABLE = "JOURNEYMAN_QDRANT_URL"
NAME = "solutions-v1"
"""Of the store; 1 is the version of a solution's form and of its terms."""

FIELDS: Mapping[str, type] = {
    "repo": str,
    "language": str,
    "failure": str,
    "tests": list,
    "patch": str,
    "operator": str,
    "old": str,
    "new": str,
    "evidence": str,
    "session_id": str,
    "at": str,
}
CONTENT = ("repo", "language", "failure", "patch")
"""What makes two solutions the same one."""

SIMILAR = 0.25
"""Below it a past failure shares no more than chance words with the present one."""
CANDIDATES = 4
"""How many hits of the store are looked at for each one that is wanted."""

_NAMESPACE = uuid.UUID("5f3d1c62-8a55-4a0e-9f5e-3f0c5d2b7a11")


class Solutions:
    """Verified solutions in a vector store.

    Args:
        store: Where they lie.
    """

    def __init__(self, store: VectorStore) -> None:
        self.store = store

    def remember(self, solution: Mapping[str, Json]) -> str:
        """Keep a verified solution; the same one again changes nothing but its date and session.

        Args:
            solution: All of `FIELDS`, and no more; `failure` as `memory.signature` makes it.

        Returns:
            Its id, made from its content.

        Raises:
            ValueError: A field is missing or unknown, is no Unicode, or there is no evidence.
            TypeError: A field is of another type.
            MemoryUnavailable: The store cannot be had.
        """
        _check(solution)
        identity = json.dumps([solution[name] for name in CONTENT])
        point_id = str(uuid.uuid5(_NAMESPACE, hashlib.sha256(identity.encode()).hexdigest()))
        words = f"{solution['failure']}\n{solution['operator']}"
        self.store.upsert([Point(point_id, sparse(words), dense(words), solution)])
        return point_id

    def recall(self, query: str, *, limit: int = 5) -> list[dict[str, Json]]:
        """Solutions of the most similar failures, most similar first.

        Args:
            query: A failure's signature, or any words.
            limit: At most so many.

        Returns:
            Each with `id` and with `similarity` in [0, 1]; nothing below `SIMILAR`.

        Raises:
            MemoryUnavailable: The store cannot be had.
        """
        wanted = weights(query)
        if not wanted or limit < 1:
            return []
        hits = self.store.query_hybrid(sparse(query), dense(query), limit=limit * CANDIDATES)
        found = [
            {**hit.payload, "id": hit.id, "similarity": round(similarity, 4)}
            for hit in hits
            if (similarity := cosine(wanted, weights(str(hit.payload.get("failure", "")))))
            >= SIMILAR
        ]
        return sorted(found, key=lambda s: (-float(str(s["similarity"])), str(s["id"])))[:limit]


def open_solutions(home: Path) -> Solutions:
    """Solutions on the server that `JOURNEYMAN_QDRANT_URL` names, else embedded below `home`.

    Raises:
        MemoryUnavailable: The server does not answer.
    """
    # Imported where they are needed: each engine takes its time, and only one of them is used.
    if url := os.environ.get(URL_VARIABLE):
        from memory.server_store import ServerStore  # noqa: PLC0415 - see above

        return Solutions(ServerStore(url, f"journeyman-{NAME}"))
    from memory.edge_store import EdgeStore  # noqa: PLC0415 - see above

    return Solutions(EdgeStore(home, NAME))


def any_kept(home: Path) -> bool:
    """Whether there can be a solution; an engine need not be started to find that there is none."""
    return bool(os.environ.get(URL_VARIABLE)) or (home / "qdrant" / NAME).exists()


def _check(solution: Mapping[str, Json]) -> None:
    if solution.keys() != FIELDS.keys():
        differing = ", ".join(sorted(solution.keys() ^ FIELDS.keys()))
        raise ValueError(
            f"a solution has exactly the fields of memory.solutions.FIELDS: {differing}"
        )
    for name, kind in FIELDS.items():
        if not isinstance(solution[name], kind):
            raise TypeError(f"the solution's {name} is no {kind.__name__}")
    json.dumps(solution, ensure_ascii=False).encode()  # half of a surrogate pair: a ValueError
    if solution["evidence"] in {"", "none"}:
        raise ValueError("a solution without evidence is not remembered: verify the patch first")
