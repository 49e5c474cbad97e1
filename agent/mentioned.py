"""The code that a report's tracebacks name: the innermost functions of this repository in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from agent import as_found
from tools.read import READ
from tools.tool import number
from tools.workbench import Workbench

FUNCTIONS = 3
LINES = 160
"""Lines of source that are told in all."""
INDEX = 300
"""Index, in step 0, of the first read."""
_FRAME = re.compile(
    r"""^\s*File\ "(?P<path>[^"\n]+)",\ line\ \d+,\ in\ (?P<name>\w+)   # Python's own
      | ^(?P<short>[^\s:]+\.py):\d+:\ in\ (?P<called>\w+)                # pytest's short form""",
    re.MULTILINE | re.VERBOSE,
)


def frames(text: str, files: Collection[str]) -> list[tuple[str, str]]:
    """(path here, function) of the frames that a text names, innermost first, none twice."""
    found: dict[tuple[str, str], None] = {}
    for match in reversed(list(_FRAME.finditer(text))):
        path = _here(match["path"] or match["short"], files)
        if path:
            found[path, match["name"] or match["called"]] = None
    return list(found)


def sources(workbench: Workbench, text: str, files: Collection[str]) -> list[dict[str, str]]:
    """The source of those functions, read like any file: `path`, `name` and `text`, lines numbered."""
    workbench.begin_step(0, index=INDEX)
    found: list[dict[str, str]] = []
    left = LINES
    for path, name in frames(text, files)[:FUNCTIONS]:
        observation = as_found.read(workbench, path=path, symbol=name)
        lines = number(observation.data, "lines", 0)
        if observation.status == "done" and not observation.exit_code and lines <= left:
            left -= lines
            found.append({"path": path, "name": name, "text": READ.to_text(observation)})
    return found


def _here(path: str, files: Collection[str]) -> str:
    """The file of the repository that a path somewhere else means; empty where none or several fit."""
    parts = PurePosixPath(path.replace("\\", "/")).parts
    alike = [file for file in files if PurePosixPath(file).name == parts[-1]]
    ranked = sorted(alike, key=lambda file: -_common(PurePosixPath(file).parts, parts))
    best = [file for file in ranked if _fits(file, parts, ranked[0])]
    return best[0] if len(best) == 1 else ""


def _fits(file: str, parts: Sequence[str], best: str) -> bool:
    common = _common(PurePosixPath(file).parts, parts)
    enough = min(2, len(PurePosixPath(file).parts))
    return common >= enough and common == _common(PurePosixPath(best).parts, parts)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts two paths have in common at their ends."""
    count = 0
    for a, b in zip(reversed(one), reversed(other), strict=False):
        if a != b:
            break
        count += 1
    return count
