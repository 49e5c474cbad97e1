"""An audit hook over the whole suite: who starts a process or opens a connection is on a short list.

Import contracts see imports; this sees what really happens. The nearest frame of ours on the stack
answers for an event, whatever library did it in the end.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("agent", "tools", "policies", "memory", "sandbox", "benchmarks")
EVENTS = {"subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "socket.connect"}
ALLOWED = (
    "sandbox/",  # where it happens
    "memory/",  # the stores
    "agent/models/",  # performers of model calls
)

offences: list[str] = []


def watch() -> None:
    """Begin to watch; there is no way to stop, so call it once."""
    sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event not in EVENTS:
        return
    place = _nearest_of_ours(sys._getframe(1))
    if place and not place.startswith(ALLOWED):
        offences.append(f"{event} {arguments[:2]!r} from {place}")


def _nearest_of_ours(frame: FrameType | None) -> str:
    """`room/file.py:line` of the nearest frame in a room of the house; empty if there is none."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(f"{ROOT}/"):
            name = path.removeprefix(f"{ROOT}/")
            if name.split("/")[0] in ROOMS:
                return f"{name}:{frame.f_lineno}"
            return ""
        frame = frame.f_back
    return ""
