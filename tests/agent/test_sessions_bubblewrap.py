"""The weaker sandbox, asked for by name, on a machine where no Docker answers; and never else."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.task import Task
from tests.agent.test_sessions import MODEL, RED_TEST, assert_verified
from tests.model_server import ModelServer
from tests.sessions import copy_fixture, run


@pytest.fixture(autouse=True)
def _no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent")


def test_a_model_mends_a_red_test_without_any_docker(tmp_path: Path) -> None:
    repo = copy_fixture("red_test", tmp_path)
    with ModelServer(RED_TEST) as server:
        watched = run(
            Task(
                text="Make the failing test pass.",
                repo=repo,
                model=MODEL,
                base_url=server.base_url,
                sandbox="bubblewrap",
            )
        )

    assert_verified(watched)
    result = watched.result
    assert result is not None
    assert result.evidence.level == "failing-test"
    assert result.evidence.sandbox == "bubblewrap"
    assert any("bubblewrap" in said for said in result.evidence.reservations)
    assert "egg-info" not in result.patch


def test_no_docker_and_no_such_choice_is_the_environments_failure(tmp_path: Path) -> None:
    watched = run(Task(text="Mend it.", repo=copy_fixture("red_test", tmp_path)))

    assert watched.result is not None
    assert watched.result.exit_code == 3
    assert "did not answer" in watched.result.reason
    assert "--sandbox bubblewrap" in watched.result.reason
    assert watched.nodes == []


def test_no_bubblewrap_is_a_failure_too_whatever_docker_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("PATH", str(tmp_path))
    repo = copy_fixture("red_test", tmp_path)
    watched = run(Task(text="Mend it.", repo=repo, sandbox="bubblewrap"))

    assert watched.result is not None
    assert watched.result.exit_code == 3
    assert "apt-get install bubblewrap" in watched.result.reason
