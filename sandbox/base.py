"""The base of a session: what the user's tree was, as data to check against later."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sandbox.errors import SandboxError

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or link of the base.

    Attributes:
        mode: As git says it: 100644, 100755, 120000 (a link).
        digest: SHA-256 of the bytes, or of a link's target.
        size: In bytes.
    """

    mode: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Base:
    """The user's tree as it was when it was captured, without what lies in `.git`.

    Attributes:
        digest: SHA-256 over the entries: two equal trees have the same.
        entries: Path (with `/`) to what was there.
        left_out: What was not taken along and why, one line each.
    """

    digest: str
    entries: Mapping[str, Entry]
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Mapping[str, Entry], left_out: tuple[str, ...]) -> Self:
        """The base with these entries."""
        lines = [f"{path}\0{e.mode}\0{e.digest}\n" for path, e in sorted(entries.items())]
        text = "".join(lines).encode("utf-8", "surrogateescape")
        return cls(hashlib.sha256(text).hexdigest(), entries, left_out)

    def save(self, path: Path) -> None:
        """Write it as JSON that only the user can read."""
        entries = {name: [e.mode, e.digest, e.size] for name, e in self.entries.items()}
        data = {"version": _VERSION, "entries": entries, "left_out": self.left_out}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(data, file)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            SandboxError: It is missing, broken, or of another version.
        """
        try:
            data = json.loads(path.read_text())
            _check_version(data["version"])
            entries = {name: Entry(*fields) for name, fields in data["entries"].items()}
            return cls.of(entries, tuple(data["left_out"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SandboxError(
                f"The base of the session at {path} could not be read: {error}",
                remedy="Start a new session on the repository.",
            ) from error


def _check_version(version: object) -> None:
    if version != _VERSION:
        raise ValueError(f"version {version}, not {_VERSION}")


def entry_of(mode: str, data: bytes) -> Entry:
    """Entry of a file with these bytes, or a link with this target."""
    return Entry(mode, hashlib.sha256(data).hexdigest(), len(data))


def git_mode(mode: int) -> str:
    """What git keeps of a file's mode."""
    return "100755" if mode & stat.S_IXUSR else "100644"


def entry_at(parent: int, name: str) -> Entry | None:
    """What lies at `name` in the folder open as `parent`; None where nothing does.

    Raises:
        OSError: It cannot be read.
        ValueError: It is neither a file nor a link.
    """
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return entry_of("120000", os.fsencode(os.readlink(name, dir_fd=parent)))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is neither a file nor a link")
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
    with os.fdopen(handle, "rb") as file:
        return entry_of(git_mode(status.st_mode), file.read())
