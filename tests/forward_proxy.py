"""A real forward proxy on loopback: tunnels by CONNECT, and requests with an absolute address."""

from __future__ import annotations

import select
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from typing_extensions import override


class ForwardProxy:
    """The proxy; a context manager.

    Attributes:
        asked: Request lines without the protocol's version, in order.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self.asked))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """What a variable such as HTTPS_PROXY is set to."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, asked: list[str], *arguments: Any) -> None:
        self._asked = asked
        super().__init__(*arguments)

    def do_CONNECT(self) -> None:
        self._asked.append(f"CONNECT {self.path}")
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port))) as server:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _relay(self.connection, server)
        self.close_connection = True

    def do_POST(self) -> None:
        self._asked.append(f"POST {self.path}")
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        del self.headers["Connection"]
        self.headers["Connection"] = "close"
        path = f"{url.path}?{url.query}" if url.query else url.path
        with socket.create_connection((url.hostname, url.port)) as server:
            server.sendall(f"POST {path} HTTP/1.1\r\n{self.headers}".encode() + body)
            _relay(self.connection, server)
        self.close_connection = True

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what was asked is in `asked`."""


def _relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    partner = {one: other, other: one}
    while True:
        for source in select.select([one, other], [], [])[0]:
            if not (said := source.recv(65_536)):
                return
            partner[source].sendall(said)
