"""Snapshots, undo, and the patch: true bytes whatever the tree says about itself."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from sandbox.docker_sandbox import DockerSandbox
from sandbox.errors import SandboxError
from sandbox.patch_text import parse_patch
from tests.sandbox.conftest import bytes_of, shell, write

LISTING = "find . -name .git -prune -o -printf '%p %y %m %l ' -type f -exec sha1sum {} \\; -o -printf '\\n' | sort"


def listing(box: DockerSandbox) -> str:
    return shell(box, LISTING).stdout


def prepare(box: DockerSandbox) -> None:
    """A tree with everything that git would keep otherwise than it is."""
    write(box, "a/m.py", b"x = 1\r\ndef f():\r\n    return x\r\n")
    write(box, "latin.txt", b"caf\xe9 1\n")
    write(box, "binary", bytes(range(256)) * 20)
    write(box, "no end", b"no newline")
    write(box, 'name with \xc3\xa9 "quotes"\t'.encode("latin-1").decode("utf-8"), b"odd name\n")
    write(
        box,
        ".gitattributes",
        b"*.py text eol=lf ident filter=evil\n*.txt working-tree-encoding=UTF-16\nbinary diff=evil\n",
    )
    write(box, ".gitignore", b"*.log\nbuild/\nkept.log\n")
    write(box, "kept.log", b"1\n")
    shell(
        box,
        "git init -q . && git config filter.evil.clean 'tr a-z A-Z' && git config core.fsmonitor 'touch /tmp/PWNED' "
        "&& git config diff.evil.command 'touch /tmp/PWNED'; git init -q nested && echo inner > nested/file; "
        "ln -s a/m.py link; mkdir -p empty/folder; echo '#!/bin/sh' > run.sh; chmod 755 run.sh; chmod 640 binary",
    )


def change(box: DockerSandbox) -> None:
    """One change of every kind."""
    shell(
        box,
        "printf 'x = 2\\r\\n' > a/m.py; printf 'caf\\351 2\\n' > latin.txt; printf b >> binary; echo more >> 'no end'; "
        "echo changed >> nested/file; rm link; ln -s run.sh link; chmod 644 run.sh; rm kept.log; "
        "mkdir -p new/deep; echo n > new/deep/file; rmdir empty/folder; rm -r a.removed 2>/dev/null; "
        "echo 2 > kept.log; echo x > fresh.log; mkdir build __pycache__; echo o > build/o; echo c > __pycache__/m.pyc",
    )


def test_undo_brings_back_every_file_link_mode_and_folder(box: DockerSandbox) -> None:
    prepare(box)
    before = listing(box)
    base = box.snapshot()

    change(box)
    shell(
        box,
        "rm -r a; echo file > a; rm binary; mkdir binary; echo x > binary/inner; rm -rf nested/file",
    )
    after = box.snapshot()
    changed = listing(box)
    box.restore(base)

    kept = ["__pycache__"]
    assert [
        line for line in listing(box).split("\n") if not any(k in line for k in kept)
    ] == before.split("\n")
    box.restore(after)
    assert listing(box) == changed


def test_a_snapshot_of_the_same_files_has_the_same_id(box: DockerSandbox) -> None:
    prepare(box)

    assert box.snapshot() == box.snapshot()


def test_a_change_within_a_tick_of_the_clock_is_seen(box: DockerSandbox) -> None:
    trees = set()
    for n in range(10):
        write(box, "same-size", b"%d" % n)
        trees.add(box.snapshot())

    assert len(trees) == 10


def test_a_patch_holds_the_files_bytes_and_applies_to_the_base(box: DockerSandbox) -> None:
    prepare(box)
    base = box.snapshot()
    change(box)

    patch = box.diff(base)
    changed = {
        path: bytes_of(box, path)
        for path in ("a/m.py", "latin.txt", "binary", "no end", "nested/file")
    }
    box.restore(base)
    assert box.diff(base) == ""
    box.apply(patch)

    assert {path: bytes_of(box, path) for path in changed} == changed
    assert box.diff(base) == patch
    assert shell(box, "ls /tmp/PWNED").exit_code != 0
    assert shell(box, "readlink link; stat -c %a run.sh").stdout == "run.sh\n644\n"


def test_a_patch_says_what_changed_and_leaves_ignored_new_files_out(box: DockerSandbox) -> None:
    prepare(box)
    base = box.snapshot()
    change(box)

    changes = {change.path: change for change in parse_patch(box.diff(base))}

    assert sorted(changes) == [
        *("a/m.py", "binary", "kept.log", "latin.txt", "link"),
        *("nested/file", "new/deep/file", "no end", "run.sh"),
    ]
    assert changes["a/m.py"].removed == 3
    assert changes["latin.txt"].kind == "binary"
    assert changes["link"].kind == "symlink"
    assert changes["new/deep/file"].new
    assert changes["run.sh"].new_mode == "100644"


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "with space",
        "tab\there",
        'quo"te',
        "back\\slash",
        "日本",
        "new\nline",
        "-dash",
        ":(exclude)x",
    ],
)
def test_any_file_name_goes_through_a_patch(box: DockerSandbox, name: str) -> None:
    base = box.snapshot()
    write(box, f"d/{name}", b"text\n")

    patch = box.diff(base)
    assert [change.path for change in parse_patch(patch)] == [f"d/{name}"]
    box.restore(base)
    box.apply(patch)

    assert bytes_of(box, f"d/{name}") == b"text\n"


@pytest.mark.parametrize(
    "patch",
    [
        "no patch at all",
        "--- a/none\n+++ b/none\n@@ -1 +1 @@\n-a\n+b\n",
        "diff --git a/../x b/../x\nnew file mode 100644\n--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n",
        "diff --git a/.git/x b/.git/x\nnew file mode 100644\n--- /dev/null\n+++ b/.git/x\n@@ -0,0 +1 @@\n+x\n",
    ],
)
def test_a_patch_that_does_not_apply_changes_nothing(box: DockerSandbox, patch: str) -> None:
    base = box.snapshot()

    with pytest.raises(SandboxError, match="does not apply"):
        box.apply(patch)

    assert box.diff(base) == ""


def test_a_half_fitting_patch_changes_nothing(box: DockerSandbox) -> None:
    write(box, "one", b"a\n")
    base = box.snapshot()
    part = "--- a/{0}\n+++ b/{0}\n@@ -1 +1 @@\n-a\n+b\n"

    with pytest.raises(SandboxError):
        box.apply(part.format("one") + part.format("two"))

    assert box.diff(base) == ""


def test_an_unknown_tree_is_an_error(box: DockerSandbox) -> None:
    with pytest.raises(SandboxError, match="no tree"):
        box.restore("f" * 64)


def test_what_tools_make_is_kept_where_the_base_has_it(image: str, tmp_path: Path) -> None:
    archive = tmp_path / "tree.tar"
    with tarfile.open(archive, "w") as tar:
        for path in ("x.egg-info/PKG-INFO", "venv/module.py", "node_modules/a/index.js"):
            info = tarfile.TarInfo(path)
            info.size = 2
            tar.addfile(info, BytesIO(b"1\n"))
    with DockerSandbox.open(image, session_id="tests") as sandbox:
        sandbox.put(archive)
        base = sandbox.snapshot()
        shell(
            sandbox,
            "echo 2 > venv/module.py; echo 2 > node_modules/a/index.js; mkdir .venv; echo x > .venv/y; echo z > node_modules/new.js",
        )

        changed = [change.path for change in parse_patch(sandbox.diff(base))]

        assert changed == ["node_modules/a/index.js", "venv/module.py"]


def test_an_archive_that_is_none_is_an_error(box: DockerSandbox, tmp_path: Path) -> None:
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no archive" * 1000)

    with pytest.raises(SandboxError, match=r"broken\.tar"):
        box.put(broken)
    assert shell(box, "echo alive").stdout == "alive\n"


def test_a_full_workspace_is_said_and_survived(box: DockerSandbox, tmp_path: Path) -> None:
    large = tmp_path / "large.tar"
    with tarfile.open(large, "w") as tar:
        for number in range(5):
            info = tarfile.TarInfo(f"part{number}")
            info.size = 40 << 20
            tar.addfile(info, BytesIO(bytes(40 << 20)))

    with pytest.raises(SandboxError, match="No space left"):
        box.put(large)
    assert shell(box, "rm -f part*; echo alive").stdout == "alive\n"
