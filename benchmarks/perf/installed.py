"""Environments of their own for the agents that are compared, and what they take on disk."""

from __future__ import annotations

import shutil
import subprocess  # noqa: TID251 - a benchmark measures processes; no act of a task starts here
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LARGE_MB = 20
_MADE = "requirements.txt"


class NotInstalled(Exception):
    """An agent cannot be had here; the text says why."""


def environment(folder: Path, requirements: Sequence[str], lowest: tuple[int, int]) -> Path:
    """A virtual environment with these requirements and nothing else; one that is there is kept.

    Args:
        folder: Where it is.
        requirements: As pip takes them.
        lowest: The lowest version of Python that they run on.

    Raises:
        NotInstalled: No such Python, or pip says no.
    """
    wanted = "\n".join(requirements)
    if (folder / _MADE).exists() and (folder / _MADE).read_text("utf-8") == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    _run([_python(lowest), "-m", "venv", "--without-pip", str(folder)])
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    _run([*pip, "install", "--quiet", "--disable-pip-version-check", *requirements])
    (folder / _MADE).write_text(wanted, "utf-8")
    return folder


def own_environment(folder: Path) -> Path:
    """The same for this project, from a wheel that is built of it now.

    Raises:
        NotInstalled: It cannot be built, or pip says no.
    """
    with tempfile.TemporaryDirectory() as made:
        wheel_of = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        _run([*wheel_of, "--no-build-isolation", "-w", made, str(ROOT)])
        (wheel,) = Path(made).glob("*.whl")
        return environment(folder, [str(wheel)], (3, 11))


def sizes(folder: Path) -> dict[str, float]:
    """Megabytes by distribution of all that is installed in an environment, largest first."""
    (site,) = folder.glob("lib/python*/site-packages")
    found = {
        one.metadata["Name"]: sum(_size(Path(str(file.locate()))) for file in one.files or ()) / 1e6
        for one in distributions(path=[str(site)])
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _python(lowest: tuple[int, int]) -> str:
    """A Python of at least this version: this one, or the lowest that is on the path."""
    if sys.version_info >= lowest:
        return sys.executable
    for minor in range(lowest[1], lowest[1] + 3):
        found = shutil.which(f"python{lowest[0]}.{minor}")
        if (
            found
            and subprocess.run([found, "-V"], capture_output=True, check=False).returncode == 0
        ):
            return found
    raise NotInstalled(f"it needs Python {lowest[0]}.{lowest[1]} on the path")


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotInstalled((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
