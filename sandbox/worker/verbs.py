"""Function verbs: what a verb calls, in a forked child of the supervisor without any rights.

A function verb is `run(arguments: dict, context: Context) -> dict`; the keys of what it returns are
fields of the host's `Outcome`, those that are missing keep their defaults. It runs in this
interpreter's own process image, so it never imports or executes what lies in the workspace: for
that it starts `context.python` as a child.
"""

from __future__ import annotations

import importlib
import json
import os
import traceback
from typing import Any, Dict

FUNCTIONS = {
    "read": "read:run",
    "edit": "edit:run",
    "search": "search:run",
    "tests": "testing:run",
    "candidates": "repair:run",
    "unpack": "unpack:run",
    "snapshot": "store:snapshot",
    "restore": "store:restore",
    "diff": "store:diff",
    "apply": "store:apply",
    "changes": "keeping:changes",
    "contents": "keeping:contents",
    "adopt": "keeping:adopt",
}

ON_THE_STORE = frozenset({"snapshot", "restore", "diff", "apply", "changes", "contents", "adopt"})
"""Verbs that run in the store's group, which user code is not in."""

FED = frozenset({"unpack", "adopt"})
"""Verbs whose standard input comes from the host."""

RESULT = 3
"""Descriptor for the result."""


class VerbFailed(Exception):
    """The verb cannot be done as asked; the text is for whoever asked."""


class Context:
    """What a function verb may know of the sandbox.

    Attributes:
        workspace: Folder of the repository.
        python: Interpreter of the task, with the project's packages.
        scratch: Folder under /tmp that is ours, there when a verb begins.
        environment: Environment for child processes.
        timeout_s: Seconds it has; it is killed a few seconds after.
        store: Folder of the snapshots; open to the verbs of `ON_THE_STORE` only.
    """

    def __init__(
        self,
        *,
        workspace: str,
        python: str,
        scratch: str,
        environment: "Dict[str, str]",
        timeout_s: float,
        store: str = "",
    ) -> None:
        self.workspace = workspace
        self.python = python
        self.scratch = scratch
        self.environment = environment
        self.timeout_s = timeout_s
        self.store = store


def call(verb: str, arguments: "Dict[str, Any]", context: Context) -> None:
    """Run a function verb and write its result to descriptor `RESULT`."""
    module, _, name = FUNCTIONS[verb].partition(":")
    try:
        _make_own(context.scratch)
        function = getattr(importlib.import_module(f"sandbox.worker.{module}"), name)
        result = function(arguments, context)
    except VerbFailed as error:
        result = {"exit_code": 1, "stderr": str(error)}
    except BaseException as error:
        result = {
            "exit_code": 1,
            "stderr": traceback.format_exc(),
            "notes": [f"The verb {verb} broke: {type(error).__name__}: {error}"],
        }
    data = memoryview(json.dumps(result).encode("ascii"))
    while data:
        data = data[os.write(RESULT, data) :]


def _make_own(folder: str) -> None:
    """See to it that this folder is there, whatever code has made of it."""
    if os.path.islink(folder) or (os.path.lexists(folder) and not os.path.isdir(folder)):
        os.unlink(folder)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.chmod(folder, 0o700)
