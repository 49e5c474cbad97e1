"""Plans are values: steps end, the next begins, a contradiction leaves a trace."""

from __future__ import annotations

from agent.loop.plan import finish_active, finish_all, first, revise
from policies.record import Plan


def states(plan: Plan) -> list[str]:
    return [step.state for step in plan.steps]


def test_a_first_plan_has_one_active_step() -> None:
    assert states(first("a", "b", "c")) == ["active", "pending", "pending"]


def test_an_ended_step_makes_the_next_one_active() -> None:
    plan = finish_active(first("a", "b"), "done", "found it")

    assert states(plan) == ["done", "active"]
    assert plan.steps[0].note == "found it"


def test_a_revision_keeps_what_failed_and_says_why() -> None:
    plan = revise(finish_active(first("look", "mend", "verify")), "still red")

    assert [step.title for step in plan.steps] == ["look", "mend", "Again: mend", "verify"]
    assert states(plan) == ["done", "failed", "active", "pending"]
    assert plan.steps[1].note == "still red"
    assert (plan.revision, plan.reason) == (1, "still red")


def test_a_second_revision_of_the_same_step_does_not_pile_up_words() -> None:
    twice = revise(revise(first("mend"), "red"), "red again")

    assert [step.title for step in twice.steps] == ["mend", "Again: mend", "Again: mend"]
    assert twice.revision == 2


def test_a_verified_patch_ends_every_open_step_and_no_failed_one() -> None:
    plan = finish_all(revise(first("mend", "verify"), "red"))

    assert states(plan) == ["failed", "done", "done"]
