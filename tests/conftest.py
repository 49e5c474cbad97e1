"""Every test has a state folder of its own, no key of the user's in reach, and the door watched."""

from __future__ import annotations

import signal
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
# A suite that was started in the background has Ctrl-C ignored, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    state = tmp_path / "state"
    monkeypatch.setenv("JOURNEYMAN_HOME", str(state))
    for key in KEYS:
        monkeypatch.delenv(key, raising=False)
    yield state
    if (state / "redis").exists():
        from memory import redis_server  # noqa: PLC0415  most tests need no store

        redis_server.stop(state)


@pytest.fixture(autouse=True)
def _one_door() -> Iterator[None]:
    one_door.offences.clear()
    yield
    assert one_door.offences == []
