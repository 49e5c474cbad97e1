"""Releases as trees: a real pair, and archives that must not be laid down."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.releases import fetch, release_pair, unpack


def member(
    name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data) if kind == tarfile.REGTYPE else 0
    info.mode = 0o4755
    return info, data


def archive(folder: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    path = folder / "sdist.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    "hostile",
    [
        [member("../outside")],
        [member("p-1/../../outside")],
        [member("p-1/link", kind=tarfile.SYMTYPE, link="/etc"), member("p-1/link/outside")],
        [member("p-1/link", kind=tarfile.SYMTYPE, link="../../outside")],
        [member("p-1/hard", kind=tarfile.LNKTYPE, link="../../etc/passwd")],
        [member("p-1/fifo", kind=tarfile.FIFOTYPE)],
        [member("p-1/dev", kind=tarfile.CHRTYPE)],
        [member("p-1/.git/hooks/post-checkout")],
        [member("p-1/a"), member("q-1/a")],
        [],
    ],
    ids=[
        "parent", "dotted", "through a link", "link out", "hard link out", "fifo", "device",
        "git", "two tops", "empty",
    ],
)  # fmt: skip
def test_an_archive_that_leads_out_is_refused_and_nothing_is_left(
    tmp_path: Path, hostile: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    with pytest.raises(SandboxError) as failure:
        unpack(archive(tmp_path, *hostile), target)
    assert failure.value.remedy
    assert list(target.iterdir()) == []
    assert sorted(p.name for p in target.parent.iterdir()) == ["target"]


def test_an_archive_is_laid_down_without_its_top_folder_and_set_uid_bits(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    unpack(archive(tmp_path, member("p-1/a.py"), member("p-1/sub/b.py")), target)
    assert sorted(p.name for p in target.rglob("*.py")) == ["a.py", "b.py"]
    assert not (target / "a.py").stat().st_mode & 0o7000


@pytest.mark.parametrize(("name", "version"), [("a; rm -rf /", "1"), ("a", "$(id)"), ("-r", "1")])
def test_what_is_no_release_is_refused_before_anything_runs(
    tmp_path: Path, name: str, version: str
) -> None:
    with pytest.raises(SandboxError, match="is not a release"):
        fetch(name, version, tmp_path / "t", say=print)


def test_a_release_pair_is_the_old_code_with_the_new_tests(tmp_path: Path) -> None:
    said: list[str] = []
    changed = release_pair("parse", "1.22.2", "1.22.3", tmp_path / "pair", say=said.append)
    assert changed == ("tests/test_parse.py",)
    fetch("parse", "1.22.3", tmp_path / "new", say=said.append)
    fetch("parse", "1.22.2", tmp_path / "old", say=said.append)
    assert said[-1].endswith("1.22.3"), "the second time nothing is downloaded"
    code, tests = "parse/__init__.py", "tests/test_parse.py"
    for same, path in (("old", code), ("new", tests)):
        assert (tmp_path / "pair" / path).read_bytes() == (tmp_path / same / path).read_bytes()
    assert (tmp_path / "old" / code).read_bytes() != (tmp_path / "new" / code).read_bytes()


def test_a_release_that_does_not_exist_says_so(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"parse==999\.0") as failure:
        fetch("parse", "999.0", tmp_path / "t", say=print)
    assert "package index" in failure.value.remedy
