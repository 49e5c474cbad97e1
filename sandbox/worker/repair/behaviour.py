"""Plausible candidates told apart by what they do: docstring examples, and outputs on mutated inputs."""

from __future__ import annotations

import builtins
import contextlib
import copy
import hashlib
import time
import types
from typing import Any, Callable, Dict, List, Set, Tuple

from . import inputs
from .bench import Bench, Budget
from .examples import Example, examples_of, holds
from .forks import Expired, each
from .items import seed
from .spectrum import project_file
from .swap import NeedsProcess
from .trying import Candidate, Files, Trier, asked

INPUTS = 40
"""Mutated inputs, beside the arguments that the tests themselves gave."""
EXPIRED = "expired"
TARGETS = 3
"""Functions whose behaviour is compared."""


def behaviours(bench: Bench, table: Dict[str, Any], request: Dict[str, Any]) -> Dict[str, Any]:
    """The operation `behaviours`: clusters of candidates that do the same on all inputs.

    Returns:
        For each candidate in the order asked: its cluster (numbered by first member; -1 where it
        could not be run in this process) and how many examples it makes true; how many inputs,
        seeds (different arguments that the tests gave) and examples there are, and how many
        examples do not hold as the code is (`unheld`).
    """
    files = Files(request["workspace"], table.get("files", {}))
    budget = Budget(float(request["cpu_s"]), float(request["wall_s"]) * 0.8)
    candidates, _ = asked(files, table, request)
    trier = Trier(
        bench, files, red=table["red"], green=table["green"], spectra=table.get("spectra", {})
    )
    trier.prepare(candidates)
    stage = _Stage(bench, trier, candidates, table, request)
    seen: Dict[int, Dict[str, Any]] = {}
    limit = 2 * (INPUTS + TARGETS * inputs.MOST_SEEDS) * stage.limit + stage.recording_s
    everyone = list(range(len(candidates)))
    for numbers in ([-1, *everyone[:1]], everyone):
        for number, result, _died in each(
            numbers, stage.work, cpu_s=lambda _: limit, stop=budget.spent, a_fork=20
        ):
            if result is not None:
                seen[number] = result
                budget.use(result["cpu_s"])
        stage.leave_out(seen)
    return _clustered(candidates, seen)


def _clustered(candidates: List[Candidate], seen: Dict[int, Dict[str, Any]]) -> Dict[str, Any]:
    nothing = {"outputs": [], "examples": [], "targets": [], "seeds": 0}
    base = seen.get(-1, nothing)
    useful = _useful_examples(seen, len(base["examples"]))
    clusters: Dict[Tuple[str, ...], int] = {}
    rows = []
    for number, candidate in enumerate(candidates):
        result = seen.get(number)
        row: Dict[str, Any] = {"ids": list(candidate.ids), "operator": candidate.operator}
        if result is None or result["outputs"] is None:
            row.update(cluster=-1, held=0)
        else:
            outputs = tuple(result["outputs"])
            row["cluster"] = clusters.setdefault(outputs, len(clusters))
            row["held"] = sum(result["examples"][i] for i in useful)
        rows.append(row)
    return {
        "candidates": rows,
        "clusters": len(clusters),
        "inputs": len(next((r["outputs"] for n, r in seen.items() if n >= 0 and r["outputs"]), ())),
        "seeds": base["seeds"],
        "examples": len(useful),
        "unheld": sum(not base["examples"][i] for i in useful),
        "targets": base["targets"],
    }


def _useful_examples(seen: Dict[int, Dict[str, Any]], count: int) -> List[int]:
    """Examples that at least one candidate makes true: one that none does may itself be wrong."""
    results = [
        r["examples"] for number, r in seen.items() if number >= 0 and r["outputs"] is not None
    ]
    return [i for i in range(count) if any(i < len(r) and r[i] for r in results)]


class _Stage:
    """Runs one candidate on all inputs, in a forked child that first records them."""

    def __init__(
        self,
        bench: Bench,
        trier: Trier,
        candidates: List[Candidate],
        table: Dict[str, Any],
        request: Dict[str, Any],
    ) -> None:
        self._bench = bench
        self._trier = trier
        self._candidates = candidates
        self._request = request
        near = [t for c in candidates[:1] for t in trier.covering(c)]
        self._tests: List[str] = [*table["red"][:20], *near[:20]]
        self._calls: "List[inputs.Call] | None" = None
        self._examples: List[Tuple[Example, Dict[str, Any]]] = []
        self._left_out: Set[int] = set()
        self._seeds = 0
        self.limit = max([0.02, *(bench.limit(t) for t in self._tests)])
        self.recording_s = 5 * self.limit * len(self._tests)

    def work(self, number: int) -> Dict[str, Any]:
        """Outputs (as digests) and examples held of one candidate; -1 is the code as it is."""
        if self._calls is None:
            self._record()
        assert self._calls is not None
        targets = sorted({c.function.__qualname__ for c in self._calls})
        if number >= 0:
            try:
                self._trier.put(self._candidates[number])
            except Exception:  # a candidate's own import or decorator may raise anything
                return {"outputs": None, "examples": [], "cpu_s": 0.0, "seeds": 0}
        try:
            examples = [self._held(example, names) for example, names in self._examples]
            begun = time.process_time()
            outputs = [
                self._output(call)
                for at, call in enumerate(self._calls)
                if at not in self._left_out
            ]
        finally:
            self._trier.restore()
        return {
            "outputs": outputs,
            "examples": examples,
            "cpu_s": time.process_time() - begun,
            "targets": targets,
            "seeds": self._seeds,
        }

    def leave_out(self, seen: Dict[int, Dict[str, Any]]) -> None:
        """Leave out inputs on which the likeliest candidate runs out of time: no use, all cost."""
        outputs = seen.get(0, {"outputs": None})["outputs"] or ()
        if not self._left_out:
            self._left_out = {at for at, output in enumerate(outputs) if output == EXPIRED}

    def _record(self) -> None:
        edited, units = self._edited()
        tests = {str(getattr(i, "path", "")) or str(i.fspath) for i in self._bench.items.values()}
        wanted = project_file(self._request["workspace"], tests)
        with contextlib.suppress(NeedsProcess, SyntaxError, ValueError):
            self._trier.put(self._candidates[0])  # with it the tests run to their ends
        edited |= {function.__code__ for function in units}
        recorder = inputs.Recorder(lambda name: wanted(name) is not None, edited)
        for test in self._tests:
            with recorder:
                self._bench.run(test, cpu_s=5 * self.limit)
        found = inputs.calls(recorder.outer) or inputs.calls(recorder.inner)
        self._trier.restore()
        counts: Dict[str, int] = {}
        seeds = []
        for call in found:
            name = call.function.__qualname__
            counts[name] = counts.get(name, 0) + 1
            if counts[name] <= inputs.MOST_SEEDS and list(counts).index(name) < TARGETS:
                seeds.append(call)
        self._calls = inputs.mutated(seeds, INPUTS)
        self._seeds = len(seeds)
        functions = {id(c.function): c.function for c in self._calls}
        functions.update({id(f): f for f in units})
        self._examples = list(_docstring_examples(list(functions.values())))

    def _edited(self) -> Tuple[Set[types.CodeType], List[Any]]:
        """Code objects and live functions that the candidates edit."""
        codes: Set[types.CodeType] = set()
        functions = []
        for candidate in self._candidates:
            try:
                self._trier.put(candidate)
            except Exception:  # likewise
                continue
            changed = self._trier.changed()
            self._trier.restore()
            codes.update(code for _, code in changed)
            functions += [function for function, _ in changed]
        return codes, list({id(f): f for f in functions}.values())

    def _held(self, example: Example, names: Dict[str, Any]) -> bool:
        try:
            with self._bench.alarm.limit(max(0.1, self.limit)):
                return holds(example, dict(names))
        except (Exception, Expired, SystemExit):
            return False

    def _output(self, call: inputs.Call) -> str:
        try:
            arguments, stars, keywords = copy.deepcopy((call.arguments, call.stars, call.keywords))
        except Exception:  # foreign __deepcopy__ may raise anything
            return "uncopied"
        before = inputs.normal({k: v for k, v in arguments.items() if inputs.plain(v)})
        seed()
        try:
            with self._bench.alarm.limit(self.limit):
                text = inputs.normal(_called(call.function, arguments, stars, keywords))
        except Expired:
            return EXPIRED
        except (Exception, SystemExit) as error:
            text = f"raised {type(error).__name__}"
        after = inputs.normal({k: v for k, v in arguments.items() if inputs.plain(v)})
        whole = text if after == before else f"{text} and {after}"
        return hashlib.sha256(whole.encode(errors="replace")).hexdigest()[:12]


def _called(
    function: Callable[..., Any],
    arguments: Dict[str, Any],
    stars: Tuple[Any, ...],
    keywords: Dict[str, Any],
) -> Any:
    code = function.__code__
    positional = [arguments[name] for name in code.co_varnames[: code.co_argcount]]
    by_name = {
        name: arguments[name]
        for name in code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    }
    return function(*positional, *stars, **by_name, **keywords)


def _docstring_examples(functions: List[Any]) -> "List[Tuple[Example, Dict[str, Any]]]":
    found = []
    for function in functions:
        scope = function.__globals__
        others = frozenset(scope) | frozenset(dir(builtins))
        examples = examples_of(function.__doc__ or "", function.__name__, others)[:20]
        found += [(example, scope) for example in examples]
    return found
