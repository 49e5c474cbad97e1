"""How much is tried before what: the stages of the search, their sizes and their CPU seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """One call's part of the work.

    Attributes:
        candidates: How many are tried at most.
        cpu_s: CPU seconds it may take.
    """

    candidates: int
    cpu_s: float


LOCALISE_S = 120.0
REMEMBERED = Share(candidates=20, cpu_s=30.0)
"""Edits that a past solution of a similar failure made; if one passes, no wider search is paid."""
LIKELY = Share(candidates=600, cpu_s=60.0)
WIDER = Share(candidates=3000, cpu_s=120.0)
RIVALS = Share(candidates=1500, cpu_s=30.0)
"""After something passed: what else passes decides how far the first is to be trusted."""
PAIRS = Share(candidates=60_000, cpu_s=120.0)
PAIRED_SINGLES = 400
PAIRS_WITHIN = 3
"""Lines between the two edits of a pair: what pays sits in one statement or in neighbours."""
BEHAVIOURS_S = 60.0
SINGLES = 8_000
"""Single edits that are numbered at most."""
COMPARED = 60
"""Plausible patches that are compared at most; the likeliest ones."""


def cpu_seconds(wanted: float, remaining_s: float) -> float:
    """CPU seconds for a call when this much wall time is left for the whole run."""
    return max(5.0, min(wanted, remaining_s / 4))


CLUSTERS = 12
"""Behaviours that are kept to fall back on."""
