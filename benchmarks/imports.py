"""Import cycles of a code base, for `benchmarks/shape.py`."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping


def edges(trees: Mapping[str, ast.Module], *, at_run_time: bool) -> dict[str, set[str]]:
    """Which module imports which, among `trees` (by dotted name).

    `from a import b` counts for `a.b` where that is a module, else for `a`; parents do not count.

    Args:
        trees: Parsed modules.
        at_run_time: Leave out imports inside functions and under TYPE_CHECKING.
    """
    found: dict[str, set[str]] = {name: set() for name in trees}
    for name, tree in trees.items():
        for node in _imports(tree, at_run_time=at_run_time):
            found[name] |= {target for target in _targets(node, name, trees) if target != name}
    return found


def _imports(node: ast.AST, *, at_run_time: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif at_run_time and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        elif (
            at_run_time and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        ):
            for other in child.orelse:
                yield from _imports(ast.Module([other], []), at_run_time=True)
        else:
            yield from _imports(child, at_run_time=at_run_time)


def _targets(
    node: ast.Import | ast.ImportFrom, name: str, trees: Mapping[str, ast.Module]
) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in trees)
        return
    base = node.module or ""
    if node.level:
        is_package = any(other.startswith(f"{name}.") for other in trees)
        parts = [*name.split("."), "__init__"] if is_package else name.split(".")
        base = ".".join(filter(None, [*parts[: -node.level], base]))
    for alias in node.names:
        inner = f"{base}.{alias.name}"
        if inner in trees:
            yield inner
        elif base in trees:
            yield base


def cycles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Strongly connected components with more than one module: those that reach each other."""
    reach = {start: _reachable(graph, start) for start in graph}
    components = {
        frozenset(other for other in reach[start] if start in reach[other]) for start in graph
    }
    return [set(component) for component in components if len(component) > 1]


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        for target in graph[todo.pop()]:
            if target not in seen:
                seen.add(target)
                todo.append(target)
    return seen
