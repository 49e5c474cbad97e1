"""Definitions of a Python file by their dotted names."""

from __future__ import annotations

import ast
import difflib
import warnings
from typing import Any, Dict, Iterator, List, Optional, Tuple

from sandbox.worker.files import Text
from sandbox.worker.verbs import VerbFailed

Definition = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def definition(file: Text, path: str, name: str) -> Any:
    """The one function or class called `name`, such as `Parser.parse`; or the only one so called last.

    Raises:
        VerbFailed: The file does not parse, or has none or several of that name; says what is near.
    """
    tree, error = parse(file.text)
    if tree is None:
        raise VerbFailed(f"{path} does not parse ({error}). Use line numbers or exact text.")
    named = list(_definitions(tree, ""))
    found = [node for dotted, node in named if dotted == name]
    last = [node for dotted, node in named if dotted.rpartition(".")[2] == name]
    if not found and len(last) == 1:
        return last[0]
    if len(found) != 1:
        raise VerbFailed(_which(tree, path, name, len(found)))
    return found[0]


def definition_lines(file: Text, path: str, name: str) -> "Tuple[int, int]":
    """First line (of its decorators) and last line of a definition; raises as `definition`."""
    node = definition(file, path, name)
    return min([node.lineno, *(d.lineno for d in node.decorator_list)]), node.end_lineno


def parse(text: str) -> "Tuple[Optional[ast.Module], str]":
    """The tree of a text, or None and why it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text), ""
    except SyntaxError as error:
        return None, f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return None, str(error)


def _definitions(tree: ast.AST, prefix: str) -> "Iterator[Tuple[str, ast.AST]]":
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Definition):
            yield prefix + node.name, node
            yield from _definitions(node, f"{prefix}{node.name}.")
        else:
            yield from _definitions(node, prefix)


def _which(tree: ast.AST, path: str, name: str, count: int) -> str:
    known: "Dict[str, List[int]]" = {}
    for dotted, node in _definitions(tree, ""):
        known.setdefault(dotted, []).append(getattr(node, "lineno", 0))
    if count:
        lines = ", ".join(str(line) for line in known[name])
        return f"{name} is defined {count} times in {path} (lines {lines}). Name it by line numbers or exact text."
    last = name.rpartition(".")[2]
    close = [dotted for dotted in known if dotted.rpartition(".")[2] == last]
    close = close or difflib.get_close_matches(name, list(known), n=5, cutoff=0.4)
    near = "; ".join(f"{dotted} (line {known[dotted][0]})" for dotted in close[:5])
    return f"{path} defines no {name}." + (f" Did you mean: {near}?" if near else "")
