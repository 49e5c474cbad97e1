"""What a capable mind once answered, given again to today's loop on the same real bugs."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.task import Task
from benchmarks.lift import Pair, pairs
from sandbox.releases import release_pair
from tests.model_server import Call, ModelServer, Turn
from tests.sessions import run

RELEASES = [pair for pair in pairs() if isinstance(pair.source, dict)]
ORDINARY = {"natsort-8.0.1", "simpleeval-1.0.5", "parse-1.22.1"}


def case(pair: Pair) -> object:
    marks = () if pair.id in ORDINARY else (pytest.mark.soak,)
    return pytest.param(pair, id=pair.id, marks=marks)


def turns(pair: Pair) -> list[Turn]:
    return [
        Turn(
            answer["text"],
            tuple(Call(call["name"], call["arguments"]) for call in answer["calls"]),
        )
        for answer in pair.answers
    ]


@pytest.mark.parametrize("pair", [case(pair) for pair in RELEASES])
def test_the_answers_that_mended_a_real_bug_mend_it_again(pair: Pair, tmp_path: Path) -> None:
    source = pair.source
    assert isinstance(source, dict)
    repo = tmp_path / "repo"
    release_pair(source["package"], source["old"], source["new"], repo, say=print)
    with ModelServer(turns(pair)) as server:
        watched = run(
            Task(
                text="Make the failing tests pass.",
                repo=repo,
                failing=tuple(source["failing"]),
                model="openai-compatible/recorded",
                base_url=server.base_url,
            )
        )

    result = watched.result
    assert result is not None
    assert result.outcome == "verified", result.reason
    assert result.evidence.level == "failing-test"
    assert set(result.evidence.green_after) >= set(source["failing"])
    assert result.steps == len(server.requests) <= pair.ours.requests


def test_every_recorded_run_holds_an_answer_for_each_request() -> None:
    assert len(pairs()) >= 24
    for pair in pairs():
        assert len(pair.answers) == pair.ours.requests, pair.id
        assert all(answer["text"] or answer["calls"] for answer in pair.answers)
