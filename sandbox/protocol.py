"""What a sandbox can do, whichever kind it is; knows nothing of models, plans or policies.

A sandbox takes a verb with plain arguments and gives an `Outcome`. The verbs and their arguments
are the fields of the `Request` of the same name in `policies/action.py` (the two rooms do not
import each other; `tools/workbench.py` joins them): shell, python, read, edit, search, git,
tests, candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Answer: TypeAlias = Callable[[str, Mapping[str, Json]], Json]
"""Called when Python code inside asks for a tool by name; what it returns goes back to that code."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came back from one verb.

    Attributes:
        exit_code: Of the process; None where the verb runs none. 124 after a time-out.
        stdout: At most 64 KiB from each end; the middle is cut with a mark that says how much.
        stderr: Likewise.
        value: `repr` of a Python cell's last expression, None where it is None or there is none.
        children: What child processes of a Python cell wrote.
        timed_out: The time limit ended it.
        notes: What was lost, cut, killed or left running, one sentence each.
        data: Structured answer; for `tests` see `sandbox/reports.py`.
        whole: Stream name to the whole of a cut stream (up to 8 MiB; a note says when it is more).
        seconds: Wall time inside the sandbox.
    """

    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    children: str = ""
    timed_out: bool = False
    notes: tuple[str, ...] = ()
    data: Mapping[str, Json] = field(default_factory=dict)
    whole: Mapping[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Description:
    """What a sandbox is, for records and results.

    Attributes:
        kind: `docker` or `bubblewrap`.
        image: Image reference, or `host` where the host's /usr is used.
        weaknesses: What it does not protect from, one sentence each; empty for Docker.
    """

    kind: str
    image: str
    weaknesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between a workspace and a tree.

    Attributes:
        tree: The workspace's own id, kept as by `snapshot`.
        changed: Path to [st_mode, SHA-256 of the bytes or the link's target, bytes].
        gone: Paths that the workspace has no more.
    """

    tree: str
    changed: Mapping[str, tuple[int, str, int]]
    gone: tuple[str, ...]


class Sandbox(Protocol):
    """One workspace, closed to the world, with a stateful interpreter in it.

    Every method raises `SandboxLost` when the sandbox is gone.
    """

    @property
    def description(self) -> Description:
        """What it is."""
        ...

    def perform(
        self,
        verb: str,
        arguments: Mapping[str, Json],
        *,
        timeout_s: float,
        answer: Answer | None = None,
    ) -> Outcome:
        """Do one verb; a failing command is an outcome, not an exception."""
        ...

    def put(self, archive: Path) -> None:
        """Lay a tar archive (made by `workspace.capture`) into the empty workspace."""
        ...

    def snapshot(self) -> str:
        """Keep the workspace's files as they are; returns the tree's id."""
        ...

    def restore(self, tree: str) -> None:
        """Put the workspace's files back to a tree."""
        ...

    def changes(self, base: str) -> Changes:
        """What differs from a tree, ignored files and the `.git` folder's own files included."""
        ...

    def contents(self, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
        """Bytes by digest of what `changes` named (path to digest); what changed since is left out."""
        ...

    def adopt(self, archive: Path) -> None:
        """Turn a workspace that holds the first tree into what a kept archive says."""
        ...

    def diff(self, base: str) -> str:
        """The workspace against a tree, as a git patch with full object names and binary hunks."""
        ...

    def apply(self, patch: str) -> None:
        """Apply a git patch to the workspace; raises `SandboxError` when it does not apply."""
        ...

    def interrupt(self) -> None:
        """Stop what is running now, from another thread; its `perform` returns."""
        ...

    def close(self) -> None:
        """End it and everything in it. Safe to call twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
