"""The same analyses by calls with and without a state: `python -m benchmarks.perf.stateful`.

Three tasks over the source of Python's own library in the sandbox's image, each a load and six
steps that use what the steps before found. They are done

    recompute    a new process for each call, which does again what it needs of the calls before
    pickle       a new process for each call, which takes its state from a file and leaves it there
    stateful     a call for each step, in the interpreter that keeps its variables
    one call     all of it in one cell

and what comes back is compared, so that all four did the same. `--latency S` is what a model takes
to name the next call (default 5 s, a stated assumption: no model is asked here).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import base_image
from sandbox.protocol import Sandbox

_FILES = """
import ast, collections, pathlib, statistics, tokenize
files = sorted(p for p in pathlib.Path('/usr/lib/python3.11').rglob('*.py') if 'test' not in p.parts)
"""
TASKS: dict[str, tuple[str, ...]] = {
    "functions": (
        _FILES
        + """
trees = {}
for p in files:
    try: trees[str(p)] = ast.parse(p.read_bytes())
    except SyntaxError: pass
print(len(trees))
""",
        """
functions = [(name, n.name, n.end_lineno - n.lineno + 1) for name, t in trees.items()
             for n in ast.walk(t) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
print(len(functions))
""",
        "longest = sorted(functions, key=lambda f: -f[2])[:10]\nprint(longest[0])\n",
        "print(statistics.median(f[2] for f in functions))\n",
        """
by_file = collections.Counter(f[0] for f in functions)
print(by_file.most_common(3))
""",
        "print(len({f[1] for f in functions}))\n",
        "print([by_file[f[0]] for f in longest])\n",
    ),
    "imports": (
        _FILES
        + """
imports = {}
for p in files:
    try: t = ast.parse(p.read_bytes())
    except SyntaxError: continue
    imports[p.stem] = {a.name.split('.')[0] for n in ast.walk(t) if isinstance(n, ast.Import) for a in n.names}
    imports[p.stem] |= {n.module.split('.')[0] for n in ast.walk(t) if isinstance(n, ast.ImportFrom) and n.module}
print(len(imports))
""",
        "used = collections.Counter(m for found in imports.values() for m in found)\nprint(used.most_common(5))\n",
        "leaves = sorted(m for m in imports if not imports[m])\nprint(len(leaves))\n",
        """
def reach(start):
    seen, waiting = set(), [start]
    while waiting:
        m = waiting.pop()
        if m not in seen:
            seen.add(m); waiting += imports.get(m, ())
    return seen
reached = {m: len(reach(m)) for m in sorted(imports)}
print(max(reached, key=reached.get))
""",
        "print(sorted(m for m in imports if m in imports[m])[:5])\n",
        "mutual = sorted((a, b) for a in imports for b in imports[a] if a < b and a in imports.get(b, ()))\nprint(len(mutual))\n",
        "print(sum(reached[a] for a, _ in mutual))\n",
    ),
    "names": (
        _FILES
        + """
names = collections.Counter()
comments = []
for p in files[:400]:
    try:
        with tokenize.open(p) as f:
            for token in tokenize.generate_tokens(f.readline):
                if token.type == tokenize.NAME: names[token.string] += 1
                elif token.type == tokenize.COMMENT: comments.append(token.string)
    except (SyntaxError, tokenize.TokenError, UnicodeDecodeError): pass
print(len(names))
""",
        "print(names.most_common(5))\n",
        "once = sorted(n for n, c in names.items() if c == 1)\nprint(len(once))\n",
        "words = collections.Counter(w.lower() for c in comments for w in c.split())\nprint(words.most_common(3))\n",
        "print(max(once, key=len))\n",
        "print(sum(c for n, c in names.items() if n.startswith('_')))\n",
        "print(len([w for w in words if w in names]))\n",
    ),
}
_TAKE = "import pickle; globals().update(pickle.load(open('/tmp/state', 'rb')))\n"
_LEAVE = """
import io, pickle, types
_unfit = (types.ModuleType, types.FunctionType, io.IOBase)
pickle.dump({k: v for k, v in globals().items() if not k.startswith('_')
             and not isinstance(v, _unfit)}, open('/tmp/state', 'wb'))
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a way took: seconds in the sandbox, calls, bytes of code and output."""

    seconds: float
    calls: int
    bytes: int


def recompute(sandbox: Sandbox, steps: Sequence[str]) -> tuple[Taken, list[str]]:
    """Each call does all that came before again, and shows only its own."""
    codes = []
    for at, step in enumerate(steps):
        before = "".join(steps[:at])
        quiet = (
            "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()):\n exec(__B)\n"
        )
        codes.append(f"__B = {before!r}\n{quiet}{step}" if before else step)
    return _calls(codes, lambda code: _process(sandbox, code))


def pickled(sandbox: Sandbox, steps: Sequence[str]) -> tuple[Taken, list[str]]:
    """Each call takes the state from a file and leaves it there."""
    imports = _FILES.splitlines()[1] + "\n"
    codes = [steps[0] + _LEAVE, *(f"{imports}{_TAKE}{step}{_LEAVE}" for step in steps[1:])]
    return _calls(codes, lambda code: _process(sandbox, code))


def stateful(sandbox: Sandbox, steps: Sequence[str]) -> tuple[Taken, list[str]]:
    """Each call is a cell."""
    return _calls(list(steps), lambda code: _cell(sandbox, code))


def one_call(sandbox: Sandbox, steps: Sequence[str]) -> tuple[Taken, list[str]]:
    """All of it is one cell."""
    return _calls(["".join(steps)], lambda code: _cell(sandbox, code))


def _calls(codes: Sequence[str], run: Callable[[str], str]) -> tuple[Taken, list[str]]:
    began = time.perf_counter()
    shown = [run(code) for code in codes]
    seconds = time.perf_counter() - began
    size = sum(len(text.encode()) for text in (*codes, *shown))
    return Taken(seconds, len(codes), size), "".join(shown).splitlines()


def _process(sandbox: Sandbox, code: str) -> str:
    command = f"python3 -I - <<'END_OF_CODE'\n{code}\nEND_OF_CODE\n"
    return _output(sandbox, "shell", "command", command)


def _cell(sandbox: Sandbox, code: str) -> str:
    return _output(sandbox, "python", "code", code)


def _output(sandbox: Sandbox, verb: str, name: str, text: str) -> str:
    outcome = sandbox.perform(verb, {name: text}, timeout_s=600.0)
    if outcome.exit_code:
        raise RuntimeError(outcome.stderr)
    return outcome.stdout


WAYS = {"recompute": recompute, "pickle": pickled, "stateful": stateful, "one call": one_call}


def measure(image: str, steps: Sequence[str]) -> dict[str, Taken]:
    """Each way in a sandbox of its own, on files that are in the cache.

    Raises:
        RuntimeError: Two ways did not show the same.
    """
    taken, shown = {}, {}
    for name, way in WAYS.items():
        with DockerSandbox.open(image, session_id="benchmark") as sandbox:
            _process(sandbox, "".join(steps[:1]))
            taken[name], shown[name] = way(sandbox, steps)
    if any(lines != shown["one call"] for lines in shown.values()):
        raise RuntimeError(f"the ways did not show the same: {shown}")
    return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Analyses with and without a state.")
    parser.add_argument("--latency", type=float, default=5.0, help="seconds of a model per call")
    latency = parser.parse_args().latency
    image = base_image(print)
    print(f"{'task':<10} {'way':<10} {'calls':>5} {'sandbox':>9} {'with model':>11} {'bytes':>8}")
    for task, steps in TASKS.items():
        for way, taken in measure(image, steps).items():
            whole = taken.seconds + latency * taken.calls
            row = f"{task:<10} {way:<10} {taken.calls:>5} {taken.seconds:>7.2f} s {whole:>9.1f} s"
            print(f"{row} {taken.bytes:>8}")


if __name__ == "__main__":
    main()
