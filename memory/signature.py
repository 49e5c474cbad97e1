"""What a failure looks like, in words that the next, similar failure shares.

Folded away is what differs from run to run and from machine to machine: folders, numbers,
addresses, literals. Kept are the error's type, the words and names of its message, and the
functions and files that it went through.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from memory.vectors import Json

LONGEST = 4000
"""Characters; some twenty failures."""
PASSING = frozenset({"passed", "skipped", "xfailed", "xpassed", "deselected"})
MESSAGE_LINES = 4
LONGEST_LINE = 500
REPORT_LINES = 400
"""What is looked at of a report, from its end: reports come from outside, and may be of any size."""

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]+\b")
_HEX_NAME = re.compile(r"\b(?=[0-9a-f-]*\d)(?=[0-9a-f-]*[a-f])[0-9a-f]{8}[0-9a-f-]*\b")
_QUOTED = re.compile(r"(?<!\w)[bru]{0,2}(['\"`])((?:\\.|(?!\1)[^\\\n])*)\1(?!\w)")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_FOLDERS = re.compile(r"(?<![\w.~+@:/\\-])[\w.~+@:/\\-]*[/\\]([\w.+@-]+)")
_NUMBER = re.compile(r"(?<![\w.])-?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w)")
_ERROR_LINE = re.compile(r"^E\s+(\S.*)$", re.MULTILINE)
_ERROR_TYPE = re.compile(
    r"^(?:\w+\.)*([A-Z]\w*(?:Error|Exception|Exit|Interrupt|Warning|Failed))\b"
)
_FRAME = re.compile(r"^(\S+\.\w+):\d+(?::|$)(?: in (\w+))?", re.MULTILINE)


def failure_text(tests: Sequence[Mapping[str, Json]]) -> str:
    """The signature of these failing tests; the same whatever their order, paths and numbers.

    Args:
        tests: As the test protocol reports them: `id`, `outcome`, `message`, `where`, `longrepr`.
            Those that did not fail are passed over; missing fields are empty.

    Returns:
        Sorted lines of `KIND TEXT`, where KIND is error, frame, message or test; empty where
        nothing failed.
    """
    lines: set[str] = set()
    for test in tests:
        if test.get("outcome", "failed") not in PASSING:
            lines.update(_lines(test))
    return "\n".join(sorted(lines))[:LONGEST]


def normalise(text: str) -> str:
    """The text with folders, numbers, addresses and quoted literals folded, on one line.

    A quoted name (`'NoneType' object has no attribute 'strip'`) is what a message is about, and
    stays; any other literal becomes STR.
    """
    text = _ESCAPE.sub("", text)
    text = _QUOTED.sub(lambda m: m[2] if _NAME.fullmatch(m[2]) else "STR", text)
    text = _ADDRESS.sub("ADDR", text)
    text = _FOLDERS.sub(r"\1", text)
    text = _HEX_NAME.sub("HEX", text)
    text = _NUMBER.sub("NUM", text)
    return " ".join(text.split())


def _lines(test: Mapping[str, Json]) -> Iterator[str]:
    report = "\n".join(_clipped(test, "longrepr")[-REPORT_LINES:])
    said = [line for line in _clipped(test, "message") if line.strip()]
    said = said or _ERROR_LINE.findall(report)
    if error := _error_type(said, report):
        yield f"error {error}"
    for line in said[:MESSAGE_LINES]:
        yield f"message {normalise(line)}"
    frames = _FRAME.findall("\n".join([report, *_clipped(test, "where")]))
    named = {path for path, function in frames if function}
    for path, function in frames:
        if function or path not in named:
            yield f"frame {normalise(path)} {function}".rstrip()
    for name in _clipped(test, "id")[:1]:
        parts = name.partition("[")[0].split("::")
        yield f"test {' '.join(normalise(part) for part in parts)}"


def _error_type(said: list[str], report: str) -> str:
    for line in [*said, *_ERROR_LINE.findall(report)]:
        if found := _ERROR_TYPE.match(line.strip()):
            return found[1]
        if line.lstrip().startswith("assert "):
            return "AssertionError"
    return ""


def _clipped(test: Mapping[str, Json], field: str) -> list[str]:
    value = test.get(field)
    return [line[:LONGEST_LINE] for line in value.splitlines()] if isinstance(value, str) else []
