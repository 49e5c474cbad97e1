"""The signals that stop a run, and holding them back until somebody listens."""

from __future__ import annotations

import signal

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def hold() -> None:
    """Hold them back while modules load: raised there, one may be swallowed or end half a start."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)


def let_through() -> None:
    """Deliver what was held back, and what comes from now on."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
