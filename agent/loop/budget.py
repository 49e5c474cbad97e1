"""What a session may spend: steps, seconds, tokens and money, each reserved before it is spent.

One budget is shared by all that a session starts, in whatever thread.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Any, Literal

from agent.task import Limits

Kind = Literal["steps", "seconds", "tokens", "cost_usd"]
OPTIONS: dict[Kind, str] = {
    "steps": "--max-steps",
    "seconds": "--timeout",
    "tokens": "--max-tokens",
    "cost_usd": "--max-cost",
}
"""Of `journeyman run`, and of `resume`, where they raise a limit."""


class BudgetExhausted(Exception):
    """A limit would be passed.

    Args:
        which: The limit.
        happened: One sentence without a full stop.
        remedy: What to do next, with a limit that lets the session go on.
    """

    def __init__(self, which: Kind, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.which = which
        self.remedy = remedy


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
        session_id: Named where the user is told how to raise one.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        session_id: str = "SESSION",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._session_id = session_id
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
            self._check_steps()
            self._steps += 1

    def check(self) -> None:
        """See that the session can go on at all, before anything is prepared for it.

        Raises:
            BudgetExhausted: Of one limit nothing is left.
        """
        with self._lock:
            self._check_time()
            self._check_steps()
            self._check_tokens(1)
            if self._cost:
                self._check_cost(Decimal("0.0001"))

    def reserve(self, *, cost_usd: Decimal | None, tokens: int) -> Reservation:
        """Set aside the most that a call can spend; `settle` it afterwards.

        Raises:
            BudgetExhausted: It does not fit into what is left.
        """
        with self._lock:
            self._check_time()
            self._check_tokens(tokens)
            if cost_usd is not None:
                self._check_cost(cost_usd)
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
        if (spent := self._spent_s()) >= self._limits.seconds:
            happened = f"the {self._limits.seconds:g} seconds are over"
            raise self._exhausted("seconds", happened, math.ceil(spent + self._limits.seconds))

    def _check_steps(self) -> None:
        if self._steps >= self._limits.steps:
            happened = f"all {self._limits.steps} steps are used up"
            raise self._exhausted("steps", happened, self._steps + self._limits.steps)

    def _check_tokens(self, wanted: int) -> None:
        free = self._free_tokens()
        if wanted > free:
            happened = (
                f"the next call may need {wanted} tokens and {max(0, free)} of "
                f"{self._limits.tokens} are left"
            )
            raise self._exhausted("tokens", happened, self._limits.tokens * 2 + wanted - free)

    def _check_cost(self, wanted: Decimal) -> None:
        left = self._limits.cost_usd - self._cost - self._held_cost()
        if wanted > left:
            happened = (
                f"the next call may cost {wanted:.4f} USD and {max(Decimal(0), left):.4f} of "
                f"{self._limits.cost_usd} are left"
            )
            enough = self._limits.cost_usd * 2 + wanted - left
            raise self._exhausted("cost_usd", happened, enough.quantize(Decimal("0.01"), ROUND_UP))

    def _exhausted(self, which: Kind, happened: str, enough: int | Decimal) -> BudgetExhausted:
        """The error, with the command that gives `enough`: about as much again."""
        command = f"journeyman resume {self._session_id} {OPTIONS[which]} {enough}"
        return BudgetExhausted(which, happened, remedy=f"Give it more: `{command}`.")

    def _spent_s(self) -> float:
        return self._earlier_s + self._clock() - self._began

    def _free_tokens(self) -> int:
        held = sum(one.tokens for one in self._open.values())
        return self._limits.tokens - self._input_tokens - self._output_tokens - held

    def _held_cost(self) -> Decimal:
        return sum((one.cost_usd or Decimal(0) for one in self._open.values()), Decimal(0))
