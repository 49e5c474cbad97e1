"""Nothing that a repository holds runs on the host: a canary in every place that programs obey.

The command is the installed one, started in the repository with PYTHONPATH naming it. Each canary
writes a file on the host; the sandbox does not see the folder it writes to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.bad_input import trees
from tests.sessions import state_home
from tests.wheel import build, install

OURS = ("agent", "tools", "sandbox", "memory", "policies", "benchmarks", "click", "rich", "git")
MODULES = ("sitecustomize", "usercustomize", "journeyman", "docker", "redis", "pydantic")
STANDARD = ("json", "re", "pathlib", "subprocess", "typing", "enum", "runpy")
"""In a folder of their own: the repository's tests run in the sandbox with the root on their path."""
GIT_KEYS = (
    *("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass"),
    *("credential.helper", "gpg.program", "pager.version", "pager.init", "sequence.editor"),
    *("filter.x.clean", "filter.x.smudge", "diff.x.command", "diff.x.textconv", "merge.x.driver"),
)
ALIASES = ("version", "init", "add", "apply", "status", "diff")
HOOKS = (
    "pre-commit",
    "post-checkout",
    "post-index-change",
    "pre-applypatch",
    "reference-transaction",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command."""
    wheel = build(tmp_path_factory.mktemp("wheel"))
    return install(wheel, tmp_path_factory.mktemp("installed")) / "bin" / "journeyman"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from state_home(tmp_path_factory)


@pytest.fixture
def sung(tmp_path: Path) -> Path:
    """Where the canaries write."""
    folder = tmp_path / "sung"
    folder.mkdir()
    return folder


@pytest.fixture
def hostile(tmp_path: Path, sung: Path) -> Path:
    """A repository with a bug to mend, and a canary in every place."""
    repo = tmp_path / "repo"
    repo.mkdir()
    trees.broken(repo)
    python = f"import os\nif os.path.isdir({str(sung)!r}):\n    open({str(sung)!r} + '/' + __name__, 'w')\n"
    for name in OURS:
        (repo / name).mkdir()
        (repo / name / "__init__.py").write_text(python)
    for name in (*MODULES, "lib/sitecustomize", *(f"lib/{name}" for name in STANDARD)):
        (repo / f"{name}.py").parent.mkdir(exist_ok=True)
        (repo / f"{name}.py").write_text(python)
    (repo / "conftest.py").write_text(python)
    (repo / "lib" / "a.pth").write_text(f"import os; open({str(sung / 'pth')!r}, 'w')\n")
    (repo / ".envrc").write_text(f"touch {sung}/envrc\n")
    (repo / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    trees.git(repo, "init", "-q")
    canary(repo / "canary", sung)
    with (repo / ".git" / "config").open("a") as config:
        config.write("".join(key_lines(key, repo / "canary") for key in GIT_KEYS))
        config.write("[alias]\n" + "".join(f"\t{a} = !{repo}/canary alias\n" for a in ALIASES))
        config.write(f"[core]\n\thooksPath = {repo}/hooks\n[include]\n\tpath = {repo}/more\n")
    (repo / "more").write_text(f"[core]\n\tfsmonitor = {repo}/canary\n")
    (repo / "hooks").mkdir()
    for hook in HOOKS:
        canary(repo / "hooks" / hook, sung)
        shutil.copy(repo / "hooks" / hook, repo / ".git" / "hooks" / hook)
    for program in ("python", "python3", "sh", "readlink"):
        canary(repo / program, sung)
    return repo


def key_lines(key: str, program: Path) -> str:
    section, _, name = key.rpartition(".")
    head, _, sub = section.partition(".")
    title = f'{head} "{sub}"' if sub else head
    return f"[{title}]\n\t{name} = {program} {key}\n"


def canary(path: Path, sung: Path) -> None:
    """A program that leaves a file where it is run."""
    path.write_text(f'#!/bin/sh\ntest -d {sung} && echo "$*" >> {sung}/"${{0##*/}}"\ncat\n')
    path.chmod(0o755)


@pytest.fixture
def journeyman(
    installed: Path, home: Path, hostile: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The installed command, started in the repository, with PYTHONPATH naming it."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [installed, *arguments],
            cwd=hostile,
            env={**os.environ, **named(hostile), "JOURNEYMAN_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )

    return run


def named(repo: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": f"{repo}:{repo}/lib:.",
        "PYTHONHOME": "",
        "PYTHONSTARTUP": f"{repo}/re.py",
    }


def test_the_canaries_sing(hostile: Path, sung: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import agent, json, docker"],
        env={**os.environ, **named(hostile)},
        cwd=hostile,
        capture_output=True,
    )
    subprocess.run(["git", "status"], cwd=hostile, capture_output=True, stdin=subprocess.DEVNULL)
    subprocess.run(["git", "add", "-A"], cwd=hostile, capture_output=True, stdin=subprocess.DEVNULL)
    heard = {path.name for path in sung.iterdir()}
    assert {"sitecustomize", "agent", "docker", "canary"} <= heard, (heard, done.stderr)


def test_nothing_of_a_repository_runs_on_the_host(
    journeyman: Callable[..., subprocess.CompletedProcess[str]], hostile: Path, sung: Path
) -> None:
    for arguments in (["--help"], ["--version"], ["sessions"], ["log", "show", "x"], ["resume"]):
        journeyman(*arguments)
        assert list(sung.iterdir()) == [], arguments
    ended = journeyman("run", "make the tests pass", "--apply")
    assert list(sung.iterdir()) == []
    assert ended.returncode == Outcome.VERIFIED.exit_code, ended.stderr
    assert (hostile / "sums.py").read_text() == trees.BUG.replace("-", "+")


SETTINGS = """
[environment]
test = "touch $(cat place)/test; python -m pytest -q $(touch $(cat place)/shell)"
setup = ["touch $(cat place)/setup || true"]
checks = ["touch $(cat place)/check"]
"""
"""The same text each time: an environment is built once."""


def test_settings_of_a_project_run_in_the_sandbox_only_and_only_once_agreed_to(
    journeyman: Callable[..., subprocess.CompletedProcess[str]], hostile: Path, sung: Path
) -> None:
    file = hostile / ".journeyman" / "config.toml"
    file.parent.mkdir()
    file.write_text(SETTINGS)
    (hostile / "place").write_text(str(sung))
    assert journeyman("run", "make the tests pass").returncode == Outcome.NEEDS_PERSON.exit_code
    assert journeyman("init").returncode == Outcome.NEEDS_PERSON.exit_code
    agreed = journeyman("init", "--yes")
    assert agreed.returncode == 0, agreed.stderr
    assert "2 fail" in agreed.stdout
    assert list(sung.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('dockerfile = "../outside/Dockerfile"', "Dockerfile"),
        ('dockerfile = "/etc/passwd"', "passwd"),
        ('dockerfile = "linked"', "linked"),
        ('dockerfile = "folder/Dockerfile"', "folder"),
        ('image = "registry.invalid/evil:latest"', "registry.invalid"),
        ('python = "3.11; touch {sung}/python"', "touch"),
        ('packages = ["bash; touch {sung}/package"]', "touch"),
        ('packages = ["-o=APT::Update::Pre-Invoke::=touch {sung}/apt"]', "APT"),
    ],
)
def test_an_environment_out_of_the_tree_is_refused(
    line: str,
    says: str,
    journeyman: Callable[..., subprocess.CompletedProcess[str]],
    hostile: Path,
    sung: Path,
) -> None:
    (hostile.parent / "outside").mkdir()
    (hostile.parent / "outside" / "Dockerfile").write_text("FROM scratch\n")
    (hostile / "linked").symlink_to(hostile.parent / "outside" / "Dockerfile")
    (hostile / "folder").symlink_to(hostile.parent / "outside")
    file = hostile / ".journeyman" / "config.toml"
    file.parent.mkdir()
    file.write_text(f"[environment]\n{line.format(sung=sung)}\n")
    ended = journeyman("init", "--yes")
    assert ended.returncode == Outcome.ENVIRONMENT.exit_code, ended.stderr
    first, second = ended.stderr.splitlines()[-2:]
    assert first.startswith("Error: ")
    assert says in ended.stderr
    assert second.startswith("  Next: ")
    assert "Traceback" not in ended.stderr
    assert list(sung.iterdir()) == []
