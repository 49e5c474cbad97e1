"""The weaker sandbox, only where it is asked for: bubblewrap on the host's own /usr.

The supervisor and everything in it is the same as in a container. There is no second user, so the
supervisor is the first process of its namespace, which no signal from inside can end, and our files
are laid in read-only. Memory, processes and processor time are limited in all where this process
may make a control group, else by process only. What is missing is said in `description.weaknesses`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Self
from zipfile import ZipFile

from sandbox.channel import Channel, PipeStream, worker_files
from sandbox.conformance.weakness import Weakness
from sandbox.control_group import ControlGroup, GroupLimits, make_group
from sandbox.docker_sandbox import DEFAULT_LIMITS, ContainerLimits
from sandbox.enclosure import REMEDY, Bind, enclosed, interpreter_binds, supervisor
from sandbox.errors import SandboxLost, SandboxMissing
from sandbox.host_environment import NO_LAYER, HostLayer
from sandbox.protocol import Description
from sandbox.supervised import SupervisedSandbox
from sandbox.worker.processes import counts_by_namespace

_HOME = "/journeyman"
_START = f"""
import os, sys
left = int.from_bytes(os.read(0, 8), "big")
while left:
    part = os.read(0, min(left, 1 << 20))
    if not part: sys.exit("the host went away")
    left -= len(part)
sys.path.insert(0, "{_HOME}")
sys.dont_write_bytecode = True
from sandbox.worker import supervisor
supervisor.main()
"""
"""Given to `python -I -c`. The worker's files that every supervisor is sent are passed over: here they
lie in its own mount already, where no code of the workspace can change them."""

_OF_THE_USER = ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""Where the user's own systemd is found; they do not go inside."""


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
            limits: What it may take; memory for each process where there is no control group.

        Raises:
            SandboxMissing: No bwrap, no such layer, or the kernel refuses namespaces to ordinary
                users.
        """
        del session_id
        binds = interpreter_binds(supervisor())
        if image != NO_LAYER:
            binds = HostLayer.load(Path(image)).binds()
        group = make_group(GroupLimits(limits.memory, limits.processes, limits.cpus))
        try:
            process = _started(binds, limits, group)
        except BaseException:  # a signal too: nothing is left behind
            _end(None, group)
            raise
        weaknesses = tuple(weakness.value for weakness in _weaknesses(group))
        description = Description("bubblewrap", NO_LAYER, weaknesses)
        sandbox = cls(Channel(PipeStream(process)), description, lambda: _end(process, group))
        try:
            sandbox._begin(python, environment, split=False, processes=limits.processes)
        except SandboxLost as error:
            sandbox.close()
            raise SandboxMissing(
                f"No supervisor could be started under bubblewrap: {error}", remedy=REMEDY
            ) from error
        except BaseException:  # likewise
            sandbox.close()
            raise
        return sandbox


def _weaknesses(group: ControlGroup | None) -> Iterator[Weakness]:
    if group is None:
        yield Weakness.MEMORY
        if not counts_by_namespace():
            yield Weakness.PROCESSES
    if group is None or not group.processor:
        yield Weakness.PROCESSOR
    yield Weakness.FILES
    yield Weakness.STORE
    yield Weakness.PROGRAMS
    yield Weakness.SETUP_NETWORK


def _started(
    binds: list[Bind], limits: ContainerLimits, group: ControlGroup | None
) -> subprocess.Popen[bytes]:
    """The process behind a supervisor's stream."""
    laid = {f"{_HOME}/{name}": _in_memory(data) for name, data in _worker_files()}
    user = {name: os.environ[name] for name in _OF_THE_USER if name in os.environ}
    try:
        return subprocess.Popen(
            [*(group.prefix if group else ()), *_command(binds, limits, group, laid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **user},
            pass_fds=tuple(laid.values()),
            start_new_session=True,  # a Ctrl-C on our terminal is ours to handle
        )
    finally:
        for handle in laid.values():
            os.close(handle)


def _command(
    binds: list[Bind], limits: ContainerLimits, group: ControlGroup | None, laid: Mapping[str, int]
) -> list[str]:
    each = [f"--nofile={limits.open_files}", f"--fsize={limits.file}", "--core=0"]
    if group is None:
        each.append(f"--as={limits.memory}")  # else in all: address space is not memory
    else:
        binds = [*binds, *(Bind(path, target) for path, target in group.events.items())]
    files = [part for path, n in laid.items() for part in ("--file", str(n), path)]
    return enclosed(
        [supervisor(), "-I", "-c", _START],
        limits=each,
        binds=binds,
        options=(
            *("--clearenv", "--as-pid-1"),
            *("--size", str(64 << 20), "--tmpfs", "/dev/shm"),  # noqa: S108 - the sandbox's own
            *("--size", str(16 << 20), "--tmpfs", _HOME, *files, "--remount-ro", _HOME),
            *("--size", str(limits.temporary), "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
            *("--size", str(limits.temporary), "--tmpfs", "/home/agent"),
            *("--size", str(limits.workspace), "--tmpfs", "/workspace"),
            *("--size", str(limits.workspace), "--tmpfs", "/store"),
            *("--symlink", "/opt/node_modules", "/node_modules", "--chdir", "/"),
        ),
    )


def _worker_files() -> Iterator[tuple[str, bytes]]:
    with ZipFile(BytesIO(worker_files())) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def _in_memory(data: bytes) -> int:
    """A descriptor to read these bytes from."""
    handle = os.memfd_create("journeyman")
    os.write(handle, data)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _end(process: subprocess.Popen[bytes] | None, group: ControlGroup | None) -> None:
    """End what the end of the stream did not.

    Where bubblewrap is started by root, its first process has no right to take the second along.
    """
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if group is not None:
        group.remove()
