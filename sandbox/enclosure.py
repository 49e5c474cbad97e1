"""Command lines of bubblewrap: namespaces around one program, on the host's own /usr.

What is bound may lie where only its owner can go (a state folder, root's home). Root steps down to
an ordinary user, who cannot go there, so an outer bubblewrap binds it below /mnt first: in a mount
namespace of its own, the host sees nothing of it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxMissing
from sandbox.supervised import UID

REMEDY = (
    "Use Docker, or allow user namespaces to ordinary users "
    "(sysctl kernel.unprivileged_userns_clone=1); as root of a container, be another user."
)
"""What helps where the kernel refuses what bubblewrap asks for."""

_SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/mime.types", "/etc/localtime")
_NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs")
_OUTER = "/mnt"


@dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of the host, and where it is seen inside."""

    source: Path
    target: str
    writable: bool = False


def enclosed(
    program: Sequence[str],
    *,
    limits: Sequence[str],
    binds: Sequence[Bind],
    options: Sequence[str],
    network: bool = False,
) -> list[str]:
    """The command line that runs `program` inside.

    Args:
        program: What to run, by its path inside.
        limits: Options of `prlimit`, for every process inside.
        binds: What is seen beside /usr; parents before what lies in them.
        options: Options of bubblewrap after the binds.
        network: The host's network, and what finds its names, is there.

    Raises:
        SandboxMissing: A program that this takes is not installed.
    """
    tools = {name: _tool(name) for name in ("bwrap", "prlimit", "setpriv")}
    outer: list[str] = []
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        outer = [
            *(tools["bwrap"], "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", _OUTER),
            *_bound(
                Bind(bind.source, f"{_OUTER}/{n}", bind.writable) for n, bind in enumerate(binds)
            ),
            *(tools["setpriv"], "--reuid", str(nobody.pw_uid), "--regid", str(nobody.pw_gid)),
            *("--clear-groups", "--"),
        ]
        binds = [
            Bind(Path(_OUTER) / str(n), bind.target, bind.writable) for n, bind in enumerate(binds)
        ]
    return [
        *(tools["prlimit"], *limits, "--", *outer, tools["bwrap"], "--unshare-all"),
        *(("--share-net",) if network else ()),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--uid", str(UID), "--gid", str(UID), "--hostname", "sandbox"),
        *("--ro-bind", "/usr", "/usr", *_system(network=network)),
        *("--proc", "/proc", "--dev", "/dev"),
        *_bound(binds),
        *options,
        *("--remount-ro", "/", "--", *program),
    ]


def supervisor() -> str:
    """The interpreter for what is ours inside: the system's own, else the one that runs us."""
    system = Path("/usr/bin/python3")
    return str(system if system.exists() else Path(sys.executable).resolve())


def interpreter_binds(*pythons: str) -> list[Bind]:
    """The folders of interpreters that do not lie in /usr."""
    folders = {Path(python).resolve().parent.parent for python in pythons}
    return [
        Bind(folder, str(folder)) for folder in sorted(folders) if not folder.is_relative_to("/usr")
    ]


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    raise SandboxMissing(
        f"The bubblewrap sandbox needs {name}, not found on PATH",
        remedy="Install it (apt-get install bubblewrap util-linux), or use Docker.",
    )


def _bound(binds: Iterable[Bind]) -> Iterator[str]:
    for bind in binds:
        yield from ("--bind" if bind.writable else "--ro-bind", str(bind.source), bind.target)


def _system(*, network: bool) -> Iterator[str]:
    """The rest of a system whose files lie in /usr."""
    for name in _SYSTEM_LINKS:
        path = Path(name)
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), name)
        elif path.exists():
            yield from ("--ro-bind", name, name)
    for name in (*_SYSTEM_FILES, *(_NETWORK_FILES if network else ())):
        if Path(name).exists():
            yield from ("--ro-bind", name, name)
