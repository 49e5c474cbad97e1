"""Runs sessions as a door does: on a copy of a repository, with every record kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.result import Result
from agent.session import Session
from agent.settings import load
from agent.task import Task
from memory import redis_server
from policies.action import Action, Verdict
from policies.record import ActionDone, ActionJudged, PlanMade, Record, StepTaken

FIXTURES = Path(__file__).parent / "fixtures"


def state_home(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """For a fixture: one state folder, so one Redis to start, which is ended with it."""
    folder = factory.mktemp("home")
    yield folder
    redis_server.stop(folder)


@dataclass
class Watched:
    """A session's result and what it recorded.

    Attributes:
        asked: Actions that a person was asked about.
    """

    session: Session
    records: list[Record] = field(default_factory=list)
    asked: list[Action] = field(default_factory=list)
    result: Result | None = None

    @property
    def nodes(self) -> list[str]:
        """The loop's nodes in the order they were gone through."""
        return [record.node for record in self.records if isinstance(record, StepTaken)]

    @property
    def plans(self) -> list[PlanMade]:
        """Every plan that was shown."""
        return [record for record in self.records if isinstance(record, PlanMade)]

    @property
    def kinds(self) -> set[str]:
        """Kinds of requests that were judged."""
        return {r.action.request.kind for r in self.records if isinstance(r, ActionJudged)}

    def outputs(self, tool: str) -> list[ActionDone]:
        """What came back from a tool, in order."""
        return [r for r in self.records if isinstance(r, ActionDone) and r.tool == tool]


def copy_fixture(name: str, target: Path) -> Path:
    """A fresh copy of one of the small repositories."""
    repo = target / name
    shutil.copytree(FIXTURES / name, repo)
    return repo


SECOND_RED_TEST = """from stockroom.levels import Shelf


def test_an_empty_shelf_at_minimum_0_is_not_ordered():
    assert Shelf({"nut": 0, "bolt": 3}).to_order(0) == []
"""


def copy_red_test(target: Path) -> Path:
    """The repository with a red test, and a second one: enough for the search to be sure."""
    repo = copy_fixture("red_test", target)
    (repo / "tests/test_empty.py").write_text(SECOND_RED_TEST)
    return repo


def watch(task: Task, **settings: Any) -> Watched:
    """A session for a task, not yet run; the answer to every question is no."""
    watched: Watched

    def approve(action: Action, _verdict: Verdict) -> str:
        watched.asked.append(action)
        return ""

    def observe(record: Record) -> None:
        watched.records.append(record)

    loaded = load().model_copy(update=settings)
    watched = Watched(Session.start(task, loaded, approve=approve, observe=observe))
    return watched


def run(task: Task, **settings: Any) -> Watched:
    """A session for a task, run to its end."""
    watched = watch(task, **settings)
    watched.result = watched.session.run()
    watched.session.close()
    return watched
