"""A chat model tries changes at once, and is told which pass and why the others do not."""

from __future__ import annotations

import pytest

from policies.action import Decision, Observation, Verdict
from tools.tool import BadArguments
from tools.try_candidates import TRY_CANDIDATES

CHANGE = {"path": "m.py", "old": "a", "new": "b"}


def told(data: dict[str, object], exit_code: int = 0, stderr: str = "") -> str:
    observation = Observation.model_validate(
        {
            "status": "done",
            "verdict": Verdict(decision=Decision.ALLOW, rule="test"),
            "exit_code": exit_code,
            "stderr": stderr,
            "data": data,
        }
    )
    return TRY_CANDIDATES.to_text(observation)


def test_written_candidates_become_one_request() -> None:
    arguments = TRY_CANDIDATES.parse({"candidates": [[CHANGE], [CHANGE, CHANGE]], "tests": ["t"]})

    request, timeout_s = TRY_CANDIDATES.to_request(arguments)

    assert request.kind == "candidates"
    assert [len(group) for group in request.candidates] == [1, 2]
    assert request.failing == ("t",)
    assert request.candidates[0][0].operator == "model"
    assert timeout_s > request.cpu_s


@pytest.mark.parametrize(
    "arguments",
    [
        {"candidates": [[CHANGE]]},
        {"candidates": [[CHANGE]], "tests": []},
        {"candidates": [CHANGE], "tests": ["t"]},
        {"candidates": [[{"path": "m.py", "new": "b"}]], "tests": ["t"]},
        {"candidates": [[CHANGE]], "tests": ["t"], "operation": "guess"},
        {"candidates": [[CHANGE]], "tests": ["t"], "cpu_s": 0},
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(BadArguments, match="try_candidates was not called"):
        TRY_CANDIDATES.parse(arguments)


def test_what_passed_is_told_with_its_diff_and_the_rest_with_reasons() -> None:
    text = told(
        {
            "tried": 3,
            "left": 0,
            "plausible": [{"ids": [1], "operator": "model", "diff": "-a\n+b\n"}],
            "rejected": [{"ids": [2], "test": "t::other", "error": "AssertionError"}],
            "reasons": [{"candidate": 0, "reason": "it does not compile", "error": "SyntaxError"}],
        }
    )

    assert "3 candidates tried, 1 pass all tests." in text
    assert "-a\n+b" in text
    assert "t::other does not pass" in text
    assert "Candidate 0: it does not compile" in text


def test_suspicious_lines_are_told_with_their_text() -> None:
    lines = [{"path": "m.py", "line": 7, "suspicion": 1.0, "text": "return x"}]

    text = told({"columns": {}, "count": 12, "red": ["t"], "lines": lines})

    assert "1 failing tests confirmed, 12 single edits" in text
    assert "m.py:7  1.0  return x" in text


def test_a_search_that_could_not_be_done_says_why() -> None:
    assert "localise again" in told({}, exit_code=1, stderr="m.py has changed: localise again")
