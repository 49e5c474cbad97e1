"""Whatever lies in a folder: it goes in as data, a patch comes out, and only the patch goes back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from agent.outcome import Outcome
from policies.action import Action, ApplyRequest, Decision, ShellRequest
from policies.gate import Circumstances, Gate
from policies.masks import Masks
from policies.packs import builtin
from sandbox.errors import SandboxError
from sandbox.workspace import apply_to_tree, capture
from tests.agent.bad_input import trees
from tests.agent.bad_input.conftest import Run, state_of
from tests.agent.bad_input.trees import Make
from tools.site import Place, Site

Work = Callable[[Path, str], tuple[str, Callable[[], None]]]
MEND = "sed -i 's/a - b/a + b/' sums.py"
TREES = [
    trees.broken,
    trees.with_odd_names,
    trees.with_links,
    trees.with_submodule,
    trees.with_blob,
    trees.with_pipe,
    trees.shallow,
    trees.worktree,
    trees.without_commit,
    trees.mid_merge,
    trees.broken_git,
]


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    """Runs a command on a copy of a folder, in a real sandbox; its patch, and what lays it in."""
    sites: list[Site] = []

    def run(repo: Path, command: str) -> tuple[str, Callable[[], None]]:
        folder = tmp_path / f"session-{len(sites)}"
        folder.mkdir()
        place = Place(f"odd-{os.getpid()}", repo, folder, "docker", {"setup": ()})
        site = Site(place)
        sites.append(site)
        site.capture()
        site.prepare(lambda _text: None)
        site.open()
        outcome = site.performers(lambda _name, _arguments: None)["shell"](asked(command))
        assert outcome.exit_code == 0, outcome.stderr
        patch = site.diff()
        return patch, partial(apply_to_tree, patch, site.base, folder / "base.tar", repo)

    yield run
    for site in sites:
        site.close()


def asked(command: str) -> Action:
    request = ShellRequest(command=command)
    return Action(session_id="s", step=1, index=0, tool="shell", request=request, origin="model")


def decision(patch: str) -> Decision:
    """What the gate says to a patch that is to be applied."""
    request = ApplyRequest(patch=patch, target=".")
    action = Action(session_id="s", step=1, index=0, tool="apply", request=request, origin="user")
    gate = Gate(
        [builtin("baseline")], Circumstances(mode="terminal", contained=True), Masks(bytes(32))
    )
    return gate.judge(action).decision


@pytest.mark.parametrize("make", TREES, ids=lambda make: make.__name__)
def test_a_tree_is_worked_on_as_a_copy_and_gets_the_patch_alone(
    make: Make, work: Work, tmp_path: Path
) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    make(repo)
    before = state_of(repo)
    patch, apply = work(repo, MEND)

    assert state_of(repo) == before
    assert [line for line in patch.splitlines() if line.startswith("diff ")] == [
        "diff --git a/sums.py b/sums.py"
    ]
    assert decision(patch) is Decision.ALLOW
    apply()
    after = state_of(repo)
    assert {
        path for path in after.keys() | before.keys() if after.get(path) != before.get(path)
    } == {
        repo / ".",
        repo / "sums.py",
    }
    assert (repo / "sums.py").read_text() == trees.BUG.replace("-", "+")


def test_files_of_any_name_can_be_changed_made_and_removed(work: Work, tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    (repo / "gone").mkdir(parents=True)
    for name in trees.NAMES:
        (repo / name).write_text("odd\n")
        (repo / "gone" / name).write_text(f"{name!r}\n")
    script = 'for f in *; do test -f "./$f" && echo more >> "./$f"; done\nmv gone came\n'
    patch, apply = work(repo, script)

    assert decision(patch) is Decision.ALLOW
    apply()
    for name in trees.NAMES:
        assert (repo / name).read_text() == "odd\nmore\n"
        assert (repo / "came" / name).read_text() == f"{name!r}\n"
    assert {path.name for path in repo.iterdir()} == {*trees.NAMES, "came"}


def test_a_tree_that_is_deeper_than_python_recurses_is_captured(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    parent = os.open(root, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=parent)
        child = os.open("d", os.O_RDONLY, dir_fd=parent)
        os.close(parent)
        parent = child
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=parent))
    os.close(parent)
    base = capture(root, tmp_path / "tree.tar")
    subprocess.run(["rm", "-rf", root], check=True)
    assert list(base.entries) == ["d/" * 1100 + "file"]


def test_of_two_runs_on_one_folder_one_patch_goes_in_and_the_other_is_told(
    work: Work, tmp_path: Path
) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    trees.broken(repo)
    _, first = work(repo, MEND)
    _, second = work(repo, "sed -i 's/a - b/b + a/' sums.py")

    def told_by(apply: Callable[[], None]) -> str:
        try:
            apply()
        except SandboxError as error:
            return str(error)
        return ""

    for _ in range(10):
        (repo / "sums.py").write_text(trees.BUG)
        with ThreadPoolExecutor(2) as pool:
            told = sorted(pool.map(told_by, (first, second)))
        assert told[0] == ""
        assert "sums.py has changed" in told[1]


def everything(folder: Path) -> None:
    """All of the odd things at once, in a folder without git."""
    trees.with_odd_names(folder)
    subprocess.run(["rm", "-rf", ".git"], cwd=folder, check=True)
    trees.broken(folder)
    (folder / "passwd").symlink_to("/etc/passwd")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "AGENTS.md").symlink_to("/etc/shadow")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "setup.cfg")
    (folder / "model.bin").write_bytes(os.urandom(1 << 20) * 20)


def test_a_run_on_all_that_is_odd_ends_with_a_verified_patch(
    journeyman: Run, made: Callable[[Make], Path]
) -> None:
    ended = journeyman("run", "make the tests pass", "--repo", str(made(everything)))

    assert ended.code == Outcome.VERIFIED.exit_code, ended.err
    assert "+    return a + b" in ended.out
    assert "Not taken along: pipe: a socket, pipe or device" in ended.err
    assert "root:" not in ended.err
    assert "\x1b" not in ended.err
