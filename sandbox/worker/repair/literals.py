"""Operators on constants: numbers, strings, booleans."""

from __future__ import annotations

import ast
import string
from typing import Iterator

from .site import Site
from .source import Splice

SMALL = 200
"""Numbers beyond it are not nudged: one more or less of a million hides a bug, it mends none."""


def numbers(site: Site) -> Iterator[Splice]:
    """Another whole number or fraction near by, or one that the function uses."""
    node = site.node
    value = _signed(node)
    if value is None or _signed(site.parent) is not None:
        return
    if isinstance(value, int):
        for new in _near(value, site.scope.ints):
            yield site.replace("const-int", str(new), atom=new >= 0 or not _before_power(site))
    else:
        for number in (
            value + 1,
            value - 1,
            value * 10,
            value / 10,
            value * 2,
            value / 2,
            0.0,
            1.0,
        ):
            yield site.replace("const-float", repr(number), atom=number >= 0)
        yield site.replace("const-float", str(int(value)), atom=value >= 0)


def _signed(node: ast.AST | None) -> int | float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _signed(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return None if isinstance(node.value, bool) else node.value
    return None


def large(node: ast.AST) -> bool:
    """Whether the node is a number that is not nudged."""
    value = _signed(node)
    return value is not None and abs(value) >= SMALL


def _near(value: int, others: list[int]) -> list[int]:
    near = [0, 1, -1, 2, -value, value * 2, value * 10]
    if abs(value) < SMALL:
        near = [value + 1, value - 1, *near, value + 2, value - 2]
    return [n for n in dict.fromkeys([*near, *others]) if n != value]


def _before_power(site: Site) -> bool:
    return isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, ast.Pow)


def strings(site: Site) -> Iterator[Splice]:
    """Another string of the function, or the same one a letter, a case or a blank away."""
    node = site.node
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return
    value, quote = node.value, site.text[:1]
    if quote not in "'\"" or site.text[:3] in ("'''", '"""') or site.text.count(quote) != 2:
        return
    for new in dict.fromkeys(_spellings(value, site.scope.strings)):
        if new != value:
            yield Splice("const-str", site.start, site.end, _quoted(new, quote))
    if value and len(value) <= 60:
        for new in _letters(value):
            yield Splice("letter", site.start, site.end, _quoted(new, quote))


def _spellings(value: str, others: list[str]) -> Iterator[str]:
    yield from others
    yield from ("", " ")
    yield from (value.lower(), value.upper(), value.capitalize(), value.strip())
    yield from (value + " ", " " + value, value + "s", value[::-1])
    if len(value) > 40:
        return
    for i in range(len(value)):
        yield value[:i] + value[i + 1 :]
        yield value[:i] + value[i] * 2 + value[i + 1 :]
        yield value[:i] + value[i : i + 2][::-1] + value[i + 2 :]


def _letters(value: str) -> Iterator[str]:
    for i, letter in enumerate(value[:12]):
        if letter in string.ascii_lowercase:
            alphabet = string.ascii_lowercase
        elif letter in string.ascii_uppercase:
            alphabet = string.ascii_uppercase
        else:
            alphabet = string.digits if letter in string.digits else "([{<>}]),.;:+-"
        for other in alphabet:
            if other != letter:
                yield value[:i] + other + value[i + 1 :]
    if value.isalpha() and value[-1:].isalpha():
        for other in string.ascii_lowercase:
            yield value + (other if value.islower() else other.upper())


def _quoted(value: str, quote: str) -> str:
    text = repr(value)
    if text[0] == quote or quote in text[1:-1] or "\\" in text:
        return text
    return quote + text[1:-1] + quote


def booleans(site: Site) -> Iterator[Splice]:
    """True for False, and what stands for nothing."""
    node = site.node
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield site.replace("const-bool", str(not node.value), atom=True)
        yield site.replace("const-bool", "None", atom=True)
    elif node.value is None:
        for new in ("0", "''", "[]", "False", "True"):
            yield site.replace("const-bool", new, atom=True)


def repeated(site: Site) -> Iterator[Splice]:
    """The same small change on every equal constant of the function, as one edit."""
    value = _signed(site.node)
    if not isinstance(value, int) or _signed(site.parent) is not None:
        return
    same = [n for n in site.scope.nodes if isinstance(n, ast.Constant) and _same(n, value)]
    if len(same) < 2 or site.node is not same[0]:
        return
    spans = [site.source.span(n) for n in same]
    for new in (value + 1, value - 1, value + 2, value - 2, 0, 1, 2):
        text, at = "", spans[0][0]
        for start, end in spans:
            text += site.source.text[at:start] + str(new)
            at = end
        if new != value:
            yield Splice("repeat", spans[0][0], spans[-1][1], text)


def _same(node: ast.Constant, value: int) -> bool:
    return type(node.value) is int and node.value == value
