"""The weaker sandbox, only where it is asked for: bubblewrap on the host's own /usr.

The supervisor and everything in it is the same as in a container; what is missing is said in
`description.weaknesses`: there is no second user, no image, and no limit on memory in all.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from sandbox.channel import BOOTSTRAP, Channel, PipeStream
from sandbox.docker_sandbox import DEFAULT_LIMITS, ContainerLimits
from sandbox.enclosure import REMEDY, Bind, enclosed, interpreter_binds, supervisor
from sandbox.errors import SandboxError, SandboxLost, SandboxMissing
from sandbox.host_environment import NO_LAYER, HostLayer
from sandbox.protocol import Description
from sandbox.supervised import SupervisedSandbox

WEAKNESSES = (
    "Memory is limited for each process, not in all.",
    "Code that kills every process ends the sandbox, since all in it is one user.",
    "It sees the host's /usr, with the programs and Python packages installed there.",
    "Its snapshots can be changed by the code it runs.",
    "The setup of its environment had the host's own network, with all that listens there.",
)


class BubblewrapSandbox(SupervisedSandbox):
    """Namespaces of one's own around a supervisor."""

    @classmethod
    def open(
        cls,
        image: str = NO_LAYER,
        *,
        session_id: str,
        python: str = "python3",
        environment: Mapping[str, str] = {},
        limits: ContainerLimits = DEFAULT_LIMITS,
    ) -> Self:
        """Start one; its workspace is empty.

        Args:
            image: Folder of a layer made by `host_environment`; `host`: what the host has is all.
            session_id: Not used: it ends with this process.
            python: Interpreter for cells, tests and repair.
            environment: Variables for everything that runs inside.
            limits: What it may take; memory for each process.

        Raises:
            SandboxMissing: No bwrap, no such layer, or the kernel refuses namespaces to ordinary
                users.
        """
        del session_id
        binds = interpreter_binds(supervisor())
        if image != NO_LAYER:
            binds = HostLayer.load(Path(image)).binds()
        process = subprocess.Popen(
            _command(binds, limits),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        )
        description = Description(kind="bubblewrap", image=NO_LAYER, weaknesses=WEAKNESSES)
        sandbox = cls(Channel(PipeStream(process)), description, lambda: None)
        try:
            sandbox._begin(python, environment, split=False, processes=limits.processes)
        except SandboxLost as error:
            sandbox.close()
            raise SandboxMissing(
                f"No supervisor could be started under bubblewrap: {error}", remedy=REMEDY
            ) from error
        except SandboxError:
            sandbox.close()
            raise
        return sandbox


def _command(binds: list[Bind], limits: ContainerLimits) -> list[str]:
    return enclosed(
        [supervisor(), "-I", "-c", BOOTSTRAP, "/journeyman"],
        limits=(
            *(f"--nofile={limits.open_files}", f"--fsize={limits.file}", "--core=0"),
            f"--as={limits.memory}",
        ),
        binds=binds,
        options=(
            "--clearenv",
            *("--size", str(64 << 20), "--tmpfs", "/dev/shm"),  # noqa: S108 - the sandbox's own
            *("--size", str(16 << 20), "--tmpfs", "/journeyman"),
            *("--size", str(limits.temporary), "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
            *("--size", str(limits.temporary), "--tmpfs", "/home/agent"),
            *("--size", str(limits.workspace), "--tmpfs", "/workspace"),
            *("--size", str(limits.workspace), "--tmpfs", "/store"),
            *("--symlink", "/opt/node_modules", "/node_modules", "--chdir", "/"),
        ),
    )
