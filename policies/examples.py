"""A rule's examples: one line of text that stands for one act.

    shell: cat .env                       the shell tool
    python: open(".env").read()           a cell of the interpreter
    git: push --force                     the git tool
    read: .env       search: x in .env    tests: pytest -q
    write app.py: TEXT                    a new file
    model: TEXT      remember: TEXT       what goes to a model, or into memory
    apply: PATCH                          a patch for the user's tree

Words before the act set the circumstances: `contained shell: ...` (a hardened sandbox without
network), `local model: ...` (a model on this machine). `{{pan}}` and the like become a value of
that kind of finding which was never published; no file needs to hold one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Literal

from pydantic import JsonValue

from policies import facts
from policies.action import (
    Action,
    ApplyRequest,
    EditRequest,
    GitRequest,
    ModelRequest,
    PythonRequest,
    ReadRequest,
    RememberRequest,
    Request,
    RunTestsRequest,
    SearchRequest,
    ShellRequest,
)
from policies.conditions import Condition, bind, evaluate
from policies.detectors import ALL_KINDS, sample
from policies.facts.circumstances import Circumstances
from policies.stages import stages_of

_EXAMPLE = re.compile(
    r"(?P<words>(?:(?:contained|local|ci) )*)"
    r"(?P<verb>shell|python|git|read|search|tests|write|model|remember|apply)"
    r"(?: (?P<path>[^\n:]+))?: (?P<text>.*)",
    re.DOTALL,
)
_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")


class ExampleError(ValueError):
    """A text that stands for no act."""


def hits(condition: Condition, stage: str, example: str) -> bool:
    """Whether a rule with that condition, asked at that stage, has something to say to the act.

    Raises:
        ExampleError: The example stands for no act.
        EngineError: The engine gives no answer.
    """
    action, circumstances = parse(example)
    known = facts.of(action, circumstances)
    return stage in stages_of(known) and evaluate(condition, bind(known))


def parse(example: str) -> tuple[Action, Circumstances]:
    """The act that an example stands for, and its circumstances.

    Raises:
        ExampleError: It stands for none.
    """
    match = _EXAMPLE.fullmatch(example)
    if match is None or (match["path"] is not None) != (match["verb"] == "write"):
        raise ExampleError("it stands for no act; begin it with `shell: ` or one of the others")
    text = _PLACEHOLDER.sub(lambda m: _sample(m[1]), match["text"])
    words = match["words"].split()
    mode: Literal["ci", "terminal"] = "ci" if "ci" in words else "terminal"
    action = Action(
        session_id="example",
        step=0,
        index=0,
        tool=match["verb"],
        request=_REQUESTS[match["verb"]](match["path"] or "", text),
    )
    return action, Circumstances(
        contained="contained" in words, mode=mode, model_is_local="local" in words
    )


def _sample(kind: str) -> str:
    if kind not in ALL_KINDS:
        raise ExampleError(f"{{{{{kind}}}}} names no kind of finding")
    return sample(kind)


def _search(_: str, text: str) -> Request:
    pattern, _, where = text.rpartition(" in ")
    return SearchRequest(pattern=pattern, path=where)


def _model(_: str, text: str) -> Request:
    message: dict[str, JsonValue] = {"role": "user", "content": text}
    return ModelRequest(model="example/model", messages=(message,), history="", max_output_tokens=1)


_REQUESTS: dict[str, Callable[[str, str], Request]] = {
    "shell": lambda _, text: ShellRequest(command=text),
    "python": lambda _, text: PythonRequest(code=text),
    "git": lambda _, text: GitRequest(arguments=tuple(shlex.split(text))),
    "read": lambda _, text: ReadRequest(path=text),
    "search": _search,
    "tests": lambda _, text: RunTestsRequest(command=text),
    "write": lambda path, text: EditRequest(operation="create", path=path, new=text),
    "remember": lambda _, text: RememberRequest(solution={"text": text}),
    "apply": lambda _, text: ApplyRequest(patch=text, target="."),
    "model": _model,
}
"""From the path and the text of an example, the request that it stands for."""
