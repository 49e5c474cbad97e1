"""One place in a function where an edit can be made, with the helpers every operator needs."""

from __future__ import annotations

import ast

from .scope import Scope, is_atom
from .source import Splice

_TIGHT = (
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.BoolOp,
    ast.Attribute,
    ast.Await,
    ast.IfExp,
    ast.Starred,
    ast.comprehension,
)


class Site:
    """A syntax node with its file, its parent and its function.

    Args:
        scope: Of the innermost function around the node.
        node: The node.
    """

    def __init__(self, scope: Scope, node: ast.AST) -> None:
        self.scope = scope
        self.source = scope.source
        self.node = node
        self.parent = scope.source.parents.get(node)
        self.line: int = node.lineno  # type: ignore[attr-defined]
        self.start, self.end = self.source.span(node)

    @property
    def text(self) -> str:
        """The node's own text."""
        return self.source.text[self.start : self.end]

    def of(self, node: ast.AST) -> str:
        """Text of another node."""
        return self.source.segment(node)

    def tight(self) -> bool:
        """Whether what replaces the node needs parentheses unless it is an atom."""
        parent = self.parent
        if isinstance(parent, _TIGHT):
            tight = True
        elif isinstance(parent, ast.Subscript):
            tight = parent.value is self.node
        elif isinstance(parent, ast.Call):
            tight = parent.func is self.node
        else:
            tight = False
        return tight and not self.in_parentheses()

    def in_parentheses(self) -> bool:
        """Whether the node stands alone between one pair of parentheses."""
        text = self.source.text
        return text[self.start - 1 : self.start] == "(" and text[self.end : self.end + 1] == ")"

    def replace(self, operator: str, new: str, *, atom: bool) -> Splice:
        """Put another expression in the node's place, in parentheses where it needs them."""
        if not atom and self.tight():
            new = f"({new})"
        return Splice(operator, self.start, self.end, new)

    def operand(self, node: ast.AST | None = None) -> str:
        """A node's text, fit to stand beside any operator."""
        node = self.node if node is None else node
        text = self.of(node)
        if is_atom(node) or (text[:1] == "(" and isinstance(node, (ast.Tuple, ast.GeneratorExp))):
            return text
        return f"({text})"

    def argument(self, node: ast.AST | None = None) -> str:
        """A node's text, fit to stand as one argument of a call."""
        node = self.node if node is None else node
        text = self.of(node)
        if isinstance(node, ast.Tuple) and text[:1] != "(":
            return f"({text})"
        return text

    def between(self, left: ast.AST, right: ast.AST) -> tuple[int, int]:
        """Character offsets of what stands between two neighbouring nodes."""
        return self.source.span(left)[1], self.source.span(right)[0]


def stand_in(node: ast.AST, parent: ast.AST | None) -> bool:
    """Whether another expression could stand in the node's place at all."""
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Starred, ast.GeneratorExp)):
        return False
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return False
    if type(node).__name__ in ("Slice", "ExtSlice", "Index", "NamedExpr", "Yield", "YieldFrom"):
        return False
    if isinstance(parent, ast.Call) and parent.func is node:
        return False
    if isinstance(node, ast.Tuple) and any(isinstance(e, ast.Slice) for e in node.elts):
        return False
    return not isinstance(parent, ast.Expr)
