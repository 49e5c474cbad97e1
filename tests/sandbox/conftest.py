"""A real container on the base image, one for each test module, emptied between tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.docker_sandbox import ContainerLimits, DockerSandbox
from sandbox.image import base_image
from sandbox.protocol import Answer, Outcome, Sandbox
from sandbox.supervised import SupervisedSandbox

SMALL = ContainerLimits(
    memory=512 << 20,
    processes=64,
    workspace=128 << 20,
    workspace_files=20_000,
    temporary=64 << 20,
    file=64 << 20,
)


@pytest.fixture(scope="session")
def image() -> str:
    return base_image(print)


@pytest.fixture(scope="module")
def opened(image: str) -> Iterator[DockerSandbox]:
    with DockerSandbox.open(image, session_id="tests", limits=SMALL) as sandbox:
        yield sandbox


@pytest.fixture
def box(opened: DockerSandbox) -> DockerSandbox:
    """An opened sandbox with an empty workspace."""
    empty(opened)
    return opened


def empty(sandbox: SupervisedSandbox) -> None:
    """Remove all that an earlier test left in the workspace and in /tmp."""
    command = "chmod -R u+rwX . 2>/dev/null; find . -mindepth 1 -delete; find /tmp -mindepth 1 -not -path '/tmp/journeyman*' -delete"
    done = sandbox.perform("shell", {"command": command}, timeout_s=60)
    assert done.exit_code == 0, done


def shell(sandbox: Sandbox, command: str, timeout_s: float = 20) -> Outcome:
    return sandbox.perform("shell", {"command": command}, timeout_s=timeout_s)


def cell(
    sandbox: Sandbox, code: str, timeout_s: float = 20, answer: Answer | None = None
) -> Outcome:
    return sandbox.perform("python", {"code": code}, timeout_s=timeout_s, answer=answer)


def write(sandbox: Sandbox, path: str, data: bytes) -> None:
    """Put these bytes at a path of the workspace."""
    done = cell(
        sandbox,
        f"import os, pathlib\np = pathlib.Path({path!r}); p.parent.mkdir(parents=True, exist_ok=True)\n"
        f"p.write_bytes({data!r})\nNone",
    )
    assert done.exit_code == 0, done


def bytes_of(sandbox: Sandbox, path: str) -> bytes:
    done = cell(sandbox, f"import pathlib; pathlib.Path({path!r}).read_bytes().hex()")
    assert done.value is not None, done
    return bytes.fromhex(done.value.strip("'"))


def edit(sandbox: Sandbox, **arguments: Any) -> Outcome:
    return sandbox.perform("edit", arguments, timeout_s=20)
