"""What a Python project says that it needs, read from its files as data; nothing of it is run.

Declarations are read where projects really keep them: `[project]`, dependency groups, Poetry, PDM,
Hatch and uv tables, setup.cfg, the literal arguments of `setup()` in setup.py, tox's `deps`,
requirement files, and, for test plugins that nobody declared, the options and imports that would
fail without them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.project_files import lines, read_ini, read_text, read_toml, strings, table
from sandbox.pytest_needs import scan_tests, wanted_by_options

TEST_NAMES = ("test", "tests", "testing", "unittest", "pytest", "test-requires")
DEV_NAMES = ("dev", "develop", "development")
_FILE_PATTERNS = (
    "requirements-{}.txt", "requirements_{}.txt", "{}-requirements.txt", "{}_requirements.txt",
    "requirements/{}.txt", "requirements.{}.txt", "{}/requirements.txt",
    "requirements/requirements-{}.txt", "requirements/requirements_{}.txt",
)  # fmt: skip
TEST_FILES, DEV_FILES = (
    tuple(pattern.format(name) for name in names for pattern in _FILE_PATTERNS)
    for names in (("test", "tests", "testing", "pytest"), ("dev", "develop"))
)
DEPENDENCY_FILES = (
    "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "tox.toml", "pytest.ini", "requirements.txt",
    "requirements.in", "Pipfile.lock", "poetry.lock", "MANIFEST.in", *TEST_FILES, *DEV_FILES,
)  # fmt: skip

_NOT_TESTS = frozenset({
    "all", "check", "checks", "cover", "doc", "docs", "enabler", "format", "lint", "linting",
    "mypy", "release", "style", "type", "types", "typing",
})  # fmt: skip
"""What a tox environment has beside the tests: as plugins of pytest, linters would be tests too."""
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


def read_project(repo: Path) -> PythonProject:
    """Read everything that `PythonProject` holds."""
    pyproject = read_toml(repo, "pyproject.toml")
    setup_cfg = read_ini(repo, "setup.cfg")
    setup_py = _setup_arguments(read_text(repo, "setup.py"))
    tox_ini = read_ini(repo, "tox.ini")
    tox = _read_tox(repo, pyproject, tox_ini)
    extras = _extras(pyproject, setup_cfg, setup_py)
    chosen = _chosen(extras)
    tests, scanned = scan_tests(repo)
    declared = [
        *_group_requirements(pyproject, tox.groups),
        *_poetry_group(pyproject),
        *_table_requirements(pyproject),
        *strings(setup_py.get("tests_require")),
        *lines(setup_cfg.get("options", {}).get("tests_require", "")),
        *(r for r in tox.deps if _PLAIN.fullmatch(r)),
        *(r for e in tox.extras if e not in chosen for r in extras.get(e, ())),
    ]
    known = {name_of(r) for r in (*declared, *(r for e in chosen for r in extras[e]))}
    undeclared = {*scanned, *wanted_by_options(pyproject, setup_cfg, tox_ini, repo)}
    return PythonProject(
        requires_python=_requires_python(pyproject, setup_cfg, setup_py),
        installable=_installable(pyproject, setup_cfg, repo),
        dependencies=_dependencies(pyproject, setup_cfg, setup_py),
        extras=chosen,
        requirements=tuple(dict.fromkeys([*declared, *sorted(undeclared - known)])),
        files=_requirement_files(repo, tox.deps, declared=bool(chosen or declared)),
        source_root=_source_root(repo),
        old_pytest=any(_OLD_HOOKS.search(text) for text in tests if "def pytest_" in text),
        uses_pytest=any("pytest" in text for text in tests) or "pytest" in known,
    )  # fmt: skip


def name_of(requirement: str) -> str:
    """The normalised distribution name of a requirement; empty when there is none."""
    found = re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def _source_root(repo: Path) -> str:
    """`src` where it holds modules or packages, those of a namespace (`src/zope/event`) included."""
    patterns = ("*.py", "*/__init__.py", "*/*/__init__.py")
    return "src" if any(any((repo / "src").glob(pattern)) for pattern in patterns) else "."


def _requirement_files(repo: Path, deps: Iterable[str], *, declared: bool) -> tuple[str, ...]:
    """Those for tests; those for development only where nothing else names test requirements."""
    named = (re.fullmatch(r"-r\s*(?:\{toxinidir\}/|\{tox_root\}/|\./)?([\w./-]+)", d) for d in deps)
    wanted = dict.fromkeys([*TEST_FILES, *(name[1] for name in named if name)])
    found = tuple(name for name in wanted if read_text(repo, name))
    if found or declared:
        return found
    return tuple(name for name in DEV_FILES if read_text(repo, name))


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
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _literal(node.left, names), _literal(node.right, names)
        return left + right if isinstance(left, list) and isinstance(right, list) else None
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict":
        return {k.arg: _literal(k.value, names) for k in node.keywords if k.arg}
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
    project = table(pyproject, "project").get("requires-python")
    poetry = table(pyproject, "tool", "poetry", "dependencies").get("python")
    poetry = poetry.get("version") if isinstance(poetry, dict) else poetry
    flit = table(pyproject, "tool", "flit", "metadata").get("requires-python")
    options = setup_cfg.get("options", {}).get("python_requires")
    found = project or poetry or flit or options or setup_py.get("python_requires")
    return found if isinstance(found, str) else ""


def _installable(pyproject: Mapping[str, Any], setup_cfg: Mapping[str, Any], repo: Path) -> bool:
    return bool(
        "project" in pyproject
        or table(pyproject, "tool", "poetry").get("name")
        or table(pyproject, "tool", "flit")
        or (repo / "setup.py").is_file()
        or "metadata" in setup_cfg
    )


def _dependencies(
    pyproject: Mapping[str, Any],
    setup_cfg: Mapping[str, dict[str, str]],
    setup_py: Mapping[str, Any],
) -> tuple[str, ...]:
    poetry = table(pyproject, "tool", "poetry", "dependencies")
    return tuple(
        dict.fromkeys(
            [
                *strings(table(pyproject, "project").get("dependencies")),
                *_poetry_requirements(poetry),
                *lines(setup_cfg.get("options", {}).get("install_requires", "")),
                *strings(setup_py.get("install_requires")),
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
        table(pyproject, "project", "optional-dependencies"),
        table(pyproject, "tool", "poetry", "extras"),
        table(pyproject, "tool", "flit", "metadata", "requires-extra"),
        {k: lines(v) for k, v in setup_cfg.get("options.extras_require", {}).items()},
    ]
    if isinstance(setup_py.get("extras_require"), dict):
        tables.append(setup_py["extras_require"])
    for declared in tables:
        found |= {name: strings(value) for name, value in declared.items()}
    return found


def _chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The test names among these; the development names only where there is no test name."""
    by_name = {name.lower().replace("_", "-"): name for name in names}
    for wanted in (TEST_NAMES, DEV_NAMES):
        found = tuple(by_name[name] for name in wanted if name in by_name)
        if found:
            return found
    return ()


def _group_requirements(pyproject: Mapping[str, Any], named: Iterable[str]) -> list[str]:
    """`[dependency-groups]` for tests and those that are named, with `include-group` followed."""
    groups = table(pyproject, "dependency-groups")

    def gather(name: str, seen: frozenset[str]) -> list[str]:
        found: list[str] = []
        for entry in groups.get(name, []) if name not in seen else []:
            if isinstance(entry, str):
                found.append(entry)
            elif isinstance(entry, dict):
                found += gather(str(entry.get("include-group")), seen | {name})
        return found

    wanted = dict.fromkeys([*_chosen(groups), *(name for name in named if name in groups)])
    return [r for name in wanted for r in gather(name, frozenset())]


def _poetry_group(pyproject: Mapping[str, Any]) -> list[str]:
    groups = table(pyproject, "tool", "poetry", "group")
    tables = [table(groups, name, "dependencies") for name in (*_chosen(groups),)]
    tables.append(table(pyproject, "tool", "poetry", "dev-dependencies"))
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
    environments = table(pyproject, "tool", "hatch", "envs")
    for name in ("hatch-test", "test", "tests", "testing", "default"):
        for key in ("dependencies", "extra-dependencies"):
            found += strings(table(environments, name).get(key))
    pdm = table(pyproject, "tool", "pdm", "dev-dependencies")
    found += [r for name in _chosen(pdm) for r in strings(pdm[name])]
    found += strings(table(pyproject, "tool", "uv").get("dev-dependencies"))
    return [r for r in found if name_of(r) and "{" not in r]


@dataclass(frozen=True, slots=True)
class _Tox:
    """What tox's base environment installs; linters' extras and groups left out."""

    deps: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


_PLAIN = re.compile(r"[A-Za-z0-9][\w.\-]*(\[[\w,\- ]+\])?\s*([<>=!~].*)?")
"""A requirement of tox's `deps` by name; conditional, local and file entries are none."""


def _read_tox(
    repo: Path, pyproject: Mapping[str, Any], tox_ini: Mapping[str, dict[str, str]]
) -> _Tox:
    """The base environment of tox.ini, of tox.toml, or of `[tool.tox]` in pyproject.toml.

    An extra or group under a condition (`crypto: crypto`) is taken too: without it tests skip.
    """
    native = read_toml(repo, "tox.toml") or table(pyproject, "tool", "tox")
    found: Mapping[str, Any] = tox_ini.get("testenv") or table(native, "env_run_base")

    def names(key: str) -> tuple[str, ...]:
        words = (
            word for entry in strings(found.get(key)) for word in entry.split(":")[-1].split(",")
        )
        return tuple(w for word in words if (w := word.strip()) and w.lower() not in _NOT_TESTS)

    return _Tox(tuple(strings(found.get("deps"))), names("extras"), names("dependency_groups"))
