"""What a Python project's own files say that its tests need."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.python_project import read_project
from tests.sandbox.test_environment import lay


@pytest.mark.parametrize(
    "package", ["src/pkg/__init__.py", "src/module.py", "src/zope/event/__init__.py"]
)
def test_a_src_folder_is_the_root_also_where_it_holds_a_namespace(
    tmp_path: Path, package: str
) -> None:
    lay(tmp_path, {package: "", "pyproject.toml": "[project]\nname = 'a'\nversion = '1'\n"})
    assert read_project(tmp_path).source_root == "src"


def test_a_requirements_file_that_only_tox_names_is_taken(tmp_path: Path) -> None:
    tox = "[testenv]\ndeps =\n    -r{toxinidir}/ci/needs.txt\n    freezegun\n"
    lay(tmp_path, {"tox.ini": tox, "ci/needs.txt": "attrs\n", "test_a.py": ""})
    project = read_project(tmp_path)
    assert "ci/needs.txt" in project.files
    assert "freezegun" in project.requirements
