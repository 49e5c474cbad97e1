"""What the server adapter puts on the wire, against Qdrant's published description."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typing_extensions import override

from memory.errors import MemoryUnavailable
from memory.server_store import ServerStore
from memory.solutions import open_solutions
from memory.terms import dense, sparse
from memory.vectors import Point

DESCRIPTION = json.loads((Path(__file__).parent / "qdrant_requests.json").read_text())
ID = "00000000-0000-0000-0000-00000000000a"
TEXT = "KeyError in parse_headers"


class Recorder(ThreadingHTTPServer):
    """Answers as an empty Qdrant does, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, Any]] = []
        self.status = 200
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Recorder

    def _answer(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.requests.append((self.command, self.path, json.loads(raw) if raw else None))
        answer = {"result": self._result(), "status": "ok", "time": 0.0}
        body = json.dumps(answer).encode()
        self.send_response(self.server.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = _answer  # noqa: N815 - the base class's names

    def _result(self) -> Any:
        if self.path.endswith(("/query", "/scroll")):
            return {"points": [], "next_page_offset": None}
        if self.path.endswith("/count"):
            return {"count": 0}
        if self.path.endswith("/exists"):
            return {"exists": False}
        return {"operation_id": 0, "status": "completed"} if "/points" in self.path else True

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


CALLS: dict[str, Callable[[ServerStore], object]] = {
    "upsert": lambda store: store.upsert(
        [Point(ID, sparse(TEXT), dense(TEXT), {"repo": "r", "deep": [{"n": None}]})]
    ),
    "upsert of no terms": lambda store: store.upsert([Point(ID, {}, dense(""), {})]),
    "delete by id": lambda store: store.delete_ids([ID]),
    "delete by equalities": lambda store: store.delete_by({"repo": "r", "n": 1}),
    "query": lambda store: store.query_hybrid(sparse(TEXT), dense(TEXT), limit=5),
    "query of no terms": lambda store: store.query_hybrid({}, dense(""), limit=1),
    "query with equalities": lambda store: store.query_hybrid(
        sparse(TEXT), dense(TEXT), limit=5, where={"repo": "r"}
    ),
    "first page": lambda store: store.scroll(),
    "next page": lambda store: store.scroll(limit=2, after=ID, where={"repo": "r"}),
    "count": lambda store: store.count(),
    "count with equalities": lambda store: store.count({"repo": "r", "n": 1}),
}


def validate(method: str, path: str, body: Any) -> None:
    route = path.partition("?")[0].replace("/collections/c", "/collections/{collection_name}")
    schema = {**DESCRIPTION["requests"][f"{method} {route}"]}
    jsonschema.Draft7Validator({**schema, "definitions": DESCRIPTION["definitions"]}).validate(body)


@pytest.mark.parametrize("name", CALLS)
def test_every_request_is_one_that_qdrant_describes(recorder: Recorder, name: str) -> None:
    store = ServerStore(recorder.url, "c")

    CALLS[name](store)

    asked, created, request = recorder.requests
    assert asked == ("GET", "/collections/c/exists", None)
    validate(*created)
    validate(*request)


@pytest.mark.parametrize("name", ["upsert", "delete by id", "delete by equalities"])
def test_every_change_waits_until_it_is_kept(recorder: Recorder, name: str) -> None:
    CALLS[name](ServerStore(recorder.url, "c"))

    assert "wait=true" in recorder.requests[-1][1]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503])
@pytest.mark.parametrize("name", CALLS)
def test_a_refusal_is_said_with_the_way_out(recorder: Recorder, name: str, status: int) -> None:
    store = ServerStore(recorder.url, "c")
    recorder.status = status

    with pytest.raises(MemoryUnavailable, match=str(status)) as error:
        CALLS[name](store)

    assert "JOURNEYMAN_QDRANT_URL" in error.value.remedy


def test_a_server_that_is_not_there_is_said_with_the_way_out(
    home: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEYMAN_QDRANT_URL", "http://127.0.0.1:1")

    with pytest.raises(MemoryUnavailable, match=r"127\.0\.0\.1:1") as error:
        open_solutions(home)

    assert "embedded" in error.value.remedy


def test_the_url_chooses_the_server_and_no_folder_is_made(
    home: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNEYMAN_QDRANT_URL", recorder.url)

    assert open_solutions(home).recall("KeyError") == []

    assert recorder.requests[-1][1] == "/collections/journeyman-solutions-v1/points/query"
    assert not home.exists()
