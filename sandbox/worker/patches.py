"""Patches between trees, by git's plumbing in an empty repository made for the purpose.

The repository has a configuration of ours and no working tree, so nothing in the task's files
(attributes, filters, text conversions, nested repositories) has a say in what the patch holds.
A file that is not UTF-8 comes as a binary hunk, so that a patch is always text.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import zlib
from typing import Callable, Dict, Iterator, NamedTuple, Optional, Sequence, Set

from sandbox.worker.verbs import Context, VerbFailed

LARGEST = 32 << 20
_NO_CONVERSION = "* -text -ident !eol !filter !working-tree-encoding !diff !merge !whitespace\n"
_ENVIRONMENT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_OPTIONS = (
    *("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.autocrlf=false"),
    *("core.quotePath=true", "core.fileMode=true", "core.symlinks=true", "gc.auto=0"),
)


class Version(NamedTuple):
    """One file in one tree: git's mode, and the name of its content (a link's is its target)."""

    mode: str
    content: str


Load = Callable[[str], bytes]
"""Content by its name."""


class Change(NamedTuple):
    """A path that differs; None where it is not there."""

    path: str
    old: Optional[Version]
    new: Optional[Version]


class Git:
    """An empty repository of ours.

    Args:
        folder: Where it lies.
        environment: For `PATH`.
        worktree: Files that commands work on, where they need some.
    """

    def __init__(self, folder: str, environment: "Dict[str, str]", worktree: str = "") -> None:
        self._folder = folder
        self._worktree = worktree or os.path.join(folder, "none")
        ours = {name: value for name, value in environment.items() if not name.startswith("GIT_")}
        self._environment = dict(ours, **_ENVIRONMENT)
        self._environment.update(GIT_DIR=os.path.join(folder, "git"), GIT_WORK_TREE=self._worktree)
        program = shutil.which("git", path=environment.get("PATH"))
        if not program:
            raise VerbFailed("There is no git in this image: add it to [environment] packages.")
        self._program = program
        os.makedirs(os.path.join(folder, "none"), exist_ok=True)
        self.run("init", "--quiet", "--template=", "--object-format=sha1")
        os.makedirs(os.path.join(folder, "git", "info"), exist_ok=True)
        self.set_attributes(_NO_CONVERSION)

    def set_attributes(self, text: str) -> None:
        """Attributes that win over every other source."""
        with open(os.path.join(self._folder, "git", "info", "attributes"), "w") as attributes:
            attributes.write(text)

    def run(self, *arguments: str, data: bytes = b"", allowed: "Sequence[int]" = (0,)) -> bytes:
        """Run git; its output.

        Raises:
            VerbFailed: It failed; the text is git's.
        """
        options = [part for option in _OPTIONS for part in ("-c", option)]
        done = subprocess.run(
            [self._program, *options, *arguments],
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
            cwd=self._worktree if os.path.isdir(self._worktree) else self._folder,
            check=False,
        )
        if done.returncode not in allowed:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise VerbFailed(said or f"git {arguments[0]} ended with {done.returncode}.")
        return done.stdout

    def tree(self, files: "Dict[str, Version]", load: Load) -> str:
        """Name of a tree of these files."""
        self.run("read-tree", "--empty")
        lines = []
        for path, version in files.items():
            lines.append(
                f"{version.mode} {self._blob(load(version.content))}\t".encode() + os.fsencode(path)
            )
        self.run("update-index", "-z", "--index-info", data=b"\0".join([*lines, b""]))
        return self.run("write-tree").decode().strip()

    def _blob(self, data: bytes) -> str:
        """Write a loose object as git would (a process for each file would take too long)."""
        whole = b"blob %d\0" % len(data) + data
        name = hashlib.sha1(whole).hexdigest()
        folder = os.path.join(self._folder, "git", "objects", name[:2])
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name[2:]), "wb") as file:
            file.write(zlib.compress(whole, 1))
        return name


@contextlib.contextmanager
def _repository(context: Context, worktree: str = "") -> "Iterator[Git]":
    folder = tempfile.mkdtemp(prefix="git-", dir=context.store)
    try:
        yield Git(folder, context.environment, worktree)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def patch_of(changes: "Sequence[Change]", load: Load, context: Context) -> str:
    """Changes as one patch in git's format.

    Raises:
        VerbFailed: It would be too long, or there is no git.
    """
    if not changes:
        return ""
    text = [change for change in changes if _is_text(change, load)]
    binary = [change for change in changes if not _is_text(change, load)]
    with _repository(context) as git:
        patch = _diff(git, text, load)
        git.set_attributes("* -text -diff\n")
        patch += _diff(git, binary, load)
    if len(patch) > LARGEST:
        raise VerbFailed(
            f"The patch has {len(patch)} bytes, over {LARGEST}: remove what was built or downloaded."
        )
    return patch.decode("utf-8")


def _diff(git: Git, changes: "Sequence[Change]", load: Load) -> bytes:
    if not changes:
        return b""
    old = git.tree({change.path: change.old for change in changes if change.old}, load)
    new = git.tree({change.path: change.new for change in changes if change.new}, load)
    return git.run(
        *("diff-tree", "-r", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff"),
        *("--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "-U3", old, new),
    )


def _is_text(change: Change, load: Load) -> bool:
    try:
        for version in (change.old, change.new):
            if version:
                load(version.content).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def ignored(paths: "Sequence[str]", context: Context) -> "Set[str]":
    """Those of `paths` that the project's own ignore files name."""
    if not paths:
        return set()
    with _repository(context, context.workspace) as git:
        found = git.run(
            *("check-ignore", "--no-index", "-z", "--stdin"),
            data=b"\0".join([*map(os.fsencode, paths), b""]),
            allowed=(0, 1),
        )
    return {os.fsdecode(path) for path in found.split(b"\0") if path}


def apply(patch: str, context: Context) -> None:
    """Apply a patch to the workspace: all of it or nothing.

    Raises:
        VerbFailed: It does not apply; git's reason.
    """
    if not patch:
        return
    with _repository(context, context.workspace) as git:
        git.run("apply", "--whitespace=nowarn", "-", data=patch.encode("utf-8"))
