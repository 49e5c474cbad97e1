from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from agent.models.names import ModelName
from agent.models.prices import Usage, cost, worst_case

AT = datetime(2026, 11, 25, tzinfo=UTC)
OPUS = ModelName("anthropic", "claude-opus-5-5")


def test_a_call_costs_what_the_list_says() -> None:
    assert cost(OPUS, Usage(1_000_000, 0), AT) == Decimal(4)
    assert cost(OPUS, Usage(0, 1_000_000), AT) == Decimal(20)


def test_tokens_read_from_a_cache_are_counted_once_at_their_own_price() -> None:
    assert cost(OPUS, Usage(1_000_000, 0, cached_tokens=1_000_000), AT) == Decimal("0.2")
    assert cost(OPUS, Usage(1_000_000, 0, cache_write_tokens=1_000_000), AT) == Decimal(5)


@pytest.mark.parametrize(
    "name",
    [
        ModelName("openai", "no-such-model"),
        ModelName("anthropic", "gpt-5"),
        ModelName("openai-compatible", "gpt-5", "http://127.0.0.1/v1"),
    ],
)
def test_a_price_that_is_not_known_is_none_and_never_nothing(name: ModelName) -> None:
    assert cost(name, Usage(10, 10), AT) is None
    assert worst_case(name, 10, 10, AT) is None


@pytest.mark.parametrize("cached", [0, 400, 1_000])
@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-haiku-5-5"])
def test_no_call_costs_more_than_its_worst_case(model: str, cached: int) -> None:
    name = ModelName("anthropic", model)
    worst = worst_case(name, 1_000, 500, AT)

    real = cost(
        name, Usage(1_000, 500, cached_tokens=cached, cache_write_tokens=1_000 - cached), AT
    )
    assert worst is not None
    assert real is not None
    assert real <= worst


def test_prices_are_those_of_the_day_of_the_call() -> None:
    changes = datetime(2026, 12, 1, tzinfo=UTC)
    name = ModelName("google", "gemini-4-argon")

    before = cost(name, Usage(1_000_000, 0), changes - timedelta(seconds=1))
    after = cost(name, Usage(1_000_000, 0), changes + timedelta(days=1))
    assert before is not None
    assert after == 2 * before
