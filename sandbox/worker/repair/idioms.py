"""Operators on idioms of the language: None and falsy values, mappings walked, defaults, copies."""

from __future__ import annotations

import ast
import re
from typing import Iterator

from .site import Site, stand_in
from .source import Splice

_PLACES = (ast.Name, ast.Attribute, ast.Subscript)
_ARGUMENTS = {
    ("enumerate", 1): ("1",),
    ("get", 1): ("0", "''", "[]", "{}", "False"),
    ("getattr", 2): ("None",),
    ("int", 1): ("2", "10", "16"),
    ("max", 1): ("default=0", "default=None"),
    ("min", 1): ("default=0", "default=None"),
    ("next", 1): ("None",),
    ("pop", 0): ("0",),
    ("pop", 1): ("None",),
    ("replace", 2): ("1",),
    ("round", 1): ("1", "2"),
    ("rsplit", 1): ("1",),
    ("split", 0): ("' '", "','"),
    ("split", 1): ("1",),
    ("sum", 1): ("[]",),
}
"""Arguments that a call with so many is often short of."""
_WIDER = {
    "int": "(int, float)",
    "float": "(int, float)",
    "list": "(list, tuple)",
    "tuple": "(list, tuple)",
    "str": "(str, bytes)",
    "bytes": "(bytes, bytearray)",
    "set": "(set, frozenset)",
}
_QUANTIFIERS = {"+": ("*", "+?", ""), "*": ("+", "*?", ""), "?": ("",), ".": (r"\.",)}
_UNESCAPED = re.compile(r"\\.|(.)")
_RAW = re.compile(r"""[rR](['"])(?!\1\1)(.*)\1""")


def _is_test(site: Site) -> bool:
    node, parent = site.node, site.parent
    if isinstance(parent, (ast.If, ast.While, ast.IfExp)):
        return parent.test is node
    return isinstance(parent, ast.comprehension) and node in parent.ifs


def none_tests(site: Site) -> Iterator[Splice]:
    """Whether something is None, for whether it is true: 0 and '' are not None."""
    node, parent = site.node, site.parent
    truth = _is_test(site) or (isinstance(parent, ast.BoolOp) and isinstance(parent.op, ast.And))
    if isinstance(node, (*_PLACES, ast.Call)) and truth:
        yield site.replace("none-test", f"{site.text} is not None", atom=False)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        if isinstance(node.operand, (*_PLACES, ast.Call)):
            yield site.replace("none-test", f"{site.of(node.operand)} is None", atom=False)
    elif isinstance(node, ast.Compare) and site.text.endswith("None") and len(node.ops) == 1:
        left = site.operand(node.left)
        is_none = isinstance(node.ops[0], (ast.Is, ast.Eq))
        yield site.replace("none-test", f"not {left}" if is_none else left, atom=not is_none)
    elif isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and not truth:
        first, *rest = node.values
        if isinstance(first, _PLACES) and len(rest) == 1:
            name, other = site.of(first), site.of(rest[0])
            yield site.replace("none-test", f"{other} if {name} is None else {name}", atom=False)


def guarded_tests(site: Site) -> Iterator[Splice]:
    """A condition that is asked only where what it looks into is there."""
    if not _is_test(site):
        return
    own = f"({site.text})" if isinstance(site.node, (ast.BoolOp, ast.IfExp)) else site.text
    for guard in dict.fromkeys(_guards(site)):
        yield site.replace("test-guard", f"{guard} and {own}", atom=False)


def _guards(site: Site) -> Iterator[str]:
    for node in ast.walk(site.node):
        if not isinstance(node, (ast.Attribute, ast.Subscript)):
            continue
        if not isinstance(node.value, (ast.Name, ast.Attribute)):
            continue
        whole = site.of(node.value)
        if whole in ("self", "cls"):
            continue
        yield whole
        yield f"{whole} is not None"
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
            yield f"{node.slice.id} < len({whole})"
            yield f"{node.slice.id} >= 0"


def endless(site: Site) -> Iterator[Splice]:
    """A loop that goes on while there is something, not for ever."""
    node, parent = site.node, site.parent
    if not (isinstance(parent, ast.While) and parent.test is node):
        return
    if isinstance(node, ast.Constant) and node.value:
        for name in [*site.scope.names(site.line), *site.scope.attributes]:
            yield Splice("loop-cond", site.start, site.end, name)


def views(site: Site) -> Iterator[Splice]:
    """The values or pairs of a mapping walked, or looked into, and not its keys."""
    node, parent = site.node, site.parent
    walked = isinstance(parent, (ast.For, ast.comprehension)) and parent.iter is node
    looked_into = isinstance(parent, ast.Compare) and isinstance(
        parent.ops[-1], (ast.In, ast.NotIn)
    )
    if not (walked or (looked_into and parent.comparators[-1] is node)):  # type: ignore[union-attr]
        return
    if isinstance(node, _PLACES) and site.scope.kind(node) in ("dict", ""):
        for view in ("items", "values", "keys"):
            yield Splice("dict-view", site.end, site.end, f".{view}()")


def short_of_arguments(site: Site) -> Iterator[Splice]:
    """A call with the argument that it is often short of: a default, a start, a base."""
    node = site.node
    if not isinstance(node, ast.Call) or node.keywords:
        return
    if any(isinstance(a, (ast.Starred, ast.GeneratorExp)) for a in node.args):
        return
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    at = site.source.span(node.args[-1])[1] if node.args else site.end - 1
    for text in _ARGUMENTS.get((name, len(node.args)), ()):
        yield Splice("lit-arg", at, at, f", {text}" if node.args else text)


def type_tests(site: Site) -> Iterator[Splice]:
    """A kindred type accepted, too."""
    node, parent = site.node, site.parent
    if not (isinstance(parent, ast.Call) and getattr(parent.func, "id", "") == "isinstance"):
        return
    if isinstance(node, ast.Name) and parent.args[-1:] == [node] and node.id in _WIDER:
        yield Splice("type-test", site.start, site.end, _WIDER[node.id])


def copied(site: Site) -> Iterator[Splice]:
    """A copy handed on, so that a later change does not reach it; the value in a list of its own."""
    node, parent = site.node, site.parent
    if not stand_in(node, parent):
        return
    if not isinstance(parent, (ast.Return, ast.Assign, ast.Call, ast.List, ast.keyword)):
        return
    kind = site.scope.kind(node)
    if isinstance(node, _PLACES) and kind in ("list", "dict", "set", ""):
        yield Splice("copy", site.end, site.end, ".copy()")
    if isinstance(node, (*_PLACES, ast.List)) and kind in ("list", "str", "int", ""):
        yield site.replace("wrap", f"[{site.text}]", atom=True)


def infinite(site: Site) -> Iterator[Splice]:
    """What a search for the least or the most begins with."""
    node, parent = site.node, site.parent
    if not (isinstance(parent, ast.Assign) and isinstance(node, ast.Constant)):
        return
    if node.value is None or type(node.value) is int:
        for text in ("float('inf')", "-float('inf')"):
            yield Splice("const-inf", site.start, site.end, text)


def named_constants(site: Site) -> Iterator[Splice]:
    """A variable for a constant: of the keyword's own name, or of the constant's kind."""
    node, parent = site.node, site.parent
    if not isinstance(node, ast.Constant) or not stand_in(node, parent):
        return
    names = site.scope.names(site.line)
    if isinstance(parent, ast.keyword):
        names = [name for name in names if name == parent.arg] or names
    kind = site.scope.kind(node)
    for name in names:
        if name not in ("self", "cls") and site.scope.kinds.get(name, kind) == kind:
            yield Splice("const-name", site.start, site.end, name)


def spread(site: Site) -> Iterator[Splice]:
    """A sequence handed on element by element: yielded from, or as several arguments."""
    node = site.node
    if isinstance(node, ast.Yield) and node.value is not None:
        yield Splice("yield", site.start + len("yield"), site.start + len("yield"), " from")
    elif isinstance(node, ast.YieldFrom):
        start = site.source.span(node.value)[0]
        yield Splice("yield", site.start + len("yield"), start, " ")
    elif isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], ast.Name):
        start = site.source.span(node.args[0])[0]
        yield Splice("star", start, start, "*")


def patterns(site: Site) -> Iterator[Splice]:
    """Another quantifier or anchor in a raw string, which mostly is a regular expression."""
    found = _RAW.fullmatch(site.text) if isinstance(site.node, ast.Constant) else None
    if found is None:
        return
    text, start = found.group(2), site.start + found.start(2)
    end = start + len(text)
    for plain in _UNESCAPED.finditer(text):
        for new in _QUANTIFIERS.get(plain.group(1) or "", ()):
            at = start + plain.start()
            yield Splice("regex", at, at + 1, new)
    head, tail = text[:1] == "^", text[-1:] == "$"
    yield Splice("regex", start, start + head, "" if head else "^")
    yield Splice("regex", end - tail, end, "" if tail else "$")
