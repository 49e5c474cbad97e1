"""How a provider's client reaches its server: whom it trusts, and how long silence may last.

Proxies need nothing here: the HTTP library itself reads the variables that are usual for them.
"""

from __future__ import annotations

import math
import os
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
_LOOK_S = 0.5
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def http_settings() -> dict[str, Any]:
    """Arguments for an `httpx2.Client`.

    Raises:
        ModelNameError: A variable names certificates or a proxy that cannot be used.
    """
    _, trusted = _authorities() or ("", httpx2.create_ssl_context())
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
    path, _ = _authorities() or (None, None)
    return path


def _authorities() -> tuple[str, ssl.SSLContext] | None:
    for variable in CERTIFICATES:
        if path := os.environ.get(variable):
            try:
                return path, _trusting(path)
            except OSError as error:
                raise ModelNameError(
                    f"{variable} names {path}, which holds no certificates that can be read",
                    remedy=f"Let {variable} name a file of CA certificates (PEM), or unset it.",
                ) from error
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
    (the model may think long) is to have another one: so a watch looks after all that are read.
    """

    def __init__(
        self, body: httpx2.SyncByteStream, deadline: float, connection: socket.socket
    ) -> None:
        self._body = body
        self._deadline = deadline
        self._connection = connection
        self.due = deadline
        self.given_up = False

    @override
    def __iter__(self) -> Iterator[bytes]:
        _WATCH.begin(self)
        try:
            for part in self._body:
                self.due = math.inf  # whoever reads may take their time
                yield part
                self.due = min(time.monotonic() + SILENCE_S, self._deadline)
        except Exception:  # whatever a connection says that was ended under it
            if not self.given_up:
                raise
        finally:
            _WATCH.end(self)
        if self.given_up:
            raise httpx2.ReadTimeout("nothing more came of the answer")

    @override
    def close(self) -> None:
        self._body.close()

    def give_up(self) -> None:
        """Wake whoever reads, by ending the connection."""
        self.given_up = True
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


class _Watch:
    """Gives up bodies that are overdue: one thread for all of them, begun with the first."""

    def __init__(self) -> None:
        self._read: set[_Paced] = set()
        self._turn = threading.Lock()
        self._runs = False

    def begin(self, body: _Paced) -> None:
        """Look after a body from now on."""
        with self._turn:
            self._read.add(body)
            if not self._runs:
                threading.Thread(target=self._look, daemon=True).start()
                self._runs = True

    def end(self, body: _Paced) -> None:
        """Leave it alone: its connection may serve the next request already."""
        with self._turn:
            self._read.discard(body)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_S)
            with self._turn:
                for body in self._read:
                    if not body.given_up and time.monotonic() > body.due:
                        body.give_up()


_WATCH = _Watch()
