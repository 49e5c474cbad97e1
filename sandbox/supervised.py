"""What every sandbox does once a supervisor answers in it: verbs, files, snapshots, patches."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from sandbox.channel import Channel
from sandbox.companion import BIN
from sandbox.errors import SandboxError, SandboxLost, SandboxMissing
from sandbox.protocol import Answer, Changes, Description, Json, Outcome
from sandbox.seccomp import filters
from sandbox.worker.frames import Attachments, Message

VERBS = frozenset({"shell", "python", "git", "read", "edit", "search", "tests", "candidates"})
UID = 10001
STORE_GID = 10002
READY_S = 60.0
STORE_S = 300.0
SHOWN = 64 << 10
"""Bytes of an output that are shown of each end."""
_PATIENCE_S = 60.0
"""What a supervisor may take beyond a verb's limit before it counts as lost."""
_FEED = 1 << 20
_BIG = 1 << 20
_ASKED = 1000
_DIGEST = re.compile(r"(?:[0-9a-f]{64})?")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class SupervisedSandbox:
    """A sandbox behind a channel; the kinds differ in how it is opened and ended.

    One thread performs (a tool called from a cell performs within); any may interrupt.

    Args:
        channel: To the supervisor, which `_begin` starts.
        description: What it is.
        end: Removes what the end of the stream does not.
    """

    def __init__(self, channel: Channel, description: Description, end: Callable[[], None]) -> None:
        self._channel = channel
        self._description = description
        self._end = end
        self._number = 0
        self._cell_runs = False
        self._finished: dict[int, tuple[Message, Attachments]] = {}
        self._closed = False

    @property
    def description(self) -> Description:
        """What it is."""
        return self._description

    def _begin(
        self, python: str, environment: Mapping[str, str], *, split: bool, processes: int = 0
    ) -> None:
        """Start the supervisor.

        Args:
            python: The task's interpreter; empty: there is none.
            environment: Of everything inside.
            split: The supervisor is another user than the rest.
            processes: How many there may be, where no container counts them; 0: one does.
        """
        self._channel.begin(
            {
                "workspace": "/workspace",
                "scratch": "/tmp/journeyman",  # noqa: S108 - the sandbox's own /tmp
                "outputs": "/tmp/journeyman-outputs",  # noqa: S108 - likewise
                "store": "/store",
                "store_gid": STORE_GID,
                "uid": UID,
                "gid": UID,
                "split": split,
                "processes": processes,
                "python": python,
                "environment": child_environment(python, environment),
                "filters": {n: base64.b64encode(f).decode() for n, f in filters().items()},
            }
        )
        message, _ = self._channel.receive(READY_S)
        if message["t"] == "failed":
            raise SandboxMissing(
                f"The sandbox of image {self._description.image} is not usable: {message['error']}",
                remedy="Choose an image that has it, or name another interpreter.",
            )

    def ping(self) -> None:
        """Go there and back once.

        Raises:
            SandboxLost: Nothing comes back.
        """
        self._number += 1
        number = self._number
        self._channel.send({"t": "ping", "id": number})
        while True:
            message, _ = self._receive(_PATIENCE_S)
            if message["t"] == "pong" and message["id"] == number:
                return

    def perform(
        self,
        verb: str,
        arguments: Mapping[str, Json],
        *,
        timeout_s: float,
        answer: Answer | None = None,
    ) -> Outcome:
        """Do one verb; a failing command is an outcome, not an exception.

        Args:
            verb: One of `VERBS`.
            arguments: Fields of the request of that name.
            timeout_s: Seconds it may take; time in `answer` does not count.
            answer: Called when the code of a `python` cell asks for a tool.

        Raises:
            SandboxLost: The sandbox is gone.
            ValueError: There is no such verb.
        """
        if verb not in VERBS:
            raise ValueError(f"no verb {verb!r} among {sorted(VERBS)}")
        if verb != "python":
            return self._perform(verb, arguments, timeout_s)
        if self._cell_runs:
            note = "A cell is running; another cannot be run from inside it."
            return Outcome(exit_code=1, stderr=note)
        self._cell_runs = True
        try:
            return self._perform(verb, arguments, timeout_s, answer)
        finally:
            self._cell_runs = False

    def _perform(
        self,
        verb: str,
        arguments: Mapping[str, Json],
        timeout_s: float,
        answer: Answer | None = None,
        *,
        feed: Path | None = None,
    ) -> Outcome:
        self._number += 1
        number = self._number
        big = {
            name: value.encode("utf-8", "surrogatepass")
            for name, value in arguments.items()
            if isinstance(value, str) and len(value) > _BIG
        }
        small = {name: value for name, value in arguments.items() if name not in big}
        message = {"t": "perform", "id": number, "verb": verb, "timeout_s": timeout_s}
        self._channel.send(dict(message, arguments=small), big)
        if feed is not None:
            self._feed(number, feed)
        while number not in self._finished:
            received, attachments = self._receive(timeout_s + _PATIENCE_S)
            if received["t"] == "call" and received["id"] == number:
                self._answer(received, answer)
            elif received["t"] == "done":
                self._finished[received["id"]] = received, attachments
        return _outcome(*self._finished.pop(number))

    def _receive(self, timeout_s: float) -> tuple[Message, Attachments]:
        if self._closed:
            raise SandboxLost("The sandbox is closed", remedy="Open another.")
        return self._channel.receive(timeout_s)

    def _answer(self, call: Message, answer: Answer | None) -> None:
        """A cell asks for a tool; what goes wrong there is an exception in that cell."""
        reply: dict[str, Any] = {"t": "answer", "id": call["id"], "call": call["call"]}
        if answer is None:
            self._channel.send(dict(reply, error="No tools can be called from this cell."))
            return
        try:
            reply["value"] = answer(call["name"], call["arguments"])
        except SandboxLost:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a tool raises is the cell's to see
            reply["error"] = f"{call['name']}: {error}"
        self._channel.send(reply)

    def _feed(self, number: int, path: Path) -> None:
        with path.open("rb") as source:
            while data := source.read(_FEED):
                self._channel.send({"t": "feed", "id": number, "last": False}, {"data": data})
        self._channel.send({"t": "feed", "id": number, "last": True})

    def put(self, archive: Path) -> None:
        """Lay a tar archive (made by `workspace.capture`) into the empty workspace.

        Raises:
            SandboxError: It does not fit, or is no archive.
        """
        outcome = self._perform("unpack", {}, STORE_S, feed=archive)
        _raise_failure(outcome, f"The archive {archive} could not be laid into the workspace")

    def snapshot(self) -> str:
        """Keep the workspace's files as they are; returns the tree's id.

        Raises:
            SandboxError: They could not be kept (the store is full).
        """
        outcome = self._perform("snapshot", {}, STORE_S)
        _raise_failure(outcome, "The workspace could not be kept")
        return str(outcome.data["tree"])

    def restore(self, tree: str) -> None:
        """Put the workspace's files back to a tree.

        Raises:
            SandboxError: There is no such tree, or a file could not be written.
        """
        outcome = self._perform("restore", {"tree": tree}, STORE_S)
        _raise_failure(outcome, f"The workspace could not be put back to tree {tree[:12]}")

    def changes(self, base: str) -> Changes:
        """What differs from a tree, ignored files and the `.git` folder's own files included.

        Raises:
            SandboxError: There is no such tree, the store is full, or what comes back is no tree.
        """
        outcome = self._perform("changes", {"base": base}, STORE_S)
        _raise_failure(outcome, f"The workspace could not be compared with tree {base[:12]}")
        data: Any = outcome.data
        changed = {path: tuple(entry) for path, entry in data["changed"].items()}
        for path, (_, digest, _) in changed.items():
            if not _DIGEST.fullmatch(digest):  # it becomes a file's name on the host
                raise SandboxError(
                    f"The sandbox names {digest[:100]!r} as the digest of {path}: code in it changed "
                    "its snapshots",
                    remedy="Begin a new session, with Docker if that code is not trusted.",
                )
        return Changes(data["tree"], changed, tuple(data["gone"]))

    def contents(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """Bytes by digest of what `changes` named (path to digest); what changed since is left out.

        Raises:
            SandboxError: They could not be read.
        """
        left = {digest: path for path, digest in wanted.items()}
        begun: dict[str, bytearray] = {}
        while left:
            asked: list[Json] = [[p, d, len(begun.get(d, b""))] for d, p in left.items()]
            outcome = self._perform("contents", {"wanted": asked[:_ASKED]}, STORE_S)
            _raise_failure(outcome, "The workspace's contents could not be read")
            pieces: Any = outcome.data["pieces"]
            for digest, offset, text, last in pieces:
                data = begun.setdefault(digest, bytearray())
                data[offset:] = base64.b64decode(text)
                if not last:
                    continue
                del left[digest], begun[digest]
                if hashlib.sha256(data).hexdigest() == digest:
                    yield digest, bytes(data)

    def adopt(self, archive: Path) -> None:
        """Turn a workspace that holds the first tree into what a kept archive says.

        Raises:
            SandboxError: The archive is not whole, or does not fit.
        """
        outcome = self._perform("adopt", {}, STORE_S, feed=archive)
        _raise_failure(outcome, "The work could not be laid into the workspace again")

    def diff(self, base: str) -> str:
        """The workspace against a tree, as a git patch with full object names and binary hunks.

        Raises:
            SandboxError: There is no such tree, or no git in the sandbox.
        """
        outcome = self._perform("diff", {"base": base}, STORE_S)
        _raise_failure(outcome, f"No patch could be made against tree {base[:12]}")
        return str(outcome.data["patch"])

    def apply(self, patch: str) -> None:
        """Apply a git patch to the workspace: all of it or nothing.

        Raises:
            SandboxError: It does not apply.
        """
        outcome = self._perform("apply", {"patch": patch}, STORE_S)
        _raise_failure(outcome, "The patch does not apply to the workspace")

    def interrupt(self) -> None:
        """Stop what is running now, from another thread; its `perform` returns."""
        self._channel.send({"t": "interrupt"})

    def close(self) -> None:
        """End it and everything in it. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._channel.close()
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            with contextlib.suppress(Exception):
                self.close()


def child_environment(python: str, given: Mapping[str, str]) -> dict[str, str]:
    """Environment of everything inside; the task's interpreter comes first on PATH.

    What was laid beside a foreign image comes last.
    """
    path = f"{given.get('PATH', _PATH)}:{BIN}"
    folder = python.rpartition("/")[0]
    if folder and folder not in path.split(":"):
        path = f"{folder}:{path}"
    return {
        "HOME": "/home/agent",
        "USER": "agent",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1",
        **given,
        "PATH": path,
    }


def _raise_failure(outcome: Outcome, happened: str) -> None:
    if outcome.exit_code != 0:
        said = (outcome.stderr.strip() or " ".join(outcome.notes)).splitlines()
        raise SandboxError(
            f"{happened}: {said[-1] if said else 'no reason was given'}",
            remedy="Look at the sandbox's notes in the log; the workspace is as it was.",
        )


def _outcome(message: Message, attachments: Attachments) -> Outcome:
    """An `Outcome` of what the supervisor says; its text fields follow what was captured."""
    fields = message["outcome"]
    notes = [str(note) for note in fields.get("notes", ())]
    texts, whole = {}, {}
    for name in ("stdout", "stderr", "children"):
        captured = attachments.get(name, b"")
        total = int(message.get("totals", {}).get(name, 0))
        said = str(fields.get(name) or "").encode("utf-8", "replace")
        data = (
            b"\n".join(part for part in (captured.removesuffix(b"\n"), said) if part)
            if said
            else captured
        )
        texts[name], cut = shown(data, total + len(said))
        if cut:
            whole[name] = data
            notes += [f"Only the first and last {len(data) // 2} bytes of {name} were kept."] * (
                total > len(captured)
            )
    return Outcome(
        exit_code=fields.get("exit_code"),
        value=fields.get("value"),
        timed_out=bool(fields.get("timed_out")),
        notes=tuple(notes),
        data=fields.get("data") or {},
        whole=whole,
        seconds=float(fields.get("seconds", 0.0)),
        **texts,
    )


def shown(data: bytes, total: int) -> tuple[str, bool]:
    """Text of an output with its middle cut where it is long, and whether it was cut."""
    if len(data) <= 2 * SHOWN:
        return data.decode("utf-8", "replace"), False
    head = data[:SHOWN].decode("utf-8", "replace")
    tail = data[-SHOWN:].decode("utf-8", "replace")
    return f"{head}\n[... {total - 2 * SHOWN} bytes cut ...]\n{tail}", True
