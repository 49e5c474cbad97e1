"""The one place that knows what a repository needs: image, setup, interpreter, test command.

`detect` reads the tree as data and runs nothing. `prepare` builds what was detected (or set) as
cached image layers: Debian packages first, then the setup commands in a build container that has
the network, the user's index settings and the tree at /workspace. Of the tree nothing stays in the
image but what the setup made in it (a generated version file, a compiled extension): that is kept
in `/opt/made`, and `LAY_MADE` lays it under a workspace. The sandbox that is opened on the image has
no network. For the bubblewrap sandbox the same steps are run with this machine's own programs, and
the image is a folder; neither kind ever stands in for the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from sandbox import engine
from sandbox.companion import accompany, look
from sandbox.detection import VENV, Detected, Step, detect
from sandbox.errors import SandboxMissing
from sandbox.host_environment import (
    NO_LAYER,
    host_layer,
    interpreter_for,
    require_programs,
    steps_for,
)
from sandbox.image import INTERPRETERS, base_image
from sandbox.layers import Layers
from sandbox.python_project import read_project
from sandbox.setup_steps import COMPILER_PACKAGES, LAY_MADE, CompilerMissing, Told

__all__ = [
    "LAY_MADE",
    "Detected",
    "Environment",
    "EnvironmentSettings",
    "Step",
    "detect",
    "prepare",
]

Runner: TypeAlias = Literal["pytest", "junit", "exit"]


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """What the project file or the user says; empty fields are detected.

    Attributes:
        image: A repository's own image; one without Python 3.8 or later gives shell and files only.
        dockerfile: A Dockerfile of the repository, relative to its root.
        packages: Debian packages.
        setup: Commands in place of the detected ones; `()` is none at all.
        test: The test command.
        python: Which interpreter: `3.11`, `3.9`, or a path in an own image.
        junit: Where the test command leaves its JUnit XML, relative to the root.
        checks: Commands (build, lint, types) that count as evidence where no test does.
    """

    image: str = ""
    dockerfile: str = ""
    packages: tuple[str, ...] = ()
    setup: tuple[str, ...] | None = None
    test: str = ""
    python: str = ""
    junit: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """A prepared image and how to use it.

    Attributes:
        image: Reference of the image to open a sandbox on; for bubblewrap a folder, or `host`.
        python: Interpreter that has the project's packages, by path or name; empty where an own image
            has none: there are no cells and no candidates then.
        test_command: Empty where none is known.
        runner: What the command's report is read by.
        junit: Where the command leaves JUnit XML; empty where it leaves none.
        variables: For every process of the sandbox.
        languages: Most files first.
        setup: The commands that were run.
        packages: Debian packages that were installed, a compiler's that were found needed included.
        notes: What did not go as declared, one sentence each.
    """

    image: str
    python: str
    test_command: str
    runner: Runner
    junit: str
    variables: Mapping[str, str]
    languages: tuple[str, ...]
    setup: tuple[str, ...]
    notes: tuple[str, ...]
    packages: tuple[str, ...] = ()


def prepare(
    repo: Path,
    settings: EnvironmentSettings,
    *,
    say: Callable[[str], None],
    user_setup: str | None = None,
    kind: Literal["docker", "bubblewrap"] = "docker",
) -> Environment:
    """Build what a repository needs, or find it built.

    Args:
        repo: The repository's folder.
        settings: What the project file says.
        say: Told what is going on.
        user_setup: The user's own setup command in place of the project's; `""` is none.
        kind: The sandbox that it is for.

    Raises:
        SandboxMissing: No Docker (or no bubblewrap, where that is asked for), no such image, no
            such program, or no interpreter that fits `requires-python`.
        SetupFailed: A setup command failed; the message holds its last 20 lines.
    """
    if user_setup is not None:
        settings = replace(settings, setup=(user_setup,) if user_setup else ())
    detected = detect(repo)
    if kind == "bubblewrap":
        return _on_the_host(repo, settings, detected, say)
    own = bool(settings.image or settings.dockerfile)
    version = "" if own else _choose(repo, settings, detected)
    steps = _steps(settings, detected, version, own=own)
    try:
        image, told = _build(repo, settings, detected, steps, say)
    except CompilerMissing:
        if own or set(COMPILER_PACKAGES) <= set(settings.packages):
            raise
        say("  a package must be compiled: adding " + " ".join(COMPILER_PACKAGES))
        settings = replace(settings, packages=(*settings.packages, *COMPILER_PACKAGES))
        image, told = _build(repo, settings, detected, steps, say)
    return _environment(settings, detected, image, told)


def _on_the_host(
    repo: Path,
    settings: EnvironmentSettings,
    detected: Detected,
    say: Callable[[str], None],
) -> Environment:
    """The same for the bubblewrap sandbox, with what this machine has."""
    if own := settings.image or settings.dockerfile:
        raise SandboxMissing(
            f"{repo.name} names {own} as its environment, and the bubblewrap sandbox has no images",
            remedy="Use Docker, or take it out of [environment] in .journeyman/config.toml.",
        )
    require_programs((*detected.packages, *settings.packages))
    interpreter = interpreter_for(repo, settings.python) if detected.source_root else None
    rest = detected.steps
    if settings.setup is not None:
        rest = tuple(Step((line,)) for line in settings.setup)
    steps = (*steps_for(detected, interpreter), *rest)
    if interpreter is not None:  # detection judged by the interpreters of the image
        detected = replace(detected, notes=())
    if not steps:
        return _environment(settings, detected, NO_LAYER, Told())
    layer = host_layer(repo, steps, interpreter, say)
    return _environment(settings, detected, str(layer.folder), layer.told)


def _choose(repo: Path, settings: EnvironmentSettings, detected: Detected) -> str:
    """The version of the base image's interpreter that this repository gets."""
    if settings.python:
        if settings.python in INTERPRETERS:
            return settings.python
        wanted = f"Python {settings.python} is set for {repo.name}"
    elif detected.python:
        return detected.python
    else:
        wanted = f"{repo.name} requires Python {read_project(repo).requires_python}"
    raise SandboxMissing(
        f"{wanted}, and the sandbox image has {' and '.join(INTERPRETERS)}",
        remedy="name an image that has it: [environment] image = ... in .journeyman/config.toml",
    )


def _steps(
    settings: EnvironmentSettings, detected: Detected, version: str, *, own: bool
) -> tuple[Step, ...]:
    """What will be run: the foundation is always laid in our image, the rest may be set."""
    declared = tuple(Step((line,)) for line in settings.setup or ())
    if own:
        return declared
    foundation = detected.foundation(version)
    laid = {step.lines[0] for step in foundation}  # a file that `init` wrote holds these, too
    rest = tuple(step for step in declared if step.lines[0] not in laid)
    return (*foundation, *(detected.steps if settings.setup is None else rest))


def _build(
    repo: Path,
    settings: EnvironmentSettings,
    detected: Detected,
    steps: tuple[Step, ...],
    say: Callable[[str], None],
) -> tuple[str, Told]:
    """The image with every layer, and what its setup told."""
    own = settings.image or settings.dockerfile
    client = engine.connect()
    try:
        layers = Layers(client, repo, say)
        if settings.dockerfile:
            image = layers.built(settings.dockerfile)
        else:
            image = layers.fetched(settings.image) if settings.image else base_image(say)
        if own:
            image = accompany(client, image, say)
        wanted = dict.fromkeys([*(() if own else detected.packages), *settings.packages])
        if wanted:
            image = layers.packages(image, tuple(wanted))
        if not steps:
            return image, Told()
        image = layers.setup(image, steps)
        return image, layers.told(image)
    finally:
        client.close()


def _environment(
    settings: EnvironmentSettings, detected: Detected, image: str, told: Told
) -> Environment:
    """Join what was set, detected and built."""
    own = settings.image or settings.dockerfile
    in_venv = bool(detected.source_root) and not own
    python = f"{VENV}/bin/python" if in_venv else "python3"
    runner, junit, notes = detected.runner, detected.junit, told.notes
    if settings.test:
        junit = settings.junit
        runner = "junit" if junit else runner_of(settings.test)
    if own:
        python, runner, said = _own_python(own, image, settings.python, runner)
        notes = (*notes, *said)
    return Environment(
        image,
        python,
        settings.test or detected.test_command,
        runner,
        settings.junit or junit,
        _variables(detected, in_venv=in_venv, own=bool(own)),
        detected.languages,
        told.setup,
        (*detected.notes, *notes),
        tuple(dict.fromkeys([*(() if own else detected.packages), *settings.packages])),
    )


def _own_python(
    own: str, image: str, wanted: str, runner: Runner
) -> tuple[str, Runner, tuple[str, ...]]:
    """Interpreter and runner of an own image, and what a reader should know of them.

    Raises:
        SandboxMissing: The interpreter that was asked for is not there.
    """
    found = look(image, wanted or "python3")
    if wanted and not found.python:
        raise SandboxMissing(
            f"{own} has no Python 3.8 or later by the name {wanted}",
            remedy="correct [environment] python in .journeyman/config.toml, or take it out",
        )
    if not found.python:
        said = f"{own} has no Python 3.8 or later: shell and files only, no cells, no candidates"
        return "", "exit" if runner == "pytest" else runner, (said,)
    python = wanted or "python3"
    if runner == "pytest" and not found.pytest:
        return python, "exit", (f"{own} has no pytest for {python}",)
    return python, runner, ()


def _variables(detected: Detected, *, in_venv: bool, own: bool) -> dict[str, str]:
    variables = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}
    if detected.source_root:
        root = "" if detected.source_root == "." else f"/{detected.source_root}"
        variables["PYTHONPATH"] = f"/workspace{root}"
    if in_venv:
        variables["VIRTUAL_ENV"] = VENV
    if not own:
        first = f"{VENV}/bin" if in_venv else "/node_modules/.bin"
        variables["PATH"] = f"{first}:/usr/local/bin:/usr/bin:/bin"
    return variables


def runner_of(command: str) -> Runner:
    """Who reports for a command that was given; a pytest in disguise reports all the same."""
    return "pytest" if re.search(r"\bpy\.?test\b", command) else "exit"
