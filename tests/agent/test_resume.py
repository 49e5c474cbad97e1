"""A session that was stopped goes on where it was: nothing is paid for twice, nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.doors.cli.failure import Failure
from agent.doors.cli.resume import last_unfinished
from agent.opening import STATE_LOST
from agent.outcome import Outcome
from agent.session import Session, UnknownSession, list_sessions
from agent.settings import load
from agent.task import Limits, Task
from policies.log import read
from policies.record import ActionDone, ActionJudged, SessionEnded, SessionResumed
from tests.model_server import Call, ModelServer, Turn, texts
from tests.sessions import copy_fixture, copy_red_test, watch

MODEL = "openai-compatible/scripted"
OLD = "for part, count in self.counts.items() if count <= minimum)"
NEW = "for part, count in self.counts.items() if count < minimum)"
EDIT = Turn(calls=(Call("edit", {"path": "stockroom/levels.py", "old": OLD, "new": NEW}),))
READ = Turn(calls=(Call("read", {"path": "stockroom/levels.py"}),))
DONE = Turn(calls=(Call("done", {"summary": "Mended."}),))


def resume(session_id: str) -> Any:
    with Session.resume(
        session_id, load(), approve=lambda _a, _v: "", observe=lambda _r: None
    ) as session:
        return session.run()


@pytest.mark.parametrize("stopped_at", [0, 1, 2])
def test_a_stop_at_any_model_call_and_a_resume_end_as_if_nothing_had_been(
    tmp_path: Path, stopped_at: int
) -> None:
    sessions: list[Session] = []
    turns = [READ, EDIT, DONE]

    def scripted(number: int) -> Any:
        def answer(_request: dict[str, Any]) -> Turn:
            if number == stopped_at:
                sessions[0].stop(Outcome.INTERRUPTED)
            return turns[number]

        return answer

    with ModelServer([scripted(n) for n in range(3)]) as server:
        repo = copy_fixture("red_test", tmp_path)
        watched = watch(Task(text="Mend it.", repo=repo, model=MODEL, base_url=server.base_url))
        sessions.append(watched.session)
        first = watched.session.run()
        watched.session.close()
        assert (first.outcome, first.exit_code) == ("interrupted", 130)
        assert first.session_id in first.reason
        assert list_sessions(load())[0].outcome == "interrupted"

        last = resume(first.session_id)

        assert last.outcome == "verified", last.reason
        assert NEW in last.patch
        assert len(server.requests) == 3
        told = [text for text in texts(server.requests[2]) if STATE_LOST in text]
        assert len(told) == (stopped_at < 2)  # the last answer needs no more words
        assert len(texts(server.requests[2])) == 6 + len(told)

    records = [record for _, record in read(Path(last.log))]
    judged = [r.action.key for r in records if isinstance(r, ActionJudged)]
    edits = [r for r in records if isinstance(r, ActionDone) and r.tool == "edit"]
    assert len(edits) == 1
    assert len({key for key in judged if key.endswith("/0")}) == len(
        [r for r in records if isinstance(r, ActionJudged) and r.action.key.endswith("/0")]
    )
    assert sum(isinstance(r, SessionResumed) for r in records) == 1
    assert sum(isinstance(r, SessionEnded) for r in records) == 2


def test_an_edit_made_before_the_stop_is_there_after_it(tmp_path: Path) -> None:
    sessions: list[Session] = []

    def stop(_request: dict[str, Any]) -> Turn:
        sessions[0].stop(Outcome.TERMINATED)
        return DONE

    with ModelServer([EDIT, stop]) as server:
        repo = copy_fixture("red_test", tmp_path)
        watched = watch(Task(text="Mend it.", repo=repo, model=MODEL, base_url=server.base_url))
        sessions.append(watched.session)
        first = watched.session.run()
        watched.session.close()
        last = resume(first.session_id)

    assert (first.outcome, first.exit_code) == ("terminated", 143)
    assert NEW in first.patch
    assert last.outcome == "verified"
    assert NEW in last.patch


def test_a_search_that_was_stopped_goes_on(tmp_path: Path) -> None:
    watched = watch(Task(text="Mend it.", repo=copy_red_test(tmp_path)))
    seen = watched.records.append

    def observe(record: Any) -> None:
        seen(record)
        if isinstance(record, ActionDone) and record.tool == "try_candidates":
            watched.session.stop(Outcome.INTERRUPTED)

    watched.session._recorder._observe = observe
    first = watched.session.run()
    watched.session.close()
    last = resume(first.session_id)

    assert first.outcome == "interrupted"
    assert last.outcome == "verified", last.reason
    assert last.candidates > 0


def test_a_run_that_used_up_its_steps_ends_with_7_and_keeps_its_patch(tmp_path: Path) -> None:
    with ModelServer([EDIT, READ, READ, DONE]) as server:
        task = Task(
            text="Mend it.",
            repo=copy_fixture("red_test", tmp_path),
            model=MODEL,
            base_url=server.base_url,
            limits=Limits(steps=2),
        )
        watched = watch(task)
        result = watched.session.run()
        watched.session.close()

    assert (result.outcome, result.exit_code) == ("budget", 7)
    assert "--max-steps" in result.reason
    assert NEW in result.patch
    assert result.evidence.level == "none"


def test_a_session_that_is_not_there_is_said() -> None:
    with pytest.raises(UnknownSession, match="20200101"):
        resume("20200101-000000-abcdef")


def test_a_verified_session_is_not_run_again(tmp_path: Path) -> None:
    with ModelServer([EDIT, DONE]) as server:
        watched = watch(
            Task(
                text="Mend it.",
                repo=copy_fixture("red_test", tmp_path),
                model=MODEL,
                base_url=server.base_url,
            )
        )
        first = watched.session.run()
        watched.session.close()
        again = resume(first.session_id)

        assert again == first
        assert len(server.requests) == 2


def test_resume_without_a_name_is_about_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[Session] = []

    def stop(_request: dict[str, Any]) -> Turn:
        sessions[0].stop(Outcome.INTERRUPTED)
        return DONE

    with ModelServer([stop]) as server:
        repo = copy_fixture("red_test", tmp_path)
        watched = watch(Task(text="Mend it.", repo=repo, model=MODEL, base_url=server.base_url))
        sessions.append(watched.session)
        stopped = watched.session.run().session_id
        watched.session.close()
    (tmp_path / "other").mkdir()

    monkeypatch.chdir(tmp_path / "other")
    with pytest.raises(Failure, match="other"):
        last_unfinished(load())
    monkeypatch.chdir(repo / "tests")
    assert last_unfinished(load()) == stopped
