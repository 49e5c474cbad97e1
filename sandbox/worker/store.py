"""Snapshots of the workspace, and the patch between two of them.

    STORE/blobs/SHA256      contents of files, once each, packed where that saves room
    STORE/trees/SHA256      what a tree is: path -> [type and mode, SHA-256 of the content]
    STORE/seen              the last walk, so that an unchanged file is not read again
    STORE/first             the id of the first tree: what was put into the workspace
    STORE/git               what the workspace's own `.git` folder was then: path -> its stamp

It is no git store, since a tree's own `.gitattributes`, nested repositories and ignore rules would
change what git keeps; here a file is its bytes. `.git` folders are not kept (their own tools undo
what they do). Names that only tools write (`__pycache__`, virtual environments and the like) are
kept where the first tree has them, else left alone.

The folder belongs to a group that user code is not in; these verbs run in it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import stat
import time
import zlib
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from sandbox.worker import patches
from sandbox.worker.verbs import Context, VerbFailed

Tree = Dict[str, List[Any]]
"""Path -> [st_mode, SHA-256 of the content, of a link's target, or "" for an empty folder]."""

GIT = ".git"
TOOLS_OWN = (
    *("__pycache__", "*.pyc", ".pytest_cache", ".hypothesis", ".mypy_cache", ".ruff_cache"),
    *(".coverage", "node_modules", ".venv", "venv", "*.egg-info"),
)


def snapshot(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Keep the files as they are; data: `tree` (its id)."""
    del arguments
    store = Store(context.store, context.workspace)
    identity, unreadable = store.keep()
    notes = [f"{path} could not be read and is not in the snapshot." for path in unreadable[:10]]
    return {"exit_code": 0, "data": {"tree": identity}, "notes": notes}


def restore(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Put the files back to tree `tree`."""
    store = Store(context.store, context.workspace)
    wanted = store.tree(arguments["tree"])
    now = store.tree(store.keep()[0])
    store.lay(now, wanted)
    store.keep()
    return {"exit_code": 0}


def diff(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """The workspace against tree `base`; data: `patch`."""
    store = Store(context.store, context.workspace)
    base = store.tree(arguments["base"])
    now = store.tree(store.keep()[0])
    changes = list(store.changes(base, now))
    added = [change.path for change in changes if change.old is None]
    ignored = patches.ignored(added, context)
    wanted = [change for change in changes if change.path not in ignored]
    return {"exit_code": 0, "data": {"patch": patches.patch_of(wanted, store.blob, context)}}


def apply(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Apply `patch` to the workspace: all of it or nothing."""
    patches.apply(arguments["patch"], context)
    return {"exit_code": 0}


class Store:
    """The folder of snapshots of one workspace."""

    def __init__(self, folder: str, workspace: str) -> None:
        self._folder = folder
        self._workspace = workspace
        for name in ("blobs", "trees"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)

    def keep(self) -> "Tuple[str, List[str]]":
        """Keep the workspace; its tree's id, and paths that could not be read."""
        seen = self._load("seen", {})
        known = self._known()
        tree: Tree = {}
        now: Dict[str, List[Any]] = {}
        unreadable: List[str] = []
        # A file changed just now could change again within the same tick of the clock: it is read
        # again next time whatever its times say.
        sure_before = time.time_ns() - _TICK_NS
        for path, status in self._walk(known, unreadable):
            key = stamp(status)
            before = seen.get(path)
            try:
                content = before[1] if before and before[0] == key else self._content(path, status)
            except OSError:
                unreadable.append(path)
                continue
            tree[path] = [status.st_mode, content]
            if status.st_ctime_ns < sure_before:
                now[path] = [key, content]
        text = json.dumps(tree, sort_keys=True, separators=(",", ":")).encode("ascii")
        identity = hashlib.sha256(text).hexdigest()
        self._write(os.path.join("trees", identity), text)
        self._write("seen", json.dumps(now).encode("ascii"))
        if not os.path.exists(self._path("first")):
            self._write("first", json.dumps(identity).encode("ascii"))
            git = {path: stamp(status) for path, status in self.git_files()}
            self._write("git", json.dumps(git).encode("ascii"))
        return identity, unreadable

    def git_files(self) -> "Iterator[Tuple[str, os.stat_result]]":
        """Files and links of the workspace's own `.git` folder."""
        waiting = [GIT]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(os.path.join(self._workspace, folder)) as entries:
                    found = list(entries)
            except OSError:
                continue  # there is none, or it is a file that points elsewhere
            for entry in found:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(os.path.join(folder, entry.name))
                elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                    yield os.path.join(folder, entry.name), status

    def first_git(self) -> "Dict[str, List[int]]":
        """Stamps of the `.git` folder's files when the first tree was kept."""
        first: Dict[str, List[int]] = self._load("git", {})
        return first

    def take(self, name: str, data: bytes) -> None:
        """Take in content that was kept elsewhere.

        Raises:
            VerbFailed: It is not what its name says.
        """
        if hashlib.sha256(data).hexdigest() != name:
            raise VerbFailed(f"The content {name[:12]} was changed on its way.")
        self._write(os.path.join("blobs", name), _pack(data))

    def tree(self, identity: str) -> Tree:
        """A tree by its id.

        Raises:
            VerbFailed: There is none.
        """
        tree = self._load(os.path.join("trees", os.path.basename(identity)), None)
        if tree is None:
            raise VerbFailed(f"There is no tree {identity} in this sandbox.")
        found: Tree = tree
        return found

    def lay(self, now: Tree, wanted: Tree) -> None:
        """Turn the workspace from `now` into `wanted`."""
        gone = [
            path for path in now if path not in wanted or _kind(now[path]) != _kind(wanted[path])
        ]
        for path in sorted(gone, reverse=True):
            self._remove(path, now[path])
        for path, entry in sorted(wanted.items()):
            if path in gone or now.get(path) != entry:
                self._place(path, entry)

    def changes(self, base: Tree, now: Tree) -> "Iterator[patches.Change]":
        """What differs between two trees, by path; folders are no difference to git."""
        for path in sorted(set(base) | set(now)):
            before, after = base.get(path), now.get(path)
            old, new = self._version(before), self._version(after)
            if old != new:
                yield patches.Change(path, old, new)

    def _version(self, entry: "List[Any] | None") -> "patches.Version | None":
        if entry is None or stat.S_ISDIR(entry[0]):
            return None
        mode = "120000" if stat.S_ISLNK(entry[0]) else "100755" if entry[0] & 0o100 else "100644"
        return patches.Version(mode, entry[1])

    def _walk(
        self, known: "Optional[Set[str]]", unreadable: "List[str]"
    ) -> "Iterator[Tuple[str, os.stat_result]]":
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(os.path.join(self._workspace, folder)) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                unreadable.append(folder)
                continue
            if not found and folder:
                yield folder, os.lstat(os.path.join(self._workspace, folder))
            for entry in found:
                path = os.path.join(folder, entry.name)
                if entry.name == GIT or _is_foreign(path, known):
                    continue
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
                    yield path, status

    def _known(self) -> "Optional[Set[str]]":
        """Paths of the first tree and their folders, kept whatever they are called; None: all."""
        first = self._load("first", None)
        if first is None:
            return None
        known: Set[str] = set()
        for path in self.tree(first):
            above = path
            while above and above not in known:
                known.add(above)
                above = os.path.dirname(above)
        return known

    def _content(self, path: str, status: os.stat_result) -> str:
        full = os.path.join(self._workspace, path)
        if stat.S_ISDIR(status.st_mode):
            return ""
        if stat.S_ISLNK(status.st_mode):
            data = os.fsencode(os.readlink(full))
        else:
            handle = os.open(full, os.O_RDONLY | os.O_NOFOLLOW)
            with os.fdopen(handle, "rb") as file:
                data = file.read()
        name = hashlib.sha256(data).hexdigest()
        if not os.path.exists(self._path(os.path.join("blobs", name))):
            self._write(os.path.join("blobs", name), _pack(data))
        return name

    def blob(self, name: str) -> bytes:
        """Content by its name."""
        with open(self._path(os.path.join("blobs", name)), "rb") as file:
            return _unpack(file.read())

    def _remove(self, path: str, entry: "List[Any]") -> None:
        full = os.path.join(self._workspace, path)
        try:
            if stat.S_ISDIR(entry[0]):
                os.rmdir(full)
            else:
                os.unlink(full)
            folder = os.path.dirname(full)
            while folder != self._workspace and not os.listdir(folder):
                os.rmdir(folder)
                folder = os.path.dirname(folder)
        except FileNotFoundError:
            return  # gone with its folder
        except OSError as error:
            raise VerbFailed(f"{path} could not be removed: {error.strerror}.") from error

    def _place(self, path: str, entry: "List[Any]") -> None:
        full = os.path.join(self._workspace, path)
        try:
            self._make_folders(os.path.dirname(path))
            if stat.S_ISDIR(entry[0]):
                os.makedirs(full, exist_ok=True)
                return
            temporary = f"{full}.restoring"
            if os.path.lexists(temporary):
                os.unlink(temporary)
            data = self.blob(entry[1])
            if stat.S_ISLNK(entry[0]):
                os.symlink(os.fsdecode(data), temporary)
            else:
                with open(temporary, "xb") as file:
                    file.write(data)
                os.chmod(temporary, stat.S_IMODE(entry[0]))
            os.replace(temporary, full)
        except OSError as error:
            raise VerbFailed(f"{path} could not be put back: {error.strerror}.") from error

    def _make_folders(self, folder: str) -> None:
        """Real folders all the way: what stands in the way (a link, a file) goes."""
        at = self._workspace
        for part in folder.split(os.sep) if folder else ():
            at = os.path.join(at, part)
            if os.path.islink(at) or os.path.isfile(at):
                os.unlink(at)
            if not os.path.isdir(at):
                os.mkdir(at)

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    def _load(self, name: str, default: Any) -> Any:
        try:
            with open(self._path(name), "rb") as file:
                return json.loads(_unpack(file.read()).decode("ascii"))
        except FileNotFoundError:
            return default

    def _write(self, name: str, data: bytes) -> None:
        packed = data if name.startswith("blobs") else _pack(data)
        temporary = self._path("writing")
        try:
            with open(temporary, "wb") as file:
                file.write(packed)
            os.replace(temporary, self._path(name))
        except OSError as error:
            raise VerbFailed(
                f"The store of snapshots cannot take more: {error.strerror}."
            ) from error


_TICK_NS = 50_000_000


def stamp(status: os.stat_result) -> "List[int]":
    """What is another whenever a file was written."""
    return [status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino]


def _is_foreign(path: str, known: "Optional[Set[str]]") -> bool:
    if known is None or path in known:
        return False
    parts = path.split(os.sep)
    return any(fnmatch.fnmatchcase(part, pattern) for part in parts for pattern in TOOLS_OWN)


def _kind(entry: "List[Any]") -> int:
    return stat.S_IFMT(entry[0])


def _pack(data: bytes) -> bytes:
    packed = zlib.compress(data, 1)
    return b"z" + packed if len(packed) < len(data) else b"=" + data


def _unpack(data: bytes) -> bytes:
    return zlib.decompress(data[1:]) if data[:1] == b"z" else data[1:]
