"""Operators on any expression: wrapped, unwrapped, exchanged for another one at hand."""

from __future__ import annotations

import ast
from typing import Iterator

from .literals import large
from .scope import is_atom
from .site import Site, stand_in
from .source import Splice

_CALLS = {
    "int": ("abs", "str", "int", "round", "bool", "float"),
    "str": ("len", "sorted", "list", "set", "int"),
    "list": ("len", "sorted", "list", "set", "sum", "max", "min", "tuple", "any", "all"),
    "set": ("len", "sorted", "list", "sum", "max", "min"),
    "dict": ("len", "sorted", "list"),
    "bool": ("int",),
    "": ("abs", "len", "sorted", "list", "set", "str", "int", "sum", "max", "min", "tuple"),
}
_TAILS = {
    "int": (" + 1", " - 1", " * 2", " // 2"),
    "str": ("[::-1]", "[1:]", "[:-1]", ".lower()", ".upper()", ".strip()", ".split()", "[0]", "[-1]"),
    "list": ("[::-1]", "[1:]", "[:-1]", "[0]", "[-1]"),
    "dict": (".keys()", ".values()", ".items()"),
    "": (" + 1", " - 1", " * 2", " // 2", "[::-1]", "[1:]", "[:-1]", ".lower()", ".strip()", "[0]", "[-1]"),
}  # fmt: skip

_SEPARATORS = (" ", ", ", ",", "-", "_", ".", ":", "/", "\n")


def wrapped(site: Site) -> Iterator[Splice]:
    """The expression inside a call of a built-in, or with a small tail behind it."""
    node, parent = site.node, site.parent
    if not stand_in(node, parent) or isinstance(node, ast.Lambda):
        return
    kind = site.scope.kind(node)
    argument, operand = site.argument(), site.operand()
    around = ""
    if isinstance(parent, ast.Call) and len(parent.args) == 1:
        around = getattr(parent.func, "id", "")
    for name in _CALLS.get(kind, ()):
        if name != around and not (
            isinstance(node, ast.Call) and getattr(node.func, "id", "") == name
        ):
            yield site.replace("wrap", f"{name}({argument})", atom=True)
    for tail in () if large(node) else _TAILS.get(kind, ()):
        yield site.replace("wrap", f"{operand}{tail}", atom=tail[0] in "[.")
    if kind in ("int", ""):
        yield site.replace("wrap", f"-{operand}", atom=True)
    if kind in ("bool", ""):
        yield site.replace("wrap", f"not {operand}", atom=False)
    if kind in ("list", "set", "str", ""):
        yield site.replace("wrap", f"sorted({argument}, reverse=True)", atom=True)
        yield site.replace("wrap", f"sorted({argument}, key=len)", atom=True)
        yield site.replace("wrap", f"sorted(set({argument}))", atom=True)


def wrapped_with_names(site: Site) -> Iterator[Splice]:
    """The expression joined with a variable: cut, indexed, bounded, added to."""
    node = site.node
    if not stand_in(node, site.parent) or isinstance(node, (ast.Constant, ast.Lambda)):
        return
    kind = site.scope.kind(node)
    operand = site.operand()
    for name in site.scope.names(site.line):
        other = site.scope.kinds.get(name, "")
        if name == site.text or other in ("bool", "dict", "set"):
            continue
        if kind in ("str", "list", "") and other in ("int", ""):
            for tail in (f"[{name}:]", f"[:{name}]", f"[{name}]"):
                yield site.replace("wrap-name", operand + tail, atom=True)
        if kind in ("int", "") and other in ("int", ""):
            yield site.replace("wrap-name", f"max({site.argument()}, {name})", atom=True)
            yield site.replace("wrap-name", f"min({site.argument()}, {name})", atom=True)
            for symbol in ("+", "-", "*", "%", "//"):
                yield site.replace("wrap-name", f"{operand} {symbol} {name}", atom=False)
        elif kind == other:
            yield site.replace("wrap-name", f"{operand} + {name}", atom=False)


def unwrapped(site: Site) -> Iterator[Splice]:
    """What lies inside: the argument, the receiver, the operand, the branch."""
    node = site.node
    inner: list[ast.expr] = []
    if isinstance(node, ast.Call):
        inner = [a for a in node.args if not isinstance(a, ast.Starred)]
        if isinstance(node.func, ast.Attribute):
            inner.append(node.func.value)
    elif isinstance(node, ast.UnaryOp):
        inner = [node.operand]
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        inner = [node.value]
    elif isinstance(node, ast.IfExp):
        inner = [node.body, node.orelse]
    elif isinstance(node, (ast.List, ast.Tuple, ast.Set)) and len(node.elts) == 1:
        inner = [node.elts[0]]
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        inner = [] if isinstance(site.parent, ast.Call) else [node.value]
    elif isinstance(node, ast.ListComp):
        inner = [node.generators[0].iter]
    if isinstance(site.parent, ast.Expr) or isinstance(node, ast.Starred):
        return
    for child in inner:
        if isinstance(child, ast.GeneratorExp):
            text = site.of(child)
            text = f"[{text[1:-1]}]"
            yield site.replace("unwrap", text, atom=True)
        else:
            yield site.replace("unwrap", site.of(child), atom=is_atom(child))


def other_names(site: Site) -> Iterator[Splice]:
    """Another variable, or another attribute of the same object."""
    node = site.node
    if isinstance(node, ast.Name):
        called = isinstance(site.parent, ast.Call) and site.parent.func is node
        if called:
            return
        operator = "var" if isinstance(node.ctx, ast.Load) else "var-target"
        names = site.scope.names(site.line)
        if operator == "var":
            names = [*names, *site.scope.globals_read(), *site.scope.attributes]
        for name in names:
            if name != node.id:
                yield Splice(operator, site.start, site.end, name)
    elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        for text in site.scope.attributes:
            if text != site.text and text.split(".")[0] == node.value.id:
                yield Splice("var", site.start, site.end, text)


def ingredients(site: Site) -> Iterator[Splice]:
    """Another expression that the same function holds."""
    node = site.node
    if not stand_in(node, site.parent):
        return
    kind = site.scope.kind(node)
    inside_a_test = isinstance(site.parent, (ast.If, ast.While))
    for text, other in site.scope.expressions:
        if isinstance(other, ast.Name) and isinstance(node, ast.Name):
            continue
        theirs = site.scope.kind(other)
        if text == site.text or (kind and theirs and kind != theirs and not inside_a_test):
            continue
        yield site.replace("ingredient", text, atom=is_atom(other))


def returned(site: Site) -> Iterator[Splice]:
    """Another value returned."""
    if not (isinstance(site.parent, ast.Return) and stand_in(site.node, site.parent)):
        return
    for text in (*site.scope.names(site.line), "None", "True", "False", "[]", "0", "1", "-1", "''"):
        if text != site.text:
            yield Splice("return", site.start, site.end, text)


def branches(site: Site) -> Iterator[Splice]:
    """The arms of a conditional expression exchanged; the expression made conditional."""
    node = site.node
    if isinstance(node, ast.IfExp):
        body, test, other = (site.of(n) for n in (node.body, node.test, node.orelse))
        yield site.replace("swap-branches", f"{other} if {test} else {body}", atom=False)


def extended_conditions(site: Site) -> Iterator[Splice]:
    """A condition joined by `and` or `or` with another condition or a name."""
    node, parent = site.node, site.parent
    is_test = isinstance(parent, (ast.If, ast.While, ast.IfExp)) and parent.test is node
    is_filter = isinstance(parent, ast.comprehension) and node in parent.ifs
    if not (
        is_test or is_filter or (isinstance(parent, ast.Return) and site.scope.kind(node) == "bool")
    ):
        return
    names = [n for n in site.scope.names(site.line) if n not in ("self", "cls")]
    others = [*site.scope.conditions, *names, *(f"not {n}" for n in names)]
    own = f"({site.text})" if isinstance(node, (ast.BoolOp, ast.IfExp)) else site.text
    for other in others:
        if other == site.text or "\n" in other:
            continue
        joined = f"({other})" if " or " in other or " and " in other or " if " in other else other
        for symbol in ("and", "or"):
            yield site.replace("cond-extend", f"{own} {symbol} {joined}", atom=False)


def subscripts(site: Site) -> Iterator[Splice]:
    """Bounds of a slice, the index, the way a missing key is met."""
    node = site.node
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
        return
    value = site.operand(node.value)
    index: ast.AST = node.slice
    index = index.value if type(index).__name__ == "Index" else index  # type: ignore[attr-defined]
    if isinstance(index, ast.Slice):
        lower, upper, step = (
            "" if part is None else site.of(part) for part in (index.lower, index.upper, index.step)
        )
        tail = f":{step}" if step else ""
        shapes = [(":" + upper, tail), (f"{lower}:", tail), (f"{lower or 1}:{upper}", tail)]
        shapes += [(f"{lower}:{upper or -1}", tail), (f"{upper}:{lower}", tail)]
        shapes += [(f"{upper}:", tail), (f":{lower}", tail)]
        shapes += [
            (f"{lower}:{upper}", ":-1"),
            (f"{lower}:{upper}", ":2"),
            (f"{lower}:{upper}", ""),
        ]
        for one, end in (("+ 1", ""), ("- 1", "")):
            if lower:
                shapes.append((f"{lower} {one}:{upper}{end}", tail))
            if upper:
                shapes.append((f"{lower}:{upper} {one}{end}", tail))
        for shape, behind in shapes:
            yield site.replace("slice", f"{value}[{shape}{behind}]", atom=True)
        return
    text = site.of(index)
    for new in ("0", "-1", "1"):
        if new != text:
            yield site.replace("index", f"{value}[{new}]", atom=True)
    if not isinstance(index, ast.Tuple):
        for fallback in ("0", "None", "''", "[]"):
            yield site.replace("default", f"{value}.get({text}, {fallback})", atom=True)
        yield site.replace("index", f"{value}[{text}:]", atom=True)
        yield site.replace("index", f"{value}[:{text}]", atom=True)


def elements(site: Site) -> Iterator[Splice]:
    """An element of a list, tuple or set left out, or two neighbours exchanged."""
    node = site.node
    if not isinstance(node, (ast.List, ast.Tuple, ast.Set)) or not 2 <= len(node.elts) <= 12:
        return
    spans = [site.source.span(e) for e in node.elts]
    text = site.source.text
    for i in range(len(spans)):
        if i + 1 < len(spans):
            between = text[spans[i][1] : spans[i + 1][0]]
            left, right = text[slice(*spans[i])], text[slice(*spans[i + 1])]
            yield Splice("swap-elts", spans[i][0], spans[i + 1][1], right + between + left)
            yield Splice("drop-elt", spans[i][0], spans[i + 1][0], "")
        else:
            yield Splice("drop-elt", spans[i - 1][1], spans[i][1], "" if i > 1 else ",")


def chains(site: Site) -> Iterator[Splice]:
    """A short string of the function, or one that separates, added to a chain of additions, before, between, behind."""
    node, parent = site.node, site.parent
    if (
        not isinstance(node, ast.BinOp)
        or not isinstance(node.op, ast.Add)
        or isinstance(parent, ast.BinOp)
    ):
        return
    if site.scope.kind(node) not in ("str", ""):
        return
    where = site.source.span(node.right)[0]
    for string in dict.fromkeys([*site.scope.strings, *_SEPARATORS]):
        literal = repr(string)
        yield Splice("concat", where, where, f"{literal} + ")
        yield Splice("concat", site.end, site.end, f" + {literal}")
        yield Splice("concat", site.start, site.start, f"{literal} + ")
