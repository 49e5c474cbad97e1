"""Facts: what is known of an action before it is done, made by code and never by a pack.

`of` is the one way in; one module an extractor:

    shell.py (heredocs.py, syntax.py, words.py, evaluation.py, traps.py, wrappers.py, programs.py,
    searches.py, scripts.py, tables.py), git.py, python.py (constants.py),
    paths.py, patch.py
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import JsonValue

from policies import detectors, texts
from policies.action import (
    Action,
    ApplyRequest,
    CandidatesRequest,
    EditRequest,
    GitRequest,
    ModelRequest,
    PythonRequest,
    ReadRequest,
    RecallRequest,
    RememberRequest,
    Request,
    RunTestsRequest,
    SearchRequest,
    ShellRequest,
    VerifyRequest,
)
from policies.facts import git, patch, paths, python, shell
from policies.facts.circumstances import Circumstances
from policies.facts.collected import Collected
from policies.facts.vocabulary import (
    LONGEST_LIST,
    ActionFact,
    CommandFact,
    Facts,
    FoundFact,
    ModelFact,
    PythonFact,
)
from policies.facts.words import Word

__all__ = ["Circumstances", "Facts", "commands_of", "of"]

_OUTSIDE = frozenset({"model", "recall", "remember", "apply"})
"""Kinds of request that leave the sandbox."""


@dataclass(frozen=True, slots=True)
class _Text:
    """A text of the action to look for secrets in.

    `known` was there before: what is in it is not new. `path` is the file it is written to.
    """

    where: str
    text: str
    known: str = ""
    path: str = ""

    def confidence(self, finding: detectors.Finding) -> float:
        """How sure a finding is here: a password that is made up is the ordinary case in a test."""
        made_up = finding.kind == "password" and "test" in paths.classify(paths.normal(self.path))
        return min(finding.confidence, 0.5) if made_up else finding.confidence

    @property
    def is_new(self) -> bool:
        """Whether it is run or written, rather than told."""
        return self.where in {"command", "code", "write", "patch"}


def of(action: Action, circumstances: Circumstances) -> Facts:
    """The facts of an action.

    Raises:
        NotText: A text of it has a NUL or a lone surrogate.
        ValueError: Something in it is too deep, too long, or not what it should be.
    """
    _check(action)
    request = action.request
    collected = Collected()
    files = patch.read(request.patch) if isinstance(request, ApplyRequest | VerifyRequest) else []
    _collect(request, collected)
    named, commands = tuple(collected.paths), tuple(collected.commands)
    doubts = tuple(collected.uncertain)
    looked = _texts(request, files)
    found = _found(looked)
    lists = (named, commands, doubts, found, tuple(files))
    return Facts(
        action=ActionFact(
            kind=request.kind,
            tool=action.tool,
            origin=action.origin,
            contained=circumstances.contained and request.kind not in _OUTSIDE,
            mode=circumstances.mode,
            truncated=any(len(one) > LONGEST_LIST for one in lists),
            uncertain=doubts[:LONGEST_LIST],
            misleading=tuple(t.where for t in looked if t.is_new and texts.misleading(t.text)),
        ),
        found=found[:LONGEST_LIST],
        paths=named[:LONGEST_LIST],
        commands=commands[:LONGEST_LIST],
        git=tuple(collected.git[:LONGEST_LIST]),
        code=tuple(collected.code[:LONGEST_LIST]),
        python=_united(collected.python),
        model=_model(request, circumstances),
        patch=patch.facts_of(files)[:LONGEST_LIST],
    )


def commands_of(request: Request) -> tuple[str, ...]:
    """The texts of commands that a request runs."""
    match request:
        case ShellRequest():
            return (request.command,)
        case RunTestsRequest() | CandidatesRequest():
            return (request.command,) if request.command else ()
        case VerifyRequest():
            return tuple(c for c in (request.command, *request.checks) if c)
        case _:
            return ()


def _check(action: Action) -> None:
    """Refuse what is not whole text, wherever it stands."""
    plain = action.model_dump(mode="python")
    for text in texts.strings(_as_json(plain)):
        texts.check(text)


def _as_json(value: object) -> JsonValue:
    if isinstance(value, dict):
        return {str(k): _as_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_as_json(v) for v in value]
    return value if isinstance(value, str) else None


def _collect(request: Request, collected: Collected) -> None:
    """Commands, paths and code of a request."""
    for command in commands_of(request):
        shell.read(command, collected)
    for path, access in _named_paths(request):
        collected.path(Word(path), access)
    if isinstance(request, PythonRequest):
        python.read(request.code, collected, shell.Shell(collected))
    elif isinstance(request, GitRequest):
        _collect_git(request, collected)
    elif isinstance(request, RunTestsRequest | CandidatesRequest | VerifyRequest):
        _collect_tests(request, collected)


def _named_paths(request: Request) -> list[tuple[str, str]]:
    """Paths that a request names as such, with what is done to them."""
    match request:
        case ReadRequest():
            return [(request.path, "read")]
        case SearchRequest():
            narrowed = bool(request.glob) and not request.glob.startswith("!")
            glob = [(f"{request.path}/{request.glob}", "read")] if narrowed else []
            return [(request.path, "read"), *glob]
        case EditRequest():
            # A text that is not found is answered with the lines most like it.
            shown = [] if request.operation == "create" else [(request.path, "read")]
            return [(request.path, "write"), *shown]
        case CandidatesRequest():
            return [(edit.path, "write") for edits in request.candidates for edit in edits]
        case RunTestsRequest(junit=junit):
            return [(junit, "read")] if junit else []
        case _:
            return []


def _collect_git(request: GitRequest, collected: Collected) -> None:
    words = [Word(a) for a in request.arguments]
    collected.commands.append(
        CommandFact(program="git", classes=("everyday",), arguments=request.arguments)
    )
    git.look(words, collected, cwd="")


def _collect_tests(
    request: RunTestsRequest | CandidatesRequest | VerifyRequest, collected: Collected
) -> None:
    """Names of tests that a runner would take for options."""
    tests: tuple[str, ...]
    if isinstance(request, RunTestsRequest):
        tests = request.tests
    elif isinstance(request, CandidatesRequest):
        tests = request.failing + request.others
    else:
        tests = request.failing + request.reproduction
    if any(test.startswith("-") for test in tests):
        collected.doubt("test named like an option")


def _texts(request: Request, files: list[patch.PatchFile]) -> list[_Text]:
    """Every text of the request that can carry a secret out or into a file."""
    if isinstance(request, VerifyRequest | ApplyRequest):
        return [_Text("patch", "\n".join(f.added), "\n".join(f.removed), f.path) for f in files]
    if isinstance(request, EditRequest):
        return [_Text("write", request.new, request.old, request.path)]
    if isinstance(request, CandidatesRequest):
        return [_Text("write", c.new, c.old, c.path) for edits in request.candidates for c in edits]
    where, told = _told(request)
    # One by one, as they are masked, too: what was found in a text is remembered with it.
    return [_Text(where, one) for one in told]


def _told(request: Request) -> tuple[str, list[str]]:
    """Texts that are run or leave, and what they are."""
    told: tuple[str, list[str]] = "", []
    match request:
        case ShellRequest(command=command) | RunTestsRequest(command=command):
            told = "command", [command]
        case PythonRequest():
            told = "code", [request.code]
        case GitRequest():
            told = "command", ["\n".join(request.arguments)]
        case ModelRequest():
            told = "prompt", [t for m in request.messages for t in texts.strings(dict(m))]
        case RecallRequest():
            told = "memory", [request.query]
        case RememberRequest():
            told = "memory", list(texts.strings(dict(request.solution)))
        case _:
            pass
    return told


def _found(looked: list[_Text]) -> tuple[FoundFact, ...]:
    return tuple(
        FoundFact(
            kind=f.kind,
            confidence=one.confidence(f),
            where=one.where,
            published=f.published,
            secret=f.kind in detectors.SECRETS,
            personal=f.kind in detectors.PERSONAL,
        )
        for one in looked
        for f in detectors.find(one.text)
        if not one.known or one.text[f.start : f.end] not in one.known
    )


def _united(pieces: list[PythonFact]) -> PythonFact:
    if len(pieces) == 1:
        return pieces[0]
    made = PythonFact()
    for piece in pieces:
        made = replace(
            made,
            imports=made.imports + piece.imports,
            calls=made.calls + piece.calls,
            spawns=made.spawns + piece.spawns,
            sockets=made.sockets + piece.sockets,
            dynamic=made.dynamic + piece.dynamic,
            rebinds=made.rebinds + piece.rebinds,
            parsed=made.parsed and piece.parsed,
        )
    return made


def _model(request: Request, circumstances: Circumstances) -> ModelFact:
    if not isinstance(request, ModelRequest):
        return ModelFact()
    return ModelFact(name=request.model, local=circumstances.model_is_local)
