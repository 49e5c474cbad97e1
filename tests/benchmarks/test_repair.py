"""The repair benchmark reads its cases, lays them, and runs them through sessions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.repair import Scored, as_json, main, summary, table
from benchmarks.repair_cases import lay, program_of, pytest_text, read_cases

ROW: dict[str, Any] = {
    "task_id": "Own/1",
    "prompt": 'def double(n):\n    """Twice a number.\n\n    >>> double(2)\n    4\n    """\n',
    "declaration": "def double(n):\n",
    "buggy_solution": "    return n - n\n",
    "canonical_solution": "    return n + n\n",
    "entry_point": "double",
    "visible_check": "def check(candidate):\n    assert candidate(3) == 6\n    assert candidate(0) == 0\n",
    "hidden_check": "def check(candidate):\n    assert candidate(-4) == -8\n    assert candidate(7) == 14\n",
}
PAIR = {
    "package": "parse",
    "old": "1.22.2",
    "new": "1.22.3",
    "fail_to_pass": ["tests/test_parse.py::test_a"],
}


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_rows_are_known_by_their_fields(tmp_path: Path) -> None:
    function, release = read_cases(write(tmp_path, ROW, PAIR))

    assert (function.id, function.kind) == ("Own/1", "function")
    assert (release.id, release.kind) == ("parse 1.22.2 -> 1.22.3", "release")


def test_a_row_of_no_known_kind_is_named_by_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(write(tmp_path, ROW, {"x": 1}))]) == 2

    assert "line 2" in capsys.readouterr().err


def test_a_program_keeps_its_docstring_where_the_prompt_has_it() -> None:
    assert program_of(ROW) == ROW["prompt"] + ROW["buggy_solution"]
    assert program_of({**ROW, "prompt": "no code"}) == ROW["declaration"] + ROW["buggy_solution"]


@pytest.mark.parametrize(
    ("check", "count"),
    [
        ("def check(f):\n    assert f(1) == 2\n    assert f(2) == 3\n", 2),
        ("def check(f):\n    a = 1\n    assert f(a) == 2\n    a = 2\n    assert f(a) == 3\n", 2),
        ("def check(f):\n    for i in range(3):\n        assert f(i) == i + 1\n", 1),
    ],
)
def test_a_check_becomes_one_test_an_assertion_where_it_can(
    check: str, count: int, tmp_path: Path
) -> None:
    text, tests = pytest_text(check, "add")
    (tmp_path / "solution.py").write_text("def add(n):\n    return n + 1\n", "utf-8")
    (tmp_path / "test_it.py").write_text(text, "utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert tests == count
    assert f"{count} passed" in done.stdout


def test_the_agent_sees_the_visible_half_only(tmp_path: Path) -> None:
    case = read_cases(write(tmp_path, ROW))[0]

    laid = lay(case, tmp_path / "repo")

    seen = "".join(path.read_text("utf-8") for path in (tmp_path / "repo").iterdir())
    assert "double(3)" in seen.replace("candidate", "double")
    assert "14" not in seen
    assert "14" in laid.hidden_files["test_hidden.py"]
    assert laid.hidden == ("test_hidden.py",)


SCORED = [
    Scored("a", "fixed", 10, 1.0, "diff", confidence=1.0, right=True),
    Scored("b", "overfit", 20, 2.0, "diff", confidence=0.75, right=False),
    Scored("c", "none", 30, 3.0, "diff", confidence=0.4, right=True, reason="a proposal"),
    Scored("d", "none", 40, 4.0, "", reason="nothing passes"),
]


def test_a_proposal_counts_as_none_and_is_in_the_table_of_confidence() -> None:
    assert summary(SCORED) == {"fixed": 1, "overfit": 1, "none": 2}
    lines = list(table(SCORED))
    assert lines[2].split() == ["0.3", "to", "0.5", "1", "0"]
    assert lines[4].split() == ["0.7", "to", "0.8", "0", "1"]
    assert lines[-1].split() == ["0.9", "to", "1.0", "1", "0"]


def test_the_result_as_json_has_cases_and_a_summary() -> None:
    result = json.loads(as_json(SCORED))

    assert result["summary"] == {"fixed": 1, "overfit": 1, "none": 2}
    assert result["cases"][1]["outcome"] == "overfit"
    assert {"id", "outcome", "candidates", "seconds", "patch"} <= set(result["cases"][0])


def test_a_function_is_mended_in_the_sandbox_and_judged_by_the_hidden_half(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"

    status = main(["--data", str(write(tmp_path, ROW)), "--out", str(out)])

    assert status == 0
    (case,) = json.loads(out.read_text("utf-8"))["cases"]
    assert case["outcome"] == "fixed", capsys.readouterr().out
    assert "+    return n + n" in case["patch"]
    assert case["candidates"] > 10
    assert "fixed 1  overfit 0  none 0" in capsys.readouterr().out
