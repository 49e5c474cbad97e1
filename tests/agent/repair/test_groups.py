"""Several bugs in different functions are mended one group of failing tests after the other."""

from __future__ import annotations

from pathlib import Path

from agent.repair import groups
from agent.repair.choice import CONFIDENT
from tests.agent.repair.driver import Run
from tests.sandbox.repair_bench import bench_with

BUGS = """def total(xs):
    s = 0
    for x in xs:
        s -= x
    return s


def largest(xs):
    best = xs[0]
    for x in xs:
        if x < best:
            best = x
    return best


def spread(xs):
    return largest(xs) + min(xs)
"""
RIGHT = BUGS.replace("-= x", "+= x").replace("x < best", "x > best").replace(") + min", ") - min")
TESTS = """import pytest
from m import largest, spread, total

@pytest.mark.parametrize(("xs", "wanted"), [([1], 1), ([2, 3], 5), ([1, 2, 4], 7), ([], 0)])
def test_total(xs, wanted):
    assert total(xs) == wanted

@pytest.mark.parametrize(("xs", "wanted"), [([1, 3], 3), ([4, 2], 4), ([2, 5, 3], 5), ([-2, -3], -2)])
def test_largest(xs, wanted):
    assert largest(xs) == wanted

@pytest.mark.parametrize(("xs", "wanted"), [([1, 4], 3), ([5, 2], 3), ([2, 5, 3], 3)])
def test_spread(xs, wanted):
    assert spread(xs) == wanted
"""


def red(name: str, *cases: str) -> list[str]:
    return [f"test_m.py::test_{name}[xs{case}]" for case in cases]


TOTAL = red("total", "0-1", "1-5", "2-7")
LARGEST = red("largest", "0-3", "1-4", "2-5", "3--2")
SPREAD = red("spread", "0-3", "1-3", "2-3")


def run_of(folder: Path, code: str, failing: list[str], tests: str = TESTS) -> Run:
    return Run(bench_with(folder, {"m.py": code, "test_m.py": tests}), failing)


def text(run: Run) -> str:
    return (run.bench.workspace / "m.py").read_text("utf-8")


def test_bugs_in_three_functions_one_calling_another_are_mended_and_claimed_together(
    tmp_path: Path,
) -> None:
    run = run_of(tmp_path, BUGS, [*SPREAD, *LARGEST, *TOTAL])

    claim = run.go()

    assert claim.claims_done
    assert len(run.claims) == 1
    assert text(run) == RIGHT
    assert claim.confidence is not None
    assert claim.confidence >= CONFIDENT
    assert "3 edits for separate bugs" in claim.notes[0]
    assert any("one after the other" in plan.reason for plan in run.plans)
    assert run.mind["groups"]["waiting"] == []
    assert len(run.mind["groups"]["mended"]) == 3


def test_what_one_group_needs_and_nothing_gives_is_said_beside_what_was_mended(
    tmp_path: Path,
) -> None:
    code = RIGHT.replace("x > best", "x < best") + "\n\ndef name():\n    return 1\n"
    tests = TESTS.replace("total\n", "total, name\n", 1) + (
        "\ndef test_name():\n    assert name() == 'no edit makes this'\n"
    )
    run = run_of(tmp_path, code, ["test_m.py::test_name", *LARGEST], tests)

    end = run.go()

    assert "test_m.py::test_name" in end.gives_up
    assert "1 edits for separate bugs (" in end.gives_up
    assert "% sure)" in end.gives_up
    assert run.claims == []
    assert text(run) == code.replace("x < best", "x > best")


def test_when_a_claim_for_several_groups_is_contradicted_its_last_patch_is_taken_out(
    tmp_path: Path,
) -> None:
    code = RIGHT.replace("+= x", "-= x").replace("x > best", "x < best")
    run = run_of(tmp_path, code, [*TOTAL, *LARGEST])
    run.verify = lambda _run: "No."

    end = run.go()

    assert run.claims
    assert "contradicted: No" in end.gives_up
    assert "1 edits for separate bugs" in end.gives_up
    assert text(run).count("x > best") + text(run).count("+= x") == 1


def test_groups_that_wait_come_back_when_the_code_has_changed() -> None:
    patch = {"operator": "cmp", "confidence": 0.9, "diff": "not kept"}
    left = groups.passed_over(groups.of([["a"], ["b"]]))
    assert (left["todo"], left["waiting"]) == ([["b"]], [["a"]])

    unchanged = groups.mended(left, None)
    assert (unchanged["todo"], unchanged["waiting"]) == ([], [["a"]])

    changed = groups.mended(left, patch)
    assert (changed["todo"], changed["waiting"]) == ([["a"]], [])
    assert changed["mended"] == [{"operator": "cmp", "confidence": 0.9}]


def test_the_confidence_of_several_patches_is_that_all_are_right() -> None:
    left = groups.of([["a"], ["b"]])
    for sure in (0.9, 0.8):
        left = groups.mended(left, {"operator": "cmp", "confidence": sure})

    assert groups.confidence(left) == 0.72
    assert groups.confidence(groups.reopened(left, ["b"])) == 0.9
