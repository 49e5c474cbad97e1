"""Candidates in new processes: what is made at import cannot be changed in a running one.

A process that has imported pytest and nothing of the project forks once a candidate; the child
gives the import system the candidate's text for the edited files, and runs pytest as ever. Nothing
is written to the workspace.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import sys
from typing import Any, Dict, List

import pytest

from .bench import Budget
from .command import quiet
from .forks import Alarm, each
from .trying import EXPIRED, FAILED, PLAUSIBLE, Files, asked, described

CPU_S = 20.0
"""CPU seconds one candidate may take, its imports and collection included."""


class _Outcomes:
    """Notes which tests passed; stops at the first that does not."""

    def __init__(self) -> None:
        self.failed: List[str] = []
        self.passed: List[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.append(report.nodeid)


def overlay(texts: Dict[str, bytes]) -> None:
    """Let imports read these bytes instead of what the files hold.

    Args:
        texts: Absolute real path to bytes.
    """
    sys.dont_write_bytecode = True
    compiled = {importlib.util.cache_from_source(path) for path in texts}
    real = importlib.machinery.SourceFileLoader.get_data

    def get_data(self: Any, path: str) -> bytes:
        if path in compiled or os.path.realpath(path) in compiled:
            raise OSError(f"{path}: the compiled file is of another text")
        found = texts.get(os.path.realpath(path))
        return real(self, path) if found is None else found

    importlib.machinery.SourceFileLoader.get_data = get_data  # type: ignore[method-assign]


def _run(arguments: List[str], tests: List[str]) -> _Outcomes:
    outcomes = _Outcomes()
    pytest.main([*tests, *arguments, "-x"], plugins=[outcomes])
    return outcomes


def _try(request: Dict[str, Any], table: Dict[str, Any]) -> Dict[str, Any]:
    files = Files(request["workspace"], table.get("files", {}))
    candidates, _ = asked(files, table, request)
    budget = Budget(float(request["cpu_s"]), float(request["wall_s"]))
    arguments = [*request["arguments"], *quiet()]
    red, green = table["red"], set(table["green"])
    test_files = sorted({t.split("::")[0] for t in [*red, *green]})
    alarm = Alarm()

    def work(number: int) -> List[Any]:
        candidate = candidates[number]
        texts = {
            os.path.realpath(files.path(path)): files.source(path).encode(text)
            for path, text in files.edited(candidate).items()
        }
        overlay(texts)
        with alarm.limit(CPU_S):
            first = _run(arguments, red)
            if first.failed or not set(red) <= set(first.passed):
                return [FAILED, (first.failed or red)[0]]
        return [PLAUSIBLE, ""]

    def confirm(number: int) -> List[Any]:
        candidate = candidates[number]
        overlay(
            {
                os.path.realpath(files.path(path)): files.source(path).encode(text)
                for path, text in files.edited(candidate).items()
            }
        )
        outcomes = _Outcomes()
        pytest.main([*test_files, *arguments], plugins=[outcomes])
        wanted = green | set(red)
        broken = sorted(wanted - set(outcomes.passed))
        return [FAILED, broken[0]] if broken else [PLAUSIBLE, ""]

    verdicts: Dict[int, List[Any]] = {}
    for stage in (work, confirm):
        numbers = [
            n for n in range(len(candidates)) if verdicts.get(n, [PLAUSIBLE])[0] == PLAUSIBLE
        ]
        verdicts = {n: v for n, v in verdicts.items() if v[0] != PLAUSIBLE}
        for number, result, died in each(
            numbers, stage, cpu_s=lambda _: CPU_S, stop=budget.spent, a_fork=1
        ):
            verdicts[number] = [EXPIRED, died] if result is None else result
            budget.use(0.3)
    return {
        "tried": len(verdicts),
        "plausible": [
            described(files, candidates[n])
            for n, v in sorted(verdicts.items())
            if v[0] == PLAUSIBLE
        ],
    }


def main(request_file: str) -> None:
    """Try the candidates of a request; the answer goes into the file that it names."""
    with open(request_file) as stream:
        request = json.load(stream)
    with open(request["table"]) as stream:
        table = json.load(stream)
    answer = _try(request, table)
    with open(request["answer"] + ".part", "w") as stream:
        json.dump(answer, stream)
    os.replace(request["answer"] + ".part", request["answer"])
