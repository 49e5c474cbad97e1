"""Keys that look like keys, for servers on loopback only."""

from __future__ import annotations

import pytest

from agent.models.names import KEY_VARIABLES

KEY = "not-a-key"


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in KEY_VARIABLES.values():
        monkeypatch.setenv(variable, KEY)
