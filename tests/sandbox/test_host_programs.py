"""No program that obeys what lies in a tree is started on the host, but git in the clean clone.

Read from the sources, since a run shows only what it comes by. What runs inside (`sandbox/worker/`)
may do as it likes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "tools", "policies", "memory", "sandbox", "benchmarks")
OBEDIENT = frozenset(
    [
        "git",
        "hg",
        "svn",
        "make",
        "cmake",
        "pip",
        "uv",
        "poetry",
        "pytest",
        "tox",
        "nox",
        "npm",
        "npx",
        "node",
        "yarn",
        "pnpm",
        "ruff",
        "mypy",
        "pre-commit",
        "direnv",
        "cargo",
        "go",
        "gradle",
        "mvn",
        "bundle",
        "rake",
        "docker-compose",
        "vim",
        "less",
    ]
)
"""Programs that run what a tree's files name: settings, hooks, plugins, test collection."""
STARTERS = frozenset({"run", "Popen", "call", "check_call", "check_output", "execute", "execvp"})
CLEAN_CLONE = "sandbox/applying.py"


def offences(source: str) -> Iterator[str]:
    """What a module would start on the host that obeys a tree, or start in a folder of its choice."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(n.name.partition(".")[0] == "git" for n in names):
                yield f"line {node.lineno}: imports git"
            case ast.ImportFrom(module="git"):
                yield f"line {node.lineno}: imports git"
            case (
                ast.List(elts=[ast.Constant(value=str(word)), *_])
                | ast.Tuple(elts=[ast.Constant(value=str(word)), ast.Constant(), *_])
            ) if word.rpartition("/")[2] == "git":
                yield f"line {node.lineno}: a command of {word}"
            case ast.Call(func=ast.Attribute(attr=name), args=args, keywords=keywords) if (
                name in STARTERS
            ):
                yield from _call(node, args, keywords)


def _call(node: ast.Call, args: list[ast.expr], keywords: list[ast.keyword]) -> Iterator[str]:
    for argument in args[:1]:
        words = argument.elts[:1] if isinstance(argument, ast.List | ast.Tuple) else [argument]
        for word in words:
            said = str(word.value) if isinstance(word, ast.Constant) else ""
            if said and said.split()[0].rpartition("/")[2] in OBEDIENT:
                yield f"line {node.lineno}: starts {said}"
    for keyword in keywords:
        root = isinstance(keyword.value, ast.Constant) and keyword.value.value == "/"
        if keyword.arg == "cwd" and not root:
            yield f"line {node.lineno}: starts a process in a folder"


def test_no_program_that_obeys_a_tree_is_started_on_the_host() -> None:
    found = []
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            if path != CLEAN_CLONE and not path.startswith("sandbox/worker/"):
                found += [f"{path}, {offence}" for offence in offences(file.read_text())]
    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "import git\n",
        "import git.cmd\n",
        "from git import Repo\n",
        "subprocess.run(['git', 'status'])\n",
        "subprocess.Popen(('/usr/bin/git', 'diff'), env={})\n",
        "command = ['git', *options]\n",
        "subprocess.check_output('git status', shell=True)\n",
        "subprocess.run([program], cwd=repo)\n",
        "subprocess.run(['pip', 'install', '.'])\n",
        "program.execute(['make', 'test'])\n",
    ],
)
def test_a_new_one_would_be_seen(planted: str) -> None:
    assert list(offences(f"import subprocess\n{planted}"))


def test_git_in_the_clean_clone_is_the_one_there_is() -> None:
    assert list(offences((ROOT / CLEAN_CLONE).read_text()))
