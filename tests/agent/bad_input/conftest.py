"""One state folder for all of these tests, and a watch over every folder they work on."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest

from agent.doors.cli.main import main
from tests.agent.bad_input.trees import Make
from tests.sessions import state_home

State: TypeAlias = dict[Path, tuple[object, ...]]


def state_of(folder: Path) -> State:
    """Every name below a folder with its mode, time, inode and content; `.git` included."""
    found: State = {}
    for parent, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            path = Path(parent, name)
            status = path.lstat()
            content: object = None
            if stat.S_ISLNK(status.st_mode):
                content = path.readlink()
            elif stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).digest()
            found[path] = (status.st_mode, status.st_mtime_ns, status.st_ino, content)
    return found


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from state_home(tmp_path_factory)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[[Make], Path]]:
    """Makes a folder to work on; whatever comes of it, it must be as it was in the end."""
    before: dict[Path, State] = {}

    def make(how: Make) -> Path:
        folder = tmp_path / "repo"
        folder.mkdir()
        how(folder)
        before[folder] = state_of(folder)
        return folder

    yield make
    for folder, state in before.items():
        assert state_of(folder) == state
        # Names that are too deep or too odd for a clean-up that goes by paths.
        subprocess.run(["rm", "-rf", str(folder)], check=True)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what was shown."""

    code: int
    out: str
    err: str

    def says_in_two_lines(self, *words: str) -> bool:
        """Whether it ended as an error: what happened, what to do next, and nothing else."""
        first, second = self.err.splitlines()[-2:]
        shape = first.startswith("Error: ") and second.startswith("  Next: ")
        return shape and "Traceback" not in self.err and all(word in self.err for word in words)


Run: TypeAlias = Callable[..., Ended]


@pytest.fixture
def journeyman(
    home: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """The command line, in this process: what it shows and how it ends."""

    def run(*arguments: str, given: bytes = b"") -> Ended:
        monkeypatch.setenv("JOURNEYMAN_HOME", os.environ.get("OTHER_HOME", str(home)))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        code = main(arguments)
        shown = capfdbinary.readouterr()
        return Ended(code, *(text.decode("utf-8", "surrogateescape") for text in shown))

    return run
