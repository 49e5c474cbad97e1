"""The weaker sandbox, only where it is asked for: bubblewrap on the host's own /usr.

The supervisor and everything in it is the same as in a container; what is missing is said in
`description.weaknesses`: there is no second user, no image, and no limit on memory in all.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from sandbox.channel import BOOTSTRAP, Channel, PipeStream
from sandbox.docker_sandbox import DEFAULT_LIMITS, ContainerLimits
from sandbox.errors import SandboxError, SandboxLost, SandboxMissing
from sandbox.protocol import Description
from sandbox.supervised import UID, SupervisedSandbox

WEAKNESSES = (
    "Memory is limited for each process, not in all.",
    "Code that kills every process ends the sandbox, since all in it is one user.",
    "It sees the host's /usr, with the programs and Python packages installed there.",
    "Its snapshots can be changed by the code it runs.",
)
_SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/mime.types", "/etc/localtime")


class BubblewrapSandbox(SupervisedSandbox):
    """Namespaces of one's own around a supervisor."""

    @classmethod
    def open(
        cls,
        image: str = "host",
        *,
        session_id: str,
        python: str = "python3",
        environment: Mapping[str, str] = {},
        limits: ContainerLimits = DEFAULT_LIMITS,
    ) -> Self:
        """Start one; its workspace is empty.

        Args:
            image: Not used: what is installed on the host is what there is.
            session_id: Not used: it ends with this process.
            python: Interpreter for cells, tests and repair; where it is an absolute path outside
                of /usr, its environment's folder can be read inside.
            environment: Variables for everything that runs inside.
            limits: What it may take; memory for each process.

        Raises:
            SandboxMissing: No bwrap, or the kernel refuses namespaces to ordinary users.
        """
        del image, session_id
        command = _command(python, limits)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
            **_ordinary_user(),
        )
        description = Description(kind="bubblewrap", image="host", weaknesses=WEAKNESSES)
        sandbox = cls(Channel(PipeStream(process)), description, lambda: None)
        try:
            sandbox._begin(python, environment, split=False, processes=limits.processes)
        except SandboxLost as error:
            sandbox.close()
            raise SandboxMissing(
                f"No supervisor could be started under bubblewrap: {error}",
                remedy="Use Docker, or allow user namespaces to ordinary users "
                "(sysctl kernel.unprivileged_userns_clone=1).",
            ) from error
        except SandboxError:
            sandbox.close()
            raise
        return sandbox


def _command(python: str, limits: ContainerLimits) -> list[str]:
    found = {name: shutil.which(name) for name in ("bwrap", "prlimit", "python3")}
    missing = [name for name, path in found.items() if not path]
    if missing:
        raise SandboxMissing(
            f"The bubblewrap sandbox needs {', '.join(missing)}, not found on PATH",
            remedy="Install it (apt-get install bubblewrap), or use Docker.",
        )
    supervisor = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else str(found["python3"])
    return [
        str(found["prlimit"]),
        *(f"--nofile={limits.open_files}", f"--fsize={limits.file}", "--core=0"),
        f"--as={limits.memory}",
        "--",
        str(found["bwrap"]),
        *("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--uid", str(UID), "--gid", str(UID), "--hostname", "sandbox", "--clearenv"),
        *("--ro-bind", "/usr", "/usr"),
        *_system(),
        *_interpreter_folders(python, supervisor),
        *("--proc", "/proc", "--dev", "/dev"),
        *("--size", str(64 << 20), "--tmpfs", "/dev/shm"),  # noqa: S108 - the sandbox's own
        *("--size", str(16 << 20), "--tmpfs", "/journeyman"),
        *("--size", str(limits.temporary), "--tmpfs", "/tmp"),  # noqa: S108 - the sandbox's own
        *("--size", str(limits.temporary), "--tmpfs", "/home/agent"),
        *("--size", str(limits.workspace), "--tmpfs", "/workspace"),
        *("--size", str(limits.workspace), "--tmpfs", "/store"),
        *("--chdir", "/", "--remount-ro", "/"),
        *(supervisor, "-I", "-c", BOOTSTRAP, "/journeyman"),
    ]


def _system() -> Iterator[str]:
    """The rest of a system whose files lie in /usr."""
    for name in _SYSTEM_LINKS:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.exists():
            yield from ("--ro-bind", name, name)
    for name in _SYSTEM_FILES:
        if Path(name).exists():
            yield from ("--ro-bind", name, name)


def _interpreter_folders(*pythons: str) -> Iterator[str]:
    """Read-only: an interpreter's environment, and that of the interpreter it was made from."""
    folders = set()
    for python in pythons:
        path = Path(python)
        if path.is_absolute() and path.exists():
            folders |= {path.parent.parent, path.resolve().parent.parent}
    for folder in sorted(folders):
        if folder != Path("/") and not folder.is_relative_to("/usr"):
            yield from ("--ro-bind", str(folder), str(folder))


def _ordinary_user() -> dict[str, Any]:
    """Root steps down first: inside, its files would be the sandbox's own."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
