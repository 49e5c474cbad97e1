"""Where the fault may be: spectra, suspicion, and the numbered table of all candidates."""

from __future__ import annotations

import ast
import builtins
import os
import re
import time
from typing import Any, Dict, Iterator, List, Set, Tuple

from .bench import Bench, Budget
from .forks import each
from .generate import Found, candidates, units
from .source import Source
from .spectrum import Lines, Tracer, apart, ochiai, project_file

Suspicion = Dict[Tuple[str, int], float]
_HEAD = re.compile(r"(\w+|[<>=!+*/%&|^-]+)$")
_TAIL = re.compile(r"(\w+|[<>=!+*/%&|^-]+)")
PREVIEW = 80
"""Characters of an edit that the answer shows."""


def localise(bench: Bench, request: Dict[str, Any]) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """Run the tests with coverage and number all single-edit candidates.

    Returns:
        The answer, and the table that later operations read.
    """
    workspace: str = request["workspace"]
    budget = Budget(float(request["cpu_s"]), float(request["wall_s"]) * 0.8)
    begun = time.monotonic()
    failing = [t for t in request["failing"] if t in bench.items]
    chosen = (
        [t for t in request["others"] if t in bench.items]
        if request["others"]
        else list(bench.items)
    )
    others = [t for t in chosen if t not in set(failing)]
    half = time.monotonic() + float(request["wall_s"]) * 0.3
    green = bench.calibrate(
        _nearest(others, failing), green=True, stop=lambda: time.monotonic() > half
    )
    red = bench.calibrate(failing, green=False, stop=lambda: False)
    spectra = _spectra(bench, red, green, workspace, budget)
    suspicion = ochiai((lines, test in set(red)) for test, lines in spectra.items())
    _lean_to_traceback(suspicion, bench, red, workspace)
    raised = _builtin_errors(bench, red)
    rows, sources = _rows(workspace, suspicion, raised, request["options"])
    table = {
        "files": {path: source.digest for path, source in sources.items()},
        "rows": rows,
        "bench": bench.state(),
        "red": red,
        "green": green,
        "spectra": {test: _by_file(lines) for test, lines in spectra.items()},
    }
    answer = _answer(rows, sources, suspicion)
    answer.update(
        red=red,
        not_red=[t for t in failing if t not in set(red)],
        missing=[t for t in request["failing"] if t not in bench.items],
        green=len(green),
        errors={test: bench.errors.get(test, "") for test in red},
        seconds=round(time.monotonic() - begun, 3),
        cover={path: _covering(spectra, path)[:50] for path in sources},
        groups=apart(spectra, red, _owners(sources)),
    )
    return answer, table


def _nearest(others: List[str], failing: List[str]) -> List[str]:
    files = {t.split("::")[0] for t in failing}
    return sorted(others, key=lambda t: t.split("::")[0] not in files)


def _spectra(
    bench: Bench, red: List[str], green: List[str], workspace: str, budget: Budget
) -> Dict[str, Lines]:
    test_files = {
        str(item.path if hasattr(item, "path") else item.fspath) for item in bench.items.values()
    }
    wanted = project_file(workspace, test_files)
    tests = [*red, *green]

    def work(number: int) -> List[Any]:
        test = tests[number]
        limit = 15 * (bench.limit(test) if test not in bench.hangs else 0.05)
        tracer = Tracer(wanted)
        with tracer:
            report = bench.run(test, cpu_s=max(limit, 0.5))
        return [report.cpu_s, sorted(tracer.lines)]

    spectra: Dict[str, Lines] = {}
    for number, result, _ in each(
        list(range(len(tests))), work, cpu_s=lambda _: 30.0, stop=budget.spent
    ):
        if result is not None:
            budget.use(result[0])
            spectra[tests[number]] = {(path, line) for path, line in result[1]}
    return spectra


def _lean_to_traceback(suspicion: Suspicion, bench: Bench, red: List[str], workspace: str) -> None:
    """Break ties by nearness to the last frame of a failure's traceback in the project."""
    root = os.path.realpath(workspace) + os.sep
    last: Dict[str, int] = {}
    for test in red:
        for filename, line in bench.where.get(test, ()):
            path = os.path.realpath(filename)[len(root) :]
            if any(path == p for p, _ in suspicion):
                last[path] = line
    for (path, line), score in suspicion.items():
        if path in last:
            suspicion[path, line] = score * (0.9 + 0.1 / (1 + abs(line - last[path]) / 10))


def _builtin_errors(bench: Bench, red: List[str]) -> Tuple[str, ...]:
    names = dict.fromkeys(bench.errors.get(test, "") for test in red)
    found = []
    for name in names:
        error = getattr(builtins, name, None)
        if isinstance(error, type) and issubclass(error, Exception) and name != "AssertionError":
            found.append(name)
    return tuple(found[:3])


def _rows(
    workspace: str, suspicion: Suspicion, raised: Tuple[str, ...], options: Dict[str, Any]
) -> Tuple[List[List[Any]], Dict[str, Source]]:
    """Candidates as rows: path, start, end, new, operator, line, unit, slow, suspicion."""
    costs = dict(options.get("costs", {}))
    limit = int(options.get("limit", 8000))
    sources: Dict[str, Source] = {}
    scored: List[Tuple[float, List[Any]]] = []
    for path in sorted({path for path, _ in suspicion}):
        try:
            with open(os.path.join(workspace, path), "rb") as file:
                source = Source(path, file.read())
        except (OSError, SyntaxError, ValueError):
            continue
        sources[path] = source
        lines = {line: score for (p, line), score in suspicion.items() if p == path}
        lines.update(_made_at_import(source, lines))
        for found in candidates(source, lambda line, lines=lines: lines.get(line, 0.0), raised):  # type: ignore[misc]
            score = _score(source, found, lines)
            cost = float(costs.get(found.edit.operator, 5.0)) * (2.0 if found.slow else 1.0)
            edit = found.edit
            row = [path, edit.start, edit.end, edit.new, edit.operator, found.line, found.unit,
                   found.slow, round(score, 4)]  # fmt: skip
            scored.append((-score * score / cost, row))
    scored.sort(key=lambda pair: pair[0])
    return [row for _, row in scored[:limit]], sources


def _score(source: Source, found: Found, lines: Dict[int, float]) -> float:
    first = source.line_of(found.edit.start)
    last = source.line_of(max(found.edit.start, found.edit.end - 1))
    best = max(lines.get(line, 0.0) for line in (found.line, *range(first, last + 1)))
    if best == 0.0:  # a line inside a statement that began above
        above = [score for line, score in lines.items() if first - 12 <= line <= first]
        best = max(above, default=0.0) * 0.9
    return best


def _made_at_import(source: Source, lines: Dict[int, float]) -> Dict[int, float]:
    """Suspicion of what is made at import, by the suspicious code that reads its names.

    No test runs these lines, so that no spectrum sees them: constants, tables, class attributes,
    defaults of parameters.
    """
    readers: Dict[str, float] = {}
    inside: Set[int] = set()
    found: Dict[int, float] = {}
    for unit in units(source):
        span = range(unit.lineno, (unit.end_lineno or unit.lineno) + 1)
        inside.update(span)
        best = max((lines.get(line, 0.0) for line in span), default=0.0)
        for default in [*unit.args.defaults, *(d for d in unit.args.kw_defaults if d is not None)]:
            if best:
                found[default.lineno] = max(found.get(default.lineno, 0.0), best / 2)
        for node in ast.walk(unit):
            name = getattr(node, "id", getattr(node, "attr", None))
            score = lines.get(getattr(node, "lineno", 0), 0.0)
            if isinstance(name, str) and score > readers.get(name, 0.0):
                readers[name] = score
    for statement, names in _bindings(source.tree):
        score = max((readers.get(name, 0.0) for name in names), default=0.0) / 2
        if score and statement.lineno not in inside:
            for line in range(statement.lineno, (statement.end_lineno or statement.lineno) + 1):
                found[line] = max(found.get(line, 0.0), score)
    return {line: score for line, score in found.items() if line not in lines}


def _bindings(tree: ast.Module) -> Iterator[Tuple[ast.stmt, List[str]]]:
    stack: List[ast.AST] = list(tree.body)
    while stack:
        node = stack.pop()
        if isinstance(node, (ast.ClassDef, ast.If, ast.Try)):
            stack.extend(ast.iter_child_nodes(node))
        elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [getattr(n, "id", getattr(n, "attr", "")) for t in targets for n in ast.walk(t)]
            yield node, [name for name in names if name]


def _owners(sources: Dict[str, Source]) -> Dict[Tuple[str, int], Tuple[str, int]]:
    """For each line of a function, which function that is: its file and first line."""
    return {
        (path, line): (path, unit.lineno)
        for path, source in sources.items()
        for unit in units(source)
        for line in range(unit.lineno, (unit.end_lineno or unit.lineno) + 1)
    }


def _by_file(lines: Lines) -> Dict[str, List[int]]:
    found: Dict[str, List[int]] = {}
    for path, line in sorted(lines):
        found.setdefault(path, []).append(line)
    return found


def _covering(spectra: Dict[str, Lines], path: str) -> List[str]:
    return [test for test, lines in spectra.items() if any(p == path for p, _ in lines)]


def _answer(
    rows: List[List[Any]], sources: Dict[str, Source], suspicion: Suspicion
) -> Dict[str, Any]:
    paths = sorted(sources)
    top = sorted(suspicion.items(), key=lambda pair: -pair[1])[:20]
    shown = [_shown(sources[row[0]].text, row) for row in rows]
    return {
        "paths": paths,
        "count": len(rows),
        "columns": {
            "path": [paths.index(row[0]) for row in rows],
            "line": [row[5] for row in rows],
            "operator": [row[4] for row in rows],
            "suspicion": [row[8] for row in rows],
            "old": [old for old, _ in shown],
            "new": [new for _, new in shown],
            "slow": [i for i, row in enumerate(rows) if row[7]],
        },
        "lines": [
            {
                "path": p,
                "line": n,
                "suspicion": round(s, 3),
                "text": sources[p].line_text(n).strip(),
            }
            for (p, n), s in top
            if p in sources
        ],
    }


def _shown(text: str, row: List[Any]) -> Tuple[str, str]:
    """Old and new text of an edit, widened to whole words and operators."""
    start, end = row[1], row[2]
    head = _HEAD.search(text[max(0, start - PREVIEW) : start])
    tail = _TAIL.match(text[end : end + PREVIEW])
    before = head.group() if head else ""
    after = tail.group() if tail else ""
    return (before + text[start:end] + after)[:PREVIEW], (before + row[3] + after)[:PREVIEW]
