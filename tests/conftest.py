"""Every test runs with a state folder of its own, and no key of the user's is in reach."""

from __future__ import annotations

from pathlib import Path

import pytest

KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GOOGLE_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "state"))
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
