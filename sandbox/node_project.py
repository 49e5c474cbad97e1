"""What a Node project says that it needs, read from package.json as data; nothing of it is run."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.project_files import read_text

NODE_FILES = ("package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc")
REPORT = ".journeyman-junit.xml"
"""Where a Node runner leaves its JUnit XML; the test verb takes it away again."""

_NO_TEST = "no test specified"
_OWN_REPORT = re.compile(
    r"(?:--test-reporter-destination|--outputFile(?:\.junit)?)[= ](\S+\.xml)\b"
)


@dataclass(frozen=True, slots=True)
class NodeProject:
    """What a Node project declares.

    Attributes:
        install: The install line; empty where there is nothing to install.
        test_command: Empty where the project has no tests that can be found.
        junit: Where the command leaves JUnit XML; empty where it leaves none.
        note: What a reader should know about the test command; may be empty.
    """

    install: str
    test_command: str
    junit: str = ""
    note: str = ""

    @property
    def packages(self) -> tuple[str, ...]:
        """Debian packages that it takes; npm brings hundreds of others, so only where it is run."""
        npm = self.install or self.test_command.startswith(("npm ", "npx "))
        return ("nodejs", "npm") if npm else ("nodejs",)


def read_node(repo: Path) -> NodeProject | None:
    """Read package.json; None where there is none that can be read."""
    try:
        package = json.loads(read_text(repo, "package.json"))
    except (ValueError, RecursionError):  # of one that is nested without end
        return None
    if not isinstance(package, dict):
        return None
    locked = any(read_text(repo, name) for name in ("package-lock.json", "npm-shrinkwrap.json"))
    depends = any(package.get(k) for k in ("dependencies", "devDependencies", "workspaces"))
    install = ("npm ci" if locked else "npm install --no-package-lock") if depends else ""
    command, junit, note = _test_command(_script(package), repo)
    return NodeProject(f"{install} --no-audit --no-fund" if install else "", command, junit, note)


def _script(package: dict[str, Any]) -> str:
    scripts = package.get("scripts")
    script = scripts.get("test", "") if isinstance(scripts, dict) else ""
    return script if isinstance(script, str) and _NO_TEST not in script else ""


def _test_command(script: str, repo: Path) -> tuple[str, str, str]:
    """The command, its JUnit file, and a note: a reporter is added where the runner has its own."""
    if re.match(r"node\b[^&|;]*--test\b(?!-)[^&|;]*$", script) and "--test-reporter" not in script:
        flags = f"--test --test-reporter=junit --test-reporter-destination={REPORT}"
        return re.sub(r"--test\b(?!-)", flags, script, count=1), REPORT, ""
    if re.match(r"vitest\b[^&|;]*$", script):
        run = script if re.match(r"vitest\s+(run|--run)", script) else f"{script} --run"
        return f"npx --no-install {run} --reporter=junit --outputFile={REPORT}", REPORT, ""
    if re.match(r"mocha\b[^&|;]*$", script) and "reporter" not in script:
        options = f"--reporter xunit --reporter-option output={REPORT}"
        return f"npx --no-install {script} {options}", REPORT, ""
    if script:
        return _as_it_is(script)
    if _uses_node_test(repo):
        return f"node --test --test-reporter=junit --test-reporter-destination={REPORT}", REPORT, ""
    return "", "", "package.json names no test script"


def _as_it_is(script: str) -> tuple[str, str, str]:
    """A script that brings its own reporter, or none."""
    report = _OWN_REPORT.search(script)
    if report is None:
        return "npm test", "", "tests are judged by the exit code: the runner leaves no JUnit XML"
    return script if re.match(r"node\b[^&|;]*$", script) else "npm test", report[1], ""


def _uses_node_test(repo: Path) -> bool:
    names = [p for folder in ("test", "tests", ".") for p in (repo / folder).glob("*.[cm]?[jt]s")]
    names += [p for folder in ("test", "tests", ".") for p in (repo / folder).glob("*.js")]
    return any("node:test" in read_text(repo, str(p.relative_to(repo))) for p in names[:200])
