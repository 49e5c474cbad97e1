"""What we made on a Docker engine, by label: whose it is, and what nobody owns any more.

    journeyman=1                                        everything of ours
    journeyman.session=ID                               the session it belongs to
    journeyman.owner=PID:START:BOOT:NAMESPACE           the process that made it

A process id alone is reused; with its start time and the machine's boot id it is not. The process
namespace says whether we can see that process at all: from another one we judge nothing.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker

OURS = "journeyman"
SESSION = "journeyman.session"
OWNER = "journeyman.owner"
CREATED = "journeyman.created"


def labels(session_id: str) -> dict[str, str]:
    """Labels for a container that this process makes."""
    return {
        OURS: "1",
        SESSION: session_id,
        OWNER: owner(),
        CREATED: datetime.now(UTC).isoformat(timespec="seconds"),
    }


def owner() -> str:
    """This process, so that nobody can be taken for it."""
    return f"{os.getpid()}:{_start_time(os.getpid())}:{_boot()}"


def sweep(client: docker.DockerClient) -> int:
    """Remove containers whose owner is dead; returns how many."""
    removed = 0
    for container in _containers(client):
        if _is_dead(container["Labels"].get(OWNER, "")) and _remove(client, container["Id"]):
            removed += 1
    return removed


def remove_all(client: docker.DockerClient) -> tuple[str, ...]:
    """Remove every container, image and network of ours; returns what is gone, for people."""
    gone = [
        f"container {container['Names'][0].lstrip('/')}"
        for container in _containers(client)
        if _remove(client, container["Id"])
    ]
    for image in client.images.list(all=True, filters={"label": f"{OURS}=1"}):
        names = image.tags or [image.short_id]
        try:
            client.images.remove(str(image.id), force=True)
        except docker.errors.ImageNotFound:
            continue  # it went with its child
        except docker.errors.APIError as error:
            gone.append(f"image {names[0]} stays: {error.explanation}")
            continue
        gone.append(f"image {names[0]}")
    for network in client.networks.list(filters={"label": f"{OURS}=1"}):
        network.remove()
        gone.append(f"network {network.name}")
    return tuple(gone)


def _containers(client: docker.DockerClient) -> list[dict[str, Any]]:
    # The engine's own list: the client's would ask about each container again.
    found: list[dict[str, Any]] = client.api.containers(all=True, filters={"label": f"{OURS}=1"})
    return found


def _remove(client: docker.DockerClient, identity: str) -> bool:
    try:
        client.api.remove_container(identity, force=True, v=True)
    except docker.errors.NotFound:
        return False
    except docker.errors.APIError as error:
        if error.status_code == HTTPStatus.CONFLICT:  # its removal is under way
            return False
        raise
    return True


def _is_dead(label: str) -> bool:
    pid, start, *machine = [*label.split(":"), "", ""]
    if ":".join(part for part in machine if part) != _boot():
        return False  # another machine's, or another process namespace's: not ours to judge
    return _start_time(int(pid)) != start if pid.isdigit() else True


def _start_time(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink().name.strip('pid:[]')}"
    except OSError:
        return "unknown"  # no Linux: the dead-man switch has to do
