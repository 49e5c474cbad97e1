"""The work after each step, kept as data on the host, so that it outlives sandbox and process.

    FOLDER/trees/KEY.json   what differs from the base: changed, gone, left_out
    FOLDER/blobs/SHA256     contents, once each

Only bytes and names: nothing of it is run or unpacked on the host, it goes back into a sandbox.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.protocol import Changes, Sandbox
from sandbox.worker.keeping import LIST

LARGEST = 200 << 20
"""Bytes that one state of the work may have; the largest files beyond are left out, and named."""
KEPT = 3
"""States that are kept: the last one, and those that a process that was cut off may go back to."""


class KeptWork:
    """The states of one session's work.

    Args:
        folder: The session's; made with mode 0700.
    """

    def __init__(self, folder: Path) -> None:
        self._trees, self._blobs = folder / "trees", folder / "blobs"
        self._last = ""

    def keep(self, sandbox: Sandbox, base: str) -> str:
        """Keep the workspace as it is; returns the key to find it by, empty where it is the base.

        Args:
            sandbox: Its workspace is read.
            base: Tree of the base in this sandbox.

        Raises:
            SandboxError: It cannot be read, or the disk takes no more.
        """
        changes = sandbox.changes(base)
        if not changes.changed and not changes.gone:
            return ""
        changed, left_out = _within_limit(changes)
        listed = {"changed": changed, "gone": sorted(changes.gone), "left_out": left_out}
        data = json.dumps(listed, sort_keys=True).encode("ascii")
        key = hashlib.sha256(data).hexdigest()
        if key == self._last:
            return key
        try:
            self._keep_blobs(sandbox, changed)
            _write(self._trees / f"{key}.json", data)
            self._forget_old()
        except OSError as error:
            raise SandboxError(
                f"The work could not be kept in {self._trees.parent}: {error.strerror}",
                remedy="Make room on that disk, then go on with `journeyman resume`.",
            ) from error
        self._last = key
        return key

    def lay(self, key: str, sandbox: Sandbox) -> tuple[str, ...]:
        """Bring a workspace that holds the base to a kept state; returns paths that are lost.

        Raises:
            SandboxError: The state is not there, or was changed.
        """
        if not key:
            return ()
        try:
            state = self._trees / f"{key}.json"
            listed = _parse(state.read_bytes(), key)
            os.utime(state)  # the newest again: another crash comes back to it
            archive = self._trees.parent / "work.tar"
            lost = self._pack(listed, archive)
            sandbox.adopt(archive)
            archive.unlink()
        except (OSError, ValueError) as error:
            raise SandboxError(
                f"The work of the session at {self._trees.parent} cannot be read: {error}",
                remedy="Its patch so far is in the log; begin a new session.",
            ) from error
        self._last = key
        return tuple(lost)

    def _keep_blobs(self, sandbox: Sandbox, changed: dict[str, list[Any]]) -> None:
        self._trees.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted = {
            path: digest
            for path, (_, digest, _) in changed.items()
            if digest and not (self._blobs / digest).exists()
        }
        for digest, data in sandbox.contents(wanted):
            _write(self._blobs / digest, data)

    def _pack(self, listed: dict[str, Any], archive: Path) -> list[str]:
        """Write the archive that `adopt` takes; gives the paths whose content is not there."""
        lost = list(listed["left_out"])
        there = {}
        for path, entry in listed["changed"].items():
            if not entry[1] or (self._blobs / entry[1]).exists():
                there[path] = entry
            else:
                lost.append(path)
        text = json.dumps({"changed": there, "gone": listed["gone"]}).encode("ascii")
        with tarfile.open(archive, "w") as tar:
            _add(tar, LIST, text)
            for digest in sorted({entry[1] for entry in there.values() if entry[1]}):
                _add(tar, digest, (self._blobs / digest).read_bytes())
        return lost

    def _forget_old(self) -> None:
        """Remove the states that no process can go back to, and contents that none of the rest has."""
        trees = sorted(self._trees.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for path in trees[:-KEPT]:
            path.unlink()
        if len(trees) <= KEPT:
            return
        used = {
            entry[1]
            for path in trees[-KEPT:]
            for entry in json.loads(path.read_bytes())["changed"].values()
        }
        for path in self._blobs.iterdir():
            if path.name not in used:
                path.unlink()


def _parse(data: bytes, key: str) -> dict[str, Any]:
    if hashlib.sha256(data).hexdigest() != key:
        raise ValueError("it was changed")
    listed: dict[str, Any] = json.loads(data)
    return listed


def _within_limit(changes: Changes) -> tuple[dict[str, list[Any]], list[str]]:
    """The changes of a state, smallest files first until the limit, and the paths left out."""
    kept: dict[str, list[Any]] = {}
    left_out: list[str] = []
    room = LARGEST
    for path, entry in sorted(changes.changed.items(), key=lambda item: (item[1][2], item[0])):
        if entry[2] > room:
            left_out.append(path)
            continue
        room -= entry[2]
        kept[path] = list(entry)
    return kept, left_out


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def _write(path: Path, data: bytes) -> None:
    """A file of mode 0600 that is there whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
