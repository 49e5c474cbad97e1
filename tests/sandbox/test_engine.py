"""The Docker engine that is not there, and the one that goes away between two calls."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.engine import connect
from sandbox.errors import SandboxMissing
from tests.relay import Relay

ENGINE = Path(os.environ.get("DOCKER_HOST", "/var/run/docker.sock").removeprefix("unix://"))


def test_no_engine_is_said_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")

    with pytest.raises(SandboxMissing, match=r"/nonexistent/docker\.sock") as caught:
        connect()
    assert "--sandbox bubblewrap" in caught.value.remedy


def test_an_engine_that_goes_away_is_said_by_every_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Relay(tmp_path / "docker.sock", ENGINE) as relay:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{relay.path}")
        client = connect()
        relay.cut()
        calls = (client.images.list, client.containers.list, client.volumes.list, client.ping)
        for call in calls:
            with pytest.raises(SandboxMissing, match="went away") as caught:
                call()
            assert "journeyman resume" in caught.value.remedy
        client.close()
