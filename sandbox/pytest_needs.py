"""Helpers that a project's tests cannot run without, though it may declare them nowhere.

A plugin whose option stands in pytest's settings, a well-known test library that a test file
imports, a fixture that only a plugin brings: from fixed tables, so that no name in a repository
chooses what is installed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.project_files import read_ini, read_text, strings, table

_LARGEST_SCAN = 400
_SKIPPED = frozenset({"node_modules", "venv", "env", "build", "dist", "__pycache__"})
_NAMES = {
    "hypothesis": "hypothesis", "freezegun": "freezegun", "parameterized": "parameterized",
    "responses": "responses", "time_machine": "time-machine", "ddt": "ddt", "mock": "mock",
    "pytest_mock": "pytest-mock", "pytest_asyncio": "pytest-asyncio", "testfixtures": "testfixtures",
    "pretend": "pretend", "dirty_equals": "dirty-equals", "requests_mock": "requests-mock",
}  # fmt: skip
_FIXTURES = {
    "mocker": "pytest-mock", "benchmark": "pytest-benchmark", "subtests": "pytest-subtests",
    "httpserver": "pytest-httpserver", "httpbin": "pytest-httpbin", "requests_mock": "requests-mock",
    "datadir": "pytest-datadir", "snapshot": "syrupy", "faker": "faker", "respx_mock": "respx",
}  # fmt: skip
_OPTIONS = {
    "--cov": "pytest-cov", "--no-cov": "pytest-cov", "--timeout": "pytest-timeout",
    "-n": "pytest-xdist", "--numprocesses": "pytest-xdist", "--dist": "pytest-xdist",
    "--asyncio-mode": "pytest-asyncio", "--benchmark": "pytest-benchmark",
    "--mypy": "pytest-mypy", "--flake8": "pytest-flake8", "--black": "pytest-black",
    "--ruff": "pytest-ruff", "--randomly": "pytest-randomly", "--reruns": "pytest-rerunfailures",
}  # fmt: skip
_SETTINGS = {"asyncio_mode": "pytest-asyncio", "timeout": "pytest-timeout", "env": "pytest-env"}


def wanted_by_options(
    pyproject: Mapping[str, Any], setup_cfg: Mapping[str, dict[str, str]],
    tox: Mapping[str, dict[str, str]], repo: Path,
) -> set[str]:  # fmt: skip
    """Plugins whose options stand in pytest's settings: without them pytest ends at once."""
    tables: list[Mapping[str, Any]] = [
        table(pyproject, "tool", "pytest", "ini_options"),
        table(pyproject, "tool", "pytest"),
        setup_cfg.get("tool:pytest", {}),
        tox.get("pytest", {}),
        read_ini(repo, "pytest.ini").get("pytest", {}),
    ]
    found: set[str] = set()
    for settings in tables:
        options = settings.get("addopts", "")
        words = options.split() if isinstance(options, str) else strings(options)
        for word in words:
            name = re.sub(r"^(-n)\d+$|^(--[a-z]+(?:-[a-z]+)*)=.*$", r"\1\2", word)
            found |= {
                p for o, p in _OPTIONS.items()
                if name == o or (o in {"--cov", "--benchmark", "--reruns"} and name.startswith(o + "-"))
            }  # fmt: skip
        found |= {plugin for key, plugin in _SETTINGS.items() if key in settings}
    return found


def scan_tests(repo: Path) -> tuple[list[str], set[str]]:
    """Texts of test files, and helper distributions that they import or take as fixtures."""
    texts = [read_text(repo, name) for name in _test_files(repo)]
    whole = "\n".join(texts)
    imported = set(re.findall(r"(?m)^\s*(?:from|import)\s+(\w+)", whole))
    signatures = " ".join(re.findall(r"def\s+test\w*\s*\(([^)]*)\)", whole))
    own = set(re.findall(r"(?m)^\s*(?:async\s+)?def\s+(\w+)\s*\(", whole))
    own |= set(re.findall(r"\w+", " ".join(re.findall(r"parametrize\(\s*[\"']([\w, ]+)", whole))))
    fixtures = set(re.findall(r"\w+", signatures)) - own
    wanted = {_NAMES[name] for name in imported & _NAMES.keys()}
    wanted |= {_FIXTURES[name] for name in fixtures & _FIXTURES.keys()}
    if "pytest.mark.asyncio" in whole:
        wanted.add("pytest-asyncio")
    return texts, wanted


def _test_files(repo: Path) -> list[str]:
    """The first few hundred test files by name, relative to the root."""
    found: list[str] = []
    for folder, folders, files in os.walk(repo):
        folders[:] = sorted(f for f in folders if f[0] != "." and f not in _SKIPPED)
        found += [
            os.path.relpath(Path(folder) / file, repo)
            for file in sorted(files)
            if re.fullmatch(r"test.*\.py|.*_test\.py|conftest\.py", file)
        ]
        if len(found) > _LARGEST_SCAN:
            break
    return found[:_LARGEST_SCAN]
