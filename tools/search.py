"""Find text in the workspace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from policies.action import Observation, SearchRequest
from tools.tool import Tool, clip, denial

LIMIT = 12_000
FILES = 8


class SearchArguments(BaseModel):
    """Search files by a regular expression (ripgrep). Answers `path:line:text`.

    With `context`, the lines around a match are told too, as `line-text`, below their path.
    """

    model_config = ConfigDict(extra="forbid")

    pattern: str = Field(min_length=1, description="Regular expression.")
    path: str = Field(".", description="Folder or file to search below.")
    glob: str = Field("", description="Only files that match, such as `*.py`.")
    limit: int = Field(100, ge=1, le=1000, description="At most so many matches.")
    context: int = Field(0, ge=0, le=30, description="Lines to show before and after each match.")


def to_request(arguments: SearchArguments) -> tuple[SearchRequest, float]:
    """Ask for the matches."""
    request = SearchRequest(
        pattern=arguments.pattern,
        path=arguments.path,
        glob=arguments.glob,
        limit=arguments.limit,
        context=arguments.context,
    )
    return request, 60.0


def to_text(observation: Observation) -> str:
    """The matching lines, or that there is none."""
    if denied := denial(observation):
        return denied
    if observation.exit_code:
        return f"The search failed: {observation.stderr}"
    matches = observation.data.get("matches")
    if not isinstance(matches, list) or not matches:
        return "No match."
    found = [match for match in matches if isinstance(match, dict)]
    if any(match.get("near") for match in found):
        rows = list(_with_context(found))
    else:
        rows = [f"{match['path']}:{match['line']}:{match['text']}" for match in found]
    return clip("\n".join(rows), limit=LIMIT) + _more(observation.data.get("more"))


def _more(left: Any) -> str:
    """How many matches are not told, and in which files the most of them are."""
    if not isinstance(left, dict) or not left:
        return ""
    files = [f"{path} ({count})" for path, count in left.items()]
    named = ", ".join(files[:FILES]) + (f" and {len(files) - FILES} files" * (len(files) > FILES))
    return (
        f"\n[{sum(left.values())} more matches, in {named}: narrow the pattern, `path` or `glob`]"
    )


def _with_context(found: list[dict[str, Any]]) -> Iterator[str]:
    """Each file's lines below its path, with a mark where some are left out between them."""
    path, line = "", 0
    for match in found:
        if match["path"] != path:
            path = match["path"]
            yield path
        elif match["line"] != line + 1:
            yield "--"
        line = match["line"]
        mark = "-" if match.get("near") else ":"
        yield f"{line}{mark}{match['text']}"


SEARCH = Tool(name="search", arguments=SearchArguments, to_request=to_request, to_text=to_text)
