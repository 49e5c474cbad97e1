"""Repair by search, inside the sandbox: localise, try candidates, compare their behaviours.

Standard library only, any Python from 3.8. `run` starts the project's own interpreter with a warm
pytest in it (`engine`) and hands the request and the answer over by files in the session's private
folder; candidates that change what is made at import are tried in new processes (`cold`). Nothing
here writes to the workspace.

    source, scope, site           a file as true text, a function, one place in it
    literals, operations, calls,
    expressions, statements,
    branches, idioms              the operators: a site in, splices out
    generate                      all single edits on suspicious lines
    forks, items, bench, swap     many candidates a fork in a warm process
    spectrum, localise            which lines are suspicious
    trying, cold                  which candidates pass
    examples, inputs, behaviour   how the ones that pass differ
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from typing import Any, Dict, List, Tuple

from .command import split

_BOOT = """
import importlib.util, os, sys
folder, module, request = {folder!r}, {module!r}, {request!r}
spec = importlib.util.spec_from_file_location(
    "_journeyman_repair", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])
package = importlib.util.module_from_spec(spec)
sys.modules["_journeyman_repair"] = package
spec.loader.exec_module(package)
importlib.import_module("_journeyman_repair." + module).main(request)
sys.stdout.flush()
os._exit(0)
"""
_LOST = "lost"
_TAIL = 4000


def run(arguments: Dict[str, Any], context: Any) -> Dict[str, Any]:
    """Do one operation of the search.

    Args:
        arguments: Fields of a candidates request: operation, failing, others, command, ids,
            candidates, cpu_s, options.
        context: Has `workspace`, `python`, `scratch`, `environment` and `timeout_s`.

    Returns:
        Fields of an outcome; the answer is in `data`. Exit code 0 where the operation was done,
        1 where it could not be (stderr says why), 124 where time ran out.
    """
    begun = time.monotonic()
    request = _request(arguments, context)
    answer, outcome = _process("engine", request, context, float(context.timeout_s))
    if answer is None:
        return outcome
    if _LOST in answer or "broken" in answer:
        why = str(answer.get(_LOST) or answer.get("broken"))
        return {"exit_code": 1, "stderr": f"{why}\n{outcome['stderr']}", "data": answer}
    if request["operation"] == "try" and answer.get("slow"):
        left = float(context.timeout_s) - (time.monotonic() - begun)
        _try_cold(answer, request, context, left)
    answer.pop("slow", None)
    answer.pop("table", None)
    return {"exit_code": 0, "data": answer, "notes": _notes(answer)}


def _request(arguments: Dict[str, Any], context: Any) -> Dict[str, Any]:
    options, paths = split(arguments.get("command") or "")
    failing = list(arguments["failing"])
    others = list(arguments.get("others") or ())
    if others:
        paths = sorted({test.split("::")[0] for test in others})
    if paths:
        paths = sorted({*paths, *(test.split("::")[0] for test in failing)})
    return {
        "operation": arguments["operation"],
        "workspace": os.path.realpath(context.workspace),
        "scratch": context.scratch,
        "failing": failing,
        "others": others,
        "ids": [list(group) for group in arguments.get("ids") or ()],
        "candidates": [list(group) for group in arguments.get("candidates") or ()],
        "cpu_s": float(arguments.get("cpu_s") or 60.0),
        "wall_s": float(context.timeout_s),
        "options": dict(arguments.get("options") or {}),
        "arguments": options,
        "paths": paths,
        "table": os.path.join(context.scratch, "table.json"),
    }


def _process(
    module: str, request: Dict[str, Any], context: Any, timeout_s: float
) -> Tuple["Dict[str, Any] | None", Dict[str, Any]]:
    """Run one process of the project's interpreter; its answer, or the outcome that says why not."""
    file = os.path.join(context.scratch, f"{module}-request.json")
    answer_file = os.path.join(context.scratch, f"{module}-answer.json")
    log_file = os.path.join(context.scratch, f"{module}.log")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(answer_file)
    with open(file, "w") as stream:
        json.dump({**request, "answer": answer_file}, stream)
    code = _BOOT.format(
        folder=os.path.dirname(os.path.abspath(__file__)), module=module, request=file
    )
    environment = {
        **context.environment,
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with open(log_file, "wb") as log:
        process = subprocess.Popen(
            [context.python, "-c", code],
            cwd=request["workspace"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timed_out = _wait(process, timeout_s)
    with open(log_file, "rb") as log:
        tail = log.read()[-_TAIL:].decode(errors="replace")
    if os.path.exists(answer_file):
        with open(answer_file) as stream:
            return json.load(stream), {"stderr": tail}
    if timed_out:
        why = f"The search ran out of its {timeout_s:.0f} s."
        return None, {"exit_code": 124, "timed_out": True, "stderr": tail, "notes": [why]}
    why = f"The search's own process ended with status {process.returncode} and no answer."
    return None, {"exit_code": 1, "stderr": tail, "notes": [why]}


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def _try_cold(answer: Dict[str, Any], request: Dict[str, Any], context: Any, left_s: float) -> None:
    """Try what the warm process could not, within a small budget of its own; adds to the answer."""
    budget = float(request["options"].get("slow_s", 20.0))
    numbers: List[List[int]] = answer["slow"][: int(budget * 10)]
    written = bool(request["candidates"])
    cold = dict(request, cpu_s=budget, wall_s=max(1.0, min(left_s - 1.0, 3 * budget)))
    cold["table"] = answer["table"]
    cold["options"] = dict(request["options"], pairs=False)
    if written:
        cold["candidates"], cold["ids"] = [request["candidates"][n[0]] for n in numbers], []
    else:
        cold["ids"] = numbers
    found, outcome = _process("cold", cold, context, max(1.0, left_s))
    if found is None:
        answer["cold"] = outcome.get("notes", [])
        return
    for plausible in found["plausible"]:
        if written:
            plausible["ids"] = numbers[plausible["ids"][0]]
        answer["plausible"].append(plausible)
    answer["tried"] += found["tried"]
    answer["left_cold"] = len(answer["slow"]) - found["tried"]


def _notes(answer: Dict[str, Any]) -> List[str]:
    notes = []
    if answer.get("collection_errors"):
        notes.append(f"Not collected: {', '.join(answer['collection_errors'][:5])}.")
    if answer.get("missing"):
        notes.append(f"Not found among the collected tests: {', '.join(answer['missing'][:5])}.")
    notes += answer.get("cold", [])
    return notes
