"""The warm pytest process: collects once, then does one operation of the search.

Runs in the project's own interpreter, where pytest and the project can be imported. It is started
by `repair.run`, reads its request from one file and leaves its answer in another.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any, Dict, List

import pytest

from . import behaviour, localise, trying
from .bench import Bench
from .command import quiet


class Engine:
    """A pytest plugin that does the search where the tests would run."""

    def __init__(self, request: Dict[str, Any]) -> None:
        self._request = request
        self.answer: Dict[str, Any] = {}
        self._collection_errors: List[str] = []

    def pytest_collectreport(self, report: Any) -> None:
        """Keep what could not be collected: it is said in the answer."""
        if report.failed:
            self._collection_errors.append(str(report.nodeid))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: Any) -> bool:
        """Do the operation; True tells pytest that the tests have been run."""
        sys.dont_write_bytecode = True
        gc.collect()
        bench = Bench(session)
        self.answer = self._operate(bench)
        self.answer["collection_errors"] = self._collection_errors[:20]
        return True

    def _operate(self, bench: Bench) -> Dict[str, Any]:
        request = self._request
        file = request["table"]
        if request["operation"] == "localise":
            answer, numbered = localise.localise(bench, request)
            with open(file, "w") as stream:
                json.dump(numbered, stream)
            return answer
        table: "Dict[str, Any] | None" = _table(file)
        if table is None and request["ids"]:
            return {"lost": "the table of candidates is gone: localise again"}
        if table is None or not (request["ids"] or _fits(table, request)):
            table = _measured(bench, request)
            file = os.path.join(request["scratch"], "measured.json")
            with open(file, "w") as stream:
                json.dump(table, stream)
        else:
            bench.restore(table["bench"])
        try:
            if request["operation"] == "try":
                return {**trying.attempt(bench, table, request), "table": file}
            return behaviour.behaviours(bench, table, request)
        except trying.Stale as error:
            return {"lost": f"{error}: localise again"}


def _table(file: str) -> "Dict[str, Any] | None":
    try:
        with open(file) as stream:
            table: Dict[str, Any] = json.load(stream)
            return table
    except OSError:
        return None


def _fits(table: Dict[str, Any], request: Dict[str, Any]) -> bool:
    """Whether what is known of the tests still holds for candidates that are written out."""
    try:
        files = trying.Files(request["workspace"], table["files"])
        for path in table["files"]:
            files.source(path)
    except (trying.Stale, OSError, SyntaxError, ValueError):
        return False
    return set(request["failing"]) <= set(table["red"]) and not request["others"]


def _measured(bench: Bench, request: Dict[str, Any]) -> Dict[str, Any]:
    """What `localise` would know of the tests, without coverage and candidates."""
    failing = [t for t in request["failing"] if t in bench.items]
    others = [
        t
        for t in (request["others"] or list(bench.items))
        if t in bench.items and t not in set(failing)
    ]
    green = bench.calibrate(others, green=True, stop=lambda: False)
    red = bench.calibrate(failing, green=False, stop=lambda: False)
    return {"red": red or failing, "green": green, "rows": []}


def main(request_file: str) -> None:
    """Run pytest with the engine; the answer goes into the file that the request names."""
    with open(request_file) as stream:
        request = json.load(stream)
    base = [*request["paths"], *request["arguments"], *quiet()]
    for extra in ([], ["-o", "addopts="]):
        engine = Engine(request)
        status = pytest.main([*base, *extra], plugins=[engine])
        if engine.answer or status != pytest.ExitCode.USAGE_ERROR:
            break
    answer = engine.answer or {
        "broken": f"pytest ended with status {int(status)} before it ran any test"
    }
    temporary = request["answer"] + ".part"
    with open(temporary, "w") as stream:
        json.dump(answer, stream)
    os.replace(temporary, request["answer"])
