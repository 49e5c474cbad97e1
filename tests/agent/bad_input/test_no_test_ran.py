"""Tests that do not run, do not end, or do not mean it: one line says which, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.outcome import Outcome
from tests.agent.bad_input import trees
from tests.agent.bad_input.conftest import Run
from tests.agent.bad_input.trees import Make

ENVIRONMENT, UNSOLVED = Outcome.ENVIRONMENT, Outcome.UNSOLVED
ONCE = (
    "import pathlib\n\n\n"
    "def test_once():\n"
    "    seen = pathlib.Path('/tmp/seen')\n"
    "    before, _ = seen.exists(), seen.touch()\n"
    "    assert before\n"
)
"""Red when it is run first, and green ever after."""


def with_file(name: str, text: str, make: Make = trees.broken) -> Make:
    def made(folder: Path) -> None:
        make(folder)
        (folder / name).write_text(text)

    return made


def mended(folder: Path) -> None:
    trees.broken(folder)
    (folder / "sums.py").write_text(trees.BUG.replace("-", "+"))


needs_package = with_file("test_sums.py", "import no_such_package\n" + trees.TESTS)
endless_toml = with_file("pyproject.toml", "x = " + "[" * 60_000)
endless_json = with_file("package.json", "[" * 60_000, trees.empty)
wants_network = with_file(
    "test_net.py",
    "import socket\n\n\ndef test_net():\n    socket.create_connection(('example.org', 80), 3)\n",
    mended,
)


@pytest.mark.parametrize(
    ("make", "options", "outcome", "says"),
    [
        (trees.broken, ["--test", "sleep 900"], ENVIRONMENT, ["did not end within 4 s", "--test"]),
        (trees.broken, ["--test", "yes"], ENVIRONMENT, ["did not end within 4 s", "--test"]),
        (trees.broken, ["--test", "no-such-program"], ENVIRONMENT, ["ended with 127", "--test"]),
        (trees.broken, ["--test", "pytest '"], ENVIRONMENT, ["ended with 2", "--test"]),
        (trees.broken, ["--test", "head -c 1G /dev/zero; false"], ENVIRONMENT, ["ended with 1"]),
        (trees.broken, ["--failing", "no::such"], UNSOLVED, ["no::such: there is no such test"]),
        (mended, ["--failing", "test_sums.py"], UNSOLVED, ["test_sums.py: it passes"]),
        (
            trees.broken,
            ["--failing", "test_sums.py", "--test", "no-such-program"],
            ENVIRONMENT,
            ["ended with 127", "--test"],
        ),
        (needs_package, [], ENVIRONMENT, ["test_sums.py: ModuleNotFoundError", "--setup"]),
        (endless_toml, [], ENVIRONMENT, ["no test ran", "--test"]),
        (endless_json, [], ENVIRONMENT, ["No test command", "--test"]),
        (trees.empty, [], ENVIRONMENT, ["No test command", "--test"]),
        (trees.empty_git, [], ENVIRONMENT, ["No test command", "--test"]),
        (trees.no_code, [], ENVIRONMENT, ["No test command", "--test"]),
        (trees.no_tests, [], UNSOLVED, ["needs a failing test", "--model"]),
        (mended, [], UNSOLVED, ["nothing fails"]),
        (
            with_file("test_f.py", ONCE, mended),
            [],
            UNSOLVED,
            ["test_once was red once", "--failing"],
        ),
        (wants_network, [], UNSOLVED, ["no network", "test_net.py::test_net"]),
        (trees.no_code, ["--setup", "echo no luck; exit 3"], ENVIRONMENT, ["no luck", "--setup"]),
    ],
)
def test_what_cannot_be_worked_on_ends_with_one_line(  # noqa: PLR0917 - a table's columns
    make: Make,
    options: list[str],
    outcome: Outcome,
    says: list[str],
    journeyman: Run,
    made: Callable[[Make], Path],
) -> None:
    limit = "4" if options[1:] in (["sleep 900"], ["yes"]) else "60"
    repo = str(made(make))
    ended = journeyman("run", "mend it", "--repo", repo, "--timeout", limit, *options)

    assert ended.code == outcome.exit_code, ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err
    assert all(word in ended.err for word in says), ended.err


def test_a_test_that_turned_green_by_itself_does_not_keep_the_others_from_being_mended(
    journeyman: Run, made: Callable[[Make], Path]
) -> None:
    repo = str(made(with_file("test_once.py", ONCE)))
    ended = journeyman("run", "mend it", "--repo", repo, "--test", "(setsid sleep 60 &); pytest -q")

    assert ended.code == Outcome.VERIFIED.exit_code, ended.err
    assert "+    return a + b" in ended.out
    assert "test_once.py::test_once was red once and green when run again" in ended.err


def test_settings_that_are_nested_without_end_are_not_toml(
    journeyman: Run, made: Callable[[Make], Path]
) -> None:
    def nested(folder: Path) -> None:
        trees.broken(folder)
        (folder / ".journeyman").mkdir()
        (folder / ".journeyman/config.toml").write_text("x = " + "[" * 50_000)

    ended = journeyman("run", "x", "--repo", str(made(nested)))
    assert ended.code == Outcome.USAGE.exit_code
    assert ended.says_in_two_lines("is not TOML")


def test_an_image_whose_name_is_none_is_an_error_of_the_settings(
    journeyman: Run, tmp_path: Path
) -> None:
    trees.broken(tmp_path)
    (tmp_path / ".journeyman").mkdir()
    (tmp_path / ".journeyman/config.toml").write_text('[environment]\nimage = "--privileged"\n')
    ended = journeyman("init", "--yes", "--repo", str(tmp_path))
    assert ended.code == Outcome.ENVIRONMENT.exit_code
    assert ended.says_in_two_lines("--privileged", "[environment]")
