"""What is shipped: the wheel, its start file, its lock."""

from __future__ import annotations

import ast
import itertools
import os
import re
import subprocess
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.wheel import build, install

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("agent", "tools", "sandbox", "memory", "policies", "benchmarks")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A project that bears the names of all our rooms."""
    for room in ROOMS:
        (tmp_path / room).mkdir()
        (tmp_path / room / "__init__.py").write_text("raise SystemExit('THEIRS RAN')\n")
    return tmp_path


def test_the_wheel_holds_the_rooms_the_start_file_the_command_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    own = f"journeyman-{PROJECT['version']}"
    top = {name.partition("/")[0] for name in names} - {f"{own}.dist-info"}
    assert top == {*ROOMS, "journeyman.py", f"{own}.data"}
    data = [name for name in names if name.startswith(f"{own}.data/")]
    assert data == [f"{own}.data/scripts/journeyman"]


def test_every_file_of_the_rooms_is_in_the_wheel(wheel: Path) -> None:
    here = {
        str(file.relative_to(ROOT))
        for room in ROOMS
        for file in (ROOT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    kinds = {Path(name).suffix for name in here}
    assert {".py", ".yaml", ".md"} <= kinds, "the packs or the prompts have moved"
    assert here <= set(zipfile.ZipFile(wheel).namelist())


def test_the_command_runs_ours_among_foreign_folders_of_the_same_names(
    installed: Path, foreign: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(foreign)}
    for arguments in (["--help"], ["sessions"]):
        done = subprocess.run(
            [installed / "bin" / "journeyman", *arguments],
            cwd=foreign,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert "THEIRS" not in done.stdout + done.stderr


def test_the_public_names_are_ours_among_foreign_folders_of_the_same_names(
    installed: Path, foreign: Path
) -> None:
    code = "import journeyman as j; print(j.Task.__module__, j.Session.__module__, j.Record)"
    done = subprocess.run(
        [installed / "bin" / "python", "-c", code],
        cwd=foreign,
        env={**os.environ, "PYTHONPATH": str(foreign)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("agent.task agent.session "), done.stderr


def test_the_installed_command_knows_its_version(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "bin" / "journeyman"), "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == f"journeyman, version {PROJECT['version']}"


def test_the_lock_names_no_address_and_hashes_everything() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not re.search(r"^\s*-", lock.replace("--hash=", ""), re.MULTILINE)
    entries = re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert len(entries) > 50
    for entry in entries:
        assert "==" in entry
        assert "--hash=sha256:" in entry


def test_every_dependency_has_a_lower_bound() -> None:
    for requirement in PROJECT["dependencies"]:
        assert ">=" in requirement, requirement


def test_what_is_imported_is_declared() -> None:
    def normal(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    lines = [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]
    declared = {normal(re.split(r"[<>=;\[ ]", line)[0]) for line in lines}
    homes = packages_distributions()
    for room in ROOMS:
        for file in (ROOT / room).rglob("*.py"):
            if "worker" in file.parts:  # it runs beside the user's packages: pytest is theirs
                continue
            for name in imported(file):
                found = {normal(home) for home in homes.get(name, [])}
                assert not found or found & declared or name in ROOMS, f"{file}: {name}"


def imported(file: Path) -> set[str]:
    """Top-level names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
