"""The Docker engine: whether one answers."""

from __future__ import annotations

import os

import docker
import requests

from sandbox.errors import SandboxMissing

ANSWER_S = 5
CALL_S = 120


def connect() -> docker.DockerClient:
    """A client of the engine that the environment names (`DOCKER_HOST`), else the local one.

    Raises:
        SandboxMissing: None answers within 5 s.
    """
    where = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    try:
        docker.from_env(timeout=ANSWER_S).ping()
        return docker.from_env(timeout=CALL_S)
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise SandboxMissing(
            f"Docker at {where} did not answer within {ANSWER_S} s ({_reason(error)})",
            remedy="Start it (journeyman setup, or systemctl start docker), "
            "or choose --sandbox bubblewrap.",
        ) from error


def _reason(error: BaseException) -> str:
    text = str(error)
    for short in ("Permission denied", "No such file or directory", "Connection refused"):
        if short in text:
            return short.lower()
    return text.splitlines()[0][:200] if text else type(error).__name__
