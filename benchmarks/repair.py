"""The repair benchmark: how many bugs the search mends, and how far its confidence can be trusted.

    python -m benchmarks.repair --data FILE [--jobs N] [--out FILE.json]

Every case is a task like any other: a `Session` with `builtin` in the sandbox sees the visible
tests only; then the hidden tests judge the patch in a sandbox of their own. `fixed`: verified and
the hidden tests pass; `overfit`: verified and they do not; `none`: no verified patch (a proposal
below the confidence line counts as none).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agent import settings as settings_of
from agent.result import Result
from agent.session import Session
from agent.task import Limits, Task
from benchmarks.repair_cases import Case, Laid, lay, read_cases
from memory import redis_server
from policies.record import Record
from sandbox import workspace
from sandbox.errors import SandboxError
from sandbox.protocol import Json
from sandbox.reports import Report
from tools.site import Place, Site

Verdict = Literal["fixed", "overfit", "none"]
BINS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.01)


@dataclass(frozen=True, slots=True)
class Scored:
    """How one case ended.

    Attributes:
        right: Whether the hidden tests pass with the patch; None where there is no patch.
        reason: Why there is no verified patch; empty where there is one.
    """

    id: str
    outcome: Verdict
    candidates: int
    seconds: float
    patch: str
    confidence: float | None = None
    right: bool | None = None
    reason: str = ""


def score(case: Case, *, seconds: float) -> Scored:
    """Run one case through a session, and judge its patch by the hidden tests."""
    with tempfile.TemporaryDirectory(prefix="repair-") as folder:
        repo = Path(folder) / "repo"
        try:
            laid = lay(case, repo)
            result = _session(laid, repo, seconds, Path(folder) / "home")
            right = _judge(laid, repo, result.patch, Path(folder)) if result.patch else None
        except (SandboxError, ValueError) as error:
            return Scored(case.id, "none", 0, 0.0, "", reason=f"not run: {error}")
    outcome: Verdict = "none"
    if result.outcome == "verified":
        outcome = "fixed" if right else "overfit"
    return Scored(
        id=case.id,
        outcome=outcome,
        candidates=result.candidates,
        seconds=round(result.seconds, 1),
        patch=result.patch,
        confidence=result.confidence,
        right=right,
        reason="" if outcome != "none" else result.reason,
    )


def _session(laid: Laid, repo: Path, seconds: float, home: Path) -> Result:
    """One session with a state folder of its own: no case knows how another was mended."""
    task = Task(
        text="Make the failing tests pass.",
        repo=repo,
        failing=laid.visible,
        test_command=laid.test_command,
        model="builtin",
        limits=Limits(seconds=seconds),
    )
    settings = settings_of.load(flags={"mode": "benchmark"})
    settings = settings.model_copy(update={"home": home})
    home.mkdir(mode=0o700)
    try:
        with Session.start(task, settings, approve=_nobody, observe=_nothing) as session:
            return session.run()
    finally:
        redis_server.stop(home)


def _nobody(*_: object) -> str:
    return ""


def _nothing(_record: Record) -> None:
    return None


def _judge(laid: Laid, repo: Path, patch: str, folder: Path) -> bool:
    """Whether the hidden tests pass on the repository with the patch, in a fresh sandbox.

    Hidden files of a release may hold tests of other changes: those that fail without the patch
    may fail with it.
    """
    tolerated = frozenset(_hidden(laid, repo, folder).failing) if laid.tolerant else frozenset()
    base = workspace.capture(repo, folder / "base.tar")
    workspace.apply_to_tree(patch, base, folder / "base.tar", repo)
    for path, text in laid.hidden_files.items():
        repo.joinpath(path).write_text(text, encoding="utf-8")
    report = _hidden(laid, repo, folder)
    return report.green or (report.complete and set(report.failing) <= tolerated)


def _hidden(laid: Laid, repo: Path, folder: Path) -> Report:
    """Run the hidden tests on the repository as it is."""
    place = Place(
        session_id="repair-judge",
        repo=repo,
        folder=folder,
        kind="docker",
        settings={},
        test_command=laid.test_command,
    )
    site = Site(place)
    try:
        site.capture()
        site.prepare(_quiet)
        site.open()
        arguments: dict[str, Json] = {
            "command": site.test_command,
            "tests": list(laid.hidden),
            "junit": "",
            "runner": site.environment.runner,
            "coverage": False,
        }
        return Report.of(site.sandbox.perform("tests", arguments, timeout_s=300))
    finally:
        site.close()


def _quiet(_text: str) -> None:
    return None


def table(scored: Sequence[Scored]) -> Iterator[str]:
    """Confidence against right, as lines."""
    yield "confidence      right  wrong"
    for low, high in itertools.pairwise(BINS):
        judged = [s for s in scored if s.confidence is not None and low <= s.confidence < high]
        right = sum(s.right is True for s in judged)
        yield f"{low:.1f} to {min(high, 1.0):.1f}      {right:>5}  {len(judged) - right:>5}"


def summary(scored: Sequence[Scored]) -> dict[str, int]:
    """How many cases ended how."""
    counts = Counter(s.outcome for s in scored)
    return {name: counts[name] for name in ("fixed", "overfit", "none")}


def as_json(scored: Sequence[Scored]) -> str:
    """The machine-readable result."""
    cases = [
        {
            "id": s.id,
            "outcome": s.outcome,
            "candidates": s.candidates,
            "seconds": s.seconds,
            "patch": s.patch,
            "confidence": s.confidence,
            "right": s.right,
        }
        for s in scored
    ]
    return json.dumps({"cases": cases, "summary": summary(scored)}, indent=1)


def line(scored: Scored) -> str:
    """One case as a line of the report."""
    sure = "" if scored.confidence is None else f"{scored.confidence:.2f}"
    shown = f"{scored.id:<34} {scored.outcome:<8} {scored.candidates:>7} {scored.seconds:>7.1f} s"
    return f"{shown}  {sure:<5} {scored.reason}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repair", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="JSONL of cases")
    parser.add_argument("--jobs", type=int, default=1, help="cases at a time")
    parser.add_argument("--out", type=Path, help="where the result goes as JSON")
    parser.add_argument("--only", action="append", default=[], help="case ids; default: all")
    parser.add_argument("--seconds", type=float, default=900.0, help="limit of one case")
    options = parser.parse_args(arguments)
    try:
        cases = read_cases(options.data)
    except (OSError, ValueError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    cases = [case for case in cases if not options.only or case.id in options.only]
    scored: list[Scored] = []
    with ThreadPoolExecutor(max_workers=options.jobs) as pool:
        for one in pool.map(lambda case: score(case, seconds=options.seconds), cases):
            scored.append(one)
            print(line(one), flush=True)
    print(*table(scored), "", sep="\n")
    print("  ".join(f"{name} {count}" for name, count in summary(scored).items()))
    if options.out:
        options.out.write_text(as_json(scored) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
