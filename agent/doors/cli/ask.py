"""Questions to a person: only on a real terminal; anywhere else the answer is no."""

from __future__ import annotations

import sys


def someone_is_there() -> bool:
    """Whether a person can read a question and answer it."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """Ask a yes-or-no question on stderr; no is what anything but a yes means.

    Args:
        question: Already cleaned; may have several lines.
    """
    if not someone_is_there():
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
