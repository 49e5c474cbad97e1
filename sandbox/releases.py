"""Releases of packages as trees: what was published, and the next release's tests over it.

A source distribution is downloaded by the ordinary client (pip), and pip may run its build code to
read its metadata: so that happens in a build container, as its unprivileged user. Only the archive
comes to this machine, and it is unpacked as data.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from sandbox.build import Build
from sandbox.errors import SandboxError
from sandbox.home import locked, state_folder
from sandbox.image import base_image
from sandbox.index_settings import read

_LARGEST_ARCHIVE = 100_000_000
_LARGEST_TREE = 500_000_000
_MOST_FILES = 50_000
_TEST_FOLDERS = frozenset({"test", "tests", "testing"})
_DOWNLOAD = """
set -e
python3 -m venv /tmp/venv
/tmp/venv/bin/pip download -q --no-deps --no-binary {package} --ignore-requires-python -d /tmp/out {release}
cd /tmp/out && set -- *.tar.* && [ "$#" = 1 ] && mv "$1" sdist
"""


def fetch(package: str, version: str, target: Path, *, say: Callable[[str], None]) -> None:
    """Unpack the source distribution of a release into an empty or new folder.

    Raises:
        SandboxError: There is no such release, it has no source distribution, or its archive holds
            what must not be unpacked (links or paths that lead out, too many or too large files).
    """
    _check_name(package, version)
    name = f"{package}-{version}"
    archive = state_folder("releases") / f"{name}.tar"
    with locked(name):
        if not archive.exists():
            say(f"Downloading the source of {package} {version}")
            partial = archive.with_suffix(".part")
            partial.write_bytes(_download(package, version, say))
            partial.replace(archive)
    if target.exists() and any(target.iterdir()):
        raise SandboxError(f"{target} is not empty", remedy="name a folder that does not exist yet")
    target.mkdir(parents=True, exist_ok=True)
    unpack(archive, target)


def release_pair(
    package: str, old: str, new: str, target: Path, *, say: Callable[[str], None]
) -> tuple[str, ...]:
    """Lay the tree of one release with the tests of a later one into `target`.

    The later release's test folders come whole, so that moved and deleted tests are as they were
    there; test files outside such folders are laid over one by one.

    Returns:
        The test files that the later release changed or added, relative to `target`.
    """
    fetch(package, old, target, say=say)
    with tempfile.TemporaryDirectory(dir=state_folder("releases")) as folder:
        later = Path(folder) / "new"
        fetch(package, new, later, say=say)
        wanted = list(_test_paths(later))
        changed = [
            path
            for path in wanted
            if path.endswith(".py")
            and not (
                (target / path).is_file()
                and filecmp.cmp(target / path, later / path, shallow=False)
            )
        ]
        for path in _test_paths(target):
            if path not in wanted:
                (target / path).unlink()
        for path in wanted:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(later / path, target / path)
    tests = (path for path in changed if _is_test_module(PurePosixPath(path).name))
    return tuple(sorted(tests))


def unpack(archive: Path, target: Path) -> None:
    """Unpack a source distribution as data, without its single top folder.

    Raises:
        SandboxError: It is broken or holds something that a source tree must not.
    """
    remedy = "take another release; this archive is not laid down"
    files = size = 0
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder, tarfile.open(archive) as tar:
            for member in tar:
                files, size = files + 1, size + member.size
                if files > _MOST_FILES or size > _LARGEST_TREE:
                    raise SandboxError(f"{archive.name} unpacks to too much", remedy=remedy)
                if ".git" in PurePosixPath(member.name).parts:
                    raise SandboxError(f"{archive.name} holds a .git folder", remedy=remedy)
                tar.extract(member, folder, filter="data")
            top = [path for path in Path(folder).iterdir() if path.is_dir()]
            if len(top) != 1:
                raise SandboxError(f"{archive.name} has no single top folder", remedy=remedy)
            for path in top[0].iterdir():
                path.rename(target / path.name)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SandboxError(f"{archive.name} cannot be unpacked: {error}", remedy=remedy) from error


def _check_name(package: str, version: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", package) or not re.fullmatch(
        r"[A-Za-z0-9][A-Za-z0-9.+!_-]*", version
    ):
        raise SandboxError(
            f"{package!r} {version!r} is not a release",
            remedy="give a package's name and a version, as in: parse 1.22.2",
        )


def _download(package: str, version: str, say: Callable[[str], None]) -> bytes:
    with Build(base_image(say), index=read(), say=say) as build:
        release = f"{package}=={version}"
        ran = build.run(_DOWNLOAD.format(package=package, release=release), timeout_s=600)
        if ran.exit_code:
            raise SandboxError(
                f"the source of {release} could not be had:\n" + "\n".join(ran.lines[-20:]),
                remedy="see that the package index has a source distribution of it (pip config list)",
            )
        return build.get_file("/tmp/out/sdist", limit=_LARGEST_ARCHIVE)  # noqa: S108  in the container


def _test_paths(tree: Path) -> Iterator[str]:
    """Files of test folders, and test modules elsewhere, relative to the tree."""
    for folder, folders, files in os.walk(tree):
        folders.sort()
        inside = Path(folder).relative_to(tree)
        whole = not _TEST_FOLDERS.isdisjoint(inside.parts)
        for file in sorted(files):
            if whole or _is_test_module(file) or file == "conftest.py":
                yield (inside / file).as_posix()


def _is_test_module(name: str) -> bool:
    return bool(re.fullmatch(r"test.*\.py|.*_tests?\.py", name))
