"""What a session may spend: steps, seconds, tokens and money, each reserved before it is spent.

One budget is shared by all that a session starts, in whatever thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from agent.task import Limits

Kind = Literal["steps", "seconds", "tokens", "cost_usd"]
OPTIONS: dict[Kind, str] = {
    "steps": "--max-steps",
    "seconds": "--timeout",
    "tokens": "limits.tokens in the settings",
    "cost_usd": "--max-cost",
}


class BudgetExhausted(Exception):
    """A limit would be passed.

    Args:
        which: The limit.
        happened: One sentence without a full stop.
    """

    def __init__(self, which: Kind, happened: str) -> None:
        super().__init__(happened)
        self.which = which
        self.remedy = f"Raise it with {OPTIONS[which]}, then go on with `journeyman resume`."


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was set aside for one call; `cost_usd` is None where its price is not known."""

    number: int
    cost_usd: Decimal | None
    tokens: int


class Budget:
    """Counts what is spent against the limits; nothing is let through that would pass one.

    A limit is passed by at most one call's worst case, and only where that call spent more than
    was reserved for it. A call whose price is not known is let through, counts in tokens, and makes
    the cost of the whole not known.

    Args:
        limits: The limits.
        clock: Seconds that only grow.
    """

    def __init__(self, limits: Limits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._began = clock()
        self._earlier_s = 0.0
        self._steps = 0
        self._input_tokens = 0
        self._output_tokens = 0
        self._cost = Decimal(0)
        self._cost_known = True
        self._open: dict[int, Reservation] = {}
        self._numbers = 0
        self._lock = threading.Lock()

    def take_step(self) -> None:
        """Count one step of the loop.

        Raises:
            BudgetExhausted: There is none left, or the time is over.
        """
        with self._lock:
            self._check_time()
            if self._steps >= self._limits.steps:
                raise BudgetExhausted("steps", f"all {self._limits.steps} steps are used up")
            self._steps += 1

    def reserve(self, *, cost_usd: Decimal | None, tokens: int) -> Reservation:
        """Set aside the most that a call can spend; `settle` it afterwards.

        Raises:
            BudgetExhausted: It does not fit into what is left.
        """
        with self._lock:
            self._check_time()
            free = self._free_tokens()
            if tokens > free:
                raise BudgetExhausted(
                    "tokens",
                    f"the next call may need {tokens} tokens and {max(0, free)} of "
                    f"{self._limits.tokens} are left",
                )
            left = self._limits.cost_usd - self._cost - self._held_cost()
            if cost_usd is not None and cost_usd > left:
                raise BudgetExhausted(
                    "cost_usd",
                    f"the next call may cost {cost_usd:.4f} USD and {max(Decimal(0), left):.4f} of "
                    f"{self._limits.cost_usd} are left",
                )
            self._numbers += 1
            reservation = Reservation(self._numbers, cost_usd, tokens)
            self._open[reservation.number] = reservation
            return reservation

    def settle(
        self,
        reservation: Reservation,
        *,
        cost_usd: Decimal | None,
        input_tokens: int,
        output_tokens: int,
    ) -> None:
        """Put what a call really spent in the place of its reservation.

        Args:
            reservation: As `reserve` gave it; it can be settled once.
            cost_usd: None: not known, and so the whole is not known any more.
            input_tokens: As the provider counted.
            output_tokens: Likewise.

        Raises:
            ValueError: It was settled before.
        """
        with self._lock:
            if self._open.pop(reservation.number, None) is None:
                raise ValueError(f"reservation {reservation.number} was settled before")
            self._input_tokens += input_tokens
            self._output_tokens += output_tokens
            if cost_usd is None:
                self._cost_known = False
            else:
                self._cost += cost_usd

    def remaining(self) -> dict[str, float]:
        """What is left of each limit, reservations taken off; never below 0."""
        with self._lock:
            left = {
                "steps": self._limits.steps - self._steps,
                "seconds": self._limits.seconds - self._spent_s(),
                "tokens": self._free_tokens(),
                "cost_usd": float(self._limits.cost_usd - self._cost - self._held_cost()),
            }
        return {kind: max(0.0, float(amount)) for kind, amount in left.items()}

    def spent(self) -> dict[str, Any]:
        """What is spent, as plain data for a checkpoint and the result.

        Returns:
            steps, seconds, input_tokens, output_tokens; cost_usd as decimal text, None where it is
            not known; and known_cost_usd, the part of it that is known.
        """
        with self._lock:
            cost = str(self._cost)
            return {
                "steps": self._steps,
                "seconds": self._spent_s(),
                "input_tokens": self._input_tokens,
                "output_tokens": self._output_tokens,
                "cost_usd": cost if self._cost_known else None,
                "known_cost_usd": cost,
            }

    def restore(self, spent: dict[str, Any]) -> None:
        """Go on from what an earlier process had spent (`spent()` of that time; empty: nothing)."""
        with self._lock:
            self._began = self._clock()
            self._earlier_s = float(spent.get("seconds", 0.0))
            self._steps = int(spent.get("steps", 0))
            self._input_tokens = int(spent.get("input_tokens", 0))
            self._output_tokens = int(spent.get("output_tokens", 0))
            self._cost = Decimal(spent.get("known_cost_usd", "0"))
            self._cost_known = spent.get("cost_usd", "0") is not None

    def _check_time(self) -> None:
        if self._spent_s() >= self._limits.seconds:
            raise BudgetExhausted("seconds", f"the {self._limits.seconds:g} seconds are over")

    def _spent_s(self) -> float:
        return self._earlier_s + self._clock() - self._began

    def _free_tokens(self) -> int:
        held = sum(one.tokens for one in self._open.values())
        return self._limits.tokens - self._input_tokens - self._output_tokens - held

    def _held_cost(self) -> Decimal:
        return sum((one.cost_usd or Decimal(0) for one in self._open.values()), Decimal(0))
