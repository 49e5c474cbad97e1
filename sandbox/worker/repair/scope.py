"""What a function has at hand for repairs: names, literals, conditions, expressions, and kinds."""

from __future__ import annotations

import ast
import builtins
from typing import Iterator, Union

from .source import Source

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_BUILTINS = frozenset(dir(builtins))
_ATOMS = (
    ast.Name,
    ast.Constant,
    ast.Call,
    ast.Attribute,
    ast.Subscript,
    ast.List,
    ast.Dict,
    ast.Set,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.JoinedStr,
)
_NO_INGREDIENTS = (ast.Constant, ast.Starred, ast.GeneratorExp, ast.Lambda, ast.JoinedStr)
_KIND_OF_CALL = {
    "len": "int",
    "int": "int",
    "abs": "int",
    "ord": "int",
    "sum": "int",
    "round": "int",
    "float": "int",
    "str": "str",
    "chr": "str",
    "repr": "str",
    "sorted": "list",
    "list": "list",
    "range": "list",
    "set": "set",
    "dict": "dict",
    "any": "bool",
    "all": "bool",
    "isinstance": "bool",
    "bool": "bool",
    "join": "str",
    "lower": "str",
    "upper": "str",
    "strip": "str",
    "replace": "str",
    "split": "list",
    "count": "int",
    "index": "int",
    "find": "int",
    "isdigit": "bool",
    "isalpha": "bool",
    "startswith": "bool",
    "endswith": "bool",
}
_KIND_OF_NODE = (
    (ast.Compare, "bool"),
    (ast.List, "list"),
    (ast.ListComp, "list"),
    (ast.Dict, "dict"),
    (ast.DictComp, "dict"),
    (ast.Set, "set"),
    (ast.SetComp, "set"),
    (ast.JoinedStr, "str"),
    (ast.Tuple, "list"),
)


def is_atom(node: ast.AST) -> bool:
    """Whether the node's text may stand beside any operator without parentheses."""
    return isinstance(node, _ATOMS)


def kind_of_constant(value: object) -> str:
    """`bool`, `int` (any number), `str` or empty."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "int"
    return "str" if isinstance(value, str) else ""


class Scope:
    """What can be said of one function by reading it.

    Args:
        source: The file.
        function: An innermost function of it, or the module.
    """

    def __init__(self, source: Source, function: Function | ast.Module) -> None:
        self.source = source
        self.function = function
        self.nodes = [node for node in _own_nodes(function) if hasattr(node, "lineno")]
        self.bound: dict[str, int] = {}
        self.kinds: dict[str, str] = {}
        self.read: dict[str, None] = {}
        self.attributes: dict[str, None] = {}
        self.ints: list[int] = []
        self.strings: list[str] = []
        self.parameters: list[str] = []
        if not isinstance(function, ast.Module):
            self._read_parameters(function)
        for node in self.nodes:
            self._read_node(node)
        self.conditions = self._texts(_conditions(self.nodes))
        self.expressions = self._expressions()

    def names(self, line: int) -> list[str]:
        """Variables that are bound at a line, nearest binding last."""
        return [name for name, at in self.bound.items() if at <= line]

    def globals_read(self) -> list[str]:
        """Names from outside that the function reads and that are no built-ins."""
        return [name for name in self.read if name not in self.bound and name not in _BUILTINS]

    def kind(self, node: ast.AST) -> str:
        """`int`, `str`, `list`, `set`, `dict`, `bool`, or empty where reading does not tell."""
        kind = next((kind for type_, kind in _KIND_OF_NODE if isinstance(node, type_)), "")
        if isinstance(node, ast.Constant):
            kind = kind_of_constant(node.value)
        elif isinstance(node, ast.Name):
            kind = self.kinds.get(node.id, "")
        elif isinstance(node, ast.UnaryOp):
            kind = "bool" if isinstance(node.op, ast.Not) else "int"
        elif isinstance(node, ast.BinOp):
            kind = self._kind_of_operation(node)
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            kind = _KIND_OF_CALL.get(name, "")
        return kind

    def _kind_of_operation(self, node: ast.BinOp) -> str:
        left, right = self.kind(node.left), self.kind(node.right)
        if left == right or not right:
            return left
        if isinstance(node.op, ast.Mod) and left == "str":
            return "str"
        return right if not left and right in ("str", "list") else ""

    def _read_parameters(self, function: Function) -> None:
        spec = function.args
        for arg in [*getattr(spec, "posonlyargs", []), *spec.args, *spec.kwonlyargs]:
            self.bound[arg.arg] = function.lineno
            self.parameters.append(arg.arg)
            text = self.source.segment(arg.annotation) if arg.annotation is not None else ""
            head = text.split("[")[0].lower()
            kind = {"float": "int", "tuple": "list", "sequence": "list"}.get(head, head)
            if kind in ("int", "str", "list", "set", "dict", "bool"):
                self.kinds[arg.arg] = kind
        for extra in (spec.vararg, spec.kwarg):
            if extra is not None:
                self.bound[extra.arg] = function.lineno

    def _read_node(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                self.bound.setdefault(node.id, node.lineno)
            else:
                self.read[node.id] = None
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, int) and not isinstance(node.value, bool):
                self.ints.append(node.value)
            elif isinstance(node.value, str) and len(node.value) <= 40:
                self.strings.append(node.value)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            self.attributes[f"{node.value.id}.{node.attr}"] = None
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            kind = self.kind(node.value)
            if kind:
                self.kinds.setdefault(node.targets[0].id, kind)
        elif isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            call = node.iter
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "range":
                self.kinds.setdefault(node.target.id, "int")
            elif self.kind(call) == "str":
                self.kinds.setdefault(node.target.id, "str")

    def _texts(self, nodes: Iterator[ast.expr]) -> list[str]:
        return list(dict.fromkeys(self.source.segment(node) for node in nodes))

    def _expressions(self) -> list[tuple[str, ast.expr]]:
        found: dict[str, ast.expr] = {}
        for node in self.nodes:
            if not isinstance(node, ast.expr) or isinstance(node, _NO_INGREDIENTS):
                continue
            text = self.source.segment(node)
            is_read = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
            if is_read and len(text) <= 60 and "\n" not in text:
                found.setdefault(text, node)
        return list(found.items())


def _own_nodes(function: Function | ast.Module) -> Iterator[ast.AST]:
    body = list(function.body)
    stack: list[ast.AST] = list(reversed(body))
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            continue
        stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _conditions(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    for node in nodes:
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield from _parts(node.test)
    for node in nodes:
        if isinstance(node, ast.Compare):
            yield node


def _parts(test: ast.expr) -> Iterator[ast.expr]:
    yield test
    if isinstance(test, ast.BoolOp):
        yield from test.values
