"""Failures of the sandbox itself, never of a command inside it."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox could not be had, or broke.

    Args:
        happened: What happened, and to what, as one sentence without a full stop.
        remedy: What the reader does next; a command where there is one.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


class SandboxMissing(SandboxError):
    """Something the sandbox needs is not there: no daemon, no image, no interpreter that fits."""


class SandboxLost(SandboxError):
    """A running sandbox is gone: killed, out of memory, or its daemon died. Its state went with it."""


class SetupFailed(SandboxError):
    """A repository's setup command failed while its environment was built."""
