"""`journeyman setup`: what only root or Docker can do, once a machine."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sandbox.errors import SandboxMissing

PROGRAMS = {"git": "git", "bubblewrap": "bwrap"}
"""Debian packages beside Docker, with the program that each brings."""
WITHOUT = {"git": "--apply will not work", "bubblewrap": "--sandbox bubblewrap will not work"}


@click.command()
def setup() -> int:
    """Make this machine ready.

    Docker, the sandbox image, Redis and Qdrant: says first what it will do. What is there already
    is used as it is.
    """
    from rich.text import Text

    from agent.doors.cli.screen import Screen
    from agent.settings import state_folder
    from memory.redis_server import connect as connect_redis
    from memory.solutions import open_solutions
    from sandbox.image import base_image
    from sandbox.machine import docker_problem, ensure_docker, install_packages, is_own_debian

    home, screen = state_folder(), Screen()
    for line in _intentions(home, docker_problem(), may_install=is_own_debian()):
        screen.tell(Text(line))
    missing = [package for package, program in PROGRAMS.items() if not shutil.which(program)]
    if missing and is_own_debian():
        install_packages(missing, say=screen.say)
    ensure_docker(home, say=screen.say)
    screen.tell(Text("Docker answers"))
    with screen.waiting_for("building the sandbox image"):
        image = base_image(screen.say)
    screen.tell(Text(f"sandbox image: {image}"))
    connect_redis(home).ping()
    screen.tell(Text("Redis answers"))
    open_solutions(home).recall("setup", limit=1)
    screen.tell(Text("Qdrant answers"))
    screen.tell(Text("ready: journeyman init looks at a repository, journeyman demo repairs one"))
    return 0


def _intentions(home: Path, problem: SandboxMissing | None, *, may_install: bool) -> list[str]:
    """What setup is about to do on this machine."""
    if problem is None:
        docker = "answers already, is used as it is"
    elif may_install:
        docker = f"does not answer: docker.io is installed if missing, dockerd started ({home}/dockerd.log)"
    else:
        docker = "does not answer, and this is not root's own Debian: nothing will be started"
    lines = [
        "what setup does here:",
        f"  Docker   {docker}",
        "  image    is built where it is missing (some minutes, once), label journeyman=1",
        f"  Redis    a server of your own on a Unix socket below {home}, unless JOURNEYMAN_REDIS_URL",
        f"  Qdrant   the engine inside this program, files below {home}, unless JOURNEYMAN_QDRANT_URL",
    ]
    for package, program in PROGRAMS.items():
        if not shutil.which(program):
            by = "is installed by apt-get" if may_install else f"is missing: {WITHOUT[package]}"
            lines.append(f"  {package:<8} {by}")
    return lines
