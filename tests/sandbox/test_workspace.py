"""The user's tree in and a patch back: as data, and nothing is run on it."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from sandbox import workspace
from sandbox.docker_sandbox import DockerSandbox
from sandbox.errors import SandboxError
from sandbox.workspace import Base, FileChange, apply_to_tree, capture, parse_patch
from tests.sandbox.conftest import shell

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A tree with a hostile git folder, odd files and heavy folders."""
    root = tmp_path / "repo"
    (root / "pkg").mkdir(parents=True)
    (root / "pkg/m.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    (root / "pkg/data.bin").write_bytes(bytes(range(256)))
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    (root / ".gitignore").write_text("*.env\n")
    (root / "secret.env").write_text("ignored, but there\n")
    (root / "link").symlink_to("pkg/m.py")
    (root / "outside").symlink_to("/etc/passwd")
    (root / ".gitattributes").write_text("*.py text eol=lf filter=evil\n")
    (root / ".git/hooks").mkdir(parents=True)
    marker = tmp_path / "PWNED"
    (root / ".git/config").write_text(
        f"[core]\n\tfsmonitor = touch {marker}\n\trepositoryformatversion = 0\n"
        f'[filter "evil"]\n\tclean = touch {marker}\n\tsmudge = touch {marker}\n'
    )
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    for name in ("node_modules/a", "__pycache__", ".tox", "env/bin"):
        (root / name).mkdir(parents=True)
    (root / "env/pyvenv.cfg").write_text("home = /usr\n")
    os.mkfifo(root / "pipe")
    return root


def modify(repo: Path, box: DockerSandbox, command: str, tmp_path: Path) -> tuple[str, Base]:
    """Patch that `command`, run in the sandbox, makes of the captured tree."""
    shell(box, "find . -mindepth 1 -delete")
    base = capture(repo, tmp_path / "tree.tar")
    box.put(tmp_path / "tree.tar")
    tree = box.snapshot()
    done = shell(box, command)
    assert done.exit_code == 0, done
    return box.diff(tree), base


def contents(repo: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(repo.rglob("*")):
        name = path.relative_to(repo).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = (path.read_bytes(), path.stat().st_mode)
    return found


def test_a_tree_goes_in_as_it_is(repo: Path, box: DockerSandbox, tmp_path: Path) -> None:
    base = capture(repo, tmp_path / "tree.tar")
    box.put(tmp_path / "tree.tar")

    assert shell(box, "cat secret.env; readlink outside; stat -c %a run.sh; ls -A .git").stdout == (
        "ignored, but there\n/etc/passwd\n750\nHEAD\nconfig\nhooks\n"
    )
    assert sorted(base.entries) == [
        *(".gitattributes", ".gitignore", "link", "outside"),
        *("pkg/data.bin", "pkg/m.py", "run.sh", "secret.env"),
    ]
    assert [line.split(":")[0] for line in base.left_out] == [
        *(".tox", "__pycache__", "env", "node_modules", "pipe")
    ]
    assert (tmp_path / "tree.tar").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "PWNED").exists()


def test_a_base_is_the_same_after_saving_and_loading(repo: Path, tmp_path: Path) -> None:
    (repo / os.fsdecode(b"latin-\xe9")).write_text("x")
    base = capture(repo, tmp_path / "tree.tar")

    base.save(tmp_path / "base.json")

    assert Base.load(tmp_path / "base.json") == base
    assert (tmp_path / "base.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"version": 9, "entries": {}, "left_out": []}'])
def test_a_broken_base_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "base.json").write_text(text)

    with pytest.raises(SandboxError, match=r"base\.json"):
        Base.load(tmp_path / "base.json")


def test_the_digest_follows_names_modes_and_bytes(repo: Path, tmp_path: Path) -> None:
    digests = {capture(repo, tmp_path / "t").digest, capture(repo, tmp_path / "t").digest}
    assert len(digests) == 1
    (repo / "run.sh").chmod(0o640)
    digests.add(capture(repo, tmp_path / "t").digest)
    (repo / "pkg/m.py").write_bytes(b"x = 1\n")
    digests.add(capture(repo, tmp_path / "t").digest)
    (repo / "pkg/m.py").rename(repo / "pkg/n.py")
    digests.add(capture(repo, tmp_path / "t").digest)

    assert len(digests) == 4


@pytest.mark.parametrize("path", ["/", "~", "missing"])
def test_what_is_no_repository_is_refused(tmp_path: Path, path: str) -> None:
    place = Path(path).expanduser()
    with pytest.raises(SandboxError):
        capture(place if place.is_absolute() else tmp_path / path, tmp_path / "tree.tar")


def test_a_tree_that_is_too_large_names_its_largest_folders(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "huge").mkdir()
    with (repo / "huge/file").open("wb") as file:
        file.truncate(2 << 30)

    with pytest.raises(SandboxError, match="largest are huge"):
        capture(repo, tmp_path / "tree.tar")
    (repo / "huge/file").unlink()
    monkeypatch.setattr(workspace, "MOST_ENTRIES", 5)
    with pytest.raises(SandboxError, match="entries"):
        capture(repo, tmp_path / "tree.tar")


def test_sockets_and_the_git_file_of_a_worktree_are_left_out_and_said(tmp_path: Path) -> None:
    root = tmp_path / "worktree"
    root.mkdir()
    (root / ".git").write_text("gitdir: /elsewhere\n")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(root / "s"))
        base = capture(root, tmp_path / "tree.tar")

    assert base.entries == {}
    assert [line.split(":")[0] for line in base.left_out] == [".git", "s"]
    with tarfile.open(tmp_path / "tree.tar") as tar:
        assert tar.getnames() == []


def test_of_much_that_is_left_out_for_one_reason_a_few_are_named(tmp_path: Path) -> None:
    root = tmp_path / "repo"
    for number in range(40):
        (root / f"p{number:02}" / "__pycache__").mkdir(parents=True)
    os.mkfifo(root / "pipe")
    base = capture(root, tmp_path / "tree.tar")
    pipe, first, *_, last = base.left_out
    assert pipe == "pipe: a socket, pipe or device"
    assert (first, last) == ("p00/__pycache__: made by tools", "35 more: made by tools")
    assert len(base.left_out) == 7


def test_a_patch_is_laid_into_the_tree_it_was_made_for(
    repo: Path, box: DockerSandbox, tmp_path: Path
) -> None:
    command = (
        "printf 'x = 9\\r\\ny = 2\\r\\n' > pkg/m.py; printf z >> pkg/data.bin; mkdir -p n/e; echo new > n/e/w; rm run.sh; "
        "rm link; ln -s n/e/w link; echo '#!' > tool; chmod 755 tool"
    )
    patch, base = modify(repo, box, command, tmp_path)
    untouched = (repo / ".git/config").read_bytes()

    apply_to_tree(patch, base, tmp_path / "tree.tar", repo)

    assert (repo / "pkg/m.py").read_bytes() == b"x = 9\r\ny = 2\r\n"
    assert (repo / "pkg/data.bin").read_bytes() == bytes(range(256)) + b"z"
    assert (repo / "n/e/w").read_text() == "new\n"
    assert (repo / "link").readlink() == Path("n/e/w")
    assert (repo / "tool").stat().st_mode & 0o100
    assert not (repo / "run.sh").exists()
    assert (repo / ".git/config").read_bytes() == untouched
    assert not (tmp_path / "PWNED").exists()
    assert not list(repo.rglob("*journeyman*"))


def test_a_folder_that_the_patch_empties_goes_and_a_file_can_become_a_folder(
    repo: Path, box: DockerSandbox, tmp_path: Path
) -> None:
    command = "rm -r pkg; echo y > pkg; rm run.sh; mkdir run.sh; echo x > run.sh/inner"
    patch, base = modify(repo, box, command, tmp_path)

    apply_to_tree(patch, base, tmp_path / "tree.tar", repo)

    assert (repo / "pkg").read_text() == "y\n"
    assert (repo / "run.sh/inner").read_text() == "x\n"


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [
        ("printf 'x = 3\\n' > pkg/m.py", "has changed"),
        ("rm pkg/m.py", "is gone"),
        ("chmod +x pkg/m.py", "has changed"),
        ("rm pkg/m.py; ln -s /etc/passwd pkg/m.py", "has changed"),
        ("rm pkg/m.py; mkdir pkg/m.py", "neither a file nor a link"),
        ("mkdir n; echo x > n/new", "exists already"),
        ("ln -s /tmp n", "Not a directory"),
        ("mv pkg elsewhere; ln -s elsewhere pkg", "Not a directory"),
    ],
)
def test_a_tree_that_changed_meanwhile_is_left_alone(
    repo: Path, box: DockerSandbox, tmp_path: Path, meanwhile: str, said: str
) -> None:
    patch, base = modify(repo, box, "echo 'x = 9' > pkg/m.py; mkdir n; echo y > n/new", tmp_path)
    subprocess.run(["sh", "-c", meanwhile], cwd=repo, check=True)
    before = contents(repo)

    with pytest.raises(SandboxError, match=said):
        apply_to_tree(patch, base, tmp_path / "tree.tar", repo)

    assert contents(repo) == before


def test_a_change_elsewhere_does_not_matter(repo: Path, box: DockerSandbox, tmp_path: Path) -> None:
    patch, base = modify(repo, box, "echo 'x = 9' > pkg/m.py", tmp_path)
    (repo / "run.sh").write_text("changed\n")

    apply_to_tree(patch, base, tmp_path / "tree.tar", repo)

    assert (repo / "pkg/m.py").read_text() == "x = 9\n"


def test_a_write_that_fails_halfway_is_undone(
    repo: Path, box: DockerSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch, base = modify(
        repo, box, "echo 1 > a-first; echo 'x = 9' > pkg/m.py; rm run.sh; echo 2 > z-last", tmp_path
    )
    before = contents(repo)
    replace = os.replace

    def full(source: str, target: str, **options: int) -> None:
        if target == "z-last":
            raise OSError(28, "No space left on device", target)
        replace(source, target, **options)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(SandboxError, match="put back"):
        apply_to_tree(patch, base, tmp_path / "tree.tar", repo)

    assert contents(repo) == before


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv.pop(1))
from sandbox.workspace import Base, apply_to_tree

left = int(sys.argv[1])

def dying(call):
    def stepped(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return stepped

for name in ("open", "unlink", "rmdir", "mkdir", "symlink", "replace", "fchmod", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
patch, base, archive, repo = map(Path, sys.argv[2:])
text = patch.read_bytes().decode()
apply_to_tree(text, Base.load(base), archive, repo)
"""


def test_an_apply_that_is_killed_anywhere_goes_in_the_rest_of_the_way(
    repo: Path, box: DockerSandbox, tmp_path: Path
) -> None:
    command = (
        "rm -r pkg; echo y > pkg; rm run.sh; mkdir run.sh; echo x > run.sh/inner; rm link; "
        "ln -s pkg link; echo '#!' > tool; chmod 755 tool; echo z >> secret.env; mkdir -p n/e; echo w > n/e/w"
    )
    patch, base = modify(repo, box, command, tmp_path)
    (tmp_path / "patch").write_text(patch)
    base.save(tmp_path / "base.json")
    whole = shutil.copytree(repo, tmp_path / "whole", symlinks=True, ignore=_PIPES)
    apply_to_tree(patch, base, tmp_path / "tree.tar", whole)
    wanted, begun = contents(whole), contents(repo)
    partly = 0
    for died_at in itertools.count(1, 5):
        cut = shutil.copytree(repo, tmp_path / f"cut-{died_at}", symlinks=True, ignore=_PIPES)
        given = [tmp_path / name for name in ("patch", "base.json", "tree.tar")]
        killed = [sys.executable, "-c", _KILLED, str(ROOT), str(died_at), *map(str, given)]
        died = subprocess.run([*killed, str(cut)], check=False, capture_output=True)
        partly += contents(cut) not in (wanted, begun)
        apply_to_tree(patch, base, tmp_path / "tree.tar", cut)
        assert contents(cut) == wanted, died_at
        assert sorted(p.name for p in cut.rglob("*")) == sorted(p.name for p in whole.rglob("*"))
        if died.returncode == 0:
            break
    assert partly > 5, "it was never killed between two files"


_PIPES = shutil.ignore_patterns("pipe")


def test_a_capture_that_was_changed_is_not_taken_for_the_base(
    repo: Path, box: DockerSandbox, tmp_path: Path
) -> None:
    patch, base = modify(repo, box, "echo 'x = 9' > pkg/m.py", tmp_path)
    before = contents(repo)
    archive = tmp_path / "tree.tar"
    archive.write_bytes(archive.read_bytes().replace(b"x = 1\r\n", b"x = 2\r\n"))

    with pytest.raises(SandboxError, match="not the tree that the session began with"):
        apply_to_tree(patch, base, archive, repo)
    assert contents(repo) == before


def test_git_settings_of_a_hook_that_started_us_do_not_matter(
    repo: Path, box: DockerSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch, base = modify(repo, box, "echo 'x = 9' > pkg/m.py", tmp_path)
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(repo / ".git" / "nowhere"))
    before = sorted(path.name for path in (repo / ".git").iterdir())

    apply_to_tree(patch, base, tmp_path / "tree.tar", repo)

    assert (repo / "pkg/m.py").read_text() == "x = 9\n"
    assert sorted(path.name for path in (repo / ".git").iterdir()) == before


NEW = "diff --git a/{0} b/{0}\nnew file mode 100644\n--- /dev/null\n+++ b/{0}\n@@ -0,0 +1 @@\n+x\n"


@pytest.mark.parametrize(
    "patch",
    [
        NEW.format("../x"),
        NEW.format("/etc/x"),
        NEW.format(".git/hooks/x"),
        NEW.format("a/.GIT/x"),
        NEW.format("a/git~1/x"),
        NEW.format("a//x"),
        "just words",
        "diff --git a/x b/y\nnew file mode 100644\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/other\n@@ -1 +1 @@\n-a\n+b\n",
        "--- a/x\n+++ b/x\n@@ -1,5 +1 @@\n-a\n+b\n",
        "diff --git a/x b/x\nindex 1..2 100644\nBinary files a/x and b/x differ\n",
    ],
)
def test_a_patch_that_is_not_what_it_seems_is_refused(patch: str, tmp_path: Path) -> None:
    with pytest.raises(SandboxError):
        parse_patch(patch)
    with pytest.raises(SandboxError):
        apply_to_tree(patch, Base.of({}, ()), tmp_path / "tree.tar", tmp_path)


def test_a_patch_is_read_as_git_means_it() -> None:
    text = (
        "words before\n"
        'diff --git "a/tab\\there" "b/tab\\there"\nold mode 100644\nnew mode 100755\n'
        "diff --git a/old b/new\nsimilarity index 90%\nrename from old\nrename to new\n"
        "index 1..2 100644\n--- a/old\n+++ b/new\n@@ -1,2 +1,3 @@ def f\n one\n-two\n+2\n+3\n"
        "diff --git a/gone b/gone\ndeleted file mode 120000\nindex 1..0\n--- a/gone\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-target\n\\ No newline at end of file\n"
        "diff --git a/sub b/sub\nnew file mode 160000\nindex 0..1\n--- /dev/null\n+++ b/sub\n@@ -0,0 +1 @@\n+Subproject commit 1\n"
        "diff --git a/b b/b\nindex 1..2 100644\nGIT binary patch\nliteral 1\nIcmZ\n\nliteral 1\nIcmZ\n\n"
        "--- a/plain\n+++ b/plain\n@@ -1 +1 @@\n--- minus\n+++ plus\n"
    )

    assert parse_patch(text) == (
        FileChange("tab\there", "tab\there", "100644", "100755"),
        FileChange("new", "old", "100644", "100644", added=2, removed=1),
        FileChange("gone", "gone", "120000", "", "symlink", removed=1, deleted=True),
        FileChange("sub", "", "", "160000", "gitlink", added=1, new=True),
        FileChange("b", "b", "100644", "100644", "binary"),
        FileChange("plain", "plain", added=1, removed=1),
    )


def test_no_change_is_no_patch(tmp_path: Path) -> None:
    assert parse_patch("") == ()
    apply_to_tree("", Base.of({}, ()), tmp_path / "tree.tar", tmp_path)
