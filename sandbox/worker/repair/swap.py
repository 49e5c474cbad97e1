"""A candidate put into a running process: the code of live functions exchanged.

Only the outermost function around the edit is compiled, at its own lines and under its own file
name, so that a candidate costs what its function costs and not what its file costs. Functions that
are already decorated, imported elsewhere by name or stored in tables are the same objects, so they
change too. What is made at import (defaults, class attributes, module constants) does not.
"""

from __future__ import annotations
import __future__

import ast
import functools
import gc
import os
import types
import warnings
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .scope import FUNCTIONS, Function
from .source import Source, Splice


class NeedsProcess(Exception):
    """The edit cannot be put into live functions: it has to be tried in a new process."""


class Live:
    """The live functions of one file.

    Args:
        source: The file as it is on disk.
        path: Its absolute path.
    """

    def __init__(self, source: Source, path: str) -> None:
        self._source = source
        self._path = os.path.realpath(path)
        self._flags = _future_flags(source.tree)
        self._functions: Dict[Tuple[str, int], List[types.FunctionType]] = {}
        self._caches: List[Any] = []
        self.changed: List[Tuple[types.FunctionType, types.CodeType]] = []
        self._filename = ""
        self._compiled_before: Dict[int, types.CodeType] = {}

    def find(self) -> None:
        """Look for the file's functions among all live objects."""
        same: Dict[str, bool] = {}
        for thing in live_objects():
            if isinstance(thing, types.FunctionType):
                code = thing.__code__
                name = code.co_filename
                if name not in same:
                    same[name] = os.path.realpath(name) == self._path
                if same[name]:
                    self._filename = name
                    key = (code.co_name, code.co_firstlineno)
                    self._functions.setdefault(key, []).append(thing)
            elif isinstance(thing, functools._lru_cache_wrapper):
                self._caches.append(thing)

    def put(self, unit: Function, edits: List[Splice]) -> None:
        """Give the live functions of `unit` the code they have with the edits.

        Raises:
            SyntaxError: The edited function does not compile.
            NeedsProcess: No live function is there, or its free variables would change.
        """
        if unit.lineno not in self._compiled_before:
            self._compiled_before[unit.lineno] = self._compiled(unit, [])
        old = self._compiled_before[unit.lineno]
        new = self._compiled(unit, edits)
        first = min([unit.lineno, *(d.lineno for d in unit.decorator_list)])
        found = False
        for before, after in _pairs(old, new):
            line = first if before is old else before.co_firstlineno
            for function in self._functions.get((before.co_name, line), ()):
                if function.__code__.co_freevars != after.co_freevars:
                    self.restore()
                    raise NeedsProcess
                self.changed.append((function, function.__code__))
                function.__code__ = after
                found = found or before is old
        if not found:
            self.restore()
            raise NeedsProcess
        for cache in self._caches:
            cache.cache_clear()

    def restore(self) -> None:
        """Give all functions their own code back."""
        for function, code in reversed(self.changed):
            function.__code__ = code
        self.changed = []

    def _compiled(self, unit: Function, edits: List[Splice]) -> types.CodeType:
        text = self._alone(unit, edits)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(
                text, self._filename or self._path, "exec", self._flags, dont_inherit=True
            )
        found = _named(code, unit.name, unit.lineno)
        if found is None:
            raise NeedsProcess
        return found

    def _alone(self, unit: Function, edits: List[Splice]) -> str:
        """The text of the function alone, at its lines, inside the classes that are around it."""
        source = self._source
        start = source.starts[unit.lineno - 1]
        end = source.span(unit)[1]
        text, at = "", start
        for edit in sorted(edits, key=lambda e: e.start):
            text += source.text[at : edit.start] + edit.new
            at = edit.end
        text += source.text[at:end]
        heads = [n.name for n in _around(source, unit) if isinstance(n, ast.ClassDef)]
        if not source.indent(unit.lineno):
            return "\n" * (unit.lineno - 1) + text
        lines = [" " * i + f"class {name}:" for i, name in enumerate(heads)]
        if not heads:
            lines = ["if 1:"]
        if len(lines) > unit.lineno - 1 or len(lines) > len(source.indent(unit.lineno)):
            raise NeedsProcess
        blank = "\n" * (unit.lineno - 1 - len(lines))
        return blank + "\n".join(lines) + "\n" + text


def live_objects() -> List[Any]:
    """All objects that the collector knows, those that were frozen before a fork among them."""
    gc.unfreeze()
    return gc.get_objects()


def _around(source: Source, unit: Function) -> List[ast.AST]:
    chain: List[ast.AST] = []
    node: Optional[ast.AST] = source.parents.get(unit)
    while node is not None:
        chain.insert(0, node)
        node = source.parents.get(node)
    return chain


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for alias in node.names:
                flags |= getattr(__future__, alias.name).compiler_flag
    return flags


def _constants(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant


def _named(code: types.CodeType, name: str, line: int) -> Optional[types.CodeType]:
    for inner in _constants(code):
        if inner.co_name == name and inner.co_firstlineno == line:
            return inner
        found = _named(inner, name, line)
        if found is not None:
            return found
    return None


def _pairs(
    old: types.CodeType, new: types.CodeType
) -> Iterator[Tuple[types.CodeType, types.CodeType]]:
    """The code objects of two versions of a function that belong together, outermost first."""
    yield old, new
    left, right = list(_constants(old)), list(_constants(new))
    if [c.co_name for c in left] == [c.co_name for c in right]:
        for before, after in zip(left, right):  # noqa: B905  # strict= needs Python 3.10
            yield from _pairs(before, after)


def unit_at(units: List[Function], line: int) -> Optional[Function]:
    """The outermost function that begins on a line."""
    for unit in units:
        if unit.lineno == line and isinstance(unit, FUNCTIONS):
            return unit
    return None
