"""Live text of a session for whoever watches: display only, capped, gone after an hour.

Nothing may depend on it: what happened is in the session's log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import redis

from memory.redis_server import explained

KEPT_ENTRIES = 1000
KEPT_S = 3600
BLOCK_MS = 1000
"""Shorter than the client's own time-out."""


class Live:
    """The one who adds to a session's stream, on a connection of its own.

    Args:
        client: As `memory.redis_server.connect` makes it.
        session_id: Whose.
    """

    def __init__(self, client: redis.Redis, session_id: str) -> None:
        self._client = client
        self._key = _key(session_id)
        self._connection: Any = None
        self._unread = 0

    def publish(self, *texts: str) -> None:
        """Add texts to the stream, as one entry of it.

        It does not wait for the server: what that says is read at the next call.

        Raises:
            MemoryUnavailable: Redis is out of reach, or refused the entry before.
        """
        said: list[str | bytes] = []
        for n, text in enumerate(texts):
            said += [str(n), text.encode(errors="replace")]
        entry = ("XADD", self._key, "MAXLEN", "~", KEPT_ENTRIES, "*", *said)
        expiry = ("EXPIRE", self._key, KEPT_S)
        with explained(self._client):
            try:
                self._send(entry, expiry)
            except (redis.ConnectionError, redis.TimeoutError):
                self._send(entry, expiry)
                self._read()  # one that was started anew may fall over this very entry

    def close(self) -> None:
        """Let the server take all that was sent, and give the connection up. Safe to call twice."""
        with suppress(redis.RedisError):
            self._read()
        self._hang_up()

    def _send(self, *commands: tuple[Any, ...]) -> None:
        self._read()
        if self._connection is None:
            self._connection = self._client.connection_pool.get_connection()
        with self._hung_up_where_it_fails():
            self._unread = len(commands)
            self._connection.send_packed_command(self._connection.pack_commands(commands))

    def _read(self) -> None:
        with self._hung_up_where_it_fails():
            while self._unread:
                self._connection.read_response()
                self._unread -= 1

    @contextmanager
    def _hung_up_where_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:  # a Ctrl-C, too, leaves what the next text would be mixed up with
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        connection, self._connection, self._unread = self._connection, None, 0
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)


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
