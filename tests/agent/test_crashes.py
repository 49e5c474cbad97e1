"""Killed with -9 at any instant, a run goes on to the same patch, and nothing happens twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memory import redis_server
from tests.agent.crashes import Crashing, assert_as_if_nothing_had_happened, tree_of
from tests.model_server import Call, ModelServer, Turn, texts
from tests.model_wire import Request
from tests.sessions import copy_red_test

SEEDS = range(3)
MANY = range(90)
KINDS = (
    "session_started",
    "environment_ready",
    "action_judged",
    "action_done",
    "plan_made",
    "step_taken",
    "patch_verified",
    "noticed",
    "session_ended",
)
OLD = "for part, count in self.counts.items() if count <= minimum)"
SCRIPT = [
    Turn(calls=(Call("read", {"path": "stockroom/levels.py"}),)),
    Turn(calls=(Call("shell", {"command": "echo seen >> notes.txt; git add -A; git stash -q"}),)),
    Turn(calls=(Call("shell", {"command": "git stash pop -q; wc -l < notes.txt"}),)),
    Turn(
        calls=(
            Call(
                "edit",
                {"path": "stockroom/levels.py", "old": OLD, "new": OLD.replace("<=", "<")},
            ),
            Call("run_tests", {}),
        )
    ),
    Turn(calls=(Call("shell", {"command": "rm notes.txt"}),)),
    Turn(calls=(Call("done", {"summary": "A part at its minimum is enough."}),)),
]


def answer(request: Request) -> Turn:
    """The turn that follows on what the model said before, whatever was repeated."""
    said: int = sum(message["role"] == "assistant" for message in request["messages"])
    return SCRIPT[said]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(answer) as found:
        yield found


def crashing(tmp_path: Path, mind: str, server: ModelServer) -> Crashing:
    options = {
        "builtin": (),
        "model": ("--model", "openai-compatible/scripted", "--base-url", server.base_url),
    }
    return Crashing(tmp_path / "state", copy_red_test(tmp_path), options[mind])


@pytest.fixture(params=["builtin", "model"])
def mind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


_known: dict[str, tuple[str, float]] = {}


@pytest.fixture
def undisturbed(
    mind: str, server: ModelServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, float]:
    """Patch and seconds of a run that nothing cuts off, measured once a process."""
    if mind not in _known:
        run = crashing(tmp_path_factory.mktemp(mind), mind, server)
        before, began = tree_of(run.repo), time.monotonic()
        run.finish()
        seconds = time.monotonic() - began
        _known[mind] = assert_as_if_nothing_had_happened(run, before), seconds
        redis_server.stop(run.home)
    return _known[mind]


def check_random_kills(run: Crashing, undisturbed: tuple[str, float], seed: int) -> None:
    patch, seconds = undisturbed
    before = tree_of(run.repo)
    chance = random.Random(seed)
    instants = [round(chance.uniform(0, seconds), 3)]
    while chance.random() < 0.4:
        instants.append(round(chance.uniform(0, seconds), 3))
    print(f"seed {seed}: killed after {instants} of {seconds:.1f} s")
    for instant in instants:
        run.kill_at(instant)
    run.finish()
    assert_as_if_nothing_had_happened(run, before, patch)


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_at_random_instants(
    tmp_path: Path, mind: str, server: ModelServer, undisturbed: tuple[str, float], seed: int
) -> None:
    check_random_kills(crashing(tmp_path, mind, server), undisturbed, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", MANY)
def test_many_kills_at_random_instants(
    tmp_path: Path, mind: str, server: ModelServer, undisturbed: tuple[str, float], seed: int
) -> None:
    check_random_kills(crashing(tmp_path, mind, server), undisturbed, 1000 + seed)


def test_a_kill_at_every_kind_of_record(
    tmp_path: Path, server: ModelServer, undisturbed: tuple[str, float], mind: str
) -> None:
    run = crashing(tmp_path, mind, server)
    before = tree_of(run.repo)
    for kind in KINDS:
        seen = run.kinds()[kind]
        run.kill_when(lambda kind=kind, seen=seen: run.kinds()[kind] > seen)  # type: ignore[misc]
    run.finish()
    assert_as_if_nothing_had_happened(run, before, undisturbed[0])


def test_what_a_model_was_told_once_is_not_asked_again_after_its_answer_is_in_the_log(
    tmp_path: Path,
) -> None:
    asked: list[Any] = []

    def remember(request: Request) -> Turn:
        asked.append(texts(request))
        return answer(request)

    with ModelServer(remember) as server:
        run = crashing(tmp_path, "model", server)
        before = tree_of(run.repo)
        for count in (6, 12, 18):
            run.kill_when(lambda count=count: run.kinds()["action_done"] >= count)  # type: ignore[misc]
        run.finish()
        assert_as_if_nothing_had_happened(run, before)

    turns = [len(one) for one in asked]
    assert len(asked) <= len(SCRIPT) + 3, turns  # a call that was under way may be made again
