"""The Docker engine: whether one answers, and what is said when it is gone."""

from __future__ import annotations

import os
from typing import Any

import docker
import requests
from docker.utils import kwargs_from_env
from typing_extensions import override

from sandbox.errors import SandboxMissing

ANSWER_S = 5
CALL_S = 120


class EngineGone(SandboxMissing, requests.ConnectionError):
    """The engine answered before, and does not any more."""


class _Calls(docker.APIClient):
    """The client's calls; the engine may die before any of them."""

    @override
    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        try:
            answer: requests.Response = super().send(*args, **kwargs)
        except requests.ConnectionError as error:
            raise EngineGone(
                f"Docker at {_where()} went away ({_reason(error)})",
                remedy="Start it again (journeyman setup, or systemctl start docker), "
                "then `journeyman resume`.",
            ) from error
        return answer


def connect() -> docker.DockerClient:
    """A client of the engine that the environment names (`DOCKER_HOST`), else the local one.

    Raises:
        SandboxMissing: None answers within 5 s.
    """
    try:
        client = docker.from_env(timeout=ANSWER_S)
        client.ping()
        client.api.close()
        client.api = _Calls(timeout=CALL_S, **kwargs_from_env())
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise SandboxMissing(
            f"Docker at {_where()} did not answer within {ANSWER_S} s ({_reason(error)})",
            remedy="Start it (journeyman setup, or systemctl start docker), "
            "or choose --sandbox bubblewrap.",
        ) from error
    return client


def _where() -> str:
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


def _reason(error: BaseException) -> str:
    text = str(error)
    for short in ("Permission denied", "No such file or directory", "Connection refused"):
        if short in text:
            return short.lower()
    return text.splitlines()[0][:200] if text else type(error).__name__
