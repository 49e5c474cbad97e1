"""Verb `search`: lines that match a regular expression, by ripgrep where there is one."""

from __future__ import annotations

import base64
import collections
import fnmatch
import itertools
import json
import os
import re
import shutil
import subprocess
from typing import Any, Dict, Iterator, List

from sandbox.worker.files import inside
from sandbox.worker.verbs import Context, VerbFailed

_LONGEST = 500
_COUNTED = 10_000
"""Matches beyond those that are told which are counted."""
_NOT_SEARCHED = frozenset({".git", "node_modules", ".venv", "venv", "__pycache__", ".tox"})


def run(arguments: "Dict[str, Any]", context: Context) -> "Dict[str, Any]":
    """Find `pattern` below `path` in files that match `glob`, at most `limit` matches.

    Returns:
        data: `matches` (`path`, `line`, `text` each, by path and line; with `context` also the lines
        around them, which are `near`) and `more` (matches that are not told, by path).
    """
    path, limit = arguments.get("path") or ".", int(arguments.get("limit", 100))
    real = inside(context.workspace, path)
    if not os.path.exists(real):
        raise VerbFailed(f"{path} does not exist.")
    root = os.path.realpath(context.workspace)
    below = os.path.relpath(real, root)
    rg = shutil.which("rg", path=context.environment.get("PATH"))
    glob = arguments.get("glob", "")
    if rg:
        found = _by_ripgrep(
            rg, arguments["pattern"], below, glob, root=root, environment=context.environment
        )
    else:
        found = _by_python(arguments["pattern"], below, glob, root)
    matches = list(itertools.islice(found, limit))
    more = collections.Counter(str(match["path"]) for match in itertools.islice(found, _COUNTED))
    if context_lines := int(arguments.get("context") or 0):
        matches = list(_with_context(matches, context_lines, root))
    return {"exit_code": 0, "data": {"matches": matches, "more": dict(more.most_common())}}


def _with_context(
    matches: "List[Dict[str, Any]]", around: int, root: str
) -> "Iterator[Dict[str, Any]]":
    """The matches, each among the lines around it; no line is told twice."""
    for path, group in itertools.groupby(matches, key=lambda match: str(match["path"])):
        found = {int(match["line"]): match for match in group}
        with open(os.path.join(root, path), "rb") as file:
            lines = file.read().decode("utf-8", "replace").split("\n")
        near = {n for line in found for n in range(line - around, line + around + 1)}
        for number in sorted(near & set(range(1, len(lines) + 1))):
            text = lines[number - 1].rstrip("\r")[:_LONGEST]
            yield found.get(number) or {"path": path, "line": number, "text": text, "near": True}


def _by_ripgrep(
    rg: str, pattern: str, path: str, glob: str, *, root: str, environment: "Dict[str, str]"
) -> "Iterator[Dict[str, Any]]":
    command = [rg, "--json", "--no-config", "--sort=path", "--hidden", "--no-messages"]
    command += ["--no-require-git"]
    command += ["--glob=!.git", *([f"--glob={glob}"] if glob else []), "--", pattern, path]
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            for line in process.stdout or ():
                event = json.loads(line)
                if event["type"] == "match":
                    yield _of_event(event["data"])
            said = process.stderr.read().decode("utf-8", "replace") if process.stderr else ""
            if process.wait() == 2 and "regex" in said:
                raise VerbFailed(f"The pattern is not understood: {said.strip()}")
        finally:
            process.kill()


def _of_event(data: "Dict[str, Any]") -> "Dict[str, Any]":
    path = os.path.normpath(_text(data["path"]))
    text = _text(data["lines"]).rstrip("\r\n")
    return {"path": path, "line": data["line_number"], "text": text[:_LONGEST]}


def _text(value: "Dict[str, str]") -> str:
    if "text" in value:
        return value["text"]
    return base64.b64decode(value["bytes"]).decode("utf-8", "replace")


def _by_python(pattern: str, path: str, glob: str, root: str) -> "Iterator[Dict[str, Any]]":
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise VerbFailed(f"The pattern is not understood: {error}") from error
    for name in _files(os.path.join(root, path)):
        relative = os.path.relpath(name, root)
        fits = fnmatch.fnmatch(relative, glob) or fnmatch.fnmatch(os.path.basename(name), glob)
        if glob and not fits:
            continue
        try:
            with open(name, "rb") as file:
                data = file.read()
        except OSError:
            continue  # unreadable or gone meanwhile, as ripgrep does
        if b"\0" in data[:1024]:
            continue
        for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
            if expression.search(line.rstrip("\r")):
                yield {"path": relative, "line": number, "text": line.rstrip("\r")[:_LONGEST]}


def _files(top: str) -> "Iterator[str]":
    if os.path.isfile(top):
        yield top
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if name not in _NOT_SEARCHED)
        for name in sorted(names):
            full = os.path.join(folder, name)
            if os.path.isfile(full) and not os.path.islink(full):
                yield full
