"""A patch into the user's own tree: worked out of the base, checked against it, laid file by file.

Killed between two files, the same patch goes in the rest of the way the next time: what a file is
to be comes of the base alone, and one that is so already counts as one that has not changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from sandbox.base import Base, Entry, entry_at, entry_of, git_mode
from sandbox.errors import SandboxError, SandboxMissing
from sandbox.patch_text import FileChange, parse_patch

_EMPTY_CONFIGURATION: Final = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    "GIT_PREFIX": "",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_SETTINGS: Final = (
    *("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"),
    *("-c", "core.autocrlf=false", "-c", "core.symlinks=true", "-c", "core.fileMode=true"),
    *("-c", "protocol.allow=never", "-c", "gc.auto=0"),
)


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it is to be: its bytes (a link's target), and whether it is a link or executable."""

    mode: str
    data: bytes

    def entry(self) -> Entry:
        link = self.mode == "120000"
        return entry_of(self.mode if link else git_mode(int(self.mode, 8)), self.data)


_Results: TypeAlias = Mapping[str, _File | None]
"""What each file that the patch touches is to be; None where there is to be none."""


def apply_to_tree(patch: str, base: Base, archive: Path, repo: Path) -> None:
    """Put a patch into the tree it was made against.

    Args:
        patch: In git's format, against `base`.
        base: The tree as it was captured.
        archive: The capture itself, as `capture` wrote it.
        repo: The tree; git is never run in it, and no link in it is followed.

    Raises:
        SandboxError: A file that the patch touches has changed since (and is not what the patch
            makes of it), a new one is there already, the patch does not apply, or a file could not
            be written (all is then put back).
    """
    changes = parse_patch(patch)
    if not changes:
        return
    root = repo.resolve()
    _refuse_submodules(changes)
    with tempfile.TemporaryDirectory(prefix="journeyman-apply-") as folder:
        results = _work_out(patch, changes, _captured(changes, base, archive), Path(folder))
    with _alone(root):
        _refuse_changed(changes, results, base, root)
        _lay(results, root, _temporary_suffix(patch))


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the tree against another run's apply: what was looked at must still be so when written."""
    try:
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise SandboxError(
            f"The patch was not applied: {root} cannot be read ({error.strerror})",
            remedy="Put the folder back where it was, or apply the patch by hand.",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _refuse_submodules(changes: Sequence[FileChange]) -> None:
    for change in changes:
        if change.kind == "gitlink":
            raise SandboxError(
                f"The patch was not applied: {change.path} is a submodule",
                remedy="Apply it by hand, in the submodule's own repository.",
            )


def _refuse_changed(
    changes: Sequence[FileChange], results: _Results, base: Base, root: Path
) -> None:
    problems = []
    gone = {change.old_path for change in changes if change.deleted}
    for path in _touched(changes):
        if not _is_laid(path, results[path], root) and not _takes_the_place_of(path, gone):
            problems += _problem(path, base.entries.get(path), root)
    if problems:
        raise SandboxError(
            f"The patch was not applied, since the tree is not what it was made for: "
            f"{'; '.join(problems[:5])}",
            remedy="Apply it by hand (git apply --3way), or run the task again on the tree as it "
            "is now.",
        )


def _touched(changes: Sequence[FileChange]) -> list[str]:
    return sorted({path for change in changes for path in (change.old_path, change.path) if path})


def _is_laid(path: str, result: _File | None, root: Path) -> bool:
    """Whether the file is already what the patch makes of it."""
    try:
        there = _read(root, path)
    except OSError:
        return False
    if there is None or result is None:
        return there is result
    return there.entry() == result.entry()


def _takes_the_place_of(path: str, gone: set[str]) -> bool:
    """A file becomes a folder or the other way round: what is there now goes first."""
    return any(path.startswith(f"{name}/") or name.startswith(f"{path}/") for name in gone)


def _problem(path: str, expected: Entry | None, root: Path) -> list[str]:
    try:
        with _parent(root, path) as parent:
            there = None if parent is None else entry_at(parent, path.rpartition("/")[2])
    except (OSError, ValueError) as error:
        return [f"{path}: {error}"]
    if there == expected:
        return []
    if expected is None:
        return [f"{path} exists already"]
    return [f"{path} is gone" if there is None else f"{path} has changed"]


@contextlib.contextmanager
def _parent(root: Path, path: str, *, make: bool = False) -> Iterator[int | None]:
    """The folder of `path`, open, reached without following a link; None where there is none."""
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in path.split("/")[:-1]:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=handle)
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                deeper = os.open(part, flags, dir_fd=handle)
            except FileNotFoundError:
                yield None
                return
            os.close(handle)
            handle = deeper
        yield handle
    finally:
        os.close(handle)


def _read(root: Path, path: str) -> _File | None:
    """The file or link at `path`; None where there is none, or a folder."""
    try:
        with _parent(root, path) as parent:
            return None if parent is None else _read_in(parent, path.rpartition("/")[2])
    except NotADirectoryError:
        return None


def _read_in(parent: int, name: str) -> _File | None:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return _File("120000", os.fsencode(os.readlink(name, dir_fd=parent)))
    if stat.S_ISDIR(status.st_mode):
        return None
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=parent)
    with os.fdopen(handle, "rb") as file:
        return _File(f"100{stat.S_IMODE(status.st_mode):03o}", file.read())


def _captured(changes: Sequence[FileChange], base: Base, archive: Path) -> dict[str, _File]:
    """The files that the patch changes, as they were when the tree was captured."""
    names = {change.old_path for change in changes} & base.entries.keys()
    found = {}
    try:
        with tarfile.open(archive) as tar:
            for info in tar:
                if info.name in names:
                    found[info.name] = _in_archive(tar, info)
    except (OSError, tarfile.TarError) as error:
        raise _unlike_the_base(archive) from error
    if any(name not in found or found[name].entry() != base.entries[name] for name in names):
        raise _unlike_the_base(archive)
    return found


def _in_archive(tar: tarfile.TarFile, info: tarfile.TarInfo) -> _File:
    if info.issym():
        return _File("120000", os.fsencode(info.linkname))
    file = tar.extractfile(info)
    return _File(f"100{info.mode & 0o777:03o}", file.read() if file else b"")


def _unlike_the_base(archive: Path) -> SandboxError:
    return SandboxError(
        f"The patch was not applied: {archive} is not the tree that the session began with",
        remedy="Apply the patch by hand (git apply), or run the task again.",
    )


def _work_out(
    patch: str, changes: Sequence[FileChange], captured: Mapping[str, _File], folder: Path
) -> _Results:
    """Apply the patch in a clean repository that holds just the files it touches."""
    tree = folder / "tree"
    tree.mkdir()
    for path, file in captured.items():
        _place(tree / path, file)
    (folder / "patch").write_bytes(patch.encode("utf-8"))
    _git_apply(folder, tree)
    results = {path: _read(tree, path) for path in _touched(changes)}
    made = {name for name in tree.rglob("*") if name.is_symlink() or not name.is_dir()}
    stray = {name.relative_to(tree).as_posix() for name in made} - results.keys()
    if stray:
        raise SandboxError(
            f"The patch was not applied: git made {min(stray)}, which it does not name",
            remedy="Look at the patch by hand; it is not what it says it is.",
        )
    return results


def _git_apply(folder: Path, tree: Path) -> None:
    try:
        import git  # noqa: PLC0415 - importing it fails where there is no git program
    except ImportError as error:
        raise SandboxMissing(
            "A patch can only be applied where git is installed",
            remedy="Install git, or apply the patch file by other means.",
        ) from error
    program = git.cmd.Git(str(tree))
    # All of them, since a hook that started us would have set them to the user's repository.
    ours = {
        "GIT_DIR": str(folder / "git"),
        "GIT_WORK_TREE": str(tree),
        "GIT_INDEX_FILE": str(folder / "git" / "index"),
        "GIT_OBJECT_DIRECTORY": str(folder / "git" / "objects"),
    }
    with program.custom_environment(**_EMPTY_CONFIGURATION, **ours):
        try:
            program.execute(["git", "init", "--quiet", "--template="])
            attributes = folder / "git" / "info" / "attributes"
            attributes.parent.mkdir(exist_ok=True)
            attributes.write_text("* -text -ident !eol !filter !working-tree-encoding\n")
            program.execute(["git", *_SETTINGS, "add", "--all", "--force", "."])
            command = ["apply", "--index", "--whitespace=nowarn", str(folder / "patch")]
            program.execute(["git", *_SETTINGS, *command])
        except git.exc.GitCommandError as error:
            said = str(error.stderr).strip().strip("'").splitlines()
            raise SandboxError(
                f"The patch does not apply: {said[-1].strip() if said else error}",
                remedy="Run the task again on the tree as it is now.",
            ) from error


def _place(target: Path, file: _File) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.mode == "120000":
        target.symlink_to(os.fsdecode(file.data))
    else:
        target.write_bytes(file.data)
        target.chmod(int(file.mode, 8) & 0o777 | 0o600)


def _temporary_suffix(patch: str) -> str:
    """Ends the names of files under way: the same for a patch that was cut off, nobody else's."""
    return f".{hashlib.sha256(patch.encode()).hexdigest()[:16]}.journeyman"


def _lay(results: _Results, root: Path, suffix: str) -> None:
    """Write all results that are not there yet, or put back what was written."""
    before: dict[str, _File | None] = {}
    try:
        # What goes away first: a file may become a folder.
        for path, file in sorted(results.items(), key=lambda item: item[1] is not None):
            if not _is_laid(path, file, root):
                before[path] = _read(root, path)
                _write(root, path, file, before[path], suffix)
            elif file is None:
                _remove_empty(root, path)
    except OSError as error:
        for path, file in reversed(before.items()):
            with contextlib.suppress(OSError):
                _write(root, path, file, file, suffix)
        raise SandboxError(
            f"The patch was not applied: {error.filename or path} could not be written "
            f"({error.strerror}); what had been written was put back",
            remedy="Make the tree writable and free space on its disk, then apply it again.",
        ) from error


def _write(root: Path, path: str, file: _File | None, was: _File | None, suffix: str) -> None:
    name = path.rpartition("/")[2]
    with _parent(root, path, make=file is not None) as parent:
        if parent is None:
            return
        if file is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
        else:
            _replace(parent, name, file, was, suffix)
    if file is None:
        _remove_empty(root, path)


def _temporary(name: str, suffix: str) -> str:
    return f".{name[:50]}{suffix}"  # of at most 255 bytes, whatever the letters


def _replace(parent: int, name: str, file: _File, was: _File | None, suffix: str) -> None:
    temporary = _temporary(name, suffix)
    try:
        with contextlib.suppress(FileNotFoundError):  # left by one that was killed
            os.unlink(temporary, dir_fd=parent)
        if file.mode == "120000":
            os.symlink(os.fsdecode(file.data), temporary, dir_fd=parent)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            handle = os.open(temporary, flags, 0o666, dir_fd=parent)
            with os.fdopen(handle, "wb") as written:
                written.write(file.data)
                _set_mode(written.fileno(), file, was)
                os.fsync(written.fileno())
        os.replace(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=parent)
        raise


def _set_mode(handle: int, file: _File, was: _File | None) -> None:
    """Rights as they were; only whether it can be executed follows the patch."""
    usual = stat.S_IMODE(os.fstat(handle).st_mode)
    mode = int(was.mode, 8) & 0o777 if was and was.mode != "120000" else usual
    if int(file.mode, 8) & 0o100:
        mode |= (mode & 0o444) >> 2
    else:
        mode &= ~0o111
    os.fchmod(handle, mode)


def _remove_empty(root: Path, path: str) -> None:
    folder = path.rpartition("/")[0]
    while folder:
        try:
            with _parent(root, folder) as parent:
                if parent is None:
                    return
                os.rmdir(folder.rpartition("/")[2], dir_fd=parent)
        except OSError:
            return  # not empty: others' files
        folder = folder.rpartition("/")[0]
