"""Live text of a session for whoever watches: display only, capped, gone after an hour.

Nothing may depend on it: what happened is in the session's log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import redis

from memory.redis_server import explained

KEPT_ENTRIES = 1000
KEPT_S = 3600
BLOCK_MS = 1000
"""Shorter than the client's own time-out."""


def publish(client: redis.Redis, session_id: str, *texts: str) -> None:
    """Add texts to the session's stream, as one entry of it.

    Raises:
        MemoryUnavailable: Redis is out of reach.
    """
    key = _key(session_id)
    with explained(client), client.pipeline(transaction=False) as pipe:
        said = {str(n): text.encode(errors="replace") for n, text in enumerate(texts)}
        pipe.xadd(key, cast("Any", said), maxlen=KEPT_ENTRIES, approximate=True)
        pipe.expire(key, KEPT_S)
        pipe.execute()


def follow(
    client: redis.Redis, session_id: str, after: str = "0", *, wait_s: float = 1.0
) -> Iterator[tuple[str, str]]:
    """Texts of the session as they come, each with its entry's id; ends when `wait_s` brought none.

    Args:
        client: As `memory.redis_server.connect` makes it.
        session_id: Whose.
        after: The id of the last entry that was seen; `0` for all that are kept.
        wait_s: Seconds of silence after which it ends; go on by calling it with the last id.

    Raises:
        MemoryUnavailable: Redis is out of reach.
    """
    deadline = time.monotonic() + wait_s
    while (left_ms := int((deadline - time.monotonic()) * 1000)) > 0:
        with explained(client):
            found = client.xread({_key(session_id): after}, block=min(left_ms, BLOCK_MS), count=100)
        for _, entries in cast("list[Any]", found or []):
            for entry_id, fields in entries:
                after = entry_id.decode()
                for text in fields.values():
                    yield after, text.decode()
            deadline = time.monotonic() + wait_s


def _key(session_id: str) -> str:
    return f"jm1-live:{session_id}"
