"""Image layers for a repository: its own image, Debian packages, what its setup leaves behind.

Each layer is found again by the digest of what went into it; a killed build leaves none.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, ImageNotFound

from sandbox import index_settings, workspace
from sandbox.build import Build, Ran, find
from sandbox.detection import VENV, Step
from sandbox.errors import SandboxError, SandboxMissing, SetupFailed
from sandbox.home import locked, state_folder
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
    r"|(?:compiler|gcc)\S* (?:cannot be|not) found|Unknown compiler|Python\.h: No such file",
    re.IGNORECASE,
)
_NO_INDEX = re.compile(r"No matching distribution|Could not find a version|SSL|ECONN|ENOTFOUND")
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
cd / && mv /workspace/node_modules /node_modules
"""
"""Node looks for packages in every parent folder: at `/` they outlive the workspace. Links of
npm's own workspaces lead from there into the tree."""
_LIST_MADE = (
    "find . -name .git -prune -o -name __pycache__ -prune -o -name node_modules -prune "
    "-o -path ./build -prune -o -name .pytest_cache -prune -o -type f -print"
)


class CompilerMissing(SetupFailed):
    """A setup command failed for want of a compiler."""


class Layers:
    """Builds the layers of one repository.

    Args:
        client: Of the Docker engine.
        repo: The repository's folder.
        say: Told what is going on.
    """

    def __init__(self, client: docker.DockerClient, repo: Path, say: Callable[[str], None]) -> None:
        self._client = client
        self._repo = repo
        self._say = say

    def fetched(self, image: str) -> str:
        """An image by its reference, pulled where it is not here.

        Raises:
            SandboxMissing: It is not here and cannot be pulled.
        """
        if find(self._client, image):
            return image
        self._say(f"Fetching the image {image}")
        try:
            self._client.images.pull(image)
        except (APIError, ImageNotFound) as error:
            raise SandboxMissing(
                f"the image {image} is not on this machine and cannot be pulled",
                remedy="`docker pull` or `docker load` it, or take `image` out of [environment]",
            ) from error
        return image

    def built(self, dockerfile: str) -> str:
        """Build the repository's Dockerfile; Docker's own cache makes the second time short.

        Raises:
            SetupFailed: It does not build.
        """
        self._say(f"Building {dockerfile}")
        self._client.api.timeout = 3600
        with tempfile.TemporaryDirectory(dir=state_folder("images")) as folder:
            archive = Path(folder) / "context.tar"
            workspace.capture(self._repo, archive)
            with archive.open("rb") as context:
                try:
                    image, _ = self._client.images.build(
                        fileobj=context,
                        custom_context=True,
                        dockerfile=dockerfile,
                        rm=True,
                        forcerm=True,
                        labels={"journeyman": "1", "journeyman.recipe": ""},
                    )
                except (BuildError, APIError) as error:
                    raise SetupFailed(
                        f"{dockerfile} could not be built: {error}",
                        remedy=f"see where it stops: docker build -f {dockerfile} .",
                    ) from error
        return str(image.id)

    def packages(self, image: str, names: tuple[str, ...]) -> str:
        """The image with Debian packages installed.

        Raises:
            SetupFailed: A name is none, or apt could not install it.
        """
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+(?:=[\w.+:~-]+)?", name):
                raise SetupFailed(
                    f"{name!r} is not the name of a Debian package",
                    remedy="correct [environment] packages in .journeyman/config.toml",
                )
        key = _digest([find(self._client, image), *sorted(names)])
        reference = f"journeyman/packages:{key}"
        with locked(key):
            if find(self._client, reference):
                return reference
            self._say(f"Installing {' '.join(names)} into the sandbox image (once)")
            line = "apt-get -q update && apt-get -q install -y --no-install-recommends "
            line += f"{' '.join(names)} && rm -rf /var/lib/apt/lists/* /var/cache/apt/*"
            with Build(image, index=index_settings.read(), say=self._say) as build:
                quiet = {"DEBIAN_FRONTEND": "noninteractive"}
                ran = build.run(line, user="0:0", environment=quiet)
                if ran.exit_code:
                    raise _failed("apt-get install " + " ".join(names), ran)
                build.commit(reference, {})
        return reference

    def setup(self, image: str, steps: tuple[Step, ...]) -> str:
        """The image after the setup commands, run with the tree at /workspace.

        Raises:
            SetupFailed: A command failed; the message holds its last 20 lines.
            CompilerMissing: It failed for want of a compiler.
        """
        key = _digest([find(self._client, image), *map(repr, steps), *self._inputs(steps)])
        reference = f"journeyman/environment:{key}"
        with locked(key):
            if find(self._client, reference):
                return reference
            index = index_settings.read()
            self._say(f"Setting up {self._repo.name} (once; its dependencies are kept)")
            for setting in index.left_out:
                self._say(setting)
            with Build(image, index=index, say=self._say) as build:
                laid = self._lay_tree(build)
                ran, notes = self._run(build, steps)
                notes += _keep_made(build, laid)
                labels = {
                    "journeyman.setup": json.dumps([index.mask(line) for line in ran]),
                    "journeyman.notes": json.dumps(notes),
                }
                build.commit(reference, labels)
        return reference

    def told(self, image: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The commands that worked in a setup layer, and what was said."""
        labels = self._client.images.get(image).labels
        setup = json.loads(labels.get("journeyman.setup") or "[]")
        return tuple(setup), tuple(json.loads(labels.get("journeyman.notes") or "[]"))

    def _lay_tree(self, build: Build) -> set[str]:
        """Put the repository as it is into the container; gives the paths in it."""
        with tempfile.TemporaryDirectory(dir=state_folder("images")) as folder:
            archive = Path(folder) / "tree.tar"
            base = workspace.capture(self._repo, archive)
            build.run(_FOLDERS, user="0:0")
            with archive.open("rb") as tree:
                build.put(tree, "/workspace")
        return set(base.entries)

    def _run(self, build: Build, steps: tuple[Step, ...]) -> tuple[list[str], list[str]]:
        """Run every step; gives the lines that worked and what was said."""
        done: list[str] = []
        notes: list[str] = []
        for step in steps:
            line, failed = self._first_that_works(build, step)
            done += [line] if line else []
            if failed is not None:
                notes.append(f"{step.note} ({_reason(failed)})")
                self._say(f"  {notes[-1]}")
        return done, notes

    def _first_that_works(self, build: Build, step: Step) -> tuple[str, Ran | None]:
        """The line of a step that worked, and how the one before it failed."""
        path = {"PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": VENV}
        failed: Ran | None = None
        for line in step.lines:
            if not line:
                return line, failed
            self._say(f"  {line}")
            ran = build.run(line, environment=path)
            if ran.exit_code == 0:
                return line, failed
            if _NO_COMPILER.search(ran.text):
                raise _failed(line, ran)
            failed = ran
        if failed is None:
            raise ValueError("a step without lines")
        raise _failed(step.lines[-1], failed)

    def _inputs(self, steps: tuple[Step, ...]) -> list[str]:
        """Name and digest of every file that the setup may read its needs from."""
        words = {word for step in steps for line in step.lines for word in line.split()}
        names = {*DEPENDENCY_FILES, *NODE_FILES, "Makefile", "Cargo.toml", "Cargo.lock", "go.mod"}
        names |= {word for word in words if not word.startswith(("/", "-", "."))}
        return [
            f"{name}:{hashlib.sha256((self._repo / name).read_bytes()).hexdigest()}"
            for name in sorted(names)
            if (self._repo / name).is_file()
        ]


def _keep_made(build: Build, laid: set[str]) -> list[str]:
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
    return [f"the setup made {len(made)} files in the tree: {shown}"]


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _reason(ran: Ran) -> str:
    """The last line that speaks of an error, else the last line."""
    lines = [line.strip() for line in ran.lines if line.strip()]
    errors = [line for line in lines if "rror" in line]
    return next(reversed(errors or lines), f"exit code {ran.exit_code}")[:300]


def _failed(line: str, ran: Ran) -> SandboxError:
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
