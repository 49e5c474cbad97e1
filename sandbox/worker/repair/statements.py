"""Operators on statements: deleted, guarded, moved, exchanged, copied, tried."""

from __future__ import annotations

import ast
import re
from typing import Iterator

from .scope import FUNCTIONS
from .site import Site
from .source import Splice

_JUMPS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_SIMPLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Continue, ast.Break, ast.Raise)
_BLOCKS = (ast.For, ast.While, ast.If, ast.With)
_STEP = "    "
RAISED = "$raised"
"""Stands for an exception that the failing tests met; filled in by the generator."""


def block_of(site: Site) -> tuple[list[ast.stmt], int]:
    """The block a statement is in, and its place there; an empty block where there is none."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(site.parent, field, None)
        if isinstance(block, list) and site.node in block:
            return block, block.index(site.node)
    return [], 0


def alone(site: Site) -> bool:
    """Whether the statement has its lines for itself (no `if x: y`, no semicolons)."""
    return site.source.starts_line(site.start) and site.source.ends_line(site.end)


def _lines(site: Site, node: ast.AST) -> str:
    start, end = site.source.span(node)
    return site.source.text[start:end]


def _deeper(site: Site, text: str) -> str:
    newline = site.source.newline
    return newline.join(
        _STEP + line if line.strip() else line for line in re.split(r"\r\n|\r|\n", text)
    )


def deleted(site: Site) -> Iterator[Splice]:
    """The statement taken away."""
    node = site.node
    if not isinstance(node, ast.stmt) or isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Pass)):
        return
    block, _ = block_of(site)
    if not block:
        return
    operator = "delete"
    if isinstance(node, ast.If) and not node.orelse and isinstance(node.body[-1], _JUMPS):
        operator = "drop-guard"
    chained = isinstance(site.parent, ast.If) and site.text.startswith("elif")
    if chained:
        yield from _without_elif(site, node)
    elif len(block) == 1 or not alone(site):
        yield Splice(operator, site.start, site.end, "pass")
    else:
        start = site.source.starts[site.line - 1]
        last = site.source.line_of(site.end)
        whole = (
            site.source.starts[last] if last < len(site.source.starts) else len(site.source.text)
        )
        yield Splice(operator, start, whole, "")
    if isinstance(node, ast.If) and not chained and alone(site):
        if not node.orelse:
            yield Splice("unwrap-if", site.start, site.end, dedented(site, node.body))
        elif _lines(site, node.orelse[0]).startswith("elif"):
            after = site.source.span(node.orelse[0])[0]
            yield Splice("drop-branch", site.start, after + len("el"), "")


def _without_elif(site: Site, node: ast.AST) -> Iterator[Splice]:
    assert isinstance(node, ast.If)
    after = site.source.span(node.orelse[0])[0] if node.orelse else site.end
    if (
        node.orelse
        and isinstance(node.orelse[0], ast.If)
        and _lines(site, node.orelse[0])[:4] == "elif"
    ):
        yield Splice("drop-branch", site.start, after, "")
    elif not node.orelse:
        start = site.source.starts[site.line - 1]
        yield Splice("drop-branch", start, site.end, "")


def dedented(site: Site, body: list[ast.stmt]) -> str:
    """The text of a block, as it stands where its statement stands."""
    first, last = site.source.span(body[0])[0], site.source.span(body[-1])[1]
    text = site.source.text[first:last]
    inner = len(site.source.indent(body[0].lineno))
    outer = len(site.source.indent(site.line))
    cut = max(0, inner - outer)
    lines = re.split(r"\r\n|\r|\n", text)
    return site.source.newline.join([lines[0], *(line[cut:] for line in lines[1:])])


def guards(site: Site) -> Iterator[Splice]:
    """A condition before the statement that leaves the block, in the shape that already occurs."""
    node = site.node
    if not isinstance(node, ast.stmt) or not alone(site) or isinstance(node, FUNCTIONS):
        return
    block, _ = block_of(site)
    if not block or site.text.startswith("elif"):
        return
    used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    indent, newline = site.source.indent(site.line), site.source.newline
    for condition in _guard_conditions(site, used):
        for leave in _leavings(site):
            text = f"if {condition}:{newline}{indent}{_STEP}{leave}{newline}{indent}"
            yield Splice("guard", site.start, site.start, text)


def _guard_conditions(site: Site, used: set[str]) -> list[str]:
    mentioned = []
    for condition in site.scope.conditions:
        if "\n" not in condition and set(re.findall(r"[A-Za-z_]\w*", condition)) & used:
            mentioned += [condition, f"not ({condition})"]
    for name in site.scope.names(site.line - 1):
        if name not in used or name in ("self", "cls"):
            continue
        kind = site.scope.kinds.get(name, "")
        mentioned += [f"not {name}", name]
        if kind in ("int", ""):
            mentioned += [
                f"{name} < 0",
                f"{name} == 0",
                f"{name} == 1",
                f"{name} <= 1",
                f"{name} < 2",
            ]
        if kind in ("str", "list", ""):
            mentioned += [f"len({name}) == 1", f"len({name}) < 2"]
        if kind == "":
            mentioned.append(f"{name} is None")
    return list(dict.fromkeys(mentioned))


def _leavings(site: Site) -> list[str]:
    """What leaves the block: `return` as the function already returns, and loop jumps in a loop."""
    found: dict[str, None] = {}
    for node in site.scope.nodes:
        if isinstance(node, ast.Return):
            found["return" if node.value is None else f"return {site.of(node.value)}"] = None
            found.update(_same_shape(node.value))
    kept = [text for text in found if len(text) <= 50 and "\n" not in text]
    if _in_loop(site):
        kept += ["continue", "break"]
    return kept


def _same_shape(value: ast.expr | None) -> dict[str, None]:
    if isinstance(value, ast.Constant) and isinstance(value.value, bool):
        return dict.fromkeys(("return True", "return False"))
    if isinstance(value, ast.Constant) and isinstance(value.value, int):
        return dict.fromkeys(("return 0", "return 1", "return -1"))
    if isinstance(value, (ast.List, ast.ListComp)):
        return {"return []": None}
    return {"return ''": None} if isinstance(value, ast.JoinedStr) else {}


def _in_loop(site: Site) -> bool:
    node: ast.AST | None = site.parent
    while node is not None and not isinstance(node, FUNCTIONS):
        if isinstance(node, (ast.For, ast.While)):
            return True
        node = site.source.parents.get(node)
    return False


def made_conditional(site: Site) -> Iterator[Splice]:
    """The statement put under a condition of the function."""
    node = site.node
    if not isinstance(node, _SIMPLE) or not alone(site):
        return
    indent, newline = site.source.indent(site.line), site.source.newline
    names = [n for n in site.scope.names(site.line - 1) if n not in ("self", "cls")]
    conditions = [c for c in site.scope.conditions if "\n" not in c]
    for condition in [
        *conditions,
        *(f"not ({c})" for c in conditions),
        *names,
        *(f"not {n}" for n in names),
    ]:
        body = _deeper(site, site.text)
        text = f"if {condition}:{newline}{indent}{body}"
        yield Splice("wrap-if", site.start, site.end, text)


def steps(site: Site) -> Iterator[Splice]:
    """One more or one less on a counter at the end of a block."""
    node = site.node
    if not isinstance(node, ast.stmt) or not alone(site):
        return
    block, at = block_of(site)
    if not block or at != len(block) - 1 or isinstance(node, (*_JUMPS, *FUNCTIONS)):
        return
    indent, newline = site.source.indent(block[0].lineno), site.source.newline
    for name in site.scope.names(site.line):
        if site.scope.kinds.get(name, "int") == "int" and name not in ("self", "cls"):
            for symbol in ("+", "-"):
                yield Splice(
                    "insert-step", site.end, site.end, f"{newline}{indent}{name} {symbol}= 1"
                )


def forgotten_returns(site: Site) -> Iterator[Splice]:
    """What a block ends with is returned; a variable is returned at the end of the function."""
    node, function = site.node, site.scope.function
    block, at = block_of(site)
    if not block or at != len(block) - 1 or not isinstance(node, ast.stmt) or not alone(site):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield Splice("add-return", site.start, site.start, "return ")
    if site.parent is function and not isinstance(node, (*_JUMPS, *FUNCTIONS)):
        indent, newline = site.source.indent(block[0].lineno), site.source.newline
        for name in site.scope.names(node.end_lineno or site.line):
            yield Splice("insert-return", site.end, site.end, f"{newline}{indent}return {name}")


def copies(site: Site) -> Iterator[Splice]:
    """Another simple statement of the function copied before or behind this one."""
    node = site.node
    if not isinstance(node, ast.stmt) or not alone(site) or isinstance(node, FUNCTIONS):
        return
    block, _ = block_of(site)
    if not block or site.text.startswith("elif"):
        return
    indent, newline = site.source.indent(site.line), site.source.newline
    for other in site.scope.nodes:
        if other is node or not isinstance(other, (ast.Assign, ast.AugAssign, ast.Expr, *_JUMPS)):
            continue
        text = site.of(other)
        if "\n" in text or len(text) > 80 or _is_text(other):
            continue
        yield Splice("insert-copy", site.start, site.start, f"{text}{newline}{indent}")
        if not isinstance(node, _JUMPS):
            yield Splice("insert-copy", site.end, site.end, f"{newline}{indent}{text}")


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def loop_tails(site: Site) -> Iterator[Splice]:
    """A statement of a loop's body copied behind the loop, for the last element."""
    node = site.node
    if not isinstance(node, ast.For) or not alone(site):
        return
    over = site.operand(node.iter)
    last = f"{over}[-1]"
    target = site.of(node.target)
    indent, newline = site.source.indent(site.line), site.source.newline
    for inner in node.body:
        text = site.of(inner)
        if not isinstance(inner, (ast.Expr, ast.Assign, ast.AugAssign)) or "\n" in text:
            continue
        shapes = [re.sub(rf"\b{re.escape(target)}\b", last.replace("\\", r"\\"), text)]
        shapes += [re.sub(r"\[[^\[\]]*\]", "[-1]", text), text]
        for shape in dict.fromkeys(shapes):
            yield Splice("loop-tail", site.end, site.end, f"{newline}{indent}{shape}")
            for name in site.scope.parameters:
                guarded = f"{newline}{indent}if {name}:{newline}{indent}{_STEP}{shape}"
                yield Splice("loop-tail", site.end, site.end, guarded)


def neighbours(site: Site) -> Iterator[Splice]:
    """Exchanged with the next statement; moved out of or into the block beside it."""
    node = site.node
    if not isinstance(node, ast.stmt) or not alone(site):
        return
    block, at = block_of(site)
    if not block or isinstance(node, FUNCTIONS):
        return
    if at + 1 < len(block) and not isinstance(block[at + 1], FUNCTIONS):
        start, end = site.source.span(block[at + 1])
        if site.source.starts_line(start) and site.source.ends_line(end):
            between = site.source.text[site.end : start]
            yield Splice(
                "swap-stmts", site.start, end, site.source.text[start:end] + between + site.text
            )
    start = site.source.starts[site.line - 1]
    leaves = isinstance(site.parent, _BLOCKS) and not getattr(site.parent, "orelse", None)
    if leaves and 0 < at == len(block) - 1:
        indent = site.source.indent(site.parent.lineno)  # type: ignore[union-attr]
        yield Splice("dedent", start, site.end, indent + _moved(site, indent))
    if at > 0 and isinstance(block[at - 1], _BLOCKS):
        body = _last_block(block[at - 1])
        indent = site.source.indent(body[0].lineno)
        if site.source.starts_line(site.source.span(body[0])[0]):
            yield Splice(
                "indent", site.source.starts[site.line - 1], site.end, indent + _moved(site, indent)
            )


def _last_block(node: ast.AST) -> list[ast.stmt]:
    block: list[ast.stmt] = getattr(node, "orelse", None) or node.body  # type: ignore[attr-defined]
    return block


def _moved(site: Site, indent: str) -> str:
    own = site.source.indent(site.line)
    lines = re.split(r"\r\n|\r|\n", site.text)
    rest = [indent + line[len(own) :] if line.startswith(own) else line for line in lines[1:]]
    return site.source.newline.join([lines[0], *rest])


def tried(site: Site) -> Iterator[Splice]:
    """The statement under `try`, with a handler that passes, jumps, or does what a neighbour does."""
    node = site.node
    if not isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return)) or not alone(site):
        return
    if _is_text(node) or not any(
        isinstance(n, (ast.Call, ast.Subscript, ast.BinOp)) for n in ast.walk(node)
    ):
        return
    indent, newline = site.source.indent(site.line), site.source.newline
    body = f"try:{newline}{indent}{_deeper(site, site.text)}{newline}{indent}"
    leavings = ["pass", *_leavings(site)[:6]]
    for leave in leavings:
        text = f"{body}except {RAISED}:{newline}{indent}{_STEP}{leave}"
        yield Splice("try", site.start, site.end, text)


def handlers(site: Site) -> Iterator[Splice]:
    """A handler that catches more."""
    node = site.node
    if not isinstance(node, ast.ExceptHandler) or node.type is None:
        return
    start, end = site.source.span(node.type)
    text = site.source.text[start:end]
    if text != "Exception":
        yield Splice("except", start, end, "Exception")
    names = text[1:-1] if text.startswith("(") else text
    yield Splice("except", start, end, f"({names}, {RAISED})")
