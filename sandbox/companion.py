"""What every sandbox needs and a foreign image may lack: a Python for the supervisor, git, ripgrep.

They come from the base image with the libraries that they load and their own loader, so they run in
any image of the same architecture, whatever its C library. They lie in one folder that nothing of
the image knows: the supervisor takes the Python there, and `bin` with git and ripgrep is last on the
PATH, behind what the image has itself. It is no interpreter for the project.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass

import docker

from sandbox.build import Build, find
from sandbox.errors import SandboxError
from sandbox.home import locked
from sandbox.image import base_image
from sandbox.index_settings import IndexSettings
from sandbox.setup_steps import digest

FOLDER = "/opt/journeyman"
BIN = f"{FOLDER}/bin"
START_PYTHON = f'p={FOLDER}/python3; [ -x $p ] || p=python3; exec $p "$@"'
"""Shell command that becomes the supervisor's Python with the arguments given."""

_VERSION = "1"  # raised when what is packed changes
_PACK = f"""
set -eu
mkdir -p {BIN} {FOLDER}/lib {FOLDER}/programs
cd {FOLDER}
cp -L /usr/bin/python3.11 /usr/bin/git /usr/bin/rg programs
cp -r /usr/lib/python3.11 lib
rm -rf lib/python3.11/ensurepip lib/python3.11/lib2to3 lib/python3.11/pydoc_data
find lib -name __pycache__ -prune -exec rm -rf {{}} +
for file in programs/* lib/python3.11/lib-dynload/*.so; do ldd $file; done > needed
grep -o '/[^ ]*' needed | sort -u | while read -r library; do cp -Lf "$library" lib; done
loader=$(grep -o '/[^ ]*/ld-linux[^ ]*' needed | head -n 1)
mv "lib/${{loader##*/}}" lib/loader
rm needed
begin() {{ printf '#!/bin/sh\\nexec {FOLDER}/lib/loader --library-path {FOLDER}/lib '; }}
{{ begin; echo '--argv0 {FOLDER}/python3 {FOLDER}/programs/python3.11 "$@"'; }} > python3
for name in git rg; do {{ begin; echo "{FOLDER}/programs/$name \\"\\$@\\""; }} > bin/$name; done
chmod 755 python3 bin/*
"""
_IS_NEW_ENOUGH = "import sys; sys.exit(sys.version_info < (3, 8))"


@dataclass(frozen=True, slots=True)
class Found:
    """What an image has of its own for Python projects: a Python 3.8 or newer, and pytest for it."""

    python: bool
    pytest: bool


def accompany(client: docker.DockerClient, image: str, say: Callable[[str], None]) -> str:
    """The image with what a sandbox needs laid beside its own; found again by both images' ids.

    Raises:
        SandboxError: It could not be laid in; the message holds the last lines.
    """
    base = base_image(say)
    key = digest([_VERSION, find(client, image), find(client, base)])
    reference = f"journeyman/accompanied:{key}"
    with locked(key):
        if find(client, reference):
            return reference
        say("  laying a supervisor's Python, git and ripgrep beside it (once)")
        quiet = IndexSettings()
        with (
            Build(base, index=quiet, say=say) as source,
            Build(image, index=quiet, say=say) as target,
        ):
            packed = source.run(_PACK, user="0:0")
            if packed.exit_code:
                raise SandboxError(
                    "what every sandbox needs could not be packed:\n"
                    + "\n".join(packed.lines[-20:]),
                    remedy="build the base image anew: journeyman clean, then journeyman setup",
                )
            # A file system laid over /tmp takes over the mode of the folder below it.
            target.run("mkdir -p /opt /tmp && chmod 1777 /tmp", user="0:0")
            source.hand_over(FOLDER, target, "/opt")
            target.commit(reference, {})
    return reference


def look(image: str, python: str) -> Found:
    """Whether an interpreter of the image can run cells, and tests."""
    with Build(image, index=IndexSettings(), say=lambda _: None) as build:
        name = shlex.quote(python)
        new = build.run(f"{name} -I -c {shlex.quote(_IS_NEW_ENOUGH)}").exit_code == 0
        return Found(new, new and build.run(f"{name} -m pytest --version").exit_code == 0)
