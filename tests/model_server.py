"""A real HTTP server on loopback that speaks the chat protocols and answers from a script.

    with ModelServer([Turn(calls=(Call("read", {"path": "a.py"}),)), "All done."]) as server:
        ...  # point a client at server.base_url; what it asked is in server.requests

OpenAI chat completions and responses, Anthropic messages, Google's `generateContent` and Amazon's
Converse, as JSON or streamed, all under one base URL. A script is a list of turns, one per request: a `Turn`, a text, or
a function of the request's JSON that returns either; or one such function for all requests. What
the answers look like on the wire is in `wire_*.py`.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, TypeAlias

from typing_extensions import override

from tests.model_wire import Call, Request, Turn, Wire
from tests.wire_anthropic import Anthropic
from tests.wire_bedrock import Bedrock
from tests.wire_google import Gemini
from tests.wire_openai import OpenAI, Responses

__all__ = ["Call", "ModelServer", "Turn", "texts"]

SPOKEN: dict[str, type[Wire]] = {
    "/chat/completions": OpenAI,
    "/responses": Responses,
    "/messages": Anthropic,
    ":generateContent": Gemini,
    ":streamGenerateContent": Gemini,
    "/converse": Bedrock,
    "/converse-stream": Bedrock,
}
STREAMED = (":streamGenerateContent", "/converse-stream")
"""Protocols that ask for a stream by the path."""
Step: TypeAlias = Turn | str | Callable[[Request], Turn | str]


class ModelServer:
    """The server; a context manager. `base_url` serves all protocols.

    Args:
        script: What it answers.
        tls: With it, the server speaks TLS as `localhost`.

    Attributes:
        requests: Bodies of what was asked, in order (retries included).
        headers: Their headers, names in lower case.
    """

    def __init__(
        self,
        script: Sequence[Step] | Callable[[Request], Turn | str],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.headers: list[dict[str, str]] = []
        self.errors: list[BaseException] = []
        self._script = script
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._http.daemon_threads = True
        self._place = "http://127.0.0.1"
        if tls is not None:
            self._place = "https://localhost"
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return f"{self._place}:{self._http.server_address[1]}/v1"

    def answer(self, request: Request, headers: dict[str, str]) -> tuple[int, Turn]:
        """Note a request; its number (from 0) and the turn that the script has for it."""
        with self._lock:
            number = len(self.requests)
            self.requests.append(request)
            self.headers.append(headers)
            try:
                step = self._step(number)
                turn = step(request) if callable(step) else step
            except Exception as error:  # noqa: BLE001  (a script's fault is raised again at the end)
                self.errors.append(error)
                turn = Turn(status=400, code="script_error", text=f"the script raised {error!r}")
        return number, Turn(text=turn) if isinstance(turn, str) else turn

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the server lives."""
        self._stopping.wait(seconds)

    def _step(self, number: int) -> Step:
        if callable(self._script):
            return self._script
        if number < len(self._script):
            return self._script[number]
        said = f"the script has {len(self._script)} turns and this is request {number + 1}"
        return Turn(status=400, code="script_is_over", text=said)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        if self.errors and error is None:
            raise self.errors[0]


def texts(request: Request) -> list[str]:
    """The text of each message of a request, tool results included, in every protocol."""
    told = request.get("system", request.get("systemInstruction", {}).get("parts"))
    system = [] if told is None else [_text(told)]
    messages = next(request[key] for key in ("messages", "input", "contents") if key in request)
    fields = ("content", "output", "parts")
    return system + [_text(next((one[f] for f in fields if f in one), "")) for one in messages]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(_text(_inner(part)) for part in content)
    return content if isinstance(content, str) else ""


def _inner(part: dict[str, Any]) -> Any:
    if "functionResponse" in part:
        return str(part["functionResponse"]["response"].get("output"))
    return part.get("text", part.get("toolResult", part).get("content", ""))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or each answer waits for an acknowledgement

    def __init__(self, owner: ModelServer, *arguments: Any) -> None:
        self._owner = owner
        super().__init__(*arguments)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
        try:
            request = json.loads(raw)
        except ValueError as error:
            self._owner.errors.append(error)
            return self._send(Turn(status=400), "text/plain", [repr(error).encode()])
        headers = {name.lower(): value for name, value in self.headers.items()}
        number, turn = self._owner.answer(request, headers)
        if turn.input_tokens is None:
            turn = replace(turn, input_tokens=max(len(raw) // 4, turn.cached_tokens, 1))
        self._owner.pause(turn.delay_s)
        try:
            kind, frames = self._answer(number, request, turn)
        except Exception as error:  # noqa: BLE001  (raised again at the end, in the test)
            self._owner.errors.append(error)
            turn, kind, frames = Turn(status=400), "text/plain", [repr(error).encode()]
        return self._send(turn, kind, frames)

    def _answer(self, number: int, request: Request, turn: Turn) -> tuple[str, list[bytes]]:
        """The answer's content type and its parts."""
        path = self.path.partition("?")[0]
        spoken = next((SPOKEN[end] for end in SPOKEN if path.endswith(end)), None)
        if spoken is None:
            raise ValueError(f"nothing is spoken at {path}; there are {', '.join(SPOKEN)}")
        if turn.status != 200 and not turn.late:
            return "application/json", [json.dumps(spoken.error(turn)).encode()]
        streamed = request.get("stream") or path.endswith(STREAMED)
        if not streamed or turn.plain:
            return "application/json", [json.dumps(spoken.body(number, request, turn)).encode()]
        frames = spoken.stream(number, request, turn)
        if turn.late:
            frames = [*frames[: len(frames) // 2], spoken.late_error(number, turn)]
        return spoken.content_type, frames

    def _send(self, turn: Turn, kind: str, frames: list[bytes]) -> None:
        self.send_response(200 if turn.late else turn.status)
        self.send_header("Content-Type", kind)
        if turn.retry_after is not None:
            self.send_header("Retry-After", f"{turn.retry_after:g}")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if turn.thinks_s:
            self.wfile.flush()
            self._owner.pause(turn.thinks_s)
        middle = len(frames) // 2
        self._write(frames[:middle])
        if turn.silence_s:
            self.wfile.flush()
            self._owner.pause(turn.silence_s)
        if turn.cut:  # in the middle of a part, too
            self.wfile.write(b"fff\r\n" + frames[middle][: len(frames[middle]) // 2])
        else:
            self._write([*frames[middle:], b""])
        self.close_connection = turn.cut

    def _write(self, frames: list[bytes]) -> None:
        for frame in frames:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what was asked is in `requests`."""
