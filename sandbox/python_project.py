"""What a Python project says that it needs, read from its files as data; nothing of it is run.

Declarations are read where projects really keep them: `[project]`, dependency groups, Poetry, PDM,
Hatch and uv tables, setup.cfg, the literal arguments of `setup()` in setup.py, tox's `deps`,
requirement files, and, for test plugins that nobody declared, the options and imports that would
fail without them.
"""

from __future__ import annotations

import ast
import configparser
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEST_NAMES = ("test", "tests", "testing", "unittest", "pytest", "test-requires")
DEV_NAMES = ("dev", "develop", "development")
REQUIREMENT_FILES = (
    *(
        pattern.format(name)
        for name in ("test", "tests", "testing", "dev", "develop")
        for pattern in (
            "requirements-{}.txt", "requirements_{}.txt", "{}-requirements.txt",
            "{}_requirements.txt", "requirements/{}.txt", "requirements.{}.txt",
        )
    ),
    "tests/requirements.txt",
    "test/requirements.txt",
)  # fmt: skip
DEPENDENCY_FILES = (
    "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", "requirements.txt",
    "requirements.in", "Pipfile.lock", "poetry.lock", "MANIFEST.in", *REQUIREMENT_FILES,
)  # fmt: skip

_LARGEST = 2_000_000
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
_OLD_HOOKS = re.compile(
    r"def\s+pytest_(?:ignore_collect|collect_file|collect_directory|pycollect_makemodule)"
    r"\s*\([^)]*\bpath\b|def\s+pytest_report_(?:header|collectionfinish)\s*\([^)]*\bstartdir\b"
)


@dataclass(frozen=True, slots=True)
class PythonProject:
    """What a project declares.

    Attributes:
        requires_python: Its specifier (`>=3.9,<4`); empty when it says nothing.
        installable: It has a build description, so pip can install it.
        dependencies: What it needs at run time, as far as it can be known without running it.
        extras: Names of its own extras that hold test requirements.
        requirements: Further test requirements, in pip's form.
        files: Requirement files for tests.
        source_root: Where its packages lie, relative to the root: `.` or `src`.
        old_pytest: Its conftest files define hooks that pytest 9 no longer accepts.
        uses_pytest: It names pytest somewhere (else its tests are unittest's or unknown).
    """

    requires_python: str = ""
    installable: bool = False
    dependencies: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    source_root: str = "."
    old_pytest: bool = False
    uses_pytest: bool = False


def read_text(repo: Path, name: str) -> str:
    """A file of the repository as text; empty when it is not there, leads outside, or is huge."""
    path = repo / name
    try:
        if not path.resolve().is_relative_to(repo.resolve()) or not path.is_file():
            return ""
        if path.stat().st_size > _LARGEST:
            return ""
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def read_toml(repo: Path, name: str) -> dict[str, Any]:
    """A TOML file of the repository; empty when it is missing or broken."""
    try:
        return tomllib.loads(read_text(repo, name))
    except tomllib.TOMLDecodeError:
        return {}


def read_project(repo: Path) -> PythonProject:
    """Read everything that `PythonProject` holds."""
    pyproject = read_toml(repo, "pyproject.toml")
    setup_cfg = _read_ini(repo, "setup.cfg")
    setup_py = _setup_arguments(read_text(repo, "setup.py"))
    tox = _read_ini(repo, "tox.ini")
    extras = _extras(pyproject, setup_cfg, setup_py)
    tests, scanned = _scan_tests(repo)
    declared = [
        *_group_requirements(pyproject),
        *_poetry_group(pyproject),
        *_table_requirements(pyproject),
        *_strings(setup_py.get("tests_require")),
        *_lines(setup_cfg.get("options", {}).get("tests_require", "")),
        *_tox_requirements(tox),
    ]
    chosen = _chosen(extras)
    known = {name_of(r) for r in (*declared, *(r for e in chosen for r in extras[e]))}
    undeclared = {*scanned, *_wanted_by_options(pyproject, setup_cfg, tox, repo)}
    return PythonProject(
        requires_python=_requires_python(pyproject, setup_cfg, setup_py),
        installable=_installable(pyproject, setup_cfg, repo),
        dependencies=_dependencies(pyproject, setup_cfg, setup_py),
        extras=chosen,
        requirements=tuple(dict.fromkeys([*declared, *sorted(undeclared - known)])),
        files=tuple(f for f in REQUIREMENT_FILES if read_text(repo, f)),
        source_root="src" if any((repo / "src").glob("*/__init__.py")) or any(
            (repo / "src").glob("*.py")) else ".",
        old_pytest=any(_OLD_HOOKS.search(text) for text in tests if "def pytest_" in text),
        uses_pytest=any("pytest" in text for text in tests) or "pytest" in known,
    )  # fmt: skip


def name_of(requirement: str) -> str:
    """The normalised distribution name of a requirement; empty when there is none."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def _read_ini(repo: Path, name: str) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(read_text(repo, name))
    except configparser.Error:
        return {}
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _setup_arguments(text: str) -> dict[str, Any]:
    """The literal keyword arguments of `setup()`, names of module-level literals included."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return {}
    names: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            names[statement.targets[0].id] = _literal(statement.value, names)
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if (
            isinstance(node, ast.Call)
            and getattr(called, "id", getattr(called, "attr", "")) == "setup"
        ):
            values = {k.arg: _literal(k.value, names) for k in node.keywords if k.arg}
            return {key: value for key, value in values.items() if value is not None}
    return {}


def _literal(node: ast.expr, names: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Dict):
        keys = [_literal(key, names) if key else None for key in node.keys]
        return {
            key: _literal(value, names)
            for key, value in zip(keys, node.values, strict=True)
            if isinstance(key, str)
        }
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError):
        return None


def _requires_python(
    pyproject: Mapping[str, Any],
    setup_cfg: Mapping[str, dict[str, str]],
    setup_py: Mapping[str, Any],
) -> str:
    project = _table(pyproject, "project").get("requires-python")
    poetry = _table(pyproject, "tool", "poetry", "dependencies").get("python")
    poetry = poetry.get("version") if isinstance(poetry, dict) else poetry
    flit = _table(pyproject, "tool", "flit", "metadata").get("requires-python")
    options = setup_cfg.get("options", {}).get("python_requires")
    found = project or poetry or flit or options or setup_py.get("python_requires")
    return found if isinstance(found, str) else ""


def _installable(pyproject: Mapping[str, Any], setup_cfg: Mapping[str, Any], repo: Path) -> bool:
    return bool(
        "project" in pyproject
        or _table(pyproject, "tool", "poetry").get("name")
        or _table(pyproject, "tool", "flit")
        or (repo / "setup.py").is_file()
        or "metadata" in setup_cfg
    )


def _dependencies(
    pyproject: Mapping[str, Any],
    setup_cfg: Mapping[str, dict[str, str]],
    setup_py: Mapping[str, Any],
) -> tuple[str, ...]:
    poetry = _table(pyproject, "tool", "poetry", "dependencies")
    return tuple(
        dict.fromkeys(
            [
                *_strings(_table(pyproject, "project").get("dependencies")),
                *_poetry_requirements(poetry),
                *_lines(setup_cfg.get("options", {}).get("install_requires", "")),
                *_strings(setup_py.get("install_requires")),
            ]
        )
    )


def _extras(
    pyproject: Mapping[str, Any],
    setup_cfg: Mapping[str, dict[str, str]],
    setup_py: Mapping[str, Any],
) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    tables: list[Mapping[str, Any]] = [
        _table(pyproject, "project", "optional-dependencies"),
        _table(pyproject, "tool", "poetry", "extras"),
        _table(pyproject, "tool", "flit", "metadata", "requires-extra"),
        {k: _lines(v) for k, v in setup_cfg.get("options.extras_require", {}).items()},
    ]
    if isinstance(setup_py.get("extras_require"), dict):
        tables.append(setup_py["extras_require"])
    for table in tables:
        found |= {name: _strings(value) for name, value in table.items()}
    return found


def _chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The test names among these; the development names only where there is no test name."""
    by_name = {name.lower().replace("_", "-"): name for name in names}
    for wanted in (TEST_NAMES, DEV_NAMES):
        found = tuple(by_name[name] for name in wanted if name in by_name)
        if found:
            return found
    return ()


def _group_requirements(pyproject: Mapping[str, Any]) -> list[str]:
    """`[dependency-groups]`, with `include-group` followed."""
    groups = _table(pyproject, "dependency-groups")

    def gather(name: str, seen: frozenset[str]) -> list[str]:
        found: list[str] = []
        for entry in groups.get(name, []) if name not in seen else []:
            if isinstance(entry, str):
                found.append(entry)
            elif isinstance(entry, dict):
                found += gather(str(entry.get("include-group")), seen | {name})
        return found

    return [r for name in _chosen(groups) for r in gather(name, frozenset())]


def _poetry_group(pyproject: Mapping[str, Any]) -> list[str]:
    groups = _table(pyproject, "tool", "poetry", "group")
    tables = [_table(groups, name, "dependencies") for name in (*_chosen(groups),)]
    tables.append(_table(pyproject, "tool", "poetry", "dev-dependencies"))
    return [r for table in tables for r in _poetry_requirements(table)]


def _poetry_requirements(table: Mapping[str, Any]) -> list[str]:
    """Poetry's table in pip's form; what comes from a path, a repository or is optional stays out."""
    found: list[str] = []
    for name, value in table.items():
        entry = value[0] if isinstance(value, list) and value else value
        version = entry.get("version", "*") if isinstance(entry, dict) else entry
        if name == "python" or not isinstance(version, str):
            continue
        if isinstance(entry, dict) and (
            {"path", "git", "url"} & set(entry) or entry.get("optional")
        ):
            continue
        extras = entry.get("extras") if isinstance(entry, dict) else None
        marked = f"{name}[{','.join(extras)}]" if extras else name
        found.append(marked + ",".join(pip_specifiers(version)))
    return found


def pip_specifiers(version: str) -> list[str]:
    """Poetry's constraint as PEP 440 specifiers: `^1.2` is `>=1.2,<2`, `~1.2` is `>=1.2,<1.3`."""
    found: list[str] = []
    for part in (p.strip() for p in version.split("||", maxsplit=1)[0].split(",")):
        match = re.fullmatch(r"([\^~])\s*v?(\d+(?:\.\d+)*)(.*)", part)
        if part in {"", "*"}:
            continue
        if not match:
            found.append(part.replace(" ", "") if part[0] in "<>=!~" else f"=={part}")
            continue
        numbers = [int(n) for n in match[2].split(".")]
        first = next((i for i, n in enumerate(numbers) if n), len(numbers) - 1)
        kept = first if match[1] == "^" else min(1, len(numbers) - 1)
        upper = [*numbers[:kept], numbers[kept] + 1]
        found += [f">={match[2]}{match[3]}", "<" + ".".join(map(str, upper))]
    return found


def _table_requirements(pyproject: Mapping[str, Any]) -> list[str]:
    """Test requirements that Hatch, PDM and uv keep in tables of their own."""
    found: list[str] = []
    environments = _table(pyproject, "tool", "hatch", "envs")
    for name in ("hatch-test", "test", "tests", "testing", "default"):
        for key in ("dependencies", "extra-dependencies"):
            found += _strings(_table(environments, name).get(key))
    pdm = _table(pyproject, "tool", "pdm", "dev-dependencies")
    found += [r for name in _chosen(pdm) for r in _strings(pdm[name])]
    found += _strings(_table(pyproject, "tool", "uv").get("dev-dependencies"))
    return [r for r in found if name_of(r) and "{" not in r]


def _tox_requirements(tox: Mapping[str, dict[str, str]]) -> list[str]:
    """Plain requirements of `[testenv] deps`; conditional, local and file entries stay out."""
    deps = _lines(tox.get("testenv", {}).get("deps", ""))
    return [
        r for r in deps if re.fullmatch(r"[A-Za-z0-9][\w.\-]*(\[[\w,\- ]+\])?\s*([<>=!~].*)?", r)
    ]


def _wanted_by_options(
    pyproject: Mapping[str, Any], setup_cfg: Mapping[str, dict[str, str]],
    tox: Mapping[str, dict[str, str]], repo: Path,
) -> set[str]:  # fmt: skip
    """Plugins whose options stand in pytest's settings: without them pytest ends at once."""
    tables: list[Mapping[str, Any]] = [
        _table(pyproject, "tool", "pytest", "ini_options"),
        _table(pyproject, "tool", "pytest"),
        setup_cfg.get("tool:pytest", {}),
        tox.get("pytest", {}),
        _read_ini(repo, "pytest.ini").get("pytest", {}),
    ]
    found: set[str] = set()
    for table in tables:
        options = table.get("addopts", "")
        words = options.split() if isinstance(options, str) else _strings(options)
        for word in words:
            name = re.sub(r"^(-n)\d+$|^(--[a-z]+(?:-[a-z]+)*)=.*$", r"\1\2", word)
            found |= {
                p for o, p in _OPTIONS.items()
                if name == o or (o in {"--cov", "--benchmark", "--reruns"} and name.startswith(o + "-"))
            }  # fmt: skip
        found |= {plugin for key, plugin in _SETTINGS.items() if key in table}
    return found


def _scan_tests(repo: Path) -> tuple[list[str], set[str]]:
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


def _table(data: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    for key in keys:
        data = data.get(key) or {}
        if not isinstance(data, dict):
            return {}
    return dict(data)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return _lines(value)
    return [v for v in value if isinstance(v, str)] if isinstance(value, (list, tuple)) else []


def _lines(text: str) -> list[str]:
    lines = (line.split(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
