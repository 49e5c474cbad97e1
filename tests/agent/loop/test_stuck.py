from __future__ import annotations

import json
from typing import Any

import pytest

from agent.loop.stuck import note

Step = tuple[list[dict[str, Any]], list[str]]


def step(command: str, text: str, name: str = "shell") -> Step:
    return [{"name": name, "arguments": {"command": command}, "id": "changes"}], [text]


def advice(*steps: Step) -> list[str]:
    """What is advised after each step; the state goes through JSON as in a checkpoint."""
    state: dict[str, Any] = {}
    given = []
    for number, (calls, texts) in enumerate(steps):
        numbered = [{**call, "id": f"call_{number}"} for call in calls]
        state, word = note(json.loads(json.dumps(state)), numbered, texts)
        given.append(str(word))
    return given


A, B, C = step("pytest", "1 failed"), step("cat a.py", "x = 1"), step("ls", "a.py")


@pytest.mark.parametrize(
    "circle", [[A], [A, B], [A, B, C]], ids=["the same step", "two in turn", "three in turn"]
)
def test_a_circle_gone_three_times_revises_the_plan_and_then_stops(circle: list[Step]) -> None:
    size = len(circle)
    quiet = ["go on"] * (3 * size - 1)

    assert advice(*circle * 6) == [*quiet, "replan", *quiet, "stop"]


def test_another_circle_after_a_revision_revises_again() -> None:
    assert advice(A, A, A, B, B, B)[-1] == "replan"


def test_a_run_that_goes_in_ever_new_circles_stops() -> None:
    steps = [step(f"cat {number}.py", "x") for number in range(4)]

    assert advice(*(one for one in steps for _ in range(3)))[-1] == "stop"


@pytest.mark.parametrize(
    "steps",
    [
        [step("pytest", f"{failed} failed") for failed in (3, 2, 1, 0)],
        [step(f"sed -n {line}p a.py", "x = 1") for line in range(9)],
        [A, B, A, C, A, B, B, A, C, C],
        [([], ["words"])] * 9,
    ],
    ids=["other results", "other acts", "no order", "no act"],
)
def test_what_differs_is_no_circle(steps: list[Step]) -> None:
    assert set(advice(*steps)) == {"go on"}


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("1 failed in 0.03s", "1 failed in 1.21s"),
        ("<Parser object at 0x7f12aa34bb10>", "<Parser object at 0x7f12aa34cc20>"),
        ("12:30:01 ERROR no such key", "12:30:09 ERROR no such key"),
        ("took 8 ms", "took 9 ms"),
    ],
)
def test_durations_addresses_and_times_of_day_do_not_make_a_result_another(
    first: str, later: str
) -> None:
    assert advice(step("t", first), step("t", later), step("t", first))[-1] == "replan"


@pytest.mark.parametrize(
    "steps",
    [
        [step("sleep 30; tail -1 build.log", "building")],
        [step("sleep 30", ""), step("tail -1 build.log", "building")],
        [([{"name": "python", "arguments": {"code": "job.wait(60)"}, "id": ""}], ["running"])],
    ],
    ids=["one step", "two in turn", "python"],
)
def test_waiting_for_a_long_command_is_no_circle_until_ten_times(steps: list[Step]) -> None:
    assert set(advice(*steps * 9)) == {"go on"}
    assert advice(*steps * 10)[-1] == "replan"


def test_the_state_does_not_grow_with_the_run() -> None:
    state: dict[str, Any] = {}
    for number in range(500):
        state, _ = note(state, *step(f"cat {number}", "x"))

    assert len(json.dumps(state)) < 3_000
