"""The scripted model as a process: `python -m benchmarks.perf.scripted_server TOOL CALLS`.

It speaks OpenAI's chat completions, on the standard library alone. Its first line is its port, its
second the first request; that one is answered when a line comes in, so that whoever asked stands
still meanwhile and can be measured.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from typing_extensions import override

from benchmarks.perf import script


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet
    tool: ClassVar[str]
    calls: ClassVar[int]
    asked: ClassVar[int] = 0

    def do_POST(self) -> None:
        """Answer the next turn of the script."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"] or 0)))
        number, _Handler.asked = self.asked, self.asked + 1
        if number == 0:
            print(json.dumps(request), flush=True)
            sys.stdin.readline()
        body = json.dumps(_completion(number, request["model"], self._message(number))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _message(self, number: int) -> dict[str, Any]:
        if number >= self.calls:
            return {"role": "assistant", "content": "All done."}
        arguments = json.dumps({"command": script.command(number)})
        function = {"name": self.tool, "arguments": arguments}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _completion(number: int, model: str, message: dict[str, Any]) -> dict[str, Any]:
    finish = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1_700_000_000 + number,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 20, "total_tokens": 1020},
    }


def main() -> None:
    """Serve until it is ended."""
    _Handler.tool, _Handler.calls = sys.argv[1], int(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
