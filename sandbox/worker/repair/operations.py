"""Operators on operations: comparisons, arithmetic, and/or, assignments; operands and order."""

from __future__ import annotations

import ast
import re
from typing import Iterator, Tuple

from .site import Site
from .source import Splice, neighbours

_COMPARE = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
}
_ORDER = ("<", "<=", ">", ">=")
_EQUAL = ("==", "!=")
_ARITHMETIC = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.BitAnd: "&",
    ast.LShift: "<<",
    ast.RShift: ">>",
}
_NUMERIC = ("+", "-", "*", "/", "//", "%", "**")
_BITS = ("|", "^", "&", "<<", ">>")


def _token(site: Site, left: ast.AST, right: ast.AST, symbol: str) -> tuple[int, int] | None:
    """Where an operator stands between its operands; None where a comment is in the way."""
    start, end = site.between(left, right)
    gap = site.source.text[start:end]
    if "#" in gap:
        return None
    found = re.search(r"\s+".join(map(re.escape, symbol.split())), gap)
    return None if found is None else (start + found.start(), start + found.end())


def comparisons(site: Site) -> Iterator[Splice]:
    """Another comparison; membership and identity turned round.

    Equality for an order, or an order for equality, is an operator of its own: a bug that tests an
    order where the values should be equal is rare.
    """
    node = site.node
    if not isinstance(node, ast.Compare):
        return
    operands = [node.left, *node.comparators]
    for i, op in enumerate(node.ops):
        symbol = _COMPARE[type(op)]
        where = _token(site, operands[i], operands[i + 1], symbol)
        if where is None:
            continue
        for new in _other_comparisons(symbol):
            same_kind = (symbol in _ORDER) == (new in _ORDER)
            yield Splice("cmp" if same_kind else "cmp-kind", where[0], where[1], new)
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        left, right = site.of(node.left), site.of(node.comparators[0])
        start, end = site.source.span(node.left)[0], site.source.span(node.comparators[0])[1]
        middle = site.source.text[slice(*site.between(node.left, node.comparators[0]))]
        yield Splice("swap-operands", start, end, right + middle + left)


def _other_comparisons(symbol: str) -> list[str]:
    if symbol in (*_ORDER, *_EQUAL):
        others = [s for s in (*_ORDER, *_EQUAL) if s != symbol]
        return [*others, "in", "not in"] if symbol in _EQUAL else others
    turned = {"in": ["not in", "=="], "not in": ["in", "!="], "is": ["is not", "=="]}
    return turned.get(symbol, ["is", "!="])


def shifts(site: Site) -> Iterator[Splice]:
    """One more or one less on a side of a comparison, an index, a bound."""
    node, parent = site.node, site.parent
    if not isinstance(node, (ast.Name, ast.Call, ast.BinOp, ast.Attribute, ast.Subscript)):
        return
    if site.scope.kind(node) not in ("int", ""):
        return
    role = ""
    if isinstance(parent, ast.Compare):
        ordered = any(
            isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq)) for op in parent.ops
        )
        role = "shift" if ordered else ""
    elif type(parent).__name__ in ("Slice", "Index") or getattr(parent, "slice", None) is node:
        role = "index"
    elif isinstance(parent, ast.Call) and getattr(parent.func, "id", "") == "range":
        role = "range"
    if not role or not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    for tail in ("- 1", "+ 1"):
        yield site.replace(role, f"{site.text} {tail}", atom=role != "shift")
    if role == "index":
        yield site.replace(role, f"-{site.operand()} - 1", atom=True)
        yield site.replace(role, f"-{site.operand()}", atom=True)


def arithmetic(site: Site) -> Iterator[Splice]:
    """Another arithmetic or bit operator; operands exchanged or dropped; other grouping."""
    node = site.node
    if not isinstance(node, ast.BinOp):
        return
    symbol = _ARITHMETIC.get(type(node.op), "")
    where = _token(site, node.left, node.right, symbol) if symbol else None
    if where is None:
        return
    family: Tuple[str, ...] = (*_BITS, "+", "-", "and", "or") if symbol in _BITS else _NUMERIC
    kinds = {site.scope.kind(node.left), site.scope.kind(node.right)}
    if kinds & {"str", "list"} and symbol in ("+", "*", "%"):
        family = ()
    for new in family:
        if new != symbol:
            yield Splice("arith", where[0], where[1], new)
    yield from _rearranged(site, node, where)


def _rearranged(site: Site, node: ast.BinOp, where: tuple[int, int]) -> Iterator[Splice]:
    text = site.source.text
    left, right = site.operand(node.left), site.operand(node.right)
    between = f" {text[where[0] : where[1]]} "
    if left != right:
        yield site.replace("swap-operands", right + between + left, atom=False)
    for side in (node.left, node.right):
        yield site.replace("drop-operand", site.of(side), atom=not isinstance(side, ast.BinOp))
    if isinstance(node.left, ast.BinOp):
        a, b = site.operand(node.left.left), site.operand(node.left.right)
        op = f" {_ARITHMETIC.get(type(node.left.op), '+')} "
        yield site.replace("regroup", f"{a}{op}({b}{between}{right})", atom=False)
        yield site.replace("regroup", f"({a}{between}{right}){op}{b}", atom=False)
    if isinstance(node.right, ast.BinOp):
        a, b = site.operand(node.right.left), site.operand(node.right.right)
        op = f" {_ARITHMETIC.get(type(node.right.op), '+')} "
        yield site.replace("regroup", f"({left}{between}{a}){op}{b}", atom=False)


def moved_operators(site: Site) -> Iterator[Splice]:
    """An operand taken out of an argument and put behind the call: f(a * b) is f(a) * b."""
    node = site.node
    if not (isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords):
        return
    inner = node.args[0]
    func = site.of(node.func)
    if isinstance(inner, ast.BinOp):
        op = _ARITHMETIC.get(type(inner.op), "+")
        a, b = site.of(inner.left), site.of(inner.right)
        yield site.replace("regroup", f"{func}({a}) {op} {site.operand(inner.right)}", atom=False)
        yield site.replace("regroup", f"{site.operand(inner.left)} {op} {func}({b})", atom=False)
        yield site.replace("regroup", f"{func}({a}) {op} {func}({b})", atom=False)
    parent = site.parent
    if (
        isinstance(parent, ast.BinOp)
        and parent.left is node
        and not isinstance(inner, ast.GeneratorExp)
    ):
        op = _ARITHMETIC.get(type(parent.op), "+")
        start, end = site.source.span(parent)
        moved = f"{func}({site.argument(inner)} {op} {site.operand(parent.right)})"
        yield Splice("regroup", start, end, moved)


def logic(site: Site) -> Iterator[Splice]:
    """And for or, an operand dropped or grouped with its neighbour."""
    node = site.node
    if not isinstance(node, ast.BoolOp):
        return
    symbol, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
    values = node.values
    for left, right in neighbours(values):
        where = _token(site, left, right, symbol)
        if where is not None:
            yield Splice("and-or", where[0], where[1], other)
    for dropped in values:
        rest = [site.of(v) for v in values if v is not dropped]
        atom = len(rest) == 1 and not isinstance(values[0], (ast.BoolOp, ast.Compare))
        yield site.replace("drop-operand", f" {symbol} ".join(rest), atom=atom)
    for i, value in enumerate(values):
        if isinstance(value, ast.BoolOp) and i + 1 < len(values):
            head = [site.of(v) for v in value.values[:-1]]
            tail = f"({site.of(value.values[-1])} {symbol} {site.of(values[i + 1])})"
            whole = f" {other} ".join([*head, tail])
            start, end = site.source.span(value)[0], site.source.span(values[i + 1])[1]
            yield Splice("regroup", start, end, whole)


def negations(site: Site) -> Iterator[Splice]:
    """A condition turned round, made always or never true."""
    node, parent = site.node, site.parent
    is_test = isinstance(parent, (ast.If, ast.While, ast.IfExp)) and parent.test is node
    is_filter = isinstance(parent, ast.comprehension) and node in parent.ifs
    part = isinstance(parent, ast.BoolOp)
    if not (is_test or is_filter or part):
        return
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield site.replace("negate", site.of(node.operand), atom=False)
    else:
        bare = isinstance(node, (ast.Name, ast.Call, ast.Attribute, ast.Subscript, ast.Compare))
        text = site.text if bare else f"({site.text})"
        yield site.replace("negate", f"not {text}", atom=part)
    if not part:
        for constant in ("True", "False"):
            yield site.replace("cond-const", constant, atom=True)


def augmented(site: Site) -> Iterator[Splice]:
    """Another augmented assignment, a plain one, or a plain one augmented."""
    node = site.node
    if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        start, end = site.source.span(node.target)[1], site.source.span(node.value)[0]
        target, own = site.of(node.target), _ARITHMETIC[type(node.op)]
        for symbol in ("+", "-", "*", "//", "/", "%", "**", "|", "&", "^"):
            kin = (symbol in _BITS) == (own in _BITS)
            if symbol != own:
                yield Splice("aug-op" if kin else "aug-assign", start, end, f" {symbol}= ")
        yield Splice("aug-assign", start, end, " = ")
        turned = f"{target} = {site.operand(node.value)} {own} {target}"
        yield Splice("aug-op", site.start, site.end, turned)
    elif isinstance(node, ast.Assign) and len(node.targets) == 1:
        start, end = site.source.span(node.targets[0])[1], site.source.span(node.value)[0]
        if isinstance(node.targets[0], (ast.Name, ast.Attribute, ast.Subscript)):
            for symbol in ("+", "-", "*"):
                yield Splice("aug-assign", start, end, f" {symbol}= ")
        elif isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
            yield from _tuple_targets(site, node.targets[0])


def _tuple_targets(site: Site, target: ast.Tuple) -> Iterator[Splice]:
    spans = [site.source.span(e) for e in target.elts]
    if len(spans) == 2:
        a, b = (site.source.text[slice(*s)] for s in spans)
        middle = site.source.text[spans[0][1] : spans[1][0]]
        yield Splice("tuple-target", spans[0][0], spans[1][1], b + middle + a)
