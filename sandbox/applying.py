"""A patch into the user's own tree: checked against the base, worked out elsewhere, laid file by file."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sandbox.base import Base, Entry, entry_at
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


def apply_to_tree(patch: str, base: Base, repo: Path) -> None:
    """Put a patch into the tree it was made against.

    Args:
        patch: In git's format, against `base`.
        base: The tree as it was captured.
        repo: The tree; git is never run in it, and no link in it is followed.

    Raises:
        SandboxError: A file that the patch touches has changed since, a new one is there already,
            the patch does not apply, or a file could not be written (all is then put back).
    """
    changes = parse_patch(patch)
    if not changes:
        return
    root = repo.resolve()
    with _alone(root):
        _refuse_changed(changes, base, root)
        with tempfile.TemporaryDirectory(prefix="journeyman-apply-") as folder:
            results = _work_out(patch, changes, root, Path(folder))
        _lay(results, root)


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


def _refuse_changed(changes: Sequence[FileChange], base: Base, root: Path) -> None:
    problems = []
    gone = {change.old_path for change in changes if change.deleted}
    for change in changes:
        if change.kind == "gitlink":
            problems.append(f"{change.path} is a submodule")
            continue
        for path in dict.fromkeys(path for path in (change.old_path, change.path) if path):
            if not _takes_the_place_of(path, gone):
                problems += _problem(path, base.entries.get(path), root)
    if problems:
        raise SandboxError(
            f"The patch was not applied, since the tree is not what it was made for: "
            f"{'; '.join(problems[:5])}",
            remedy="Apply it by hand (git apply --3way), or run the task again on the tree as it "
            "is now.",
        )


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
    """The file or link at `path`; None where there is none."""
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


def _work_out(
    patch: str, changes: Sequence[FileChange], root: Path, folder: Path
) -> dict[str, _File | None]:
    """Apply the patch in a clean repository that holds just the files it touches."""
    tree = folder / "tree"
    tree.mkdir()
    for path in {change.old_path for change in changes} - {""}:
        file = _read(root, path)
        if file is not None:
            _place(tree / path, file)
    (folder / "patch").write_bytes(patch.encode("utf-8"))
    _git_apply(folder, tree)
    touched = {path for change in changes for path in (change.old_path, change.path)} - {""}
    results = {path: _read(tree, path) for path in sorted(touched)}
    made = {name for name in tree.rglob("*") if name.is_symlink() or not name.is_dir()}
    stray = {name.relative_to(tree).as_posix() for name in made} - touched
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


def _lay(results: dict[str, _File | None], root: Path) -> None:
    """Write all results, or put back what was written."""
    before: dict[str, _File | None] = {}
    try:
        # What goes away first: a file may become a folder.
        for path, file in sorted(results.items(), key=lambda item: item[1] is not None):
            before[path] = _read(root, path)
            _write(root, path, file, before[path])
    except OSError as error:
        for path, file in reversed(before.items()):
            with contextlib.suppress(OSError):
                _write(root, path, file, file)
        raise SandboxError(
            f"The patch was not applied: {error.filename or path} could not be written "
            f"({error.strerror}); what had been written was put back",
            remedy="Make the tree writable and free space on its disk, then apply it again.",
        ) from error


def _write(root: Path, path: str, file: _File | None, was: _File | None) -> None:
    name = path.rpartition("/")[2]
    with _parent(root, path, make=file is not None) as parent:
        if parent is None:
            return
        if file is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=parent)
        else:
            _replace(parent, name, file, was)
    if file is None:
        _remove_empty(root, path)


def _replace(parent: int, name: str, file: _File, was: _File | None) -> None:
    temporary = f".{name[:100]}.{os.getpid()}.journeyman"
    try:
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
        with _parent(root, folder) as parent:
            if parent is None:
                return
            try:
                os.rmdir(folder.rpartition("/")[2], dir_fd=parent)
            except OSError:
                return  # not empty: others' files
        folder = folder.rpartition("/")[0]
