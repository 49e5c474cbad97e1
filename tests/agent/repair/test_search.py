"""The search plans, tries, chooses, claims, and goes on when it is contradicted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.repair.choice import CONFIDENT
from tests.agent.repair.driver import Run
from tests.sandbox.repair_bench import bench_with

BUG = '''def total(xs):
    """Add up.

    >>> total([1, 2, 3])
    6
    """
    s = 0
    for x in xs:
        s -= x  # one after the other
    return s
'''
TESTS = """import pytest
from m import total

@pytest.mark.parametrize(("xs", "wanted"), [([1], 1), ([2, 3], 5), ([1, 2, 4], 7), ([], 0)])
def test_total(xs, wanted):
    assert total(xs) == wanted
"""
RED = ["test_m.py::test_total[xs0-1]", "test_m.py::test_total[xs1-5]", "test_m.py::test_total[xs2-7]"]  # fmt: skip


def run_of(folder: Path, code: str = BUG, tests: str = TESTS, **more: Any) -> Run:
    bench = bench_with(folder, {"m.py": code, "test_m.py": tests})
    return Run(bench, **{"failing": RED, **more})


def states(run: Run) -> list[str]:
    return [step.state for step in run.plans[-1].steps]


def text(run: Run) -> str:
    return (run.bench.workspace / "m.py").read_text("utf-8")


def test_a_bug_is_found_put_in_and_claimed_with_its_confidence(tmp_path: Path) -> None:
    run = run_of(tmp_path)

    claim = run.go()

    assert claim.claims_done
    assert claim.confidence is not None
    assert claim.confidence >= CONFIDENT
    assert text(run) == BUG.replace("-=", "+=")
    assert run.candidates > 10
    assert run.mind["edit"] == {
        "operator": "aug-op",
        "old": "        s -= x  # one after the other\n",
        "new": "        s += x  # one after the other\n",
    }
    assert [call.name for call in run.calls] == [
        "try_candidates", "try_candidates", "try_candidates", "edit", "run_tests",
    ]  # fmt: skip
    assert states(run)[:3] == ["done", "done", "done"]
    assert len(run.plans[0].steps) == 7


def test_a_second_similar_bug_takes_fewer_candidates_with_what_is_remembered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_of(tmp_path / "first")
    first.go()
    remembered = {**first.mind["edit"], "failure": "AssertionError", "similarity": 0.9}

    def solve(folder: str, recalled: tuple[dict[str, Any], ...]) -> Run:
        other = BUG.replace("total", "summed").replace("for x in xs", "for x in list(xs)")
        tests = TESTS.replace("total", "summed")
        red = [test.replace("total", "summed") for test in RED]
        run = run_of(tmp_path / folder, other, tests, failing=red, recalled=recalled)
        assert run.go().claims_done
        assert text(run) == other.replace("-=", "+=")
        return run

    without, with_memory = solve("empty", ()), solve("full", (remembered,))

    with capsys.disabled():
        print(
            f"\n  candidates: {without.candidates} with an empty memory, "
            f"{with_memory.candidates} with one past solution"
        )
    assert with_memory.candidates < without.candidates


def test_a_past_solution_that_does_not_help_costs_only_its_own_tries(tmp_path: Path) -> None:
    past = {"operator": "const-int", "old": "    s = 0\n", "new": "    s = 1\n", "similarity": 0.9}
    run = run_of(tmp_path, recalled=(past,))

    assert run.go().claims_done
    assert text(run) == BUG.replace("-=", "+=")


def test_a_claim_that_is_contradicted_is_taken_back_and_the_plan_revised(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        code="def f(x):\n    return x\n",
        tests="from m import f\n\ndef test_f():\n    assert f(1) == 2\n",
        failing=["test_m.py::test_f"],
        verify=lambda run: "" if len(run.claims) > 1 else "Tests broke elsewhere.",
    )

    claim = run.go()

    assert claim.claims_done
    assert len(run.claims) == 2
    assert claim.confidence is not None
    assert claim.confidence < CONFIDENT
    assert run.plans[-1].revision >= 1
    assert "Tests broke elsewhere." in [step.note for step in run.plans[-1].steps]
    assert "failed" in states(run)
    first, second = (
        c for c in run.calls if c.name == "edit" and c.arguments["old"].endswith("return x\n")
    )
    assert first.arguments["new"] != second.arguments["new"]
    assert text(run).startswith("def f(x):\n")
    assert text(run).count("return") == 1


def test_when_every_patch_is_contradicted_the_workspace_is_as_it_was(tmp_path: Path) -> None:
    run = run_of(tmp_path, verify=lambda _run: "No.")

    end = run.go()

    assert end.gives_up.startswith("every patch that passed in the search was contradicted")
    assert text(run) == BUG
    assert run.claims


def test_a_patch_that_fails_in_a_new_process_is_not_claimed(tmp_path: Path) -> None:
    run = run_of(tmp_path, cold=lambda _run: False)

    end = run.go()

    assert end.gives_up
    assert run.claims == []
    assert text(run) == BUG


def test_it_stops_and_says_what_was_tried_when_nothing_passes(tmp_path: Path) -> None:
    run = run_of(
        tmp_path,
        code="def f(x):\n    return x\n",
        tests="from m import f\n\ndef test_f():\n    assert f(2) == 'no edit makes this'\n",
        failing=["test_m.py::test_f"],
    )

    end = run.go()

    assert f"none of {run.candidates} edits" in end.gives_up
    assert text(run) == "def f(x):\n    return x\n"
    assert run.plans[-1].revision >= 1


@pytest.mark.parametrize(
    ("runner", "failing", "said"),
    [("junit", ["a test"], "pytest"), ("exit", [], "pytest"), ("pytest", [], "failing test")],
)
def test_it_refuses_at_once_where_it_cannot_work(
    runner: str, failing: list[str], said: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path, runner=runner, failing=failing)

    end = run.go()

    assert said in end.gives_up
    assert "--model" in end.gives_up
    assert run.calls == []


def test_tests_that_pass_alone_are_nothing_to_search_against(tmp_path: Path) -> None:
    run = run_of(tmp_path, code=BUG.replace("-=", "+="))

    assert "do not fail" in run.go().gives_up


def forgetful(run: Run, times: int, *, news: str) -> None:
    """Make the table of candidates go away, so often, just before some are tried."""
    ask = run.bench.ask
    lost: list[str] = []

    def forgetting(operation: str, failing: Sequence[str], **arguments: Any) -> dict[str, Any]:
        if operation == "try" and len(lost) < times:
            lost.append(operation)
            (run.bench.scratch / "table.json").unlink()
            run.news += [news] if news else []
        return ask(operation, failing, **arguments)

    run.bench.ask = forgetting  # type: ignore[method-assign]


@pytest.mark.parametrize(("times", "news"), [(1, ""), (6, "The run was stopped and goes on now.")])
def test_a_lost_table_is_numbered_anew_and_the_search_goes_on(
    tmp_path: Path, times: int, news: str
) -> None:
    run = run_of(tmp_path)
    forgetful(run, times, news=news)

    assert run.go().claims_done
    assert text(run) == BUG.replace("-=", "+=")
    assert states(run)[:3] == ["done", "done", "done"]


def test_a_table_that_goes_away_again_and_again_for_no_reason_ends_the_search(
    tmp_path: Path,
) -> None:
    run = run_of(tmp_path)
    forgetful(run, 6, news="")

    assert "could not go on" in run.go().gives_up
