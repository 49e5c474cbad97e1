"""How a provider's client reaches its server: whom it trusts, and how long silence may last.

Proxies need nothing here: the HTTP library itself reads the variables that are usual for them.
"""

from __future__ import annotations

import math
import os
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from typing_extensions import override

from agent.models.names import ModelNameError

SILENCE_S = 120.0
"""Once an answer has begun: so long may no byte of it come."""
CONNECT_S = 30.0
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def http_settings() -> dict[str, Any]:
    """Arguments for an `httpx2.Client`.

    Raises:
        ModelNameError: A variable names certificates or a proxy that cannot be used.
    """
    path = certificates()
    trusted = _trusting(path) if path else httpx2.create_ssl_context()
    try:
        httpx2.Client(verify=trusted).close()
    except (ValueError, ImportError) as error:
        raise ModelNameError(
            f"a proxy that is set cannot be used: {error}",
            remedy="Set HTTPS_PROXY, HTTP_PROXY or ALL_PROXY to http://HOST:PORT.",
        ) from error
    return {
        "verify": trusted,
        "event_hooks": {"request": [_note_limits], "response": [_pace]},
    }


def certificates() -> str | None:
    """The file or folder of the authorities to trust, where the environment names one.

    Raises:
        ModelNameError: It holds no certificates that can be read.
    """
    for variable in CERTIFICATES:
        if path := os.environ.get(variable):
            try:
                _trusting(path)
            except OSError as error:
                raise ModelNameError(
                    f"{variable} names {path}, which holds no certificates that can be read",
                    remedy=f"Let {variable} name a file of CA certificates (PEM), or unset it.",
                ) from error
            return path
    return None


def _trusting(path: str) -> ssl.SSLContext:
    if Path(path).is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def _note_limits(request: httpx2.Request) -> None:
    """The time limit of a request is meant for all of it, whereas the library's is for each read."""
    limits = request.extensions["timeout"]
    whole = limits["read"] or math.inf
    limits["connect"] = min(CONNECT_S, whole)
    request.extensions["deadline"] = time.monotonic() + whole


def _pace(response: httpx2.Response) -> None:
    body = response.stream
    if isinstance(body, httpx2.SyncByteStream):
        response.stream = _Paced(
            body,
            response.request.extensions["deadline"],
            response.extensions["network_stream"].get_extra_info("socket"),
        )


class _Paced(httpx2.SyncByteStream):
    """A body that is given up when its server falls silent, or when its time is over.

    The library's limit for a read cannot be changed within a body, but the wait for the first byte
    (the model may think long) is to have another one: so a thread reads, and this one waits for it.
    """

    def __init__(
        self, body: httpx2.SyncByteStream, deadline: float, connection: socket.socket
    ) -> None:
        self._body = body
        self._deadline = deadline
        self._connection = connection
        self._parts: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        self._read_to_its_end = False

    @override
    def __iter__(self) -> Iterator[bytes]:
        threading.Thread(target=self._read, daemon=True).start()
        silence = math.inf
        try:
            while (part := self._wait(silence)) is not None:
                if isinstance(part, Exception):
                    raise part
                yield part
                silence = SILENCE_S
        finally:
            self._hang_up()

    @override
    def close(self) -> None:
        self._hang_up()
        self._body.close()

    def _read(self) -> None:
        try:
            for part in self._body:
                self._parts.put(part)
            self._read_to_its_end = True
            self._parts.put(None)
        except Exception as error:  # noqa: BLE001  (raised again in the thread that waits)
            self._parts.put(error)

    def _wait(self, silence: float) -> bytes | Exception | None:
        left = min(silence, self._deadline - time.monotonic())
        try:
            return self._parts.get(timeout=min(max(left, 0.0), threading.TIMEOUT_MAX))
        except queue.Empty:
            raise httpx2.ReadTimeout("nothing more came of the answer") from None

    def _hang_up(self) -> None:
        """Wake the reader, and let the server know that nobody listens any more."""
        if not self._read_to_its_end:  # or else the connection may serve the next request already
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
