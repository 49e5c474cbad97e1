"""An own image without Python, git or ripgrep: what every sandbox needs is laid beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import workspace
from sandbox.docker_sandbox import DockerSandbox
from sandbox.environment import Environment, EnvironmentSettings, prepare
from sandbox.errors import SandboxError, SandboxMissing
from sandbox.protocol import Json
from sandbox.reports import Report
from tests.sandbox.conftest import SMALL, shell
from tests.sandbox.test_environment import lay

BARE = """FROM {image}
USER 0
RUN rm -rf /usr/bin/python3* /usr/lib/python3* /usr/bin/git /usr/lib/git-core /usr/bin/rg
"""


@pytest.fixture(scope="module")
def bare(image: str, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    repo = tmp_path_factory.mktemp("bare")
    lay(repo, {"Dockerfile": BARE.format(image=image), "check.sh": "test $(cat a.txt) = bye\n"})
    settings = EnvironmentSettings(dockerfile="Dockerfile", test="sh check.sh")
    return prepare(repo, settings, say=print)


@pytest.fixture
def box(bare: Environment, tmp_path: Path) -> Iterator[DockerSandbox]:
    tree = tmp_path / "tree"
    lay(tree, {"a.txt": "hello\n", "check.sh": "test $(cat a.txt) = bye\n"})
    workspace.capture(tree, tmp_path / "base.tar")
    with DockerSandbox.open(
        bare.image,
        session_id="tests",
        python=bare.python,
        environment=bare.variables,
        limits=SMALL,
    ) as sandbox:
        sandbox.put(tmp_path / "base.tar")
        yield sandbox


def test_it_is_said_that_there_are_shell_and_files_only(bare: Environment) -> None:
    assert bare.python == ""
    assert any("shell and files only" in note for note in bare.notes)


def outcome_of_tests(box: DockerSandbox) -> str:
    arguments: dict[str, Json] = {"command": "sh check.sh", "tests": [], "runner": "exit"}
    arguments |= {"junit": "", "coverage": False}
    (test,) = Report.of(box.perform("tests", arguments, timeout_s=20)).tests
    return test.outcome


def test_shell_files_search_tests_and_patch_work_without_any_python(box: DockerSandbox) -> None:
    base = box.snapshot()
    assert outcome_of_tests(box) == "failed"

    assert box.perform("read", {"path": "a.txt"}, timeout_s=20).data["text"] == "hello\n"
    change = {"operation": "replace", "path": "a.txt", "old": "hello", "new": "bye"}
    assert box.perform("edit", change, timeout_s=20).exit_code in (0, None)
    found = box.perform("search", {"pattern": "by.", "path": "a.txt"}, timeout_s=20)
    assert "bye" in str(found.data["matches"])

    assert outcome_of_tests(box) == "passed"
    patch = box.diff(base)
    assert "-hello\n+bye\n" in patch
    box.restore(base)
    box.apply(patch)
    assert shell(box, "cat a.txt").stdout == "bye\n"


def test_the_project_is_not_given_a_python_that_its_image_has_not(box: DockerSandbox) -> None:
    assert shell(box, "python3 --version").exit_code == 127
    assert shell(box, "git init -q . && git status --short").stdout.startswith("?? ")


@pytest.mark.parametrize("verb", ["python", "candidates"])
def test_what_needs_a_python_says_so(box: DockerSandbox, verb: str) -> None:
    outcome = box.perform(verb, {"code": "1"}, timeout_s=20)
    assert outcome.exit_code == 1
    assert "no Python 3.8" in outcome.stderr
    box.ping()


def test_an_interpreter_that_was_asked_for_and_is_not_there_is_said(
    tmp_path: Path, image: str
) -> None:
    settings = EnvironmentSettings(image=image, python="python3.14", test="true")
    with pytest.raises(SandboxMissing, match=r"python3\.14"):
        prepare(tmp_path, settings, say=print)


def test_an_image_in_which_nothing_stays_alive_is_an_error_with_a_remedy(
    tmp_path: Path, image: str
) -> None:
    lay(tmp_path, {"Dockerfile": f"FROM {image}\nUSER 0\nRUN rm /usr/bin/cat\n"})
    with pytest.raises(SandboxError) as failure:
        prepare(tmp_path, EnvironmentSettings(dockerfile="Dockerfile"), say=print)
    assert "cat" in failure.value.remedy
