"""The search on a real bug of a real package: a release, and the tests that the next one brought."""

from __future__ import annotations

from pathlib import Path

from agent.task import Task
from sandbox.releases import release_pair
from tests.sessions import run


def test_the_search_finds_what_the_next_release_of_a_package_mended(tmp_path: Path) -> None:
    repo = tmp_path / "parse"
    said: list[str] = []
    changed = release_pair("parse", "1.22.2", "1.22.3", repo, say=said.append)

    watched = run(Task(text="Make the failing tests pass.", repo=repo))
    result = watched.result

    assert changed == ("tests/test_parse.py",)
    assert result is not None
    assert result.outcome == "verified", result.reason
    assert len(result.evidence.red_before) == 4
    assert result.evidence.red_before == result.evidence.green_after
    assert result.evidence.others.passed == result.evidence.others.total > 90
    assert "-        return dt.time()\n+        return dt.timetz()" in result.patch
