"""One Redis server for the room's tests, emptied before each; a home of its own for the rest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from memory import redis_server
from tests.sessions import state_home


@pytest.fixture(scope="session")
def _shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from state_home(tmp_path_factory)


@pytest.fixture
def redis_client(_shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    monkeypatch.delenv("JOURNEYMAN_REDIS_URL", raising=False)
    client = redis_server.connect(_shared_home)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder whose server, if the test starts one, is ended after it."""
    monkeypatch.delenv("JOURNEYMAN_REDIS_URL", raising=False)
    monkeypatch.delenv("JOURNEYMAN_QDRANT_URL", raising=False)
    folder = tmp_path / "h"
    yield folder
    redis_server.stop(folder)
