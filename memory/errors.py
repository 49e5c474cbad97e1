"""Failures of the stores themselves; an empty answer is never one."""

from __future__ import annotations


class MemoryUnavailable(Exception):
    """A store could not be had, or broke.

    Args:
        happened: What happened, and to what, as one sentence without a full stop.
        remedy: What the reader does next; a command where there is one.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


class CheckpointRefused(Exception):
    """Bytes of a checkpoint name something that may not be built from them; nothing was run.

    Args:
        happened: What was refused, as one sentence without a full stop.
        remedy: What the reader does next.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy
