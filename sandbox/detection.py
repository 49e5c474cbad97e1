"""What a repository is, concluded from its files as data; nothing of it is run or imported."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.image import INTERPRETERS
from sandbox.node_project import read_node
from sandbox.project_files import read_text
from sandbox.python_project import PythonProject, read_project

VENV = "/opt/venv"
PYTEST = "python -m pytest -q -p no:cacheprovider"

_LANGUAGES = {
    ".py": "Python", ".js": "JavaScript", ".mjs": "JavaScript", ".cjs": "JavaScript",
    ".jsx": "JavaScript", ".ts": "TypeScript", ".tsx": "TypeScript", ".go": "Go", ".rs": "Rust",
    ".java": "Java", ".kt": "Kotlin", ".rb": "Ruby", ".php": "PHP", ".c": "C", ".h": "C",
    ".cc": "C++", ".cpp": "C++", ".hpp": "C++", ".cs": "C#", ".sh": "Shell", ".swift": "Swift",
    ".scala": "Scala", ".ex": "Elixir", ".lua": "Lua", ".pl": "Perl", ".zig": "Zig",
}  # fmt: skip
_SKIPPED = frozenset({"node_modules", "venv", "env", "vendor", "build", "dist", "target"})
_MOST_FILES = 20_000
_PRETEND_VERSION = "SETUPTOOLS_SCM_PRETEND_VERSION=0.0.1 PDM_BUILD_SCM_VERSION=0.0.1 "
_WHEELS = "/usr/share/python-wheels"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the setup does: the first of its lines that works; `""` goes on without it.

    Attributes:
        lines: Shell lines, tried in order.
        note: Said when it was not the first line that worked.
    """

    lines: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Detected:
    """What was concluded about a repository.

    Attributes:
        languages: Most files first; empty for an empty tree.
        python: Version of the base image's interpreter that fits; empty where none does.
        runner: What will tell the tests' outcomes.
        test_command: Empty where none could be found.
        junit: Where the command leaves JUnit XML; empty where it leaves none.
        packages: Debian packages that are needed.
        steps: What the setup does, after `foundation`.
        source_root: Where Python packages lie, relative to the root: `.`, `src`, or empty.
        old_pytest: pytest before 9 is needed.
        notes: What a reader should know, one sentence each.
    """

    languages: tuple[str, ...]
    python: str
    runner: Literal["pytest", "junit", "exit"]
    test_command: str
    junit: str = ""
    packages: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    source_root: str = ""
    old_pytest: bool = False
    notes: tuple[str, ...] = ()

    def foundation(self, version: str) -> tuple[Step, ...]:
        """The virtual environment with pytest, under any setup; none without Python."""
        if not self.source_root:
            return ()
        pytest = "'pytest<9'" if self.old_pytest else "pytest"
        return (Step((_venv(version),)), Step((f"python -m pip install {pytest}",)))

    @property
    def setup(self) -> tuple[str, ...]:
        """The first line of every step, as `[environment] setup` would hold them."""
        return tuple(step.lines[0] for step in self.steps)

    def description(self) -> tuple[str, str, str, str, str]:
        """Five lines for a reader: language, interpreter, setup, runner, test command."""
        runner = {
            "pytest": "pytest, test by test",
            "junit": f"JUnit XML in {self.junit}",
            "exit": "exit code only",
        }[self.runner]
        packages = [f"apt-get install {' '.join(self.packages)}"] if self.packages else []
        return (
            f"Language     {', '.join(self.languages[:3]) or 'unknown'}",
            f"Interpreter  {'Python ' + self.python if self.python else 'none of the image'}",
            f"Setup        {'; '.join([*packages, *self.setup]) or 'nothing to install'}",
            f"Runner       {runner}",
            f"Tests        {self.test_command or 'no test command found'}",
        )


def detect(repo: Path) -> Detected:
    """Conclude what a repository is and needs.

    A Python project wins over a Node one in the same tree; what is neither is judged by the exit
    code of the command that its own files name.
    """
    languages = _languages(repo)
    project = read_project(repo)
    has_python = project.installable or read_text(repo, "requirements.txt") or project.uses_pytest
    if has_python or (languages[:1] == ("Python",) and not (repo / "package.json").is_file()):
        return _python(repo, project, languages)
    node = read_node(repo)
    if node is not None:
        steps = (Step((node.install,)),) if node.install else ()
        return Detected(
            languages,
            INTERPRETERS[0],
            "junit" if node.junit else "exit",
            node.test_command,
            node.junit,
            node.packages,
            steps,
            notes=(node.note,) if node.note else (),
        )
    command, packages = _other(repo)
    return Detected(languages, INTERPRETERS[0], "exit", command, packages=packages)


def fits(specifier: str, version: str) -> bool:
    """Whether a Python version (`3.11`) meets a `requires-python`, Poetry's forms included.

    Patch levels count as met where the minor version can have a patch that meets them. What
    cannot be read is taken as met: pip itself will judge it.
    """
    return any(
        all(_meets(part.strip(), _numbers(version)) for part in choice.split(","))
        for choice in re.split(r"\|\|", specifier)
    )


def _meets(part: str, have: tuple[int, ...]) -> bool:
    match = re.fullmatch(r"(~=|===|==|!=|<=|>=|<|>|\^|~)?\s*v?(\d+(?:\.\d+)*)(\.\*)?\S*", part)
    if not match:
        return True
    sign, wild = match[1] or "==", bool(match[3])
    wanted = _numbers(match[2])
    minor, short = wanted[:2], len(wanted) <= 2
    if len(minor) == 1:
        minor = (minor[0], 0) if sign not in {"==", "!="} else minor
    return {
        ">=": have >= minor,
        ">": have > minor or (not short and have == minor),
        "<=": have <= minor,
        "<": have < minor or (not short and have == minor),
        "==": have[: len(minor)] == minor,
        "===": have[: len(minor)] == minor,
        "!=": not (have[: len(minor)] == minor and (wild or short)),
        "~=": have >= minor and have[0] == wanted[0] and (short or have == minor),
        "^": have >= minor and have[0] == wanted[0],
        "~": have == minor if len(wanted) > 1 else have[0] == wanted[0],
    }[sign]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split("."))


def _venv(version: str) -> str:
    if version == INTERPRETERS[0]:
        return f"python3 -m venv {VENV}"
    return (
        f"python{version} -m venv --without-pip {VENV} && python $(echo {_WHEELS}/pip-*.whl)/pip install -q "
        f"--no-index --find-links {_WHEELS} pip setuptools"
    )


def _python(repo: Path, project: PythonProject, languages: tuple[str, ...]) -> Detected:
    version = next((v for v in INTERPRETERS if fits(project.requires_python, v)), "")
    odd = bool(_files(repo, r"tests\.py")) and "python_files" not in _settings(repo)
    pattern = ' -o "python_files=test_*.py *_test.py tests.py"' if odd else ""
    notes = () if version else (f"no interpreter fits requires-python {project.requires_python}",)
    return Detected(
        languages,
        version,
        "pytest",
        PYTEST + pattern,
        steps=_python_steps(repo, project),
        source_root=project.source_root,
        old_pytest=project.old_pytest,
        notes=notes,
    )


def _python_steps(repo: Path, project: PythonProject) -> tuple[Step, ...]:
    """The project with its test extras, then its other test requirements as far as they go."""
    steps: list[Step] = []
    tests = "tests may miss something:"
    if project.installable:
        target = f".[{','.join(project.extras)}]" if project.extras else "."
        install = f"python -m pip install -e {shlex.quote(target)}"
        plain = _install(project.dependencies)
        steps.append(
            Step(
                (install, _PRETEND_VERSION + install, plain),
                "the project itself could not be installed as declared; its code is on PYTHONPATH",
            )
        )
    elif read_text(repo, "requirements.txt"):
        steps.append(Step(("python -m pip install -r requirements.txt",)))
    if project.requirements:
        line = _install(project.requirements)
        note = f"{tests} {', '.join(project.requirements)} did not all install"
        steps.append(Step((line, ""), note))
    for file in project.files:
        line = f"python -m pip install -r {shlex.quote(file)}"
        steps.append(Step((line, ""), f"{tests} {file} did not install"))
    undeclared = project.installable and len(steps) == 1 and not project.extras
    if undeclared and read_text(repo, "requirements.txt"):
        line = "python -m pip install -r requirements.txt"
        steps.append(Step((line, ""), f"{tests} requirements.txt did not install"))
    return tuple(steps)


def _install(requirements: Sequence[str]) -> str:
    if not requirements:
        return ""
    return "python -m pip install " + " ".join(shlex.quote(r) for r in requirements)


def _other(repo: Path) -> tuple[str, tuple[str, ...]]:
    """A test command and packages where the project is neither Python nor Node."""
    if re.search(r"(?m)^test\s*:(?!=)", read_text(repo, "Makefile")):
        return "make test", ()
    for name, command, packages in (
        ("Cargo.toml", "cargo test", ("cargo",)),
        ("go.mod", "go test ./...", ("golang-go",)),
        ("test.sh", "sh test.sh", ()),
    ):
        if (repo / name).is_file():
            return command, packages
    return "", ()


def _settings(repo: Path) -> str:
    names = ("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini")
    return "\n".join(read_text(repo, name) for name in names)


def _languages(repo: Path) -> tuple[str, ...]:
    counted = Counter(
        _LANGUAGES[suffix]
        for suffix in (Path(name).suffix.lower() for name in _files(repo, r".*"))
        if suffix in _LANGUAGES
    )
    return tuple(name for name, _ in counted.most_common())


def _files(repo: Path, pattern: str) -> list[str]:
    """Files by name, hidden and generated folders left out; at most a few thousand."""
    found: list[str] = []
    for folder, folders, files in os.walk(repo):
        folders[:] = sorted(f for f in folders if f[0] != "." and f not in _SKIPPED)
        found += [os.path.join(folder, f) for f in sorted(files) if re.fullmatch(pattern, f)]  # noqa: PTH118  20,000 Path objects are slow
        if len(found) > _MOST_FILES:
            break
    return found
