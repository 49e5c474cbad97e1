"""One hardened Docker container a session.

No network, no capability but those the supervisor needs to become another user and to kill, a
read-only root, everything writable in bounded memory file systems, limits on memory, processes and
files. The supervisor is root of the container; everything else is uid 10001 under our own seccomp
filter. The container's main command is a dead-man switch: it ends the container when the supervisor
is gone, and the supervisor is gone when the host's end of the stream is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import docker
import requests
from docker.models.containers import Container
from docker.types import LogConfig, Ulimit

from sandbox import orphans
from sandbox.channel import BOOTSTRAP, Channel, DockerStream
from sandbox.companion import START_PYTHON
from sandbox.engine import connect
from sandbox.errors import SandboxError, SandboxLost, SandboxMissing
from sandbox.protocol import Description
from sandbox.supervised import STORE_GID, UID, SupervisedSandbox

HOME = "/journeyman"
_MIB = 1 << 20

ALIVE = f"{HOME}/alive"
DEAD_MAN = f"""
mkfifo -m 600 {ALIVE} || exit 1
(sleep 120; [ -e {HOME}/sandbox ] || kill $$) > /dev/null 2>&1 &
exec cat {ALIVE}
"""
"""Main command of the container: ends when the supervisor, which holds the pipe, is gone, or when none
came for 2 minutes. It must not need a new process for that: there may be none to have."""


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What a container may take; sizes in bytes. Files in it count as memory too."""

    memory: int = 4096 * _MIB
    processes: int = 512
    cpus: float = 2.0
    workspace: int = 1024 * _MIB
    workspace_files: int = 400_000
    temporary: int = 512 * _MIB
    file: int = 512 * _MIB
    open_files: int = 4096

    @classmethod
    def for_tree(cls, size: int, files: int) -> ContainerLimits:
        """Room for a tree of these bytes and files: twice in the workspace, once in its snapshots."""
        least = cls()
        return replace(
            least,
            workspace=max(least.workspace, 2 * size),
            workspace_files=max(least.workspace_files, 3 * files),
            memory=max(least.memory, least.memory // 2 + 3 * size),
        )


DEFAULT_LIMITS = ContainerLimits()


class DockerSandbox(SupervisedSandbox):
    """A container with a supervisor in it."""

    @classmethod
    def open(
        cls,
        image: str,
        *,
        session_id: str,
        python: str = "python3",
        environment: Mapping[str, str] = {},
        limits: ContainerLimits = DEFAULT_LIMITS,
    ) -> Self:
        """Start a container of `image`; its workspace is empty.

        Args:
            image: Reference of a local image: one of ours, or one with our companion laid in.
            session_id: Goes into its label.
            python: Interpreter for cells, tests and repair; empty: there are none of these.
            environment: Variables for everything that runs inside, over the image's own.
            limits: What it may take.

        Raises:
            SandboxMissing: No engine, no image, or no Python in it.
            SandboxError: The container did not start.
        """
        client = connect()
        orphans.sweep(client)
        container = start_container(client, image, session_id, limits)
        try:
            config = client.api.inspect_container(str(container.id))["Config"]
            own = dict(line.split("=", 1) for line in config["Env"] or [] if "=" in line)
            command = ["/bin/sh", "-c", START_PYTHON, "sh", "-I", "-c", BOOTSTRAP, HOME, ALIVE]
            stream = DockerStream(client, str(container.id), command, user="0:0", environment={})
            description = Description(kind="docker", image=image)
            sandbox = cls(Channel(stream), description, lambda: _end(client, container))
        except BaseException:  # a signal too: no container is left behind
            remove_container(container)
            raise
        try:
            sandbox._begin(python, {**own, **environment}, split=True)
        except SandboxLost as error:
            sandbox.close()
            raise SandboxMissing(
                f"No supervisor could be started in image {image}: {error}",
                remedy="The image needs /bin/sh; `journeyman doctor` checks the Docker engine.",
            ) from error
        except BaseException:  # likewise
            sandbox.close()
            raise
        return sandbox


def start_container(
    client: docker.DockerClient, image: str, session_id: str, limits: ContainerLimits
) -> Container:
    """A hardened container of `image` whose main command is the dead-man switch.

    Raises:
        SandboxMissing: There is no such image.
        SandboxError: It did not start.
    """
    try:
        container = client.containers.create(
            image,
            command=["-c", DEAD_MAN],
            entrypoint=["/bin/sh"],
            labels=orphans.labels(session_id),
            **_hardening(limits),
        )
    except docker.errors.ImageNotFound as error:
        raise SandboxMissing(
            f"There is no image {image} on this Docker engine",
            remedy="Build it (journeyman setup), or name another image in [environment].",
        ) from error
    except (docker.errors.APIError, requests.RequestException) as error:
        raise SandboxError(
            f"No container of image {image} could be made: {error}",
            remedy="See `journeyman doctor`; it says what this Docker engine lacks.",
        ) from error
    try:
        container.start()
    except (docker.errors.APIError, requests.RequestException) as error:
        remove_container(container)
        raise SandboxError(
            f"The container of image {image} did not start: {error}",
            remedy="The image needs /bin/sh; `journeyman doctor` checks the Docker engine.",
        ) from error
    return container


def _hardening(limits: ContainerLimits) -> dict[str, Any]:
    """Arguments of `containers.create` that make it a sandbox."""
    agent = f"uid={UID},gid={UID}"
    return {
        "init": True,
        "auto_remove": True,
        "user": "0:0",
        "hostname": "sandbox",
        "working_dir": "/",
        "network_mode": "none",
        "ipc_mode": "private",
        "cap_drop": ["ALL"],
        "cap_add": ["SETUID", "SETGID", "KILL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "pids_limit": limits.processes,
        "mem_limit": limits.memory,
        "memswap_limit": limits.memory,
        "cpu_period": 100_000,
        "cpu_quota": int(limits.cpus * 100_000),
        "shm_size": 64 * _MIB,
        "tmpfs": {
            HOME: _tmpfs(16 * _MIB, 2000, "mode=0755", execute=False),
            "/tmp": _tmpfs(limits.temporary, 100_000, "mode=1777"),  # noqa: S108 - the container's own
            "/home/agent": _tmpfs(limits.temporary, 100_000, f"mode=0700,{agent}"),
            "/workspace": _tmpfs(limits.workspace, limits.workspace_files, f"mode=0755,{agent}"),
            "/store": _tmpfs(
                limits.workspace,
                2 * limits.workspace_files,
                f"mode=0770,uid={STORE_GID},gid={STORE_GID}",
                execute=False,
            ),
        },
        "ulimits": [
            Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
            Ulimit(name="fsize", soft=limits.file, hard=limits.file),
            Ulimit(name="core", soft=0, hard=0),
        ],
        "log_config": LogConfig(type="none"),
    }


def _tmpfs(size: int, files: int, owner: str, *, execute: bool = True) -> str:
    mode = "exec" if execute else "noexec"
    return f"rw,{mode},nosuid,nodev,size={size},nr_inodes={files},{owner}"


def _end(client: docker.DockerClient, container: Container) -> None:
    remove_container(container)
    client.close()


def remove_container(container: Container) -> None:
    """End it and everything in it; one that is gone, or whose engine is, is gone."""
    with contextlib.suppress(docker.errors.APIError, requests.RequestException):
        container.remove(force=True, v=True)
