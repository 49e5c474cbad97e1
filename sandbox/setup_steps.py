"""What a repository's setup does, in whatever it is built in: a container, or a folder of the host.

The steps run with the tree at /workspace; what they leave there that the tree had not is kept.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from sandbox import workspace
from sandbox.build import Ran
from sandbox.detection import VENV, Step
from sandbox.errors import SandboxError, SetupFailed
from sandbox.home import state_folder
from sandbox.node_project import NODE_FILES
from sandbox.python_project import DEPENDENCY_FILES

COMPILER_PACKAGES = ("build-essential", "python3-dev")
MADE = "/opt/made"
"""What the setup made inside the tree, by its path there: to be laid under a workspace."""
LAY_MADE = f"test ! -d {MADE} || cp -an {MADE}/. ."
"""Shell command for a sandbox that has the tree, before its first snapshot; lays nothing over."""

_NO_COMPILER = re.compile(
    r"(?:gcc|g\+\+|\bcc|clang)'?\"?(?: failed)?: (?:command )?not found"
    r"|command '?\"?\S*(?:gcc|g\+\+|\bcc)'?\"? failed: No such file"
    r"|No such file or directory: '\S*(?:gcc|g\+\+|\bcc|clang)(?:-\d+)?'"
    r"|\b(?:gcc|g\+\+|cc): No such file or directory|cannot execute .?cc1"
    r"|(?:compiler|gcc)\S* (?:cannot be|not) found|no acceptable C compiler|Unknown compiler"
    r"|No CMAKE_C\w*_COMPILER could be found|Python\.h: No such file",
    re.IGNORECASE,
)
_NO_INDEX = re.compile(r"No matching distribution|Could not find a version|SSL|ECONN|ENOTFOUND")
_WRAPPER = re.compile(
    r"(?:note|hint):|(?:error: )?(?:subprocess-exited-with-error|failed-wheel-build|"
    r"metadata-generation-failed)|ERROR: (?:Failed (?:to )?|Could not )build",
    re.IGNORECASE,
)
"""How pip says that something below it failed: what failed stands further up."""
_FOLDERS = f"mkdir -p {VENV} {MADE} && chown 10001:10001 {VENV} {MADE}"
_KEEP_NODE = """
cd /workspace/node_modules 2>/dev/null || exit 0
find . -maxdepth 2 -type l | while IFS= read -r link; do
  real=$(readlink -f "$link")
  case "$real" in
    /workspace/node_modules/*) ;;
    /workspace/*) ln -sfn "$real" "$link" ;;
  esac
done
cd / && mv /workspace/node_modules /opt/node_modules && {
  test -L /node_modules || ln -s /opt/node_modules /node_modules
}
"""
"""Node looks for packages in every parent folder: at `/` they outlive the workspace. Links of
npm's own workspaces lead from there into the tree."""
_LIST_MADE = (
    "find . -name .git -prune -o -name __pycache__ -prune -o -name node_modules -prune "
    "-o -path ./build -prune -o -name .pytest_cache -prune -o -type f -print"
)


class CompilerMissing(SetupFailed):
    """A setup command failed for want of a compiler."""


@dataclass(frozen=True, slots=True)
class Told:
    """The commands that worked, and what a reader should know of the setup, one sentence each."""

    setup: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Builder(Protocol):
    """Something that runs commands with the network, and whose files are kept afterwards."""

    def run(
        self, command: str, *, user: str = ..., environment: Mapping[str, str] | None = None
    ) -> Ran:
        """Run `sh -c COMMAND` in the workspace."""
        ...

    def put(self, archive: IO[bytes], folder: str) -> None:
        """Unpack a tar archive."""
        ...

    def put_file(self, path: str, content: bytes) -> None:
        """Write one file that everybody may read."""
        ...


def set_up(build: Builder, repo: Path, steps: tuple[Step, ...], say: Callable[[str], None]) -> Told:
    """Run every step with the tree at /workspace, and keep what they made in it.

    Raises:
        SetupFailed: A command failed; the message holds its last 20 lines.
        CompilerMissing: It failed for want of a compiler.
    """
    laid = _lay_tree(build, repo)
    done: list[str] = []
    notes: list[str] = []
    for step in steps:
        line, failed = _first_that_works(build, step, say)
        done += [line] if line else []
        if failed is not None:
            notes.append(f"{step.note} ({_reason(failed)})")
            say(f"  {notes[-1]}")
    return Told(tuple(done), (*notes, *_keep_made(build, laid)))


def inputs(repo: Path, steps: tuple[Step, ...]) -> list[str]:
    """The steps, and name and digest of every file that they may read their needs from."""
    words = {word for step in steps for line in step.lines for word in line.split()}
    names = {*DEPENDENCY_FILES, *NODE_FILES, "Makefile", "Cargo.toml", "Cargo.lock", "go.mod"}
    names |= {word for word in words if not word.startswith(("/", "-", "."))}
    return [
        *map(repr, steps),
        *(
            f"{name}:{hashlib.sha256((repo / name).read_bytes()).hexdigest()}"
            for name in sorted(names)
            if (repo / name).is_file()
        ),
    ]


def digest(parts: list[str]) -> str:
    """The name of what was made from these."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _lay_tree(build: Builder, repo: Path) -> set[str]:
    """Put the repository as it is at /workspace; gives the paths in it."""
    with tempfile.TemporaryDirectory(dir=state_folder("images")) as folder:
        archive = Path(folder) / "tree.tar"
        base = workspace.capture(repo, archive)
        build.run(_FOLDERS, user="0:0")
        with archive.open("rb") as tree:
            build.put(tree, "/workspace")
    return set(base.entries)


def _first_that_works(
    build: Builder, step: Step, say: Callable[[str], None]
) -> tuple[str, Ran | None]:
    """The line of a step that worked, and how the one before it failed."""
    path = {"PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": VENV}
    failed: Ran | None = None
    for line in step.lines:
        if not line:
            return line, failed
        say(f"  {line}")
        ran = build.run(line, environment=path)
        if ran.exit_code == 0:
            return line, failed
        if _NO_COMPILER.search(ran.text):
            raise failure(line, ran)
        failed = ran
    if failed is None:
        raise ValueError("a step without lines")
    raise failure(step.lines[-1], failed)


def _keep_made(build: Builder, laid: set[str]) -> list[str]:
    """Keep what the setup made in the tree; gives notes about it."""
    build.run(_KEEP_NODE, user="0:0")
    listed = (line.removeprefix("./") for line in build.run(_LIST_MADE).lines)
    made = sorted(name for name in listed if name not in laid)
    if not made:
        return []
    build.put_file("/opt/made.list", "".join(f"{name}\n" for name in made).encode())
    copy = f"tar -C /workspace -cf - -T /opt/made.list | tar -C {MADE} -xf -"
    build.run(f"{copy}; rm -f /opt/made.list", user="0:0")
    shown = ", ".join(made[:5]) + (", ..." if len(made) > 5 else "")
    files = "1 file" if len(made) == 1 else f"{len(made)} files"
    return [f"the setup made {files} in the tree: {shown}"]


def _reason(ran: Ran) -> str:
    """The last line that names an error, else the last that speaks of one, else the last."""
    lines = [line.strip() for line in ran.lines if line.strip()]
    errors = [line for line in lines if "rror" in line]
    named = [line for line in errors if not _WRAPPER.match(line)]
    return next(reversed(named or errors or lines), f"exit code {ran.exit_code}")[:300]


def failure(line: str, ran: Ran) -> SandboxError:
    """The failure of one command, with what is likely to help."""
    happened = f"setup failed (exit code {ran.exit_code}): {line}\n" + "\n".join(ran.lines[-20:])
    if _NO_COMPILER.search(ran.text):
        packages = json.dumps(list(COMPILER_PACKAGES))
        return CompilerMissing(happened, remedy=f"add to [environment]: packages = {packages}")
    if ran.exit_code == 124:
        remedy = "it ran out of its half hour: does it wait for something?"
    elif _NO_INDEX.search(ran.text):
        remedy = "see that the package index can be reached and has what is asked (pip config list)"
    else:
        remedy = "correct [environment] setup in .journeyman/config.toml, or give --setup"
    return SetupFailed(happened, remedy=remedy)
