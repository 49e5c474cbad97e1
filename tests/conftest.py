"""Every test has a state folder of its own, no key of the user's in reach, and the door watched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import one_door

KEYS = (
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GOOGLE_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
)

one_door.watch()


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JOURNEYMAN_HOME", str(tmp_path / "state"))
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def _one_door() -> Iterator[None]:
    one_door.offences.clear()
    yield
    assert one_door.offences == []
