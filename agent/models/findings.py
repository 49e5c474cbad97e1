"""What probes of models found, kept in the state folder: a session drives a model accordingly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = "models.json"


def keep(home: Path, name: str, base_url: str, *, tools: bool, schema: bool) -> None:
    """Remember what a model served there can do, in the place of what was known of it."""
    known = _known(home) | {_key(name, base_url): {"tools": tools, "schema": schema}}
    part = home / f"{FILE}.part"
    part.touch(mode=0o600)
    part.write_text(json.dumps(known, indent=1, sort_keys=True), "utf-8")
    part.replace(home / FILE)


def speaks_only(home: Path, name: str, base_url: str) -> bool:
    """Whether a probe found that a model calls no tools but keeps to a JSON schema."""
    found = _known(home).get(_key(name, base_url)) or {}
    return found.get("tools") is False and found.get("schema") is True


def _key(name: str, base_url: str) -> str:
    return f"{name} {base_url.rstrip('/')}".strip()


def _known(home: Path) -> dict[str, Any]:
    """What is kept; what cannot be read counts as not known: a probe writes it anew."""
    try:
        known = json.loads((home / FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
