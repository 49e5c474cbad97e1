"""The work is kept as data outside of the sandbox, and comes back in another one as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import kept_work, workspace
from sandbox.docker_sandbox import DockerSandbox
from sandbox.errors import SandboxError
from sandbox.kept_work import KeptWork
from tests.sandbox.conftest import SMALL, shell

BASE = {"a.txt": "one\n", "sub/b.txt": "two\n", "gone/c.txt": "three\n", ".gitignore": "*.made\n"}
STATE = (
    "git status --porcelain; git log --format=%H; git stash list; git branch; "
    "find . -path ./.git -prune -o -printf '%p %y %m %l\\n' | sort; "
    "find . -path ./.git -prune -o -type f -print0 | sort -z | xargs -0 sha256sum"
)
GIT = "git -c user.name=n -c user.email=n@localhost"


@pytest.fixture
def reopen(image: str, tmp_path: Path) -> Iterator[Callable[[], tuple[DockerSandbox, str]]]:
    """Opens another sandbox on the same base: (sandbox, its base tree)."""
    tree, archive = tmp_path / "tree", tmp_path / "base.tar"
    for name, text in BASE.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    (tree / "link").symlink_to("a.txt")
    workspace.capture(tree, archive)
    opened: list[DockerSandbox] = []

    def again() -> tuple[DockerSandbox, str]:
        box = DockerSandbox.open(image, session_id="tests", limits=SMALL)
        opened.append(box)
        box.put(archive)
        env = "export GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z"
        begun = shell(box, f"{env}; git init -q && git add -A && {GIT} commit -qm base")
        assert begun.exit_code == 0, begun
        return box, box.snapshot()

    yield again
    for box in opened:
        box.close()


CHANGES = {
    "nothing": "true",
    "an edit": "echo more >> a.txt",
    "a new file in a new folder": "mkdir -p x/y && echo z > x/y/z",
    "a file that git ignores": "head -c 300000 /dev/urandom > big.made",
    "a file of several pieces": "head -c 20000000 /dev/urandom > big",
    "a removed folder": "rm -r gone",
    "a mode": "chmod 755 a.txt",
    "a link that points elsewhere": "ln -sfn sub/b.txt link",
    "a file in place of a link": "rm link && echo real > link",
    "a link in place of a folder": "rm -r sub && ln -s gone sub",
    "a folder in place of a file": "rm a.txt && mkdir a.txt && echo in > a.txt/in",
    "an empty folder": "mkdir empty",
    "odd names": "echo 1 > $'new\\nline' && echo 2 > $'\\xff\\xfe' && echo 3 > -rf && echo 4 > '*'",
    "a commit": f"echo more >> a.txt && {GIT} commit -qam more",
    "a stash": f"echo more >> a.txt && {GIT} stash -q",
    "a branch and packed refs": "git checkout -qb other && git pack-refs --all",
    "no repository any more": "rm -rf .git",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_state_comes_back_in_another_sandbox(
    reopen: Callable[[], tuple[DockerSandbox, str]], tmp_path: Path, change: str
) -> None:
    box, base = reopen()
    done = shell(box, change)
    assert done.exit_code == 0, done
    before, patch = shell(box, STATE).stdout, box.diff(base)
    key = KeptWork(tmp_path / "work").keep(box, base)
    box.close()

    again, base = reopen()
    assert KeptWork(tmp_path / "work").lay(key, again) == ()

    assert shell(again, STATE).stdout == before
    assert again.diff(base) == patch


def test_only_states_that_a_process_can_go_back_to_are_kept(
    reopen: Callable[[], tuple[DockerSandbox, str]], tmp_path: Path
) -> None:
    box, base = reopen()
    work = KeptWork(tmp_path / "work")
    keys = []
    for number in range(6):
        shell(box, f"echo {number} > n.txt")
        keys.append(work.keep(box, base))
    assert len(set(keys)) == 6
    assert len(list((tmp_path / "work/blobs").iterdir())) <= 4

    for again in range(5):  # crash after crash comes back to the same state
        shell(box, f"echo again {again} > n.txt")
        assert work.keep(box, base)
        fresh, tree = reopen()
        KeptWork(tmp_path / "work").lay(keys[-1], fresh)
        assert shell(fresh, "cat n.txt").stdout == "5\n"
        box, base, work = fresh, tree, KeptWork(tmp_path / "work")


def test_what_is_over_the_limit_is_left_out_and_named(
    reopen: Callable[[], tuple[DockerSandbox, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_work, "LARGEST", 1 << 20)
    box, base = reopen()
    shell(box, "echo small > small; head -c 2000000 /dev/urandom > large")
    key = KeptWork(tmp_path / "work").keep(box, base)
    again, _ = reopen()

    assert KeptWork(tmp_path / "work").lay(key, again) == ("large",)

    assert shell(again, "ls").stdout.split() == ["a.txt", "gone", "link", "small", "sub"]


@pytest.mark.parametrize("damage", ["blob", "tree", "missing"])
def test_a_state_that_was_changed_on_the_disk_is_refused(
    reopen: Callable[[], tuple[DockerSandbox, str]], tmp_path: Path, damage: str
) -> None:
    box, base = reopen()
    shell(box, "echo more >> a.txt")
    key = KeptWork(tmp_path / "work").keep(box, base)
    if damage == "blob":
        for blob in (tmp_path / "work/blobs").iterdir():
            blob.write_bytes(b"other")
    elif damage == "tree":
        (tmp_path / f"work/trees/{key}.json").write_text("{")
    else:
        (tmp_path / f"work/trees/{key}.json").unlink()
    again, _ = reopen()

    with pytest.raises(SandboxError) as failure:
        KeptWork(tmp_path / "work").lay(key, again)
    assert failure.value.remedy
