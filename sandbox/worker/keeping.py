"""The work as data: what differs from a tree goes out piece by piece, and comes back into another sandbox.

A snapshot lives and dies with its sandbox. So that work outlives it, the host keeps what differs from
the first tree: files (ignored ones too), and what changed in the workspace's own `.git` folder, which
is no part of a snapshot: commits, stashes and branches are work as well.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import sys
import tarfile
from typing import IO, Any, Dict, Iterator, List

from sandbox.worker.store import GIT, Store, Tree, stamp
from sandbox.worker.verbs import Context, VerbFailed

PIECE = 6 << 20
"""Bytes of contents in one answer."""
LIST = "changes.json"
"""First member of the archive that `adopt` takes: `changed` and `gone`, as `changes` gives them."""


def changes(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """What differs from tree `base`.

    Returns:
        In `data`: `tree`, `changed` (path -> [st_mode, SHA-256, bytes]) and `gone` (paths).
    """
    store = Store(context.store, context.workspace)
    identity, unreadable = store.keep()
    base, now = store.tree(arguments["base"]), store.tree(identity)
    changed = {
        path: [*entry, _size(context, path)]
        for path, entry in now.items()
        if base.get(path) != entry
    }
    gone = [path for path in base if path not in now]
    before, files = store.first_git(), dict(store.git_files())
    for path, status in files.items():
        if before.get(path) != stamp(status):
            try:
                changed[path] = [status.st_mode, _name(context, path, status), status.st_size]
            except OSError:
                unreadable.append(path)
    gone += [path for path in before if path not in files]
    notes = [f"{path} could not be read and is not kept." for path in unreadable[:10]]
    data = {"tree": identity, "changed": changed, "gone": gone}
    return {"exit_code": 0, "data": data, "notes": notes}


def contents(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Bytes of `wanted`: a list of [path, SHA-256, offset].

    Returns:
        In `data`: `pieces`, a list of [SHA-256, offset, bytes in base64, whether it is the last], as
        many as fit. What is no more as it was named comes as an empty last piece.
    """
    store = Store(context.store, context.workspace)
    pieces: List[List[Any]] = []
    room = PIECE
    for path, name, offset in arguments["wanted"]:
        data = _bytes(store, context, path, name)
        part = data[offset : offset + room]
        last = offset + len(part) >= len(data)
        pieces.append([name, offset, base64.b64encode(part).decode("ascii"), last])
        room -= len(part)
        if room <= 0:
            break
    return {"exit_code": 0, "data": {"pieces": pieces}}


def adopt(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Turn the first tree into what the archive on standard input says; data: `tree`."""
    del arguments
    store = Store(context.store, context.workspace)
    with os.fdopen(os.dup(0), "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        listed = _take(store, archive)
    now = store.tree(store.keep()[0])
    gone = set(listed["gone"])
    wanted: Tree = {path: entry for path, entry in now.items() if path not in gone}
    git: Tree = {}
    for path, entry in listed["changed"].items():
        (git if _in_git(path) else wanted)[path] = entry[:2]
    store.lay(now, wanted)
    there = {path: [status.st_mode, ""] for path, status in store.git_files()}
    left = {path: there[path] for path in there if path not in git and path not in gone}
    store.lay(there, {**left, **git})
    for name in ("refs", "objects") if there or git else ():  # no repository without them
        os.makedirs(os.path.join(context.workspace, GIT, name), exist_ok=True)
    return {"exit_code": 0, "data": {"tree": store.keep()[0]}}


def _take(store: Store, archive: tarfile.TarFile) -> "Dict[str, Any]":
    listed: Dict[str, Any] = {}
    for member, data in _members(archive):
        if member.name == LIST:
            listed = json.loads(data.decode("ascii"))
        else:
            store.take(member.name, data)
    if not listed:
        raise VerbFailed("The archive does not say what it holds.")
    return listed


def _members(archive: tarfile.TarFile) -> "Iterator[Any]":
    for member in archive:
        file: "IO[bytes] | None" = archive.extractfile(member)
        if file is not None:
            yield member, file.read()


def _bytes(store: Store, context: Context, path: str, name: str) -> bytes:
    if not _in_git(path):
        return store.blob(name)
    full = os.path.join(context.workspace, path)
    try:
        data = _read(full, os.lstat(full))
    except OSError:
        return b""
    return data if hashlib.sha256(data).hexdigest() == name else b""


def _name(context: Context, path: str, status: os.stat_result) -> str:
    return hashlib.sha256(_read(os.path.join(context.workspace, path), status)).hexdigest()


def _read(full: str, status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return os.fsencode(os.readlink(full))
    with os.fdopen(os.open(full, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return file.read()


def _size(context: Context, path: str) -> int:
    try:
        return os.lstat(os.path.join(context.workspace, path)).st_size
    except OSError:
        return sys.maxsize  # gone since: too large for any limit


def _in_git(path: str) -> bool:
    return path.split(os.sep, maxsplit=1)[0] == GIT
