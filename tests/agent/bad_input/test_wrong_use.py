"""What a user can get wrong, and what a project's own settings can hold: two lines and exit code 2.

Nothing is begun: no session, no sandbox, no state folder where there was none.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.bad_input import trees
from tests.agent.bad_input.conftest import Run
from tests.agent.bad_input.trees import Make

SETTINGS = ".journeyman/config.toml"


def sessions(home: Path) -> list[str]:
    folder = home / "sessions"
    return [session.name for session in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("/does/not/exist", "does not exist"),
        ("/etc/passwd", "is not a folder"),
        ("/", "is a home folder or above one"),
        ("~", "is a home folder or above one"),
        ("~/..", "is a home folder or above one"),
        ("/dev", "what the kernel shows"),
        ("/proc/self", "what the kernel shows"),
        ("/tmp/" + "x" * 5000, "File name too long"),
        ("/tmp/\udcff\x1b[31m", "does not exist"),
        ("", "is not a folder"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_folder_that_is_no_project_is_refused(
    place: str, says: str, journeyman: Run, home: Path, tmp_path: Path
) -> None:
    known = sessions(home)
    if not place:
        (tmp_path / "file").touch()
        place = str(tmp_path / "file")
    for command in (["run", "x"], ["init"]):
        ended = journeyman(*command, "--repo", str(Path(place).expanduser()))
        assert ended.code == Outcome.USAGE.exit_code
        assert ended.says_in_two_lines(says, "--repo")
        assert "\x1b" not in ended.err
    assert sessions(home) == known


def holds_for_nobody(claim: Callable[[], bool]) -> bool:
    """Whether a claim is true where rights count: root may read and write everything."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os._exit(0 if claim() else 1)
        finally:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_may_not_be_read_or_written_is_refused(journeyman: Run) -> None:
    with tempfile.TemporaryDirectory(prefix="journeyman-test-") as name:
        top = Path(name)
        top.chmod(0o755)
        (top / "closed" / "repo").mkdir(parents=True)
        (top / "closed").chmod(0o000)
        (top / "repo").mkdir()
        (top / "file").touch(mode=0o444)

        def refused(*words: str, says: str) -> bool:
            ended = journeyman("run", "x", *words)
            return ended.code == Outcome.USAGE.exit_code and ended.says_in_two_lines(says)

        closed, repo = str(top / "closed" / "repo"), str(top / "repo")
        assert holds_for_nobody(lambda: refused("--repo", closed, says="Permission denied"))
        for file in ("new.patch", "file", "closed/new.patch"):
            options = ("--repo", repo, "-o", str(top / file))
            assert holds_for_nobody(functools.partial(refused, *options, says="cannot be written"))


def loop(folder: Path) -> None:
    (folder.parent / "loop").symlink_to("loop")


@pytest.mark.parametrize(
    ("make", "inside", "says"),
    [
        (trees.bare, ".", "bare repository"),
        (trees.without_commit, ".git", "git's own folder"),
        (loop, "../loop", "cannot be read"),
    ],
)
def test_a_repository_without_files_is_refused(
    make: Make, inside: str, says: str, journeyman: Run, made: Callable[[Make], Path]
) -> None:
    ended = journeyman("run", "x", "--repo", str(made(make) / inside))
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines(says)


def test_a_state_folder_in_the_repository_is_refused_and_not_made(
    journeyman: Run, made: Callable[[Make], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = made(trees.broken)
    for place in (repo, repo / "state", repo / "a" / ".." / "b"):
        monkeypatch.setenv("OTHER_HOME", str(place))
        ended = journeyman("run", "x", "--repo", str(repo))
        assert ended.code == Outcome.USAGE.exit_code
        assert ended.says_in_two_lines("state folder", "JOURNEYMAN_HOME")


@pytest.mark.parametrize("name", ["caf\udce9", "\udcff"])
def test_a_name_that_no_log_can_hold_is_refused(
    name: str, journeyman: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / name
    odd.mkdir()
    ended = journeyman("run", "x", "--repo", str(odd))
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines("not UTF-8")
    monkeypatch.setenv("OTHER_HOME", str(odd / "home"))
    (tmp_path / "plain").mkdir()
    ended = journeyman("run", "x", "--repo", str(tmp_path / "plain"))
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines("state folder is not UTF-8")
    assert not (odd / "home").exists()


@pytest.mark.parametrize("option", ["--test", "--setup", "--failing", "--model", "--base-url"])
def test_an_argument_that_no_log_can_hold_is_refused(
    option: str, journeyman: Run, made: Callable[[Make], Path]
) -> None:
    ended = journeyman("run", "x", option, "caf\udce9", "--repo", str(made(trees.broken)))
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines(option, "not UTF-8")


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        ("", b"", "the task is empty"),
        (" \n\t", b"", "the task is empty"),
        ("-", b"", "the task is empty"),
        ("-", b" \n", "the task is empty"),
        ("w" * 5_000_000, b"", "longer than 1,000,000"),
        ("-", b"word " * 1_000_000, "longer than 1,000,000"),
        ("-", "ü".encode() * 5_000_000, "longer than 1,000,000"),
        ("-", b"\xff\xfe", "not UTF-8"),
        ("caf\udce9", b"", "not UTF-8"),
    ],
    ids=[
        "empty",
        "blank",
        "nothing",
        "newline",
        "5 MB",
        "5 MB in",
        "10 MB in",
        "bytes",
        "argument",
    ],
)
def test_a_task_that_is_none_is_refused(
    words: str, given: bytes, says: str, journeyman: Run, made: Callable[[Make], Path]
) -> None:
    ended = journeyman("run", "--repo", str(made(trees.broken)), "--", words, given=given)
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines(says)


def test_a_closed_standard_input_is_an_empty_task(
    journeyman: Run, made: Callable[[Make], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.doors.cli import given  # noqa: PLC0415

    monkeypatch.setattr(given, "sys", type("sys", (), {"stdin": None}))
    ended = journeyman("run", "-", "--repo", str(made(trees.broken)))
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines("the task is empty")


@pytest.mark.parametrize("command", [["run", "x"], ["resume", "x"]], ids=["run", "resume"])
@pytest.mark.parametrize("file", ["/does/not/exist", "/tmp", "/tmp/" + "y" * 300, "/"])
def test_a_patch_file_that_cannot_be_written_is_refused_at_once(
    command: list[str], file: str, journeyman: Run, tmp_path: Path
) -> None:
    if command[0] == "run":
        command = [*command, "--repo", str(tmp_path)]
    ended = journeyman(*command, "-o", file)
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines("cannot be written", "-o")


def settings_of(data: bytes) -> Make:
    def make(folder: Path) -> None:
        trees.broken(folder)
        (folder / SETTINGS).parent.mkdir()
        (folder / SETTINGS).write_bytes(data)

    return make


def settings_link(target: str) -> Make:
    def make(folder: Path) -> None:
        trees.broken(folder)
        (folder / SETTINGS).parent.mkdir()
        (folder / SETTINGS).symlink_to(target)

    return make


def settings_folder(folder: Path) -> None:
    trees.broken(folder)
    (folder / SETTINGS).mkdir(parents=True)


def settings_pipe(folder: Path) -> None:
    trees.broken(folder)
    (folder / SETTINGS).parent.mkdir()
    os.mkfifo(folder / SETTINGS)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (settings_of(b"nonsense = = 1"), "is not TOML"),
        (settings_of(b"\xff\xfe"), "not UTF-8"),
        (settings_of(b"#" * 100_000), "over 64 KiB"),
        (settings_of(b"[environment]\nfoo = 1\n"), "environment.foo"),
        (settings_of(b"[hooks]\nstart = 'x'\n"), "hooks.start"),
        (settings_of(b"environment = 3\n"), "`environment`"),
        (settings_of(b"[environment]\ntest = 3\n"), "environment.test"),
        (settings_of(b"[environment]\nsetup = 'x'\n"), "environment.setup"),
        (settings_folder, "is no settings file"),
        (settings_pipe, "is no settings file"),
        (settings_link("/dev/zero"), "is no settings file"),
        (settings_link("/dev/stdin"), "is no settings file"),
        (settings_link("/etc/passwd"), "is not TOML"),
    ],
)
def test_settings_of_a_project_that_cannot_be_used_are_one_error(
    make: Make, says: str, journeyman: Run, made: Callable[[Make], Path]
) -> None:
    repo = made(make)
    for command in (["run", "x"], ["init"], ["init", "--yes"]):
        ended = journeyman(*command, "--repo", str(repo))
        assert ended.code == Outcome.USAGE.exit_code
        assert ended.says_in_two_lines(says, SETTINGS)
        assert "root:" not in ended.err, "what the link leads to is nobody's to see"


def folder_link(folder: Path) -> None:
    trees.no_code(folder)
    (folder.parent / "elsewhere").mkdir()
    (folder / ".journeyman").symlink_to(folder.parent / "elsewhere")


def folder_file(folder: Path) -> None:
    trees.no_code(folder)
    (folder / ".journeyman").write_text("x")


@pytest.mark.parametrize("make", [folder_link, folder_file])
def test_settings_are_not_written_through_a_link(
    make: Make, journeyman: Run, made: Callable[[Make], Path], tmp_path: Path
) -> None:
    ended = journeyman("init", "--yes", "--repo", str(made(make)))
    assert ended.code == Outcome.ENVIRONMENT.exit_code
    assert ended.says_in_two_lines("cannot be written")
    assert not list((tmp_path / "elsewhere").glob("*"))


@pytest.mark.parametrize("target", ["../../elsewhere", "config.toml"])
def test_a_link_in_the_place_of_the_settings_stays_what_it_is(
    target: str, journeyman: Run, made: Callable[[Make], Path], tmp_path: Path
) -> None:
    ended = journeyman("init", "--yes", "--repo", str(made(settings_link(target))))
    assert ended.code == Outcome.VERIFIED.exit_code
    assert "stays as it is" in ended.err
    assert not (tmp_path / "elsewhere").exists()
