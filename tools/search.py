"""Find text in the workspace."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from policies.action import Observation, SearchRequest
from tools.tool import Tool, clip, denial

LIMIT = 12_000


class SearchArguments(BaseModel):
    """Search files by a regular expression (ripgrep). Answers `path:line: text`."""

    model_config = ConfigDict(extra="forbid")

    pattern: str = Field(min_length=1, description="Regular expression.")
    path: str = Field(".", description="Folder or file to search below.")
    glob: str = Field("", description="Only files that match, such as `*.py`.")
    limit: int = Field(100, ge=1, le=1000, description="At most so many lines.")


def to_request(arguments: SearchArguments) -> tuple[SearchRequest, float]:
    """Ask for the matches."""
    request = SearchRequest(
        pattern=arguments.pattern,
        path=arguments.path,
        glob=arguments.glob,
        limit=arguments.limit,
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
    rows = [
        f"{match['path']}:{match['line']}: {match['text']}"
        for match in matches
        if isinstance(match, dict)
    ]
    more = "\n[there are more; narrow the pattern]" if observation.data.get("cut") else ""
    return clip("\n".join(rows), limit=LIMIT) + more


SEARCH = Tool(name="search", arguments=SearchArguments, to_request=to_request, to_text=to_text)
