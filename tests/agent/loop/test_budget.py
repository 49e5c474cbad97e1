from __future__ import annotations

import json
import threading
from decimal import Decimal

import pytest

from agent.loop.budget import Budget, BudgetExhausted
from agent.task import Limits


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def budget(**limits: object) -> Budget:
    return Budget(Limits.model_validate(limits))


def spend(one: Budget, cost: str | None, tokens: int = 10) -> None:
    known = None if cost is None else Decimal(cost)
    reservation = one.reserve(cost_usd=known, tokens=tokens)
    one.settle(reservation, cost_usd=known, input_tokens=tokens, output_tokens=0)


def test_steps_are_counted_and_the_one_too_many_is_not_taken() -> None:
    one = budget(steps=2)
    one.take_step()
    one.take_step()

    with pytest.raises(BudgetExhausted) as caught:
        one.take_step()
    assert caught.value.which == "steps"
    assert "--max-steps" in caught.value.remedy
    assert one.spent()["steps"] == 2


def test_when_the_time_is_over_neither_a_step_nor_a_call_begins() -> None:
    clock = Clock()
    one = Budget(Limits(seconds=60), clock=clock)
    one.take_step()
    clock.now += 60

    for begin in (one.take_step, lambda: one.reserve(cost_usd=None, tokens=1)):
        with pytest.raises(BudgetExhausted) as caught:
            begin()
        assert caught.value.which == "seconds"


@pytest.mark.parametrize(
    ("limits", "which"), [({"cost_usd": "0.10"}, "cost_usd"), ({"tokens": 100}, "tokens")]
)
def test_a_call_whose_worst_case_does_not_fit_is_not_let_through(
    limits: dict[str, object], which: str
) -> None:
    one = budget(**limits)
    spend(one, "0.06", tokens=60)

    with pytest.raises(BudgetExhausted) as caught:
        one.reserve(cost_usd=Decimal("0.05"), tokens=50)
    assert caught.value.which == which
    one.reserve(cost_usd=Decimal("0.04"), tokens=40)


def test_what_is_reserved_is_taken_until_it_is_settled_for_what_was_spent() -> None:
    one = budget(cost_usd="1", tokens=100)
    reservation = one.reserve(cost_usd=Decimal("0.9"), tokens=90)
    for cost, tokens in (("0.2", 1), ("0.01", 11)):
        with pytest.raises(BudgetExhausted):
            one.reserve(cost_usd=Decimal(cost), tokens=tokens)

    one.settle(reservation, cost_usd=Decimal("0.1"), input_tokens=5, output_tokens=5)
    assert one.remaining()["cost_usd"] == pytest.approx(0.9)
    assert one.remaining()["tokens"] == 90
    with pytest.raises(ValueError, match="settled before"):
        one.settle(reservation, cost_usd=Decimal(0), input_tokens=0, output_tokens=0)


def test_after_a_call_that_spent_more_than_was_reserved_for_it_nothing_more_is_let_through() -> (
    None
):
    one = budget(cost_usd="1")
    reservation = one.reserve(cost_usd=Decimal("0.9"), tokens=1)
    one.settle(reservation, cost_usd=Decimal("1.05"), input_tokens=1, output_tokens=0)

    with pytest.raises(BudgetExhausted):
        one.reserve(cost_usd=Decimal("0.0001"), tokens=1)
    assert one.remaining()["cost_usd"] == 0


def both(one: Budget) -> None:
    one.reserve(cost_usd=Decimal("0.801"), tokens=2_001)
    one.take_step()


@pytest.mark.parametrize(
    ("limits", "command"),
    [
        ({"steps": 1}, "--max-steps 2"),
        ({"seconds": 60}, "--timeout 120"),
        ({"tokens": 1_000}, "--max-tokens 3001"),
        ({"cost_usd": "0.5"}, "--max-cost 1.31"),
    ],
)
def test_the_error_names_the_command_that_gives_more(
    limits: dict[str, object], command: str
) -> None:
    clock = Clock()
    one = Budget(Limits.model_validate(limits), session_id="s-1", clock=clock)
    one.take_step()
    clock.now += 59 + ("seconds" in limits)
    with pytest.raises(BudgetExhausted) as caught:
        both(one)
    assert caught.value.remedy == f"Give it more: `journeyman resume s-1 {command}`."


@pytest.mark.parametrize("which", ["steps", "seconds", "tokens", "cost_usd"])
def test_what_is_used_up_is_known_before_anything_is_prepared(which: str) -> None:
    spent = {
        "steps": 7,
        "seconds": 7.0,
        "input_tokens": 3,
        "output_tokens": 4,
        "cost_usd": "7",
        "known_cost_usd": "7",
    }
    enough = dict.fromkeys(("steps", "seconds", "tokens", "cost_usd"), 1000)
    one = budget(**enough)
    one.restore(spent)
    one.check()
    other = budget(**(enough | {which: 7}))
    other.restore(spent)
    with pytest.raises(BudgetExhausted) as caught:
        other.check()
    assert caught.value.which == which


def test_a_price_that_is_not_known_lets_the_call_through_and_the_cost_unknown() -> None:
    one = budget(cost_usd="0.01")
    spend(one, "0.005")
    spend(one, None)

    assert one.spent()["cost_usd"] is None
    assert one.spent()["known_cost_usd"] == "0.005"
    assert one.spent()["input_tokens"] == 20


def test_a_limit_of_nothing_lets_no_priced_call_through() -> None:
    with pytest.raises(BudgetExhausted):
        budget(cost_usd=0).reserve(cost_usd=Decimal("0.0001"), tokens=1)


@pytest.mark.parametrize("last", ["0.5", None])
def test_a_budget_goes_on_in_another_process_where_it_stopped(last: str | None) -> None:
    clock = Clock()
    limits = Limits(seconds=100, cost_usd=Decimal(1))
    one = Budget(limits, clock=clock)
    one.take_step()
    spend(one, "0.25")
    spend(one, last)
    clock.now += 70
    kept = json.loads(json.dumps(one.spent()))

    later = Clock()
    other = Budget(limits, clock=later)
    later.now += 10  # what passed before the restore is counted in what was kept
    other.restore(kept)
    assert other.spent() == one.spent()
    assert other.remaining() == one.remaining()
    later.now += 30
    with pytest.raises(BudgetExhausted):
        other.take_step()


def test_nothing_kept_means_nothing_spent() -> None:
    one = budget()
    one.restore({})

    assert one.spent()["steps"] == 0
    assert one.spent()["cost_usd"] == "0"


def test_many_threads_together_do_not_pass_what_one_may_spend() -> None:
    one = budget(cost_usd="1", tokens=1_000_000)

    def work() -> None:
        try:
            while True:
                spend(one, "0.01")
        except BudgetExhausted:
            pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Decimal(one.spent()["cost_usd"]) == 1
