"""The texts a chat model is sent: prompts, filled with the facts of a situation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.prompts import render
from agent.proposers.proposer import Situation
from agent.reached import itself, reached
from tools.tool import clip

FULL = 3
"""Failing tests whose reports are shown; of the others only the message."""
REPORT = 3_000
REACHED = 30
"""Functions that are named of those a failing test runs."""
LISTED = 30
SOLUTIONS = 2
_CLOSING = re.compile(r"</(task|repository-instructions)", re.IGNORECASE)


def system() -> str:
    """Who the model is and how it works; the same for every task, so that it is cached."""
    return render("system")


def task(situation: Situation) -> str:
    """The task and the place it is in."""
    facts = situation.environment
    notes = "".join(f"- {note}\n" for note in facts.get("notes") or ())
    return render(
        "task",
        task=_inside(situation.task.text),
        languages=", ".join(facts.get("languages") or ()) or "not known",
        python=str(facts.get("python") or "none"),
        test_command=str(facts.get("test_command") or "not known; find out"),
        baseline=_baseline(facts.get("baseline") or {}),
        notes=notes,
        failing=_failing(facts.get("baseline") or {}),
        mentioned=_sources("mentioned", facts.get("mentioned") or ()),
        instructions=_instructions(str(facts.get("instructions") or "")),
        recalled=_recalled(situation.recalled),
    ).rstrip()


def refuted(reason: str) -> str:
    """Why a claim to be done did not hold."""
    return render("not_verified", reason=reason) if reason else render("not_checked")


def _baseline(baseline: Mapping[str, Any]) -> str:
    total, passed = int(baseline.get("total") or 0), int(baseline.get("passed") or 0)
    text = clip(str(baseline.get("text") or ""), limit=REPORT)
    if not total:
        return text or "no test reported a result."
    if baseline.get("runner") == "exit":
        return render("not_told_apart") if passed else text
    named = len(baseline.get("failing") or ())
    others = total - passed - named
    text = f"{passed} of {total} tests pass."
    return f"{text} {others} more fail or are skipped; leave them." if others > 0 else text


def _failing(baseline: Mapping[str, Any]) -> str:
    tests = list(baseline.get("failing") or ())
    if not tests:
        return ""
    alike: dict[str, list[Mapping[str, Any]]] = {}
    for test in tests:
        alike.setdefault(
            str(test.get("where") or test.get("message") or test.get("id")), []
        ).append(test)
    groups = list(alike.values())
    lines = [_tests(group, whole=index < FULL) for index, group in enumerate(groups[:LISTED])]
    if left := sum(map(len, groups[LISTED:])):
        lines.append(f"- and {left} more; `run_tests` names them")
    told = "\n" + render("failing", tests="\n".join(lines)) + "\n"
    return told + _sources("sources", baseline.get("sources") or ())


def _sources(name: str, found: Sequence[Mapping[str, str]]) -> str:
    if not found:
        return ""
    sources = "\n".join(f"{one['path']}\n{one['text']}" for one in found)
    return "\n" + render(name, sources=sources) + "\n"


def _tests(group: Sequence[Mapping[str, Any]], *, whole: bool) -> str:
    """Tests that fail in the same way: the first with its report, the others by their names."""
    others = [str(test.get("id")) for test in group[1:]]
    named = f"\nLikewise: {', '.join(others[:LISTED])}" if others else ""
    more = f" and {len(others) - LISTED} more" if len(others) > LISTED else ""
    return _test(group[0], whole=whole) + named + more


def _test(test: Mapping[str, Any], *, whole: bool) -> str:
    message = str(test.get("message") or "")
    report = str(test.get("detail") or "") if whole else ""
    if report:
        return f"- {test.get('id')}\n{clip(report, limit=REPORT)}{_reached(test)}"
    where = str(test.get("where") or "")
    return f"- {test.get('id')}: {message}".rstrip(": ") + (f" (at {where})" if where else "")


def _reached(test: Mapping[str, Any]) -> str:
    """The functions that a failing test runs, by file and lines, in the order of their first call."""
    by_file: dict[str, list[str]] = {}
    found = reached(test)
    own = itself(test)
    stands = f"\nThe test is lines {own.first} to {own.last} of {own.path}." if own else ""
    for one in found[:REACHED]:
        by_file.setdefault(one.path, []).append(f"{one.name} ({one.first}-{one.last})")
    if not by_file:
        return stands
    more = f"; and {len(found) - REACHED} more" if len(found) > REACHED else ""
    told = "; ".join(f"{path}: {', '.join(names)}" for path, names in by_file.items())
    return f"{stands}\nIt runs, in the order of the first call: {told}{more}"


def _instructions(text: str) -> str:
    if not text.strip():
        return ""
    return "\n" + render("instructions", text=_inside(text).strip()) + "\n"


def _recalled(solutions: Sequence[Mapping[str, Any]]) -> str:
    if not solutions:
        return ""
    shown = [
        f"- {clip(str(one.get('failure') or ''), limit=400)}\n"
        f"{clip(str(one.get('patch') or ''), limit=1_500)}".rstrip()
        for one in solutions[:SOLUTIONS]
    ]
    return "\n" + render("recalled", solutions="\n".join(shown)) + "\n"


def _inside(text: str) -> str:
    """Text that is quoted between tags cannot close them itself."""
    return _CLOSING.sub(r"<\\/\1", text)
