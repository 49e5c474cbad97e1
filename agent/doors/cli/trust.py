"""The question whether a project's own settings may be used."""

from __future__ import annotations

from pathlib import Path

from agent.doors.clean_text import clean, clean_line
from agent.doors.cli.ask import ask


def ask_trust(file: Path, text: str) -> bool:
    """Show a project's file as it is and ask once for this content."""
    return ask(f"{clean_line(str(file))} is new to you:\n\n{clean(text)}\nUse it?")
