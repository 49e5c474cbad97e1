"""Starting a Docker daemon: a real second one, with folders and a socket of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from sandbox.errors import SandboxMissing
from sandbox.machine import ensure_docker, is_stale, start_daemon

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("dockerd"), reason="only root can start a daemon"
)


class Daemon:
    """A daemon that shares nothing with the machine's own."""

    def __init__(self, folder: Path) -> None:
        self.pid_file = folder / "docker.pid"
        self.containerd = folder / "exec" / "containerd" / "containerd.pid"
        self.log = folder / "dockerd.log"
        self.socket = f"unix://{folder}/docker.sock"
        self.said: list[str] = []
        self.command = [
            # A network of its own: a daemon without a bridge removes the one that it finds.
            "unshare",
            "--net",
            "dockerd",
            f"--host={self.socket}",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={self.pid_file}",
            "--bridge=none",
            "--iptables=false",
            "--storage-driver=vfs",
        ]

    def answers(self) -> bool:
        try:
            client = docker.DockerClient(base_url=self.socket, timeout=5)
            return bool(client.ping())
        except (docker.errors.DockerException, OSError):
            return False

    def start(self) -> None:
        start_daemon(
            self.command,
            answers=self.answers,
            log=self.log,
            pid_files={self.pid_file: "dockerd", self.containerd: "containerd"},
            say=self.said.append,
        )

    def pid(self) -> int:
        return int(self.pid_file.read_text())


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    # a socket's path must be short, and a daemon's folders hold mounts: no tmp_path
    folder = Path(tempfile.mkdtemp(prefix="jm-"))
    own = Daemon(folder)
    yield own
    if own.pid_file.exists():
        pid = own.pid()
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    # the killed one could not undo its mount
    while subprocess.run(["umount", str(folder / "data")], capture_output=True).returncode == 0:
        continue
    shutil.rmtree(folder)


def test_a_daemon_is_started_and_started_again_after_kill_9_left_its_pid_file(
    daemon: Daemon,
) -> None:
    daemon.start()
    assert daemon.answers()
    assert len(daemon.said) == 1

    killed = daemon.pid()
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    with subprocess.Popen(["sleep", "60"]) as another:
        daemon.pid_file.write_text(str(another.pid))  # the number is another process's by now
        daemon.start()
        another.kill()

    assert daemon.answers()
    assert daemon.pid() != killed
    assert any("clearing" in line for line in daemon.said)


def test_a_daemon_that_cannot_start_is_said_with_the_end_of_its_log(daemon: Daemon) -> None:
    daemon.command.append("--no-such-option")
    with pytest.raises(SandboxMissing, match="no-such-option") as caught:
        daemon.start()
    assert str(daemon.log) in caught.value.remedy


def test_a_daemon_that_answers_is_used_and_nothing_is_started(tmp_path: Path) -> None:
    said: list[str] = []
    ensure_docker(tmp_path, say=said.append)
    assert said == []
    assert not (tmp_path / "dockerd.log").exists()


def test_a_daemon_the_user_named_is_the_users_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with pytest.raises(SandboxMissing, match="nobody"):
        ensure_docker(tmp_path, say=lambda _text: None)


def test_a_pid_file_is_stale_when_its_process_is_gone_a_zombie_or_another(tmp_path: Path) -> None:
    pid_file = tmp_path / "x.pid"
    assert not is_stale(pid_file, "sleep"), "no file is no stale file"
    with subprocess.Popen(["sleep", "60"]) as process:
        pid_file.write_text(f"{process.pid}\n")
        wait_for_name(process.pid, "sleep")
        assert not is_stale(pid_file, "sleep")
        assert is_stale(pid_file, "dockerd")
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has looked
        assert is_stale(pid_file, "sleep")
    assert is_stale(pid_file, "sleep")


def wait_for_name(pid: int, name: str) -> None:
    """Until the child has become its program."""
    while Path(f"/proc/{pid}/comm").read_text().strip() != name:
        continue
