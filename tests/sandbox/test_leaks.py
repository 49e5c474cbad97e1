"""Nothing stays behind: after a close, after a crash of the host's process, after another's crash."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import docker
import pytest

from sandbox import orphans
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect
from sandbox.errors import SandboxLost, SandboxMissing
from tests.sandbox.conftest import cell, shell

OPEN_THEN_HANG = """
import sys, time
from sandbox.docker_sandbox import DockerSandbox
box = DockerSandbox.open(sys.argv[1], session_id=sys.argv[2])
box.perform("shell", {"command": "nohup setsid sleep 600 > /dev/null 2>&1 &"}, timeout_s=10)
print("open", flush=True)
time.sleep(600)
"""

BUILD_THEN_HANG = """
import sys, time
from sandbox.build import Build
from sandbox.index_settings import IndexSettings
with Build(sys.argv[1], index=IndexSettings(), say=print) as build:
    print(build._container.id, flush=True)
    build.run("sleep 600")
"""

NOT_OURS = "journeyman= journeyman.recipe="
"""Labels that an image made from the base must not take over, or it would be taken for it."""


@pytest.fixture(scope="module")
def client() -> Iterator[docker.DockerClient]:
    found = connect()
    yield found
    found.close()


def count(client: docker.DockerClient, session: str) -> int:
    filters = {"label": f"{orphans.SESSION}={session}"}
    return len(client.api.containers(all=True, filters=filters))


def wait_until_gone(client: docker.DockerClient, session: str, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end and count(client, session):
        time.sleep(0.2)
    return count(client, session) == 0


def labelled(client: docker.DockerClient, image: str, labels: dict[str, str]) -> str:
    container = client.containers.create(image, ["true"], labels=labels, network_mode="none")
    return str(container.id)


def exists(client: docker.DockerClient, identity: str) -> bool:
    try:
        client.containers.get(identity)
    except docker.errors.NotFound:
        return False
    return True


def test_a_closed_sandbox_leaves_no_container(client: docker.DockerClient, image: str) -> None:
    session = uuid.uuid4().hex
    with DockerSandbox.open(image, session_id=session):
        assert count(client, session) == 1

    assert wait_until_gone(client, session)


def test_a_host_process_killed_by_9_leaves_no_container(
    client: docker.DockerClient, image: str
) -> None:
    session = uuid.uuid4().hex
    command = [sys.executable, "-c", OPEN_THEN_HANG, image, session]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "open\n"
        assert count(client, session) == 1
        os.kill(host.pid, signal.SIGKILL)

    assert wait_until_gone(client, session)


def test_a_build_killed_by_9_leaves_no_container(client: docker.DockerClient, image: str) -> None:
    command = [sys.executable, "-c", BUILD_THEN_HANG, image]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as host:
        assert host.stdout is not None
        identity = host.stdout.readline().strip()
        assert exists(client, identity)
        os.kill(host.pid, signal.SIGKILL)

    end = time.monotonic() + 10
    while exists(client, identity) and time.monotonic() < end:
        time.sleep(0.2)
    assert not exists(client, identity)


def test_a_container_that_is_killed_is_a_lost_sandbox(
    client: docker.DockerClient, image: str
) -> None:
    session = uuid.uuid4().hex
    with DockerSandbox.open(image, session_id=session) as sandbox:
        found = client.api.containers(filters={"label": f"{orphans.SESSION}={session}"})
        client.api.kill(found[0]["Id"])

        with pytest.raises(SandboxLost, match="stream"):
            shell(sandbox, "true")


def test_the_sweep_takes_dead_owners_containers_and_no_others(
    client: docker.DockerClient, image: str
) -> None:
    pid, start, boot, namespace = orphans.owner().split(":")
    owners = {
        "alive": f"{pid}:{start}:{boot}:{namespace}",
        "gone": f"4194304:1:{boot}:{namespace}",
        "pid reused": f"{pid}:1{start}:{boot}:{namespace}",
        "other machine": f"4194304:1:other-boot:{namespace}",
        "other namespace": f"4194304:1:{boot}:1",
    }
    made = {
        name: labelled(client, image, {**orphans.labels("sweep"), orphans.OWNER: owner})
        for name, owner in owners.items()
    }
    try:
        orphans.sweep(client)

        # Another process may sweep as well, and be about to remove one.
        end, rightly = time.monotonic() + 10, {"alive", "other machine", "other namespace"}
        while (left := {n for n, one in made.items() if exists(client, one)}) != rightly:
            assert time.monotonic() < end, f"{left} are left"
            time.sleep(0.05)
    finally:
        for identity in made.values():
            if exists(client, identity):
                client.api.remove_container(identity, force=True)


def test_clean_removes_containers_and_images_of_ours_only(
    client: docker.DockerClient, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = f"journeyman-test-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(orphans, "OURS", label)
    ours, foreign = labelled(client, image, {label: "1"}), labelled(client, image, {})
    made = client.containers.get(foreign).commit(
        label, "1", changes=[f"LABEL {NOT_OURS} {label}=1"]
    )
    try:
        gone = orphans.remove_all(client)

        assert not exists(client, ours)
        assert exists(client, foreign)
        assert f"image {label}:1" in gone
        assert len(gone) == 2
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get(str(made.id))
        assert orphans.remove_all(client) == ()
    finally:
        client.api.remove_container(foreign, force=True)


def test_an_image_that_is_not_there_is_said() -> None:
    with pytest.raises(SandboxMissing, match="no image"):
        DockerSandbox.open("journeyman/none:1", session_id="tests")


def test_an_image_without_python_is_said(client: docker.DockerClient, image: str) -> None:
    name = f"journeyman-test-{uuid.uuid4().hex[:8]}"
    bare = client.containers.create(image, ["true"], network_mode="none")
    try:
        bare.put_archive("/usr/bin", _tar("python3", b"no program"))
        bare.commit(name, "1", changes=[f"LABEL {NOT_OURS}"])
        with pytest.raises(SandboxMissing, match="No supervisor"):
            DockerSandbox.open(f"{name}:1", session_id=name)
        assert wait_until_gone(client, name)
    finally:
        bare.remove(force=True)
        client.images.remove(f"{name}:1", force=True)


def _tar(name: str, data: bytes) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, BytesIO(data))
    return buffer.getvalue()


def test_two_sandboxes_do_not_see_each_other(image: str) -> None:
    with (
        DockerSandbox.open(image, session_id="tests") as one,
        DockerSandbox.open(image, session_id="tests") as other,
    ):
        cell(one, "import socket\ns = socket.create_server(('127.0.0.1', 5555))")
        shell(one, "echo secret > /workspace/file; echo secret > /tmp/file")

        assert (
            "refused"
            in cell(other, "import socket\nsocket.create_connection(('127.0.0.1', 5555))").stderr
        )
        assert shell(other, "cat /workspace/file /tmp/file").stdout == ""
