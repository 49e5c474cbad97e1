"""One session's records on their way: logged for good, then shown and fanned out as the log has them.

Nothing is shown that is not in the log, and nothing leaves the log unmasked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from policies.log import SessionLog
from policies.record import ActionDone, PlanMade, Record, Said, StepTaken

Observe = Callable[[Record], None]
_HELD = (ActionDone, PlanMade, Said, StepTaken)
"""Records that another follows at once: they are published with that one."""


class Recorder:
    """Appends records to a session's log and tells whoever watches.

    Args:
        log: The chained log, which masks.
        observe: A door's renderer.
        publish: Fans records' JSON out to live followers; never stops a run.
    """

    def __init__(
        self,
        log: SessionLog,
        observe: Observe,
        publish: Callable[[Sequence[str]], None],
    ) -> None:
        self._log = log
        self._observe = observe
        self._publish = publish
        self._held: list[str] = []

    def append(self, record: Record, *, key: str = "") -> object:
        """Log a record, then show it.

        Raises:
            LogError: It could not be written for good.
        """
        written = self._log.append(record, key=key)
        self._observe(written.record)
        self._held.append(written.payload)
        if not isinstance(record, _HELD):
            held, self._held = self._held, []
            self._publish(held)
        return written

    def blob(self, data: bytes) -> str:
        """Keep bytes beside the log; returns their digest."""
        return self._log.blob(data)
