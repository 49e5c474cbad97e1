"""What a call costs, by the price list of the day of the call, and how much a model can read.

The list (genai-prices) works offline. A price that is not known is None, never taken for 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from agent.models.names import ModelName


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; the cached ones (read and written) are part of `input_tokens`."""

    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0


def cost(name: ModelName, usage: Usage, at: datetime) -> Decimal | None:
    """What a call cost in USD; None where the model's price is not known.

    Args:
        name: A model behind a server of one's own has no known price.
        usage: As the provider counted.
        at: When the call was made, with its time zone: prices change.
    """
    if name.provider == "openai-compatible":
        return None
    prices = _prices()
    counted = prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        priced = prices.calc_price(
            counted, name.model, provider_id=name.provider, genai_request_timestamp=at
        )
    except LookupError:
        return None
    return Decimal(priced.total_price)


def worst_case(
    name: ModelName, input_tokens: int, max_output_tokens: int, at: datetime
) -> Decimal | None:
    """The most that a call can cost in USD: nothing is read from a cache, all may be written to it.

    Args:
        name: As in `cost`.
        input_tokens: An estimate from above.
        max_output_tokens: As the call allows.
        at: When it will be made.
    """
    plain = cost(name, Usage(input_tokens, max_output_tokens), at)
    written = cost(
        name, Usage(input_tokens, max_output_tokens, cache_write_tokens=input_tokens), at
    )
    return None if plain is None or written is None else max(plain, written)


def window(name: ModelName) -> int | None:
    """Tokens that a model can read and write in one call; None where it is not known."""
    if name.provider == "openai-compatible":
        return None
    snapshot = _snapshot()
    try:
        _, model = snapshot.find_provider_model(name.model, None, name.provider, None)
    except LookupError:
        return None
    return int(model.context_window) if model.context_window else None


@cache
def _prices() -> Any:
    import genai_prices  # noqa: PLC0415  (0.3 s of CPU that a model without a price never needs)

    return genai_prices


@cache
def _snapshot() -> Any:
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415  (likewise)

    return get_snapshot()
