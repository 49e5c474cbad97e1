"""A patch has two readers here, the gate's and the one that applies it: they never differ unseen."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from policies.facts import patch
from policies.facts.patch import NotAPatch
from sandbox.errors import SandboxError
from sandbox.patch_text import parse_patch

PATCH = r"""diff --git a/a.py b/a.py
index 1111111..2222222 100644
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
 x
-a
+b
diff --git a/run.sh b/run.sh
old mode 100644
new mode 100755
diff --git a/l b/l
new file mode 120000
index 0000000..1111111
--- /dev/null
+++ b/l
@@ -0,0 +1 @@
+../../etc/passwd
\ No newline at end of file
diff --git a/old b/.github/new
similarity index 100%
rename from old
rename to .github/new
diff --git a/gone.txt b/gone.txt
deleted file mode 100644
index 1111111..0000000
--- a/gone.txt
+++ /dev/null
@@ -1 +0,0 @@
-gone
diff --git "a/q\"uo\303\251.txt" "b/q\"uo\303\251.txt"
new file mode 100644
index 0000000..e69de29
diff --git a/b.bin b/b.bin
new file mode 100644
index 0000000..1111111
GIT binary patch
literal 3
KcmZ

literal 0
HcmV?d00001

diff --git a/sub b/sub
index 1111111..2222222 160000
--- a/sub
+++ b/sub
@@ -1 +1 @@
-Subproject commit 1111
+Subproject commit 2222
"""
STRAY = [
    r"diff --git a/conftest.py b/conftest.py",
    r"--- a/setup.py",
    r"+++ b/setup.py",
    r"+++ b/a.py",
    r"--- /dev/null",
    r"+++ /dev/null",
    r'--- "a/\056gitmodules"',
    r'+++ "b/\056gitmodules"',
    r"rename from a.py",
    r"rename to .gitattributes",
    r'rename to "\056gitmodules"',
    r"copy from a.py",
    r"copy to conftest.py",
    r"new file mode 120000",
    r"new file mode 100755 ",
    r"old mode 100644",
    r"new mode 120000",
    r"deleted file mode 100644",
    r"index 1111111..2222222 120000",
    r"similarity index 10%",
    r"@@ -1 +1 @@",
    r"@@ -0,0 +1 @@",
    r"+x",
    r"-x",
    r" x",
    r"",
    r"GIT binary patch",
    r"literal 3",
    r"delta 3",
    r"Binary files a/x and b/x differ",
    r"\ No newline at end of file",
    r"-- ",
    r"From: x",
    r"",
]


def told_to_the_gate(text: str) -> list[tuple[object, ...]]:
    return sorted(
        (
            file.path,
            "" if file.change == "add" else file.old_path,
            "120000" in (file.old_mode, file.new_mode),
            "160000" in (file.old_mode, file.new_mode),
            file.new_mode == "100755" != file.old_mode,
            file.binary and not {"120000", "160000"} & {file.old_mode, file.new_mode},
            len(file.added),
        )
        for file in patch.read(text)
    )


def told_to_who_applies(text: str) -> list[tuple[object, ...]]:
    return sorted(
        (
            change.path,
            change.old_path,
            "120000" in (change.old_mode, change.new_mode),
            "160000" in (change.old_mode, change.new_mode),
            change.new_mode == "100755" != change.old_mode,
            change.kind == "binary",
            change.added,
        )
        for change in parse_patch(text)
    )


def spoilt(seed: int) -> str:
    """The patch with one to three lines taken out, doubled, exchanged or put in."""
    chance = random.Random(seed)
    lines = PATCH.split("\n")
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(4):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[other])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                lines.insert(at, chance.choice(STRAY))
    return "\n".join(lines)


def test_what_both_readers_take_for_a_patch_they_take_for_the_same() -> None:
    taken = 0
    for seed in range(4000):
        text = spoilt(seed)
        try:
            gate, applied = told_to_the_gate(text), told_to_who_applies(text)
        except (NotAPatch, SandboxError):
            continue
        taken += 1
        assert gate == applied, f"seed {seed}:\n{text}"
    assert taken > 100


@pytest.mark.parametrize("stray", STRAY[1:12])
def test_a_line_that_follows_a_link_does_not_turn_it_into_another_file(stray: str) -> None:
    link = PATCH[PATCH.index("diff --git a/l ") : PATCH.index("diff --git a/old")]
    with pytest.raises(NotAPatch):
        patch.read(f"{link}{stray}\n")


def test_patches_that_git_writes_are_read(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        command = ["git", "-c", "core.quotePath=true", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    names = (
        "plain",
        "with blank",
        " b/c",
        'qu"ote',
        "new\nline",
        "é",
        "back\\slash",
        "a b/x b/a b",
    )
    git("init", "-q")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name * 20 + "\n")
        (tmp_path / f"{name}.gone").write_text("gone\n")
    (tmp_path / "data").write_bytes(bytes(range(256)) * 20)
    git("add", "-A")
    first = git("write-tree").strip()
    for name in names:
        (tmp_path / f"{name}.gone").unlink()
        (tmp_path / name).rename(tmp_path / f"{name}.moved")
        (tmp_path / name).symlink_to(name)
    (tmp_path / "data").write_bytes(bytes(range(255, -1, -1)) * 20)
    (tmp_path / "empty").touch(mode=0o755)
    git("add", "-A")
    for options in ([], ["-M"], ["--no-renames"], ["-C", "--find-copies-harder"]):
        text = git("diff", "--cached", "--binary", "--full-index", *options, first)
        assert told_to_the_gate(text) == told_to_who_applies(text)
        assert {f"{name}.moved" for name in names} <= {file.path for file in patch.read(text)}
