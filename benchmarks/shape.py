"""The shape of this code base in figures: `python -m benchmarks.shape`.

Prints one row of the table by which code bases are compared, each column by an exact definition,
then test lines that speak of mocks, and the path of one action.

    files          *.py under the source roots; those that do not parse are skipped and counted
    code           lines that hold a token of code, minus docstrings
    fn med/p95     code lines of a function (decorators and docstring out); nested ones count on
                   their own and in their outer one; overloads, setters and deleters are out
    mod med/max    physical lines of a file; empty files are out of the median
    nest           deepest chain of if/for/while/try/with/match in a function; elif does not deepen
    typed %        annotated parameters of all, self and cls out
    comm/100       lines with a comment per 100 code lines
    doc %          functions with a docstring, of those that are public at every level
    test/src       code lines of the tests per code line of the source
    cycles         import cycles (modules in the largest): run = imports at module level outside
                   TYPE_CHECKING; all = every import
    deps           entries of project.dependencies
    broad/k        except without a type or for Exception/BaseException, per 1,000 code lines;
                   in brackets those whose body has no raise
    escapes/k      comments that silence a checker, per 1,000 code lines
    TODO           comments with TODO, FIXME, XXX or HACK
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import sys
import tokenize
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from benchmarks.imports import cycles, edges

ROOTS = ("agent", "tools", "sandbox", "memory", "policies", "benchmarks", "journeyman.py")
TESTS = "tests"
ACTION_PATH = (
    "tools/shell.py",
    "tools/workbench.py",
    "policies/gate.py",
    "policies/record.py",
    "sandbox/docker_sandbox.py",
    "sandbox/worker/supervisor.py",
)

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.ENCODING,
}
_ESCAPE = re.compile(r"type: ignore|pyright: ignore|ty: ignore|noqa|pragma: no cover|mypy:")
_TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
_MOCK = re.compile(r"mock|MagicMock|patch\(", re.IGNORECASE)
_BLOCKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.Try,
    ast.TryStar,
    ast.With,
    ast.AsyncWith,
    ast.Match,
)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file.

    Attributes:
        name: Dotted name.
        lines: Physical lines.
        code: Numbers of the lines that count as code.
        comments: Text of each comment.
        comment_lines: Numbers of the lines that hold a comment.
    """

    name: str
    tree: ast.Module
    lines: int
    code: frozenset[int]
    comments: tuple[str, ...]
    comment_lines: frozenset[int]


@dataclass(slots=True)
class Shape:
    """The figures of one code base; see the module's text for their definitions."""

    modules: list[Module] = field(default_factory=list)
    skipped: int = 0

    @property
    def code(self) -> int:
        """Code lines of all modules."""
        return sum(len(module.code) for module in self.modules)

    def functions(self) -> Iterator[tuple[Module, Function]]:
        """Every function but overloads, setters and deleters."""
        for module in self.modules:
            for node in ast.walk(module.tree):
                if isinstance(node, Function) and not _is_double(node):
                    yield module, node


def read(root: Path, places: Iterable[str], *, without: Sequence[str] = ()) -> Shape:
    """Parse the files below `places` (folders or files of `root`)."""
    shape = Shape()
    for place in places:
        path = root / place
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            relative = file.relative_to(root)
            if any(part in without for part in relative.parts) or not file.is_file():
                continue
            try:
                shape.modules.append(_module(relative, file.read_text(encoding="utf-8")))
            except (SyntaxError, UnicodeDecodeError, tokenize.TokenError):
                shape.skipped += 1
    return shape


def _module(relative: Path, text: str) -> Module:
    tree = ast.parse(text)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    code: set[int] = set()
    comments: list[str] = []
    comment_lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            comments.append(token.string)
            comment_lines.add(token.start[0])
        elif token.type not in _NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    code -= _docstring_lines(tree)
    return Module(
        name=name,
        tree=tree,
        lines=len(text.splitlines()),
        code=frozenset(code),
        comments=tuple(comments),
        comment_lines=frozenset(comment_lines),
    )


def _docstring_lines(tree: ast.AST) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        doc = _docstring(node)
        if doc is not None:
            lines.update(range(doc.lineno, (doc.end_lineno or doc.lineno) + 1))
    return lines


def _docstring(node: ast.AST) -> ast.Expr | None:
    if not isinstance(node, ast.Module | ast.ClassDef | Function) or not node.body:
        return None
    first = node.body[0]
    is_text = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return first if is_text and isinstance(first, ast.Expr) else None


def _is_double(node: Function) -> bool:
    """Whether it is an overload, a setter or a deleter."""
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(names & {"overload", "setter", "deleter"})


def function_lines(module: Module, node: Function) -> int:
    """Code lines of a function, its decorators and docstring out."""
    end = node.end_lineno or node.lineno
    return sum(node.lineno <= line <= end for line in module.code)


def nesting(node: ast.AST) -> int:
    """Deepest chain of blocks below `node`, those of inner scopes out."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        own = 1 if isinstance(child, _BLOCKS) and not is_elif else 0
        deepest = max(deepest, own + nesting(child))
    return deepest


def parameters(tree: ast.Module) -> tuple[int, int]:
    """Annotated parameters, and all; `self` and `cls` are out."""
    annotated = total = 0
    for outer in ast.walk(tree):
        for node in ast.iter_child_nodes(outer):
            if not isinstance(node, Function):
                continue
            inner = node.args
            plain = [*inner.posonlyargs, *inner.args]
            is_static = any(ast.unparse(d) == "staticmethod" for d in node.decorator_list)
            if isinstance(outer, ast.ClassDef) and not is_static:
                plain = plain[1:]
            extra = [a for a in (inner.vararg, inner.kwarg) if a is not None]
            every = [*plain, *inner.kwonlyargs, *extra]
            annotated += sum(a.annotation is not None for a in every)
            total += len(every)
    return annotated, total


def documented(tree: ast.Module) -> tuple[int, int]:
    """Public functions with a docstring, and all public ones."""
    found = [0, 0]

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                if not child.name.startswith("_") and not _is_double(child):
                    found[0] += _docstring(child) is not None
                    found[1] += 1
            elif not (isinstance(child, ast.ClassDef) and child.name.startswith("_")):
                visit(child)

    visit(tree)
    return found[0], found[1]


def broad(tree: ast.Module) -> tuple[int, int]:
    """Handlers that take any exception, and those of them that raise nothing."""
    total = swallowing = 0
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {"" if kind is None else ast.unparse(kind) for kind in kinds}
        if names & {"", "Exception", "BaseException"}:
            total += 1
            inner = (found for line in node.body for found in ast.walk(line))
            swallowing += not any(isinstance(found, ast.Raise) for found in inner)
    return total, swallowing


def row(source: Shape, tests: Shape, dependencies: int) -> dict[str, str]:
    """The columns by name."""
    sizes = sorted(function_lines(module, node) for module, node in source.functions())
    depths = sorted(nesting(node) for _, node in source.functions())
    lines = [module.lines for module in source.modules if module.lines]
    annotated, total = _sum(parameters(m.tree) for m in source.modules)
    docs, public = _sum(documented(m.tree) for m in source.modules)
    caught, swallowed = _sum(broad(m.tree) for m in source.modules)
    comments = [text for module in source.modules for text in module.comments]
    commented = sum(len(module.comment_lines) for module in source.modules)
    per_k = source.code / 1000
    long = sum(size > 60 for size in sizes)
    return {
        "files": str(len(source.modules)),
        "code": f"{source.code:,}",
        "fn med/p95": f"{statistics.median(sizes):g}/{_p95(sizes)}",
        "fn>60 (%)": f"{long} ({100 * long / len(sizes):.1f})",
        "mod med/max": f"{statistics.median(lines):g}/{max(lines)}",
        "nest p95/max": f"{_p95(depths)}/{depths[-1]}",
        "typed %": f"{100 * annotated / total:.0f}",
        "comm/100": f"{100 * commented / source.code:.1f}",
        "doc %": f"{100 * docs / public:.0f}",
        "test/src": f"{tests.code / source.code:.2f}",
        "cycles run": _cycles(source, at_run_time=True),
        "cycles all": _cycles(source, at_run_time=False),
        "deps": str(dependencies),
        "broad/k (swallow)": f"{caught / per_k:.1f} ({swallowed / per_k:.1f})",
        "escapes/k": f"{sum(bool(_ESCAPE.search(c)) for c in comments) / per_k:.1f}",
        "TODO": str(sum(bool(_TODO.search(c)) for c in comments)),
    }


def _cycles(source: Shape, *, at_run_time: bool) -> str:
    trees = {module.name: module.tree for module in source.modules}
    found = cycles(edges(trees, at_run_time=at_run_time))
    return f"{len(found)} ({max(map(len, found), default=0)})"


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    first, second = zip(*pairs, strict=True)
    return sum(first), sum(second)


def _p95(ordered: Sequence[int]) -> int:
    return ordered[min(int(0.95 * len(ordered)), len(ordered) - 1)]


def mock_lines(root: Path) -> int:
    """Lines of the tests that speak of mocks or patches."""
    files = [f for f in (root / TESTS).rglob("*.py") if "fixtures" not in f.parts]
    texts = (file.read_text(encoding="utf-8") for file in files)
    return sum(bool(_MOCK.search(line)) for text in texts for line in text.splitlines())


def main(root: Path) -> None:
    """Print the table for the checkout at `root`."""
    source = read(root, ROOTS)
    tests = read(root, [TESTS], without=["fixtures"])
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    columns = row(source, tests, len(project["dependencies"]))
    print("| " + " | ".join(columns) + " |")
    print("|" + " --- |" * len(columns))
    print("| " + " | ".join(columns.values()) + " |")
    print(f"\nfiles that do not parse: {source.skipped + tests.skipped}")
    print(f"test lines that mention mock or patch: {mock_lines(root)}")
    paths = [root / name for name in ACTION_PATH]
    counts = [len(p.read_text(encoding="utf-8").splitlines()) if p.exists() else 0 for p in paths]
    print(f"path of one action: {sum(map(bool, counts))} files, {sum(counts):,} lines")
    for name, count in zip(ACTION_PATH, counts, strict=True):
        print(f"  {count:>5}  {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent)
