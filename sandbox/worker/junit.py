"""Test outcomes from JUnit XML, of whatever runner wrote it."""

from __future__ import annotations

import os
from typing import Any, Dict, List
from xml.parsers import expat

LARGEST = 64 << 20
_OUTCOMES = {"failure": "failed", "error": "error", "skipped": "skipped"}


class JUnitError(Exception):
    """The file is no JUnit XML that can be trusted."""


class _Reader:
    """Gathers test cases while the parser runs; nothing is kept of what else is in the file."""

    def __init__(self, workspace: str) -> None:
        self.workspace = workspace
        self.tests: List[Dict[str, Any]] = []
        self.suites: List[str] = []
        self.test: "Dict[str, Any]" = {}
        self.text: List[str] = []
        self.telling = False

    def doctype(self, *_: object) -> None:
        raise JUnitError("it has a document type, which could hold entities that never end")

    def start(self, name: str, attributes: "Dict[str, str]") -> None:
        name = name.rpartition("}")[2].rpartition(":")[2]
        if name == "testsuite":
            self.suites.append(attributes.get("name", ""))
        elif name == "testcase":
            seconds = attributes.get("time", "").replace(",", "")
            self.test = {
                "id": self._id(attributes),
                "outcome": "passed",
                "seconds": float(seconds) if _is_number(seconds) else 0.0,
            }
        elif name in _OUTCOMES and self.test:
            self.test["outcome"] = _OUTCOMES[name]
            self.test["message"] = attributes.get("message", "")[:500]
            self.telling, self.text = True, []

    def end(self, name: str) -> None:
        name = name.rpartition("}")[2].rpartition(":")[2]
        if name == "testsuite" and self.suites:
            self.suites.pop()
        elif name in _OUTCOMES and self.test:
            self.telling = False
            told = "".join(self.text).strip()
            self.test["detail"] = told[-4000:]
            self.test["message"] = self.test["message"] or told.partition("\n")[0][:500]
        elif name == "testcase" and self.test:
            self.tests.append(self.test)
            self.test = {}

    def data(self, text: str) -> None:
        if self.telling:
            self.text.append(text)

    def _id(self, attributes: "Dict[str, str]") -> str:
        """File or class, the suites it is nested in where there is a file, and its name."""
        path = attributes.get("file", "")
        name = attributes.get("name", "")
        if path:
            whole = os.path.normpath(os.path.join(self.workspace, path))
            path = os.path.relpath(whole, self.workspace)
        suites = self.suites if path else []
        first = path or attributes.get("classname", "")
        if first == "test" and not path:  # node's own runner names neither file nor class
            first, suites = "", self.suites
        return "::".join(part for part in (first, *suites, name) if part)


def read(path: str, workspace: str) -> "List[Dict[str, Any]]":
    """The test cases of one file; two of one name are told apart by a number.

    Raises:
        JUnitError: It is too large, has a document type, or is not well-formed.
    """
    if os.path.getsize(path) > LARGEST:
        raise JUnitError("it has more than %d bytes" % LARGEST)
    reader = _Reader(workspace)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    with open(path, "rb") as file:
        try:
            parser.ParseFile(file)
        except expat.ExpatError as error:
            raise JUnitError("it is not well-formed: %s" % error) from error
    seen: Dict[str, int] = {}
    for test in reader.tests:
        seen[test["id"]] = seen.get(test["id"], 0) + 1
        if seen[test["id"]] > 1:
            test["id"] += " #%d" % seen[test["id"]]
    return reader.tests


def _is_number(text: str) -> bool:
    try:
        return 0 <= float(text) < 1e9
    except ValueError:
        return False
