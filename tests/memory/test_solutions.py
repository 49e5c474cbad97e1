from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memory.edge_store import EdgeStore
from memory.server_store import ServerStore
from memory.signature import failure_text
from memory.solutions import SIMILAR, Solutions, any_kept, open_solutions
from memory.vectors import Json, VectorStore

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["embedded", "server"])
def solutions(request: pytest.FixtureRequest, tmp_path: Path) -> Solutions:
    store: VectorStore = (
        EdgeStore(tmp_path, "s") if request.param == "embedded" else ServerStore(":memory:", "s")
    )
    return Solutions(store)


def failure(test: str, message: str, frame: str) -> str:
    return failure_text(
        [{"id": test, "outcome": "failed", "message": message, "longrepr": frame, "where": ""}]
    )


def solution(name: str, text: str, **fields: Json) -> dict[str, Json]:
    return {
        "repo": "clock",
        "language": "python",
        "failure": text,
        "tests": ["t"],
        "patch": f"--- a/{name}\n+++ b/{name}\n",
        "operator": "off_by_one",
        "old": "x < 12",
        "new": "x <= 12",
        "evidence": "failing-test",
        "session_id": "s1",
        "at": "2026-01-02T03:04:05Z",
        **fields,
    }


HOUR = failure(
    "tests/test_clock.py::test_parse_hour",
    "assert 13 == 12\n +  where 13 = parse_hour('12h')",
    "tests/test_clock.py:4: in test_parse_hour",
)
MINUTE = failure(
    "tests/test_clock.py::test_parse_minute",
    "assert 60 == 59\n +  where 60 = parse_minute('59m')",
    "tests/test_clock.py:9: in test_parse_minute",
)
HEADERS = failure(
    "t/test_http.py::test_missing",
    "KeyError: 'host'",
    "src/http/headers.py:33: in read_headers",
)


def test_a_similar_failure_recalls_the_solution_and_an_unlike_one_does_not(
    solutions: Solutions,
) -> None:
    known = solutions.remember(solution("hour", HOUR))

    (recalled,) = solutions.recall(MINUTE)

    assert recalled["id"] == known
    assert SIMILAR <= float(str(recalled["similarity"])) < 1
    assert {key: recalled[key] for key in solution("hour", HOUR)} == solution("hour", HOUR)
    assert solutions.recall(HEADERS) == []


def test_the_same_failure_is_more_similar_than_a_similar_one(solutions: Solutions) -> None:
    solutions.remember(solution("minute", MINUTE))
    solutions.remember(solution("hour", HOUR))
    solutions.remember(solution("headers", HEADERS))

    recalled = solutions.recall(HOUR)

    assert [r["failure"] for r in recalled] == [HOUR, MINUTE]
    assert recalled[0]["similarity"] == pytest.approx(1.0)


def test_the_limit_holds_and_the_best_are_kept(solutions: Solutions) -> None:
    for n in range(12):
        solutions.remember(solution(f"m{n}", MINUTE))
    solutions.remember(solution("hour", HOUR))

    recalled = solutions.recall(HOUR, limit=3)

    assert len(recalled) == 3
    assert recalled[0]["failure"] == HOUR
    assert solutions.recall(HOUR, limit=0) == []


def test_remembering_twice_keeps_one(solutions: Solutions) -> None:
    first = solutions.remember(solution("hour", HOUR))
    again = solutions.remember(solution("hour", HOUR, session_id="s2", at="later"))

    assert first == again
    assert solutions.store.count() == 1
    assert solutions.recall(HOUR)[0]["session_id"] == "s2"


@pytest.mark.parametrize("field", ["repo", "language", "failure", "patch"])
def test_other_content_is_another_solution(solutions: Solutions, field: str) -> None:
    first = solutions.remember(solution("hour", HOUR))

    assert solutions.remember(solution("hour", HOUR, **{field: HOUR + " else"})) != first


@pytest.mark.parametrize("text", ["", " ", "\x00", "== != 3", "…"])
def test_a_query_without_words_recalls_nothing(solutions: Solutions, text: str) -> None:
    solutions.remember(solution("hour", HOUR))

    assert solutions.recall(text) == []


def broken() -> dict[str, dict[str, Any]]:
    whole = solution("hour", HOUR)
    return {
        "a field less": {key: value for key, value in whole.items() if key != "old"},
        "a field more": {**whole, "mood": "good"},
        "no evidence": {**whole, "evidence": "none"},
        "empty evidence": {**whole, "evidence": ""},
        "another type": {**whole, "tests": "t"},
        "half a character": {**whole, "patch": "\ud800"},
        "nothing": {},
    }


@pytest.mark.parametrize("name", broken())
def test_what_is_no_verified_solution_is_not_kept(solutions: Solutions, name: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        solutions.remember(broken()[name])

    assert solutions.store.count() == 0


def test_among_many_the_similar_one_is_found(tmp_path: Path) -> None:
    solutions = Solutions(EdgeStore(tmp_path, "s"))
    for n in range(20):
        text = failure(f"t.py::test_{n}", f"KeyError: 'word{n}'", f"src/mod{n}.py:3: in call_{n}")
        solutions.remember(solution(f"f{n}", text))
    solutions.remember(solution("hour", HOUR))

    assert solutions.recall(MINUTE)[0]["failure"] == HOUR


def test_sessions_of_one_home_share_what_was_learned(home: Path) -> None:
    open_solutions(home).remember(solution("hour", HOUR))
    code = (
        "import sys; from pathlib import Path; from memory.solutions import open_solutions\n"
        "print(len(open_solutions(Path(sys.argv[1])).recall(sys.argv[2])))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code, str(home), MINUTE], cwd=ROOT, capture_output=True, text=True
    )

    assert ran.stdout == "1\n", ran.stderr


def test_the_embedded_store_imports_no_client_of_a_server() -> None:
    code = (
        "import sys, json; import memory.solutions, memory.edge_store\n"
        "print(json.dumps([m for m in ('qdrant_client', 'redis', 'langgraph') if m in sys.modules]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert json.loads(ran.stdout) == []


def test_that_nothing_is_kept_is_known_without_starting_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOURNEYMAN_QDRANT_URL", raising=False)
    assert not any_kept(tmp_path)
    open_solutions(tmp_path).remember(solution("a.py", HOUR))
    assert any_kept(tmp_path)
    monkeypatch.setenv("JOURNEYMAN_QDRANT_URL", "http://127.0.0.1:1")
    assert any_kept(tmp_path / "other")
