"""Cases of the repair benchmark: a repository with red tests, and hidden tests that judge a patch.

Two kinds of JSONL rows are known by their fields: functions in the manner of HumanEvalPack
(`declaration`, `buggy_solution`, checks in two halves), and release pairs (`package`, `old`,
`new`, `fail_to_pass`).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox.releases import release_pair

Kind = Literal["function", "release"]
_LOOPS = (ast.For, ast.While, ast.With, ast.Try, ast.If, ast.FunctionDef)


_LIMITED = """import signal

import pytest


def ring(*_):
    raise TimeoutError("the test did not end within 5 s")


@pytest.fixture(autouse=True)
def limited():
    signal.signal(signal.SIGALRM, ring)
    signal.alarm(5)
    yield
    signal.alarm(0)

"""
"""Head of every test file: a program that never ends is a failing test, not a run that hangs."""


@dataclass(frozen=True, slots=True)
class Case:
    """One bug.

    Attributes:
        id: Its name in tables.
        kind: What the row is.
        row: The row.
    """

    id: str
    kind: Kind
    row: dict[str, Any]


def read_cases(file: Path) -> list[Case]:
    """The cases of a JSONL file.

    Raises:
        ValueError: A row is of no known kind; says which line.
    """
    cases = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        row = json.loads(line)
        if {"buggy_solution", "visible_check", "hidden_check"} <= set(row):
            cases.append(Case(str(row["task_id"]), "function", row))
        elif {"package", "old", "new", "fail_to_pass"} <= set(row):
            name = f"{row['package']} {row['old']} -> {row['new']}"
            cases.append(Case(name, "release", row))
        else:
            known = "functions (buggy_solution, visible_check, hidden_check) and release pairs (package, old, new, fail_to_pass)"
            raise ValueError(f"{file}, line {number}: neither of {known}")
    return cases


def program_of(row: dict[str, Any]) -> str:
    """The buggy program: with its docstring where the row's prompt has it in the right place."""
    for head in (row.get("prompt", ""), row.get("declaration", "")):
        program = f"{head}{row['buggy_solution']}"
        try:
            tree = ast.parse(program)
        except SyntaxError:
            continue
        if any(getattr(node, "name", "") == row["entry_point"] for node in tree.body):
            return program
    raise ValueError(f"{row['task_id']}: declaration and solution do not parse together")


def pytest_text(check: str, entry_point: str) -> tuple[str, int]:
    """A pytest file of a `check` function, one test an assertion where that is possible.

    Returns:
        The text, and how many tests it holds (`test_1` and so on).
    """
    function = next(n for n in ast.parse(check).body if isinstance(n, ast.FunctionDef))
    parameter = function.args.args[0].arg
    groups: list[list[ast.stmt]] = []
    if any(isinstance(statement, _LOOPS) for statement in function.body):
        groups = [list(function.body)]
    else:
        before: list[ast.stmt] = []
        for statement in function.body:
            if isinstance(statement, ast.Assert):
                groups.append([*before, statement])
            else:
                before.append(statement)
    lines = [_LIMITED, "import solution", "from solution import *", ""]
    for number, group in enumerate(groups, 1):
        lines += ["", f"def test_{number}():", f"    {parameter} = solution.{entry_point}"]
        for statement in group:
            lines += [f"    {line}" for line in ast.unparse(statement).splitlines()]
        lines.append("")
    return "\n".join(lines), len(groups)


@dataclass(frozen=True, slots=True)
class Laid:
    """A case as a repository on disk.

    Attributes:
        visible: Ids of the failing tests that the agent is told of.
        hidden: What judges the patch: test ids or files.
        hidden_files: Files that are laid only then, path to text.
        test_command: Empty: what the environment finds.
        tolerant: The hidden tests are files that may hold tests of other changes.
    """

    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    hidden_files: Mapping[str, str]
    test_command: str = ""
    tolerant: bool = False


def lay(case: Case, repo: Path) -> Laid:
    """Lay a case's repository into a new folder.

    Raises:
        ValueError: The row cannot be made into a repository.
        SandboxError: A release could not be fetched.
    """
    if case.kind == "function":
        repo.mkdir()
        return write_function(case.row, repo)
    return _lay_release(case.row, repo)


def write_function(row: dict[str, Any], folder: Path) -> Laid:
    """A function's repository: `solution.py`, and `test_solution.py` with the visible half."""
    folder.joinpath("solution.py").write_text(program_of(row), encoding="utf-8")
    text, _ = pytest_text(row["visible_check"], row["entry_point"])
    folder.joinpath("test_solution.py").write_text(text, encoding="utf-8")
    hidden, _ = pytest_text(row["hidden_check"], row["entry_point"])
    return Laid(visible=(), hidden=("test_hidden.py",), hidden_files={"test_hidden.py": hidden})


def _lay_release(row: dict[str, Any], repo: Path) -> Laid:
    """An old release with the tests of the new one.

    Failing tests alternate visible and hidden; where there is only one, the new release's other
    test files are hidden.
    """
    changed = release_pair(row["package"], row["old"], row["new"], repo, say=lambda _text: None)
    failing = [str(test) for test in row["fail_to_pass"]]
    files = [str(path) for path in row.get("test_files_from_new") or changed]
    own = failing[0].split("::")[0]
    hidden = failing[1::2] or [path for path in changed if path != own] or [own]
    command = f"python -m pytest -q -p no:cacheprovider -o addopts= {' '.join(files)}"
    return Laid(
        visible=tuple(failing[::2]),
        hidden=tuple(hidden),
        hidden_files={},
        test_command=command,
        tolerant=len(failing) == 1,
    )
