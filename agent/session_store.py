"""Sessions at rest: their folders, the key that seals their logs, and what a past one left."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.outcome import Outcome
from agent.result import Result
from agent.settings import Settings
from agent.spending import Ledger
from agent.task import Limits, Task
from policies.action import ModelRequest, Observation
from policies.log import LogUnreadable, is_written, read
from policies.log_format import LOG
from policies.record import (
    ActionDone,
    ActionJudged,
    ModelChanged,
    Record,
    SessionEnded,
    SessionResumed,
    SessionStarted,
)

RESULT_FILE = "result.json"
RUNNING = "running"
CUT_OFF = "cut off"
"""Outcomes of sessions without a result: of one that goes on, and of one whose process was killed."""
_UNBEGUN_S = 60.0


class UnknownSession(Exception):
    """There is no such session, or it left nothing to go on from.

    Args:
        happened: Which session, as one sentence without a full stop.
        remedy: What to do next.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of `journeyman sessions`."""

    id: str
    repo: str
    text: str
    outcome: str
    at: str


@dataclass(slots=True)
class Past:
    """What the log of an earlier process says.

    Attributes:
        task: What was asked, with the limits of the last resume that changed them.
        begun: Keys of actions that were judged.
        done: Key to what came back.
        turns: For each model call that came back, in order: the new messages, the reply (None: the
            call brought none), and the bytes that the history before them was cut to (0: it was not).
        model: The one that took over last; empty: none did.
        replaced: Keys of calls that failed and whose place another model's call took.
        ledger: What was spent.
        ended: Outcome label of the last end; empty where the process was killed.
    """

    task: Task
    begun: set[str] = field(default_factory=set)
    done: dict[str, Observation] = field(default_factory=dict)
    turns: list[tuple[list[dict[str, Any]], dict[str, Any] | None, int]] = field(
        default_factory=list
    )
    model: str = ""
    replaced: set[str] = field(default_factory=set)
    ledger: Ledger = field(default_factory=Ledger)
    ended: str = ""
    _asked: dict[str, ModelRequest] = field(default_factory=dict)
    _called: str = ""

    def take(self, record: Record) -> None:
        """Learn from the next record of the log."""
        self.ledger.take(record)
        match record:
            case ActionJudged(action=action):
                self.begun.add(action.key)
                if isinstance(action.request, ModelRequest):
                    self._asked[action.key] = action.request
            case ActionDone(key=key, observation=observation):
                self.done[key] = observation
                if (request := self._asked.pop(key, None)) is not None:
                    reply = observation.data.get("message")
                    answer = reply if isinstance(reply, dict) else None
                    self.turns.append((list(request.messages), answer, request.cut_to))
                    self._called = key
            case ModelChanged(key=key, after=after):
                self.model = after
                self.replaced.add(key)
            case SessionResumed(limits=limits) if limits:
                given = {"limits": Limits.model_validate(limits)}
                self.task = self.task.model_copy(update=given)
            case SessionEnded(result=result):
                self.ended = str(result.get("outcome", ""))
                if self.ended == Outcome.MODEL_ERROR.label:
                    self._forget_answer()
            case _:
                pass

    def _forget_answer(self) -> None:
        """Where the last answer ended the run, being of no use, it is asked for anew."""
        if self.turns and self.turns[-1][1] is not None:
            del self.turns[-1], self.done[self._called]


def new_id() -> str:
    """A session's name: sorts by time, unique by chance of 1 in 16 million within a second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def session_folder(home: Path, session_id: str) -> Path:
    """Where a session lies."""
    return home / "sessions" / session_id


def seal_key(home: Path) -> bytes:
    """The key that seals logs (32 bytes, mode 0600), made at the first use."""
    path = home / "keys" / "log.key"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
    return path.read_bytes()


def mask_key(key: bytes, session_id: str) -> bytes:
    """The key of a session's mask tokens: the same after a resume, another for each session."""
    return hmac.digest(key, f"masks {session_id}".encode(), "sha256")


def read_past(folder: Path) -> Past:
    """What an earlier process of a session left in its log.

    Raises:
        UnknownSession: There is no log that begins properly.
    """
    past: Past | None = None
    try:
        for _, record in read(folder):
            if isinstance(record, SessionStarted):
                past = Past(task=Task.model_validate(record.task))
            elif past is not None:
                past.take(record)
    except LogUnreadable as error:
        raise UnknownSession(str(error), remedy="See `journeyman sessions`.") from error
    if past is None:
        raise UnknownSession(
            f"session {folder.name} ended before it had begun",
            remedy='Run the task again: journeyman run "TASK".',
        )
    return past


def save_result(folder: Path, result: Result) -> None:
    """Keep the result as doors report it, mode 0600."""
    part = folder / f"{RESULT_FILE}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(result.model_dump_json(indent=1))
    part.replace(folder / RESULT_FILE)


def load_result(folder: Path) -> Result | None:
    """The kept result of a session that ended."""
    try:
        return Result.model_validate_json((folder / RESULT_FILE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def remove_unbegun(home: Path) -> None:
    """Remove what processes left that were killed before their session's first record."""
    for folder in (home / "sessions").glob("*"):
        log = folder / LOG
        with contextlib.suppress(OSError):  # another process may be quicker
            age = time.time() - folder.stat().st_mtime
            empty = not log.exists() or log.stat().st_size == 0
            if empty and age > _UNBEGUN_S and not is_written(folder):
                shutil.rmtree(folder)


def list_sessions(settings: Settings) -> tuple[Summary, ...]:
    """All sessions, newest first; one whose log cannot be read says so as its outcome."""
    root = settings.home / "sessions"
    folders = sorted((f for f in root.glob("*") if f.is_dir()), reverse=True)
    return tuple(_summary(folder) for folder in folders)


def _summary(folder: Path) -> Summary:
    at = folder.name[:15]
    try:
        envelope, first = next(iter(read(folder)))
    except (LogUnreadable, StopIteration):
        return Summary(folder.name, "", "", "unreadable", at)
    if not isinstance(first, SessionStarted):
        return Summary(folder.name, "", "", "unreadable", at)
    result = load_result(folder)
    outcome = RUNNING if is_written(folder) else result.outcome if result else CUT_OFF
    task = json.loads(json.dumps(first.task))
    return Summary(folder.name, str(task["repo"]), str(task["text"]), outcome, envelope.at)
