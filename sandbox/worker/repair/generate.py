"""All single-edit candidates on suspicious lines: every operator at every place, once each."""

from __future__ import annotations

import ast
from typing import Callable, Iterator, NamedTuple

from . import branches, calls, expressions, idioms, literals, operations, statements
from .scope import FUNCTIONS, Function, Scope
from .site import Site
from .source import Source, Splice, leftmost, tightened

Operator = Callable[[Site], Iterator[Splice]]

OPERATORS: tuple[Operator, ...] = (
    operations.comparisons,
    literals.numbers,
    literals.booleans,
    calls.methods,
    calls.functions,
    operations.arithmetic,
    operations.logic,
    operations.negations,
    operations.shifts,
    idioms.none_tests,
    idioms.type_tests,
    idioms.spread,
    idioms.short_of_arguments,
    idioms.views,
    idioms.endless,
    idioms.infinite,
    idioms.patterns,
    statements.forgotten_returns,
    calls.ranges,
    calls.keywords,
    calls.folds,
    expressions.unwrapped,
    expressions.branches,
    expressions.subscripts,
    operations.augmented,
    branches.choices,
    operations.moved_operators,
    literals.strings,
    literals.repeated,
    expressions.elements,
    calls.arguments,
    statements.deleted,
    statements.neighbours,
    statements.steps,
    statements.handlers,
    expressions.other_names,
    expressions.returned,
    idioms.named_constants,
    idioms.copied,
    idioms.guarded_tests,
    expressions.wrapped,
    calls.mapped_keys,
    expressions.chains,
    branches.elifs,
    statements.loop_tails,
    expressions.ingredients,
    expressions.wrapped_with_names,
    statements.tried,
    statements.copies,
    statements.made_conditional,
    expressions.extended_conditions,
    statements.guards,
)


class Found(NamedTuple):
    """One candidate: an edit of a file, the line it stands on, and whether it needs a new process.

    `unit` is the line on which the outermost function around it begins; 0 at module level.
    """

    edit: Splice
    line: int
    unit: int
    slow: bool


def units(source: Source) -> list[Function]:
    """Outermost functions of a file: those of the module and of its classes, however deep."""
    found: list[Function] = []
    stack: list[ast.AST] = list(reversed(source.tree.body))
    while stack:
        node = stack.pop()
        if isinstance(node, FUNCTIONS):
            found.append(node)
        elif isinstance(node, (ast.ClassDef, ast.If, ast.Try, ast.With)):
            stack.extend(reversed(list(ast.iter_child_nodes(node))))
    return found


def candidates(
    source: Source, suspicious: Callable[[int], float], raised: tuple[str, ...]
) -> Iterator[Found]:
    """Every candidate of a file.

    Args:
        source: The file.
        suspicious: Suspicion of a line; places on lines with 0 are left alone.
        raised: Names of built-in exceptions that the failing tests met.
    """
    seen: set[tuple[int, int, str]] = set()
    tops = units(source)
    for function in tops:
        first, last = function.lineno, function.end_lineno or function.lineno
        if not any(suspicious(line) for line in range(first, last + 1)):
            continue
        body_start = source.span(function.body[0])[0]
        for scope in _scopes(source, function):
            for found in _in_scope(scope, suspicious, raised, seen):
                slow = found.edit.start < body_start
                yield found._replace(unit=function.lineno, slow=slow)
    module = Scope(source, source.tree)
    for found in _in_scope(module, suspicious, raised, seen):
        yield found._replace(unit=0, slow=True)


def _scopes(source: Source, function: Function) -> Iterator[Scope]:
    for node in ast.walk(function):
        if isinstance(node, FUNCTIONS):
            yield Scope(source, node)


def _in_scope(
    scope: Scope,
    suspicious: Callable[[int], float],
    raised: tuple[str, ...],
    seen: set[tuple[int, int, str]],
) -> Iterator[Found]:
    source = scope.source
    for node in _places(scope):
        line: int = node.lineno  # type: ignore[attr-defined]
        if not (suspicious(line) or suspicious(_statement_line(source, node))):
            continue
        site = Site(scope, node)
        for operator in OPERATORS:
            for edit in operator(site):
                for filled in _filled(edit, raised):
                    tight = tightened(source.text, filled)
                    key = leftmost(source.text, tight)
                    if key not in seen and (tight.new or tight.start != tight.end):
                        seen.add(key)
                        yield Found(tight, source.line_of(filled.start), 0, slow=False)


def _filled(edit: Splice, raised: tuple[str, ...]) -> Iterator[Splice]:
    if statements.RAISED not in edit.new:
        yield edit
        return
    for name in raised:
        yield edit._replace(new=edit.new.replace(statements.RAISED, name))


def _statement_line(source: Source, node: ast.AST) -> int:
    while not isinstance(node, (ast.stmt, ast.ExceptHandler)) and node in source.parents:
        node = source.parents[node]
    return getattr(node, "lineno", 0)


def _places(scope: Scope) -> Iterator[ast.AST]:
    """Nodes of a function that operators may look at, its own defaults among them."""
    function = scope.function
    if not isinstance(function, ast.Module):
        spec = function.args
        for default in [*spec.defaults, *(d for d in spec.kw_defaults if d is not None)]:
            yield from (n for n in ast.walk(default) if hasattr(n, "lineno"))
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        if isinstance(node, FUNCTIONS):
            continue
        if hasattr(node, "lineno") and not _is_text(node):
            yield node
        stack.extend(reversed(list(_children(node))))


def _children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr) or _is_text(node):
        return
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, ast.AST):
                yield item


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
