"""Folders that a run may meet, each made by one function in an empty folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Make: TypeAlias = Callable[[Path], None]

BUG = "def add(a, b):\n    return a - b\n"
TESTS = (
    "from sums import add\n\n\n"
    "def test_small():\n    assert add(2, 3) == 5\n\n\n"
    "def test_none():\n    assert add(4, 0) == 4\n\n\n"
    "def test_same():\n    assert add(1, 1) == 2\n"
)
NAMES = (
    "new\nline.txt",
    "tab\tname.txt",
    'quote"d.txt',
    "it's.txt",
    "-rf",
    "--help",
    "trailing ",
    "back\\slash",
    "$(touch pwned)",
    "`touch pwned`",
    "\x1b[31mred",
    "*",
    "é" * 127,
    "n" * 255,
    "caf\udce9.txt",
    "\udcff\udcfe",
)
"""A new line, bytes that are no UTF-8, a leading dash, 255 bytes, what a shell or a terminal obeys."""


def broken(folder: Path) -> None:
    """A function with a bug that the search mends, and tests that say so."""
    (folder / "sums.py").write_text(BUG)
    (folder / "test_sums.py").write_text(TESTS)


def git(folder: Path, *arguments: str) -> None:
    """Git as a user has it, without this machine's own settings."""
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", *who, "-c", "init.defaultBranch=main", *arguments]
    subprocess.run(
        command, cwd=folder, check=True, capture_output=True, env={**os.environ, **nowhere}
    )


def committed(folder: Path) -> None:
    """What lies there as a repository of one commit."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "as it was")


def with_odd_names(folder: Path) -> None:
    """Files and folders whose names a program may stumble over."""
    broken(folder)
    for name in NAMES:
        (folder / name).write_text("odd\n")
    deep = folder / "a\nb" / "-c"
    deep.mkdir(parents=True)
    (deep / "\udcff").write_text("deep\n")
    committed(folder)


def with_links(folder: Path) -> None:
    """Links out of the tree, to devices, to nothing, to themselves, to a parent."""
    broken(folder)
    for name, target in (
        ("passwd", "/etc/passwd"),
        ("up", "../.."),
        ("zero", "/dev/zero"),
        ("nothing", "not-there"),
        ("loop", "loop"),
        ("here", "."),
    ):
        (folder / name).symlink_to(target)
    committed(folder)


def with_submodule(folder: Path) -> None:
    """A submodule that is checked out, and one that is not."""
    other = folder.parent / "other"
    other.mkdir()
    (other / "lib.py").write_text("X = 1\n")
    committed(other)
    broken(folder)
    committed(folder)
    git(folder, "submodule", "--quiet", "add", str(other), "vendor/checked_out")
    git(folder, "submodule", "--quiet", "add", str(other), "vendor/empty")
    git(folder, "commit", "-q", "-m", "submodules")
    git(folder, "submodule", "--quiet", "deinit", "-f", "vendor/empty")


def with_blob(folder: Path) -> None:
    """100 MB of binary data that git knows."""
    broken(folder)
    with (folder / "model.bin").open("wb") as file:
        file.truncate(100 << 20)
    git(folder, "init", "-q")
    git(folder, "add", "*.py")
    git(folder, "commit", "-q", "-m", "as it was")


def shallow(folder: Path) -> None:
    """A clone of the last commit only."""
    origin = folder.parent / "origin"
    origin.mkdir()
    broken(origin)
    committed(origin)
    (origin / "README").write_text("more\n")
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", "more")
    git(folder, "clone", "-q", "--depth", "1", f"file://{origin}", ".")


def worktree(folder: Path) -> None:
    """A second working tree: its `.git` is a file that names a folder elsewhere."""
    main = folder.parent / "main"
    main.mkdir()
    broken(main)
    committed(main)
    folder.rmdir()
    git(main, "worktree", "add", "-q", str(folder), "-b", "side")


def without_commit(folder: Path) -> None:
    """A repository of files and no commit."""
    broken(folder)
    git(folder, "init", "-q")


def mid_merge(folder: Path) -> None:
    """A merge that stopped at a conflict, with a stash, a staged change and a locked index."""
    broken(folder)
    (folder / "notes").write_text("a\n")
    committed(folder)
    git(folder, "checkout", "-q", "-b", "side")
    (folder / "notes").write_text("b\n")
    git(folder, "commit", "-qam", "b")
    git(folder, "checkout", "-q", "main")
    (folder / "notes").write_text("c\n")
    git(folder, "commit", "-qam", "c")
    try:
        git(folder, "merge", "-q", "side")
    except subprocess.CalledProcessError:
        (folder / ".git" / "index.lock").touch()


def bare(folder: Path) -> None:
    """A repository without a working tree."""
    source = folder.parent / "source"
    source.mkdir()
    broken(source)
    committed(source)
    git(folder, "clone", "-q", "--bare", str(source), ".")


def broken_git(folder: Path) -> None:
    """A `.git` that is no repository at all."""
    broken(folder)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("nonsense")


def empty(folder: Path) -> None:
    """Nothing at all."""


def empty_git(folder: Path) -> None:
    """A repository of nothing."""
    git(folder, "init", "-q")


def no_tests(folder: Path) -> None:
    """Code, and no test of it."""
    (folder / "sums.py").write_text(BUG)


def no_code(folder: Path) -> None:
    """Words only."""
    (folder / "README.md").write_text("# Words\n")


def with_pipe(folder: Path) -> None:
    """A pipe that nobody writes to, and a socket."""
    broken(folder)
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pyproject.toml")
