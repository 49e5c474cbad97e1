"""One session's records on their way: masked, logged for good, then shown and fanned out.

Nothing is shown that is not in the log, and nothing reaches either unmasked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from policies.log import SessionLog
from policies.masks import ALL_KINDS, Masks
from policies.record import RECORD, ActionDone, PlanMade, Record, Said, StepTaken

Observe = Callable[[Record], None]
_HELD = (ActionDone, PlanMade, Said, StepTaken)
"""Records that another follows at once: they are published with that one."""


class Recorder:
    """Appends records to a session's log and tells whoever watches.

    Args:
        log: The chained log.
        masks: What leaves is masked by them.
        observe: A door's renderer.
        publish: Fans records' JSON out to live followers; never stops a run.
    """

    def __init__(
        self,
        log: SessionLog,
        masks: Masks,
        observe: Observe,
        publish: Callable[[Sequence[str]], None],
    ) -> None:
        self._log = log
        self._masks = masks
        self._observe = observe
        self._publish = publish
        self._held: list[str] = []

    def append(self, record: Record, *, key: str = "") -> object:
        """Log a record, then show it.

        Raises:
            LogError: It could not be written for good.
        """
        data = record.model_dump(mode="json")
        masked_data = self._masks.mask_json(data, ALL_KINDS)
        masked = record if masked_data == data else RECORD.validate_python(masked_data)
        envelope = self._log.append(masked, key=key)
        self._observe(masked)
        self._held.append(envelope.payload or masked.model_dump_json())
        if not isinstance(masked, _HELD):
            held, self._held = self._held, []
            self._publish(held)
        return envelope

    def blob(self, data: bytes) -> str:
        """Keep bytes beside the log; returns their digest."""
        return self._log.blob(data)
