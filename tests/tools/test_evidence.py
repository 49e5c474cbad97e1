"""Patches taken apart: what is a test's own file and what is not."""

from __future__ import annotations

import pytest

from tools.evidence import is_test_file, split_patch

PATCH = """\
diff --git a/src/app.py b/src/app.py
index 1111111..2222222 100644
--- a/src/app.py
+++ b/src/app.py
@@ -1 +1 @@
-x = 1
+x = 2
diff --git a/tests/test_app.py b/tests/test_app.py
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/tests/test_app.py
@@ -0,0 +1,2 @@
+def test_x():
+    assert "diff --git" != "--- a/src"
diff --git a/logo.png b/logo.png
index 4444444..5555555 100644
GIT binary patch
literal 1
IcmZPo000310RR91
"""


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_a.py",
        "pkg/tests/data/x.json",
        "test_a.py",
        "a_test.go",
        "conftest.py",
        "pkg/conftest.py",
        "src/a.test.ts",
        "src/__tests__/a.js",
        "tests.py",
        "spec/a.rb",
    ],
)
def test_a_file_of_the_tests_is_known_by_its_path(path: str) -> None:
    assert is_test_file(path)


@pytest.mark.parametrize(
    "path", ["src/app.py", "contest.py", "attestation/a.py", "latest.py", "pkg/testify.py"]
)
def test_a_file_that_only_sounds_like_a_test_is_none(path: str) -> None:
    assert not is_test_file(path)


def test_a_patch_is_split_into_source_and_tests_without_losing_a_byte() -> None:
    source, tests, paths = split_patch(PATCH)

    assert paths == ("tests/test_app.py",)
    assert "tests/test_app.py" not in source
    assert "logo.png" in source
    assert len(source) + len(tests) == len(PATCH)


def test_a_quoted_path_and_a_rename_are_read() -> None:
    quoted = 'diff --git "a/tests/\\303\\244.py" "b/tests/\\303\\244.py"\nold mode 100644\nnew mode 100755\n'
    renamed = (
        "diff --git a/src/a.py b/tests/a.py\nsimilarity index 100%\n"
        "rename from src/a.py\nrename to tests/a.py\n"
    )
    assert split_patch(quoted)[2] == ("tests/\\303\\244.py",)
    assert split_patch(renamed)[2] == ("tests/a.py",)
