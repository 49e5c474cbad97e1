"""A repository's environment for the bubblewrap sandbox: what its setup leaves, in a folder.

The same steps as in an image, run inside bubblewrap with the network and never on the bare host;
Python and every other program are this machine's own. A layer is a folder `host-KEY` of the state
folder: `opt` is seen at /opt inside, read-only once it is built; `layer.json`, which nothing inside
can reach, says which interpreter it was made with.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sandbox import index_settings
from sandbox.build import Ran, follow
from sandbox.detection import VENV, Detected, Step, fits
from sandbox.enclosure import (
    REMEDY,
    Bind,
    enclosed,
    interpreter_binds,
    supervisor,
)
from sandbox.errors import SandboxMissing, SetupFailed
from sandbox.home import locked, state_folder
from sandbox.image import INTERPRETERS
from sandbox.index_settings import CA_FILE, IndexSettings
from sandbox.python_project import read_project
from sandbox.setup_steps import CompilerMissing, Told, digest, inputs, set_up

NO_LAYER = "host"
"""The image of a repository that needs nothing but what the host has."""

_PATH = "/usr/local/bin:/usr/bin:/bin"
_PROGRAMS = {"nodejs": "node", "golang-go": "go"}
_FIRST_MINOR = 8
"""Of the first Python 3 that the worker runs on."""
_LIMITS = ("--core=0", "--nproc=2048")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of this machine that can make virtual environments."""

    path: Path
    version: str


@dataclass(frozen=True, slots=True)
class HostLayer:
    """A built layer.

    Attributes:
        folder: Where it lies; its name is the image's name.
        interpreter: What its virtual environment was made with.
        told: What its setup said.
    """

    folder: Path
    interpreter: str
    told: Told

    @classmethod
    def load(cls, folder: Path) -> HostLayer:
        """Read one.

        Raises:
            SandboxMissing: It is not there.
        """
        try:
            said = json.loads((folder / "layer.json").read_text())
        except FileNotFoundError as error:
            raise SandboxMissing(
                f"The environment {folder} is not there any more",
                remedy="Start the session again: it is built anew.",
            ) from error
        return cls(folder, said["interpreter"], Told(tuple(said["setup"]), tuple(said["notes"])))

    def binds(self) -> list[Bind]:
        """What of it is seen inside."""
        return [
            Bind(self.folder / "opt", "/opt"),
            *interpreter_binds(self.interpreter, supervisor()),
        ]


def interpreter_for(repo: Path, wanted: str) -> Interpreter:
    """The interpreter of this machine for a repository: the image's first choice, else the newest.

    Args:
        repo: The repository's folder.
        wanted: The version that is set; empty where `requires-python` decides.

    Raises:
        SandboxMissing: None fits.
    """
    needs = read_project(repo).requires_python
    there = _interpreters()
    fitting = [i for i in there if (i.version == wanted if wanted else fits(needs, i.version))]
    if fitting:
        return next((i for i in fitting if i.version == INTERPRETERS[0]), fitting[-1])
    asked = f"Python {wanted} is set for" if wanted else f"Python {needs} is required by"
    have = ", ".join(dict.fromkeys(i.version for i in there)) or "none with venv"
    raise SandboxMissing(
        f"{asked} {repo.name}, and this machine has {have} for the bubblewrap sandbox",
        remedy="Install one that fits below /usr, with its venv module "
        "(apt-get install python3-venv), or use Docker.",
    )


def _interpreters() -> list[Interpreter]:
    """Oldest first; the system's own before others of the same version."""
    found: dict[str, Interpreter] = {}
    for folder in (Path("/usr/bin"), Path("/usr/local/bin"), Path(sys.base_prefix) / "bin"):
        for path in folder.glob("python3.*"):
            named = re.fullmatch(r"python(3\.\d+)", path.name)
            prefix = path.resolve().parent.parent
            if named and (prefix / "lib" / path.name / "ensurepip").is_dir():
                found.setdefault(named[1], Interpreter(path.resolve(), named[1]))
    return sorted((i for i in found.values() if _minor(i) >= _FIRST_MINOR), key=_minor)


def _minor(interpreter: Interpreter) -> int:
    return int(interpreter.version.split(".")[1])


def require_programs(packages: tuple[str, ...]) -> None:
    """See that this machine has what Debian packages would bring.

    Raises:
        SandboxMissing: Some are not there.
    """
    known = Path("/var/lib/dpkg/info")
    missing = [
        name
        for name in (package.partition("=")[0] for package in packages)
        if not shutil.which(_PROGRAMS.get(name, name), path=_PATH)
        and not any(known.glob(f"{name}.list"))
        and not any(known.glob(f"{name}:*.list"))
    ]
    if missing:
        names = " ".join(missing)
        raise SandboxMissing(
            f"The bubblewrap sandbox has the programs of this machine's /usr, and {names} "
            "is not among them",
            remedy=f"Install it here (apt-get install {names}), or use Docker.",
        )


def steps_for(detected: Detected, interpreter: Interpreter | None) -> tuple[Step, ...]:
    """The virtual environment with pytest under any setup, made from this machine's interpreter."""
    if interpreter is None:
        return ()
    _, *pytest = detected.foundation(INTERPRETERS[0])
    return (Step((f"{shlex.quote(str(interpreter.path))} -m venv {VENV}",)), *pytest)


def host_layer(
    repo: Path, steps: tuple[Step, ...], interpreter: Interpreter | None, say: Callable[[str], None]
) -> HostLayer:
    """Build a repository's layer, or find it built; a killed build leaves none.

    Raises:
        SandboxMissing: Bubblewrap is not there, or may not do its work.
        SetupFailed: A command failed; the message holds its last 20 lines.
    """
    python = str(interpreter.path) if interpreter else supervisor()
    status = Path(python).stat()
    key = digest([python, f"{status.st_size}:{status.st_mtime_ns}", *inputs(repo, steps)])
    folder = state_folder("images") / f"host-{key}"
    with locked(f"host-{key}"):
        if (folder / "layer.json").is_file():
            return HostLayer.load(folder)
        index = index_settings.read()
        say(f"Setting up {repo.name} for bubblewrap (once; its dependencies are kept)")
        for setting in index.left_out:
            say(setting)
        with tempfile.TemporaryDirectory(dir=state_folder("images")) as staging:
            build = HostBuild(Path(staging), python, index=index, say=say)
            try:
                told = set_up(build, repo, steps, say)
            except CompilerMissing as error:
                raise SetupFailed(
                    str(error),
                    remedy="Install a compiler here (apt-get install build-essential python3-dev), "
                    "or use Docker.",
                ) from error
            build.empty()
            _keep(
                Path(staging), folder, python, Told(tuple(map(index.mask, told.setup)), told.notes)
            )
    return HostLayer.load(folder)


def _keep(staging: Path, folder: Path, python: str, told: Told) -> None:
    """The file that says it is whole comes last."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    (staging / "opt").rename(folder / "opt")
    said = {"interpreter": python, "setup": told.setup, "notes": told.notes}
    part = folder / "layer.part"
    part.write_text(json.dumps(said))
    part.rename(folder / "layer.json")


class HostBuild:
    """Runs commands inside bubblewrap with the network; their files lie in one folder of the host.

    Args:
        staging: An empty folder; `opt` in it is what is kept.
        python: The interpreter that the steps name.
        index: The user's package index settings.
        say: Told what is going on.

    Raises:
        SandboxMissing: Bubblewrap is not there, or may not do its work.
    """

    def __init__(
        self, staging: Path, python: str, *, index: IndexSettings, say: Callable[[str], None]
    ) -> None:
        self._index = index
        self._say = say
        self._binds = interpreter_binds(python, supervisor())
        for name, target in (
            ("opt", "/opt"),
            ("workspace", "/workspace"),
            ("home", "/home/agent"),
            ("tmp", "/tmp"),  # noqa: S108 - the build's own
        ):
            folder = staging / name
            folder.mkdir(mode=0o755)
            if os.geteuid() == 0:
                nobody = pwd.getpwnam("nobody")
                os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._binds.insert(0, Bind(folder, target, writable=True))
        if index.certificates:
            certificates = staging / "certificates.pem"
            certificates.write_bytes(index.certificates)
            certificates.chmod(0o644)
            self._binds.append(Bind(certificates, CA_FILE))
        tried = self.run("true")
        if tried.exit_code:
            raise SandboxMissing(
                f"Bubblewrap does not work here: {tried.text.strip()[-300:]}", remedy=REMEDY
            )

    def run(
        self,
        command: str,
        *,
        user: str = "",
        environment: Mapping[str, str] | None = None,
        timeout_s: int = 1800,
        given: IO[bytes] | int = subprocess.DEVNULL,
    ) -> Ran:
        """Run `sh -c COMMAND` in the workspace; a failing command is an answer, not an exception.

        Args:
            command: The shell's.
            user: Not used: there is one user.
            environment: Beside the index settings.
            timeout_s: Seconds until it is killed.
            given: Its standard input.
        """
        del user
        line = enclosed(
            ["timeout", "-k", "5", str(timeout_s), "sh", "-c", command],
            limits=_LIMITS,
            binds=self._binds,
            options=("--symlink", "/opt/node_modules", "/node_modules", "--chdir", "/workspace"),
            network=True,
        )
        variables = {"HOME": "/home/agent", "LANG": "C.UTF-8", "PATH": _PATH}
        with subprocess.Popen(
            line,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**variables, **self._index.variables, **(environment or {})},
        ) as process:
            output = process.stdout
            if output is None:
                raise ValueError("the process has no pipe for its output")
            chunks = iter(lambda: output.read1(1 << 16), b"")  # type: ignore[attr-defined]  # a BufferedReader has it, IO does not say
            try:
                kept = follow(chunks, self._index, self._say)
            except BaseException:  # a signal too: no setup runs on alone
                process.kill()
                raise
        return Ran(process.returncode, kept)

    def put(self, archive: IO[bytes], folder: str) -> None:
        """Unpack a tar archive into a folder, as the user inside.

        Raises:
            SetupFailed: It does not fit.
        """
        ran = self.run(f"tar -xf - -C {folder}", given=archive)
        if ran.exit_code:
            raise SetupFailed(
                f"the repository could not be laid into the build: {ran.text[-300:]}",
                remedy="see that the disk of the state folder has room",
            )

    def put_file(self, path: str, content: bytes) -> None:
        """Write one file that everybody may read."""
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.seek(0)
            self.run(f"cat > {path}", given=file)

    def empty(self) -> None:
        """Remove what is not kept, as the user who made it."""
        self.run(
            "chmod -R u+rwX . /tmp /home/agent 2>/dev/null; rm -rf /workspace/* /workspace/.[!.]*"
        )
