"""The texts a chat model is sent: files in `prompts/`, filled with the facts of a situation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

from agent.proposers.proposer import Situation
from policies.record import Plan
from tools.tool import clip

FOLDER = Path(__file__).parent / "prompts"
FULL = 3
"""Failing tests whose reports are shown; of the others only the message."""
REPORT = 2_000
LISTED = 30
SOLUTIONS = 2
_CLOSING = re.compile(r"</(task|repository-instructions)", re.IGNORECASE)


def render(name: str, **values: str) -> str:
    """A prompt by its file's name.

    Raises:
        KeyError: A `$name` of the file has no value.
    """
    return _template(name).substitute(values)


@cache
def _template(name: str) -> Template:
    return Template((FOLDER / f"{name}.md").read_text("utf-8"))


def system() -> str:
    """Who the model is and how it works; the same for every task, so that it is cached."""
    return render("system").rstrip()


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
        instructions=_instructions(str(facts.get("instructions") or "")),
        recalled=_recalled(situation.recalled),
        plan=plan_lines(situation.plan),
    ).rstrip()


def plan_lines(plan: Plan) -> str:
    """A plan, a line a step."""
    return "\n".join(f"{n}. [{step.state}] {step.title}" for n, step in enumerate(plan.steps, 1))


def refuted(reason: str) -> str:
    """Why a claim to be done did not hold."""
    unchecked = "It was not checked: call `done` again when the change is complete."
    return render("not_verified", reason=reason or unchecked).rstrip()


def _baseline(baseline: Mapping[str, Any]) -> str:
    total, passed = int(baseline.get("total") or 0), int(baseline.get("passed") or 0)
    if not total:
        return "no test reported a result."
    named = len(baseline.get("failing") or ())
    others = total - passed - named
    text = f"{passed} of {total} tests pass."
    return f"{text} {others} more fail or are skipped; leave them." if others > 0 else text


def _failing(baseline: Mapping[str, Any]) -> str:
    tests = list(baseline.get("failing") or ())
    if not tests:
        return ""
    lines = [_test(test, whole=index < FULL) for index, test in enumerate(tests[:LISTED])]
    if len(tests) > LISTED:
        lines.append(f"- and {len(tests) - LISTED} more; `run_tests` names them")
    return "\n" + render("failing", tests="\n".join(lines))


def _test(test: Mapping[str, Any], *, whole: bool) -> str:
    message = str(test.get("message") or "")
    report = str(test.get("detail") or "") if whole else ""
    if report:
        return f"- {test.get('id')}\n{clip(report, limit=REPORT)}"
    return f"- {test.get('id')}: {message}".rstrip(": ")


def _instructions(text: str) -> str:
    if not text.strip():
        return ""
    inside = _inside(text).strip()
    return "\n" + render("instructions", text=inside)


def _recalled(solutions: Sequence[Mapping[str, Any]]) -> str:
    if not solutions:
        return ""
    shown = [
        f"- {clip(str(one.get('failure') or ''), limit=400)}\n"
        f"{clip(str(one.get('patch') or ''), limit=1_500)}".rstrip()
        for one in solutions[:SOLUTIONS]
    ]
    return "\n" + render("recalled", solutions="\n".join(shown))


def _inside(text: str) -> str:
    """Text that is quoted between tags cannot close them itself."""
    return _CLOSING.sub(r"<\\/\1", text)
