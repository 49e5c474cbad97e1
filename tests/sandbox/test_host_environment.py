"""Environments for the bubblewrap sandbox: built inside bubblewrap, bound read-only afterwards."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from sandbox.bubblewrap import BubblewrapSandbox
from sandbox.detection import Step
from sandbox.environment import LAY_MADE, Environment, EnvironmentSettings, prepare
from sandbox.errors import SandboxError, SandboxMissing, SetupFailed
from sandbox.host_environment import host_layer
from tests.sandbox.conftest import shell


@pytest.fixture(autouse=True)
def _bubblewrap_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A project that needs no Python, so that its setup takes no time."""
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "Makefile").write_text("test:\n\t./check.sh\n")
    return folder


def on_the_host(repo: Path, *setup: str, said: list[str] | None = None) -> Environment:
    say = print if said is None else said.append
    return prepare(repo, EnvironmentSettings(setup=setup), say=say, kind="bubblewrap")


def test_a_layer_is_built_once_and_is_read_only_afterwards(repo: Path) -> None:
    said: list[str] = []
    environment = on_the_host(repo, "echo kept > /opt/kept; echo built > version.txt", said=said)
    assert any("Setting up thing" in line for line in said)
    said.clear()
    assert (
        on_the_host(repo, "echo kept > /opt/kept; echo built > version.txt", said=said)
        == environment
    )
    assert said == []

    with BubblewrapSandbox.open(environment.image, session_id="tests") as box:
        assert shell(box, "cat /opt/kept").stdout == "kept\n"
        for attempt in ("touch /opt/new", "echo x > /opt/kept", "rm /opt/kept"):
            assert shell(box, attempt).exit_code != 0
        assert shell(box, f"{LAY_MADE}; cat version.txt").stdout == "built\n"
        assert "the setup made 1 file in the tree: version.txt" in environment.notes
        assert box.description.weaknesses


def test_the_network_is_there_for_the_setup_only(repo: Path) -> None:
    environment = on_the_host(repo, "cat /proc/net/dev /etc/resolv.conf > /opt/net")

    with BubblewrapSandbox.open(environment.image, session_id="tests") as box:
        assert len(shell(box, "cat /proc/net/dev").stdout.splitlines()) == 3  # two of title, lo
        assert len(shell(box, "cat /opt/net").stdout.splitlines()) > 3
        assert shell(box, "cat /etc/resolv.conf").exit_code != 0


def test_a_setup_cannot_reach_the_host_nor_have_its_folders_bound_later(
    repo: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret" / "bin"
    secret.mkdir(parents=True)
    (secret / "python").write_text("a secret")
    here = Path(__file__)
    environment = on_the_host(
        repo,
        f"test ! -e {secret} && test ! -e {here} && mkdir -p /opt/venv/bin && "
        f"ln -sfn {secret}/python /opt/venv/bin/python && ln -sfn / /opt/root",
    )

    with BubblewrapSandbox.open(environment.image, session_id="tests") as box:
        assert shell(box, f"cat {secret}/python").exit_code != 0
        assert shell(box, f"cat /opt/root{secret}/python").exit_code != 0
        assert shell(box, "ls /root /home/*/.ssh").exit_code != 0
    with pytest.raises(SetupFailed):
        on_the_host(repo, f"cat {secret}/python")


def test_a_failed_setup_says_its_last_lines_and_leaves_nothing(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupFailed, match=r"exit code 7(.|\n)*half way") as caught:
        on_the_host(repo, "echo half way; exit 7")
    assert "--setup" in caught.value.remedy
    assert list((tmp_path / "state" / "images").iterdir()) == []


@pytest.mark.parametrize(
    "said",
    [
        "error: command gcc failed: No such file",
        "error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'",
        "FileNotFoundError: [Errno 2] No such file or directory: '/usr/bin/clang-14'",
        "make: cc: No such file or directory",
        "g++: fatal error: cannot execute 'cc1plus': execvp: No such file or directory",
        "configure: error: no acceptable C compiler found in $PATH",
        "CMake Error: No CMAKE_CXX_COMPILER could be found.",
    ],
)
def test_a_compiler_that_is_missing_is_not_looked_for_in_docker(repo: Path, said: str) -> None:
    with pytest.raises(SetupFailed) as caught:
        on_the_host(repo, f"echo {shlex.quote(said)}; exit 1")
    assert "apt-get install build-essential" in caught.value.remedy


@pytest.mark.parametrize(
    "said",
    [
        "error: [Errno 2] No such file or directory: 'docs/gcc.rst'",
        "gcc: error: source.c: No such file or directory",
        "error: command '/usr/bin/gcc' failed with exit code 1",
    ],
)
def test_what_a_compiler_itself_complains_of_is_no_missing_one(repo: Path, said: str) -> None:
    with pytest.raises(SetupFailed) as caught:
        on_the_host(repo, f"echo {shlex.quote(said)}; exit 1")
    assert "apt-get" not in caught.value.remedy


def test_a_step_that_was_gone_without_says_what_failed_and_not_who_called_it(repo: Path) -> None:
    pip = (
        "  error: subprocess-exited-with-error\n    error: legacy.h is too old\n"
        "  note: This error originates from a subprocess, and is likely not a problem with pip.\n"
        "  ERROR: Failed building wheel for thing\nhint: See above for the error.\n"
    )
    step = Step((f"printf %s {shlex.quote(pip)}; exit 1", ""), "thing did not install")
    layer = host_layer(repo, (step, Step(("touch /opt/kept",))), None, print)
    assert layer.told.notes == ("thing did not install (error: legacy.h is too old)",)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (EnvironmentSettings(image="some/image:1"), "some/image:1"),
        (EnvironmentSettings(dockerfile="docker/File"), "docker/File"),
        (EnvironmentSettings(packages=("no-such-package",)), "no-such-package"),
    ],
    ids=["image", "dockerfile", "package"],
)
def test_what_bubblewrap_cannot_have_is_named(
    repo: Path, settings: EnvironmentSettings, named: str
) -> None:
    with pytest.raises(SandboxMissing, match=named) as caught:
        prepare(repo, settings, say=print, kind="bubblewrap")
    assert "Docker" in caught.value.remedy


@pytest.mark.parametrize(
    ("declared", "set_", "named"),
    [(">=3.99", "", "3.99"), ("", "2.7", "2.7")],
    ids=["declared", "set"],
)
def test_an_interpreter_that_no_machine_has_is_named(
    tmp_path: Path, declared: str, set_: str, named: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "x"\nversion = "1"\nrequires-python = "{declared}"\n'
    )
    with pytest.raises(SandboxMissing, match=named) as caught:
        prepare(tmp_path, EnvironmentSettings(python=set_), say=print, kind="bubblewrap")
    assert "Docker" in caught.value.remedy


def test_without_bubblewrap_it_says_what_to_install(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxMissing, match="bwrap") as caught:
        on_the_host(repo, "true")
    assert "apt-get install bubblewrap" in caught.value.remedy
    with pytest.raises(SandboxMissing, match="bwrap"):
        BubblewrapSandbox.open(session_id="tests")


def test_a_layer_that_was_cleaned_away_is_said(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="not there any more"):
        BubblewrapSandbox.open(str(tmp_path / "host-gone"), session_id="tests")


def test_a_setup_does_not_outlive_its_command(repo: Path) -> None:
    mark = f"86{os.getpid()}"
    on_the_host(repo, f"sleep {mark} & echo started")
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(mark.encode() in line for line in running)
