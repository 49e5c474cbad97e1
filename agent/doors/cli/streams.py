"""The standard streams, whatever they are joined to: writing to them never ends a run."""

from __future__ import annotations

import os
import sys
from typing import IO


def open_closed_streams() -> None:
    """Give a stream that the caller closed (`2>&-`) an end that shows what it takes to nobody."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nobody = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nobody, "w", encoding="utf-8"))


def write(stream: IO[str], text: str) -> bool:
    """Write text; False where the reader has left, who is not written to again."""
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        reader_left(stream)
        return False
    return True


def reader_left(stream: IO[str]) -> None:
    """Point a stream at nothing, so that its last flush at exit is quiet too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
