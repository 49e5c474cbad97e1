"""What may be asked of the world, the `Verdict` on it, and the `Observation` that comes back.

Lowest module of the house: it imports nothing of ours, so that the gate, the tools, the loop and
the records can all speak of the same three things. An action is data: it can be logged, hashed,
replayed and judged without being run.

    Action = who asks (origin, session, step, index) + a typed Request + its Effect
    Verdict = Decision (deny > ask > allow) + Obligations
    Observation = what came back, already masked
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Frozen(BaseModel):
    """Base of every value of the vocabulary: immutable, and unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Effect(StrEnum):
    """What a crash in the middle of an action means."""

    CONTAINED = "contained"
    """Inside the sandbox: undone to the step's snapshot and done again."""
    FIND_OR_CREATE = "find_or_create"
    """A thing outside that can be looked up by the action's key before it is made."""
    UNREPEATABLE = "unrepeatable"
    """After a crash the outcome is unknown: said, never silently repeated."""


class ShellRequest(Frozen):
    """Run `bash -c COMMAND` at the repository's root, in a fresh shell."""

    kind: Literal["shell"] = "shell"
    command: str


class PythonRequest(Frozen):
    """Run one cell in the session's stateful interpreter."""

    kind: Literal["python"] = "python"
    code: str


class ReadRequest(Frozen):
    """Read `lines` lines of a text file from line `start` (1-based); 0 lines means all.

    With `symbol` (a dotted name such as `Parser.parse`) that definition, wherever it stands.
    """

    kind: Literal["read"] = "read"
    path: str
    start: int = 1
    lines: int = 0
    symbol: str = ""


class EditRequest(Frozen):
    """Change one file: replace a unique text, replace a whole function, or create the file.

    `replace` swaps the one occurrence of `old` for `new`; `function` swaps the definition named
    by `old` (dotted, such as `Parser.parse`) for `new`; `create` writes `new` to a path that does
    not exist yet.
    """

    kind: Literal["edit"] = "edit"
    operation: Literal["replace", "function", "create"]
    path: str
    old: str = ""
    new: str = ""


class SearchRequest(Frozen):
    """Find a regular expression (ripgrep's syntax) below `path`."""

    kind: Literal["search"] = "search"
    pattern: str
    path: str = "."
    glob: str = ""
    limit: int = 100
    context: int = 0
    """Lines to tell before and after each match."""


class GitRequest(Frozen):
    """Run git with these arguments inside the sandbox, at the repository's root."""

    kind: Literal["git"] = "git"
    arguments: tuple[str, ...]


class RunTestsRequest(Frozen):
    """Run tests by the test protocol: the environment's command, or `command` if it is given.

    `tests` are ids of the runner (pytest: `tests/test_a.py::test_b[x]`); empty means all.
    """

    kind: Literal["tests"] = "tests"
    command: str = ""
    tests: tuple[str, ...] = ()
    junit: str = ""
    """Where the command leaves its JUnit XML, relative to the root; empty where it leaves none."""
    reached: bool = False
    """Whether to tell which functions each test runs (pytest only)."""


class Candidate(Frozen):
    """One change to try: at `path`, the text `old` becomes `new`.

    `at` is the byte offset of `old` in the file (UTF-8); -1 means that `old` occurs just once.
    `operator` names what made it; several changes that belong together share a candidate list.
    """

    path: str
    old: str
    new: str
    at: int = -1
    operator: str = "model"


class CandidatesRequest(Frozen):
    """One step of the repair search, done in the sandbox on the true bytes.

    `localise` runs the tests with coverage, answers with suspicious lines and numbers all
    single-edit candidates; `try` runs the failing tests, then the others, on each candidate;
    `behaviours` runs plausible candidates on mutated inputs and answers with clusters. What the
    search tries it names by number (`ids`; several in one tuple are one candidate of several
    edits), so that true bytes stay inside; what a model tries it writes out (`candidates`).
    """

    kind: Literal["candidates"] = "candidates"
    operation: Literal["localise", "try", "behaviours"]
    failing: tuple[str, ...]
    others: tuple[str, ...] = ()
    command: str = ""
    ids: tuple[tuple[int, ...], ...] = ()
    candidates: tuple[tuple[Candidate, ...], ...] = ()
    cpu_s: float = 60.0
    options: dict[str, JsonValue] = Field(default_factory=dict)


class ModelRequest(Frozen):
    """One call to a language model.

    `messages` are those that the model has not been sent before (histories only grow), so that
    the log holds each text once; `history` is the digest of the whole list that goes out.
    """

    kind: Literal["model"] = "model"
    model: str
    messages: tuple[dict[str, JsonValue], ...]
    history: str
    max_output_tokens: int
    worst_cost_usd: str | None = None
    """Decimal text; None where no price is known."""
    cut_to: int = 0
    """Bytes that the history before `messages` was cut to, as far as it could be; 0: it was not."""


class RecallRequest(Frozen):
    """Look up past solutions by the signature of a failure, or knowledge of the code by words."""

    kind: Literal["recall"] = "recall"
    query: str
    limit: int = 5


class RememberRequest(Frozen):
    """Write a verified solution to long-term memory."""

    kind: Literal["remember"] = "remember"
    solution: dict[str, JsonValue]


class VerifyRequest(Frozen):
    """Take evidence for a patch in a fresh sandbox, from the clean base plus the patch."""

    kind: Literal["verify"] = "verify"
    patch: str
    failing: tuple[str, ...] = ()
    reproduction: tuple[str, ...] = ()
    command: str = ""
    checks: tuple[str, ...] = ()


class ApplyRequest(Frozen):
    """Put a patch into the user's own tree."""

    kind: Literal["apply"] = "apply"
    patch: str
    target: str


Request = Annotated[
    ShellRequest
    | PythonRequest
    | ReadRequest
    | EditRequest
    | SearchRequest
    | GitRequest
    | RunTestsRequest
    | CandidatesRequest
    | ModelRequest
    | RecallRequest
    | RememberRequest
    | VerifyRequest
    | ApplyRequest,
    Field(discriminator="kind"),
]

Origin = Literal["user", "model", "search", "interpreter", "loop"]


class Action(Frozen):
    """One thing that is asked of the world.

    `step` and `index` (its number within the step) make the idempotency key, which is the same
    after a crash because both come from checkpointed state, never from a clock or a random number.
    """

    session_id: str
    step: int = Field(ge=0)
    index: int = Field(ge=0)
    tool: str
    request: Request
    effect: Effect = Effect.CONTAINED
    origin: Origin = "model"
    timeout_s: float = Field(default=60.0, gt=0)

    @property
    def key(self) -> str:
        """Idempotency key: the same act has the same key after a resume."""
        return f"{self.session_id}/{self.step}/{self.index}"


class Decision(StrEnum):
    """What the gate says; the strictest of several wins: deny > ask > allow."""

    ALLOW = "allow"
    ASK = "ask"
    DENY = "deny"


class Obligations(Frozen):
    """What must be done with an action that is let through; several verdicts' are united."""

    mask: frozenset[str] = frozenset()
    """Kinds of finding (detector names) whose values never leave unmasked."""
    snapshot_first: bool = False
    second_person: bool = False


class Verdict(Frozen):
    """The gate's decision on one action, with the rule it rests on and the way out."""

    decision: Decision
    rule: str
    reason: str = ""
    remedy: str = ""
    obligations: Obligations = Obligations()
    approved_by: str = ""
    """Who said yes to an `ask`; empty where nobody was asked."""


class Observation(Frozen):
    """What came back from an action, masked; its text forms are made by the tool.

    `status` is `done` when the performer ran it (whatever its exit code), `denied` when the gate
    or the person asked said no, `failed` when the performer itself broke, `unknown` when a crash
    left an unrepeatable act without an outcome.
    """

    status: Literal["done", "denied", "failed", "unknown"]
    verdict: Verdict
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    children: str = ""
    """What child processes of a Python cell wrote."""
    timed_out: bool = False
    notes: tuple[str, ...] = ()
    """What was lost, cut or left running: always said, never silent."""
    data: dict[str, JsonValue] = Field(default_factory=dict)
    blobs: dict[str, str] = Field(default_factory=dict)
    """Stream name to the digest under which the whole of a cut stream is kept."""
    seconds: float = 0.0


def digest(data: bytes) -> str:
    """SHA-256 of `data` in hex: how blobs, patches and histories are named."""
    return hashlib.sha256(data).hexdigest()
