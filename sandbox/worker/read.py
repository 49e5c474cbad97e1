"""Verb `read`: lines of a text file."""

from __future__ import annotations

from typing import Any, Dict

from sandbox.worker.definitions import definition_lines
from sandbox.worker.files import Text, inside, lines_of
from sandbox.worker.verbs import Context, VerbFailed


def run(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    r"""Lines `start` (1-based) to `start + lines - 1`; 0 lines means all; or those of `symbol`.

    Returns:
        data: `text` with every line end as `\n`, `start`, `lines` (how many these are), `total`
        lines of the file, `encoding`, `newline` (the file's own), `symbol` (as asked for).
    """
    path, start = arguments["path"], max(1, int(arguments.get("start", 1)))
    count = int(arguments.get("lines", 0))
    file = Text.read(inside(context.workspace, path), path)
    lines = lines_of(file.text)
    if arguments.get("symbol"):
        start, last = definition_lines(file, path, arguments["symbol"])
        count = last - start + 1
    if start > max(len(lines), 1):
        raise VerbFailed(f"{path} has {len(lines)} lines; there is no line {start}.")
    chosen = lines[start - 1 : start - 1 + count] if count > 0 else lines[start - 1 :]
    data = {
        "text": "".join(chosen).replace("\r\n", "\n"),
        "start": start,
        "lines": len(chosen),
        "total": len(lines),
        "encoding": file.encoding,
        "newline": file.newline,
        "symbol": arguments.get("symbol") or "",
    }
    return {"exit_code": 0, "data": data}
