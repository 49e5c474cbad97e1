"""The one door: what is judged is recorded, what is recorded first happens only then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policies.action import (
    Action,
    ApplyRequest,
    EditRequest,
    Effect,
    ModelRequest,
    ReadRequest,
    ShellRequest,
    Verdict,
)
from policies.gate import Circumstances, Gate
from policies.log import LogError, SessionLog, read
from policies.masks import ALL_KINDS, Masks
from policies.packs import builtin
from policies.record import ActionDone, ActionJudged
from policies.texts import MAX_NESTING
from sandbox.protocol import Outcome
from tools.workbench import PerformerError, Workbench

SECRET = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"


class Room:
    """A workbench over a real gate and a real log, with performers that keep what they were asked."""

    def __init__(self, folder: Path, answer: str = "") -> None:
        self.performed: list[Action] = []
        self.asked: list[Verdict] = []
        self.outcome = Outcome(exit_code=0, stdout="ok")
        self.masks = Masks(b"k" * 32)
        self.log = SessionLog.create(
            folder, key=b"k" * 32, mask=lambda d: self.masks.mask_json(d, ALL_KINDS)
        )
        gate = Gate(
            [builtin("baseline")], Circumstances(contained=True, mode="terminal"), self.masks
        )

        def perform(action: Action) -> Outcome:
            self.performed.append(action)
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

        def approve(_action: Action, verdict: Verdict) -> str:
            self.asked.append(verdict)
            return answer

        kinds = ("shell", "read", "edit", "model", "apply")
        self.bench = Workbench(
            session_id="s",
            gate=gate,
            log=self.log,
            masks=self.masks,
            performers=dict.fromkeys(kinds, perform),
            approve=approve,
        )
        self.bench.begin_step(1)

    def perform(self, request: Any, effect: Effect = Effect.CONTAINED) -> Any:
        return self.bench.perform("t", request, effect=effect, origin="model", timeout_s=5)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "log")
    yield made
    made.log.close()


def records(room: Room, folder: Path) -> list[Any]:
    return [record for _, record in read(folder)]


def test_the_verdict_is_in_the_log_before_the_act_and_the_outcome_after(tmp_path: Path) -> None:
    room = Room(tmp_path / "log")
    seen: list[list[str]] = []

    def perform(_action: Action) -> Outcome:
        seen.append([record.type for record in records(room, tmp_path / "log")])
        return Outcome(exit_code=0)

    room.bench._performers = {"shell": perform}
    room.perform(ShellRequest(command="ls"))

    assert seen == [["action_judged"]]
    assert [r.type for r in records(room, tmp_path / "log")] == ["action_judged", "action_done"]


def test_a_denied_act_is_not_performed_and_says_rule_reason_and_remedy(room: Room) -> None:
    observation = room.perform(ReadRequest(path=".env"))

    assert observation.status == "denied"
    assert observation.verdict.rule.startswith("baseline.")
    assert observation.verdict.reason
    assert room.performed == []


PATCH = (
    "diff --git a/.github/workflows/ci.yml b/.github/workflows/ci.yml\n"
    "new file mode 100644\nindex 0000000000000000000000000000000000000000.."
    "257cc5642cb1a054f08cc83f2d943e56fd3ebe99\n--- /dev/null\n"
    "+++ b/.github/workflows/ci.yml\n@@ -0,0 +1 @@\n+foo\n"
)


@pytest.mark.parametrize(("answer", "status"), [("", "denied"), ("ann", "done")])
def test_where_the_gate_asks_only_a_persons_yes_lets_it_through(
    tmp_path: Path, answer: str, status: str
) -> None:
    room = Room(tmp_path / "log", answer)
    observation = room.perform(ApplyRequest(patch=PATCH, target="/x"))

    assert len(room.asked) == 1
    assert observation.status == status
    assert observation.verdict.approved_by == answer
    assert len(room.performed) == (1 if answer else 0)


def test_secrets_that_come_back_are_masked_and_an_edit_turns_the_token_back(room: Room) -> None:
    room.outcome = Outcome(
        exit_code=0, stdout=f"token = '{SECRET}'", whole={"stdout": SECRET.encode()}
    )
    observation = room.perform(ShellRequest(command="cat config.py"))
    token = observation.stdout.removeprefix("token = '").removesuffix("'")

    assert SECRET not in observation.stdout
    assert SECRET.encode() not in room.log.read_blob(observation.blobs["stdout"])

    room.perform(EditRequest(operation="replace", path="config.py", old=token, new="''"))
    request = room.performed[-1].request
    assert isinstance(request, EditRequest)
    assert request.old == SECRET


def test_what_goes_to_a_model_is_masked_before_it_leaves(room: Room, tmp_path: Path) -> None:
    message = {"role": "user", "content": f"use {SECRET}"}
    room.perform(
        ModelRequest(model="m", messages=(message,), history="h", max_output_tokens=9),
        Effect.FIND_OR_CREATE,
    )

    sent = room.performed[-1].request
    assert isinstance(sent, ModelRequest)
    assert SECRET not in str(sent.messages)
    assert not any(
        SECRET.encode() in p.read_bytes() for p in (tmp_path / "log").rglob("*") if p.is_file()
    )


@pytest.mark.parametrize("rubbish", ["a\0b", "a\ud800b", "\ud800"])
def test_what_is_no_text_does_not_keep_the_next_model_call_from_being_judged(
    room: Room, rubbish: str
) -> None:
    room.outcome = Outcome(exit_code=0, stdout=rubbish, data={"text": rubbish, "more": [rubbish]})
    observation = room.perform(ShellRequest(command="ls"))
    message = {"role": "tool", "content": observation.stdout + str(observation.data)}
    model = ModelRequest(model="m", messages=(message,), history="h", max_output_tokens=9)

    assert room.perform(model, Effect.FIND_OR_CREATE).status == "done"


def test_nothing_happens_when_the_log_cannot_be_written(room: Room) -> None:
    room.log.close()

    with pytest.raises(LogError):
        room.perform(ShellRequest(command="ls"))
    assert room.performed == []


def test_a_performer_that_breaks_is_an_observation_and_in_the_log(
    room: Room, tmp_path: Path
) -> None:
    room.outcome = PerformerError("the store is gone", remedy="Start it.")  # type: ignore[assignment]
    observation = room.perform(ShellRequest(command="ls"))

    assert observation.status == "failed"
    assert observation.notes == ("the store is gone.", "Start it.")
    assert records(room, tmp_path / "log")[-1].observation == observation


def test_what_comes_back_nested_too_deep_is_a_failure_that_is_said(room: Room) -> None:
    deep: Any = 1
    for _ in range(MAX_NESTING + 1):
        deep = [deep]
    room.outcome = Outcome(data={"deep": deep})
    observation = room.perform(ShellRequest(command="ls"))
    assert observation.status == "failed"
    assert "nested" in observation.notes[0]


@pytest.mark.parametrize(
    ("effect", "known", "performed", "status"),
    [
        (Effect.CONTAINED, "done", 1, "done"),
        (Effect.FIND_OR_CREATE, "done", 0, "done"),
        (Effect.UNREPEATABLE, "done", 0, "done"),
        (Effect.FIND_OR_CREATE, "begun", 1, "done"),
        (Effect.UNREPEATABLE, "begun", 0, "unknown"),
        (Effect.FIND_OR_CREATE, "failed", 1, "done"),
        (Effect.UNREPEATABLE, "failed", 0, "failed"),
    ],
)
def test_an_act_that_an_earlier_process_began_or_did_is_treated_as_its_effect_says(
    tmp_path: Path, effect: Effect, known: str, performed: int, status: str
) -> None:
    first, second = Room(tmp_path / "a"), Room(tmp_path / "b")
    if known == "failed":
        first.outcome = PerformerError("out of reach", remedy="Wait.")  # type: ignore[assignment]
    first.perform(ShellRequest(command="ls"), effect)
    log = records(first, tmp_path / "a")
    begun = {r.action.key for r in log if isinstance(r, ActionJudged)}
    done = {r.key: r.observation for r in log if isinstance(r, ActionDone)}
    second.bench.restore(begun, {} if known == "begun" else done)

    observation = second.perform(ShellRequest(command="ls"), effect)

    assert len(second.performed) == performed
    assert observation.status == status
