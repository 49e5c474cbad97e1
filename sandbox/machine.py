"""What only root can do for a machine: install Debian packages, and start a Docker daemon.

A daemon that answers is used as it is, never a second beside it. One that the user named
(DOCKER_HOST) is the user's own to start, and so is any on a machine that is not root's own Debian.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from sandbox.engine import connect
from sandbox.errors import SandboxMissing
from sandbox.home import locked

Say: TypeAlias = Callable[[str], None]

_PID_FILES = {
    Path("/var/run/docker.pid"): "dockerd",
    Path("/var/run/docker/containerd/containerd.pid"): "containerd",
}
_START_S = 60.0
"""For a daemon with many containers to look after."""
_LAST_LINES = 8


def is_own_debian() -> bool:
    """Whether packages may be installed here: root, on Debian or a child of it."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def docker_problem() -> SandboxMissing | None:
    """Why no Docker daemon can be used, None where one answers."""
    try:
        connect().close()
    except SandboxMissing as problem:
        return problem
    return None


def ensure_docker(home: Path, *, say: Say) -> None:
    """See to it that a Docker daemon answers.

    Args:
        home: The state folder; the log of a daemon started here goes there.
        say: Told what is done, before it is done.

    Raises:
        SandboxMissing: None answers and none may or can be started.
    """
    with locked("docker"):
        problem = docker_problem()
        if problem is None:
            return
        if os.environ.get("DOCKER_HOST") or not is_own_debian():
            raise problem
        if not shutil.which("dockerd"):
            install_packages(["docker.io"], say=say)
        if docker_problem() is None:  # its package may have started it
            return
        start_daemon(
            ["dockerd"],
            answers=lambda: docker_problem() is None,
            log=home / "dockerd.log",
            pid_files=_PID_FILES,
            say=say,
        )


def install_packages(names: Sequence[str], *, say: Say) -> None:
    """Install Debian packages by apt-get.

    Raises:
        SandboxMissing: apt-get could not; holds its last lines.
    """
    say(f"installing {', '.join(names)} by apt-get")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-q", "-y", "--no-install-recommends", *names],
    ):
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise SandboxMissing(
                f"{' '.join(command)} ended with {done.returncode}:\n{_tail(done.stdout)}",
                remedy=f"install {' '.join(names)} by hand, then journeyman setup again",
            )


def start_daemon(
    command: Sequence[str],
    *,
    answers: Callable[[], bool],
    log: Path,
    pid_files: Mapping[Path, str],
    say: Say,
) -> None:
    """Start a Docker daemon in the background and wait until it answers.

    Pid files that a killed daemon left stop a new one, or let it wait in vain for a containerd
    that is gone: they are cleared before the start, and before the second try after a failure.

    Args:
        command: The daemon and its options.
        answers: Whether it answers.
        log: Where its output goes.
        pid_files: Each of its pid files, and the name of the process it stands for.
        say: Told what is done, before it is done.

    Raises:
        SandboxMissing: It ended, or did not answer within a minute; holds its log's last lines.
    """
    for _ in range(2):
        for pid_file, name in pid_files.items():
            if is_stale(pid_file, name):
                say(f"clearing {pid_file}, left by a {name} that was killed")
                pid_file.unlink()
        say(f"starting {command[0]} in the background (log: {log})")
        if _started(command, answers=answers, log=log):
            return
    raise SandboxMissing(
        f"{command[0]} does not come up; its log ends with:\n{_tail(log.read_text(errors='replace'))}",
        remedy=f"read {log}; start Docker yourself, then journeyman setup again",
    )


def is_stale(pid_file: Path, name: str) -> bool:
    """Whether a pid file's process is gone: no such process, a zombie, or another's number."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return False
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:
        return True
    fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    return fields["Name"] != name or fields["State"].startswith("Z")


def _started(command: Sequence[str], *, answers: Callable[[], bool], log: Path) -> bool:
    with log.open("ab") as file:
        log.chmod(0o600)
        daemon = subprocess.Popen(
            command,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if daemon.poll() is not None:
            return answers()  # one that was just coming up may be why this one ended
        if answers():
            return True
        time.sleep(0.2)
    daemon.terminate()
    daemon.wait()
    return False


def _tail(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-_LAST_LINES:])
