"""Operators on branches and loops: exchanged, dropped, added, turned into one another."""

from __future__ import annotations

import ast
from typing import Iterator

from .site import Site
from .source import Splice
from .statements import dedented


def choices(site: Site) -> Iterator[Splice]:
    """The bodies of if and else exchanged; the else dropped; if, while, break, continue turned."""
    node = site.node
    if isinstance(node, ast.Break):
        yield Splice("jump", site.start, site.end, "continue")
    elif isinstance(node, ast.Continue):
        yield Splice("jump", site.start, site.end, "break")
    elif isinstance(node, ast.While):
        yield Splice("jump", site.start, site.start + 5, "if")
    elif isinstance(node, ast.If):
        if site.text.startswith("if") and not node.orelse:
            yield Splice("jump", site.start, site.start + 2, "while")
        if site.text.startswith("elif"):
            yield Splice("jump", site.start, site.start + 4, "if")
        yield from _else_of(site, node)


def _else_of(site: Site, node: ast.If) -> Iterator[Splice]:
    source = site.source
    if not node.orelse or source.text.startswith("elif", source.span(node.orelse[0])[0]):
        return
    body = (source.span(node.body[0])[0], source.span(node.body[-1])[1])
    other = (source.span(node.orelse[0])[0], source.span(node.orelse[-1])[1])
    between = source.text[body[1] : other[0]]
    swapped = source.text[slice(*other)] + between + source.text[slice(*body)]
    yield Splice("swap-branches", body[0], other[1], swapped)
    yield Splice("drop-else", body[1], other[1], "")
    if source.starts_line(other[0]):
        indent = source.indent(node.lineno)
        text = source.newline + indent + dedented(site, node.orelse)
        yield Splice("drop-else", body[1], other[1], text)


def elifs(site: Site) -> Iterator[Splice]:
    """Two branches of an if chain exchanged; a new branch made from one with a literal changed."""
    node = site.node
    if not isinstance(node, ast.If) or not site.source.starts_line(site.start):
        return
    word = "elif" if site.text.startswith("elif") else "if"
    head = site.source.text[site.start + len(word) : site.source.span(node.body[-1])[1]]
    indent, newline = site.source.indent(site.line), site.source.newline
    behind = site.source.span(node.body[-1])[1]
    if node.orelse and isinstance(node.orelse[0], ast.If) and site.of(node.orelse[0])[:4] == "elif":
        after = node.orelse[0]
        start, end = site.source.span(after)[0], site.source.span(after.body[-1])[1]
        theirs = site.source.text[start + 4 : end]
        between = site.source.text[behind:start]
        yield Splice("elif-order", site.start, end, f"{word}{theirs}{between}elif{head}")
    literals = {repr(v) for v in site.scope.strings} | {str(v) for v in site.scope.ints}
    for constant in ast.walk(node.test):
        if not isinstance(constant, ast.Constant) or isinstance(constant.value, bool):
            continue
        start, end = site.source.span(constant)
        offset = start - site.start - len(word)
        for new in sorted(literals | _one_off(constant.value)):
            text = head[:offset] + new + head[offset + end - start :]
            if text != head:
                yield Splice("elif-copy", behind, behind, f"{newline}{indent}elif{text}")


def _one_off(value: object) -> set[str]:
    if isinstance(value, int):
        return {str(value + 1), str(value - 1), "0", "1"}
    return set()
