"""Candidates tried in the warm process: failing tests first, then the others, then once more afresh."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from . import items
from .bench import MOST_S, Bench, Budget
from .forks import each
from .generate import units
from .source import Source, Splice, splice, tightened, unified, whole_lines
from .swap import Live, NeedsProcess, unit_at

FAILED, PLAUSIBLE, INVALID, NEEDS_PROCESS, EXPIRED = range(5)
SAME_PLACE = 20
"""Plausible candidates of one operator on one line after which further ones are left out."""


class Stale(Exception):
    """A file is not what it was when the candidates were numbered."""


class Candidate(NamedTuple):
    """What is tried as one: edits by path, the numbers it has, and what made it."""

    ids: Tuple[int, ...]
    edits: Dict[str, List[Splice]]
    operator: str
    slow: bool


class Files:
    """The files that candidates edit, read once."""

    def __init__(self, workspace: str, known: Dict[str, str]) -> None:
        self._workspace = workspace
        self._known = known
        self._sources: Dict[str, Source] = {}

    def path(self, path: str) -> str:
        """Absolute path of a file."""
        return os.path.join(self._workspace, path)

    def source(self, path: str) -> Source:
        """A file.

        Raises:
            Stale: It has changed since the candidates were numbered.
        """
        if path not in self._sources:
            with open(self.path(path), "rb") as file:
                source = Source(path, file.read())
            if self._known.get(path, source.digest) != source.digest:
                raise Stale(f"{path} has changed since the candidates were numbered")
            self._sources[path] = source
        return self._sources[path]

    def edited(self, candidate: Candidate) -> Dict[str, str]:
        """Whole texts of the files with the candidate's edits."""
        return {p: splice(self.source(p).text, e) for p, e in candidate.edits.items()}


def numbered(rows: List[List[Any]], ids: Tuple[int, ...]) -> Candidate:
    """The candidate of one or several rows of the table."""
    edits: Dict[str, List[Splice]] = {}
    for number in ids:
        path, start, end, new, operator = rows[number][:5]
        edits.setdefault(path, []).append(Splice(operator, start, end, new))
    operators = "+".join(rows[number][4] for number in ids)
    return Candidate(ids, edits, operator=operators, slow=any(rows[n][7] for n in ids))


def written(files: Files, changes: List[Dict[str, Any]], number: int) -> Candidate:
    """A candidate written out as texts.

    Raises:
        ValueError: A text is not in its file, or more than once; says which.
    """
    edits: Dict[str, List[Splice]] = {}
    slow = False
    for change in changes:
        source = files.source(change["path"])
        at = int(change.get("at", -1))
        old = change["old"]
        if source.newline == "\r\n" and "\r\n" not in old:
            old = old.replace("\n", "\r\n")
        if at >= 0:
            start = len(source.encode(source.text)[:at].decode(source.encoding, "ignore"))
        else:
            count = source.text.count(old) if old else 0
            if count != 1:
                raise ValueError(f"the old text occurs {count} times in {change['path']}, not once")
            start = source.text.index(old)
        edit = tightened(source.text, Splice("model", start, start + len(old), change["new"]))
        edits.setdefault(change["path"], []).append(edit)
        slow = slow or _unit(source, edit) is None
    return Candidate((number,), edits, operator="model", slow=slow)


def _unit(source: Source, edit: Splice) -> Optional[int]:
    """Line of the outermost function whose body holds the edit."""
    for unit in units(source):
        start, end = source.span(unit.body[0])[0], source.span(unit)[1]
        if start <= edit.start and edit.end <= end:
            return unit.lineno
    return None


class Trier:
    """Tries candidates on a bench.

    Args:
        bench: The calibrated bench.
        files: The files as they are.
        red: Failing tests that a candidate has to turn green.
        green: Tests that pass and have to stay so.
        spectra: For each test the lines it runs, by file; may be empty.
    """

    def __init__(
        self,
        bench: Bench,
        files: Files,
        *,
        red: List[str],
        green: List[str],
        spectra: Dict[str, Dict[str, List[int]]],
    ) -> None:
        self._bench = bench
        self._files = files
        self._red = red
        self._green = green
        self._spectra = {t: {p: set(n) for p, n in by.items()} for t, by in spectra.items()}
        self._live: Dict[str, Live] = {}
        self._units: Dict[str, List[Any]] = {}
        self._covering: Dict[Tuple[str, int], List[str]] = {}

    def prepare(self, candidates: List[Candidate]) -> None:
        """Find the live functions of all files that the candidates edit."""
        for path in {path for candidate in candidates for path in candidate.edits}:
            source = self._files.source(path)
            self._live[path] = Live(source, self._files.path(path))
            self._live[path].find()
            self._units[path] = units(source)

    def put(self, candidate: Candidate) -> None:
        """Give live functions the candidate's code.

        Raises:
            NeedsProcess: It cannot be done in a running process.
            SyntaxError: It does not compile.
        """
        for path, edits in candidate.edits.items():
            source = self._files.source(path)
            by_unit: Dict[int, List[Splice]] = {}
            for edit in edits:
                unit = _unit(source, edit)
                if unit is None:
                    raise NeedsProcess
                by_unit.setdefault(unit, []).append(edit)
            splice(source.text, edits)
            for line, group in by_unit.items():
                found = unit_at(self._units[path], line)
                if found is None:
                    raise NeedsProcess
                self._live[path].put(found, group)

    def restore(self) -> None:
        """Give all live functions their own code back."""
        for live in self._live.values():
            live.restore()

    def changed(self) -> List[Tuple[Any, Any]]:
        """Live functions that have a candidate's code now, each with its own code."""
        return [pair for live in self._live.values() for pair in live.changed]

    def covering(self, candidate: Candidate) -> List[str]:
        """Green tests that run a line near the candidate's edits; those of short spectra first."""
        path, edits = next(iter(candidate.edits.items()))
        line = self._files.source(path).line_of(edits[0].start)
        key = (path, line)
        if key not in self._covering:
            near = {line - 1, line, line + 1}
            self._covering[key] = [
                t for t in self._green if near & self._spectra.get(t, {}).get(path, set())
            ]
        return self._covering[key]

    def verdict(self, candidate: Candidate, tests: List[str]) -> Tuple[int, float, int, str]:
        """Run tests with the candidate in this process, until one fails.

        Returns:
            Verdict, CPU seconds, index of the test that failed (-1 if none), and its error.
        """
        try:
            self.put(candidate)
        except NeedsProcess:
            self.restore()
            return NEEDS_PROCESS, 0.0, -1, ""
        except (SyntaxError, ValueError) as error:
            self.restore()
            return INVALID, 0.0, -1, f"{type(error).__name__}: {error}"
        used = 0.0
        try:
            for at, test in enumerate(tests):
                report = self._bench.run(test)
                used += report.cpu_s
                if report.outcome != items.PASSED:
                    return (
                        EXPIRED if report.outcome == items.EXPIRED else FAILED,
                        used,
                        at,
                        report.error,
                    )
        finally:
            self.restore()
        return PLAUSIBLE, used, -1, ""

    def first_pass(
        self, candidates: List[Candidate], budget: Budget, most: int
    ) -> Dict[int, List[Any]]:
        """Try all candidates in order, many a fork; the verdict of each that was reached."""
        order = list(self._red)

        def work(number: int) -> List[Any]:
            verdict, used, at, error = self.verdict(candidates[number], order)
            failed = order[at] if at >= 0 else ""
            if at > 0:
                order.insert(0, order.pop(at))
            if verdict == PLAUSIBLE:
                tests = self.covering(candidates[number])[:40]
                verdict, more, at, error = self.verdict(candidates[number], tests)
                used += more
                failed = tests[at] if at >= 0 else ""
            return [verdict, used, failed, error]

        results: Dict[int, List[Any]] = {}
        plausible = 0

        def stop() -> bool:
            return budget.spent() or plausible >= most

        limit = max(map(self._bench.limit, [*self._red, *self._green]), default=MOST_S)
        for number, result, died in each(
            list(range(len(candidates))), work, cpu_s=lambda _: limit, stop=stop
        ):
            verdict: List[Any] = [EXPIRED, limit, "", died] if result is None else result
            results[number] = verdict
            budget.use(0.0002 + verdict[1])
            plausible += verdict[0] == PLAUSIBLE
        return results

    def confirm(self, candidates: List[Candidate], budget: Budget) -> List[Tuple[int, List[Any]]]:
        """Try each candidate in a fork of its own, on all tests."""

        def work(number: int) -> List[Any]:
            near = self.covering(candidates[number])
            rest = [t for t in self._green if t not in set(near)]
            tests = [*self._red, *near, *rest]
            verdict, used, at, error = self.verdict(candidates[number], tests)
            return [verdict, used, tests[at] if at >= 0 else "", error]

        limit = max(map(self._bench.limit, [*self._red, *self._green]), default=MOST_S)
        confirmed = []
        for number, result, died in each(
            list(range(len(candidates))), work, cpu_s=lambda _: limit, stop=budget.spent, a_fork=1
        ):
            verdict: List[Any] = [EXPIRED, 0.0, "", died] if result is None else result
            confirmed.append((number, verdict))
            budget.use(verdict[1])
        return confirmed


def described(files: Files, candidate: Candidate) -> Dict[str, Any]:
    """A plausible candidate as the answer names it: whole lines that are unique in the file."""
    changes = []
    diff = ""
    for path, new in files.edited(candidate).items():
        source = files.source(path)
        line, old_lines, new_lines = whole_lines(source.text, new)
        changes.append({"path": path, "line": line, "old": old_lines, "new": new_lines})
        diff += unified(path, source.text, new)
    return {
        "ids": list(candidate.ids),
        "operator": candidate.operator,
        **changes[0],
        "changes": changes,
        "diff": diff,
    }


def fewer(candidates: List[Candidate], files: Files) -> List[Candidate]:
    """At most `SAME_PLACE` candidates of one operator on one line."""
    counts: Dict[Tuple[str, str, int], int] = {}
    kept = []
    for candidate in candidates:
        path, edits = next(iter(candidate.edits.items()))
        key = (candidate.operator, path, files.source(path).line_of(edits[0].start))
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= SAME_PLACE:
            kept.append(candidate)
    return kept


def attempt(bench: Bench, table: Dict[str, Any], request: Dict[str, Any]) -> Dict[str, Any]:
    """The operation `try`: which candidates pass, and why the others do not."""
    options = request["options"]
    files = Files(request["workspace"], table.get("files", {}))
    budget = Budget(float(request["cpu_s"]), float(request["wall_s"]) * 0.6)
    candidates, refused = asked(files, table, request)
    trier = Trier(
        bench, files, red=table["red"], green=table["green"], spectra=table.get("spectra", {})
    )
    trier.prepare(candidates)
    results = trier.first_pass(
        [c for c in candidates if not c.slow], budget, int(options.get("plausible", 80))
    )
    quick = [c for c in candidates if not c.slow]
    passed = fewer([quick[n] for n, r in results.items() if r[0] == PLAUSIBLE], files)
    confirmed = trier.confirm(
        passed, Budget(float(request["cpu_s"]), float(request["wall_s"]) * 0.3)
    )
    slow = [c for c in candidates if c.slow]
    slow += [quick[n] for n, r in results.items() if r[0] == NEEDS_PROCESS]
    verdicts = [r[0] for r in results.values()]
    return {
        "tried": len(verdicts) - verdicts.count(NEEDS_PROCESS),
        "invalid": verdicts.count(INVALID),
        "expired": verdicts.count(EXPIRED),
        "left": len(quick) - len(results),
        "plausible": [described(files, passed[n]) for n, r in confirmed if r[0] == PLAUSIBLE],
        "rejected": [_reason(passed[n], r) for n, r in confirmed if r[0] != PLAUSIBLE][:20],
        "reasons": refused + _reasons(quick, results) if request["candidates"] else refused,
        "slow": [list(c.ids) for c in slow],
    }


def asked(
    files: Files, table: Dict[str, Any], request: Dict[str, Any]
) -> Tuple[List[Candidate], List[Dict[str, Any]]]:
    """The candidates of a request, and why those that were written out wrongly are none."""
    candidates, refused = [], []
    for number, changes in enumerate(request["candidates"]):
        try:
            candidates.append(written(files, changes, number))
        except (ValueError, OSError, SyntaxError) as error:
            refused.append({"candidate": number, "reason": str(error)})
    rows = table.get("rows", [])
    groups = [tuple(group) for group in request["ids"]]
    if request["options"].get("pairs"):
        groups = pairs(rows, [g[0] for g in groups], request["options"])
    candidates += [numbered(rows, g) for g in groups if all(0 <= n < len(rows) for n in g)]
    return candidates, refused


def pairs(rows: List[List[Any]], ids: List[int], options: Dict[str, Any]) -> List[Tuple[int, ...]]:
    """Pairs of edits on neighbouring lines that do not overlap, those of early ranks first."""
    within, most = int(options.get("within", 3)), int(options.get("most", 60000))
    by_place: Dict[Tuple[str, int], List[Tuple[int, int]]] = {}
    for rank, number in enumerate(ids):
        path, line = rows[number][0], rows[number][5]
        by_place.setdefault((path, line), []).append((rank, number))
    found: List[Tuple[int, int, int]] = []
    for (path, line), members in by_place.items():
        for distance in range(within + 1):
            for rank, one in members:
                for other_rank, two in by_place.get((path, line + distance), ()):
                    if (distance or rank < other_rank) and _apart(rows[one], rows[two]):
                        found.append((rank + other_rank, one, two))
    found.sort()
    return [(one, two) for _, one, two in found[:most]]


def _apart(one: List[Any], two: List[Any]) -> bool:
    first, second = (one, two) if one[1] <= two[1] else (two, one)
    return bool(first[2] <= second[1] and first[1] != second[1] and not first[7] and not second[7])


def _reason(candidate: Candidate, result: List[Any]) -> Dict[str, Any]:
    return {"ids": list(candidate.ids), "test": result[2], "error": result[3]}


def _reasons(candidates: List[Candidate], results: Dict[int, List[Any]]) -> List[Dict[str, Any]]:
    words = {
        FAILED: "a test still fails, or fails now",
        INVALID: "it does not compile",
        EXPIRED: "a test ran out of time, or the process died",
    }
    return [
        {"candidate": candidates[n].ids[0], "reason": words[r[0]], "test": r[2], "error": r[3]}
        for n, r in results.items()
        if r[0] in words
    ]
