"""Each column of the table, by the definition it is printed with."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from benchmarks.imports import cycles, edges
from benchmarks.shape import (
    ACTION_PATH,
    Function,
    broad,
    documented,
    function_lines,
    nesting,
    parameters,
    read,
    row,
)

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = '''
"""A module.

Its text is no code.
"""
# a comment
import os  # noqa: F401


def outer(a: int, b=1, *rest, key: str, **more: object) -> str:
    """Text."""

    @decorator
    def inner(x):
        return """two
lines"""

    return inner(a)


class _Hidden:
    def method(self, z):  # TODO: mend
        try:
            pass
        except Exception:
            pass
        except (ValueError, BaseException):
            raise

    @property
    def value(self): return 1

    @value.setter
    def value(self, new): ...
'''


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "sample.py").write_text(SAMPLE)
    (tmp_path / "room" / "__init__.py").write_text("")
    (tmp_path / "room" / "broken.py").write_text("def (:\n")
    return tmp_path


def test_code_lines_leave_out_comments_blank_lines_and_docstrings(sample: Path) -> None:
    shape = read(sample, ["room"])
    (module,) = [m for m in shape.modules if m.name == "room.sample"]
    lines = SAMPLE.splitlines()
    assert [lines[n - 1].strip() for n in sorted(module.code)][:6] == [
        "import os  # noqa: F401",
        "def outer(a: int, b=1, *rest, key: str, **more: object) -> str:",
        "@decorator",
        "def inner(x):",
        'return """two',
        'lines"""',
    ]
    assert shape.skipped == 1
    assert shape.code == len(module.code)


def test_a_functions_lines_count_inner_ones_and_leave_out_decorators_and_docstring(
    sample: Path,
) -> None:
    sizes = {node.name: function_lines(m, node) for m, node in read(sample, ["room"]).functions()}
    assert sizes == {"outer": 6, "inner": 3, "method": 7, "value": 1}


def test_typed_counts_parameters_without_self_and_with_stars() -> None:
    assert parameters(ast.parse(SAMPLE)) == (3, 8)
    assert parameters(ast.parse("class A:\n @staticmethod\n def f(x: int, y): ...")) == (1, 2)


def test_documented_counts_what_is_public_at_every_level() -> None:
    assert documented(ast.parse(SAMPLE)) == (1, 1)
    text = 'class A:\n def f(self):\n  "x"\n def g(self): ...\n def _h(self): ...\n'
    assert documented(ast.parse(text)) == (1, 2)


def test_broad_handlers_and_those_that_swallow() -> None:
    assert broad(ast.parse(SAMPLE)) == (2, 1)
    assert broad(ast.parse("try:\n pass\nexcept:\n pass\nexcept OSError:\n pass")) == (1, 1)


@pytest.mark.parametrize(
    ("body", "depth"),
    [
        ("pass", 0),
        ("if a:\n pass\nelif b:\n pass\nelif c:\n pass", 1),
        ("if a:\n pass\nelse:\n if b:\n  pass\n x = 1", 2),
        ("for a in b:\n while c:\n  try:\n   pass\n  finally:\n   with d:\n    pass", 4),
        ("match a:\n case 1:\n  if b:\n   pass", 2),
        ("if a:\n def inner():\n  if b:\n   pass", 1),
    ],
)
def test_nesting_is_the_deepest_chain_of_blocks(body: str, depth: int) -> None:
    tree = ast.parse("def f():\n" + textwrap.indent(body, " "))
    function = tree.body[0]
    assert isinstance(function, Function)
    assert nesting(function) == depth


def test_cycles_at_run_time_and_in_all() -> None:
    trees = {
        "a.one": ast.parse("from a import two\n"),
        "a.two": ast.parse("def f():\n from a.one import x\n"),
        "a.three": ast.parse(
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import a.three\n"
        ),
        "a": ast.parse("from . import one"),
    }
    assert edges(trees, at_run_time=True)["a"] == {"a.one"}
    assert cycles(edges(trees, at_run_time=True)) == []
    assert cycles(edges(trees, at_run_time=False)) == [{"a.one", "a.two"}]


def test_the_row_has_every_column(sample: Path) -> None:
    shape = read(sample, ["room"])
    columns = row(shape, shape, 3)
    assert columns["TODO"] == "1"
    assert columns["test/src"] == "1.00"
    assert columns["deps"] == "3"
    assert len(columns) == 16


def test_the_path_of_one_action_is_at_most_6_files_and_1200_lines() -> None:
    lines = [len((ROOT / name).read_text().splitlines()) for name in ACTION_PATH]
    assert len(lines) <= 6
    assert sum(lines) <= 1200


def test_the_table_is_printed_for_this_project() -> None:
    command = [sys.executable, "-m", "benchmarks.shape"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("| files | code |"), done.stderr
    assert "path of one action: 6 files" in done.stdout
    assert "test lines that mention mock or patch: " in done.stdout
