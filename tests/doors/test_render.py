"""Records as lines: everything of interest is said, and nothing in them moves a cursor."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from agent.doors.clean_text import clean
from agent.doors.cli.render import patch_text, render, request_line, summary, under_way
from agent.doors.cli.screen import lines, plain_console
from agent.result import Result
from agent.spending import Spending
from policies.action import Decision, ModelRequest, RunTestsRequest, ShellRequest, Verdict
from policies.record import Evidence, ModelChanged, Record
from tests.doors.records import ALLOW, BAD, DENY, EVIDENCE, RECORDS, done, judged, plan


def plain(*renderables: RenderableType) -> list[str]:
    return [line for renderable in renderables for line in lines(plain_console(), renderable)]


def text_of(record: Record) -> str:
    return "\n".join(plain(*render(record)))


def test_the_samples_hold_every_kind_of_record() -> None:
    union = get_args(Record)[0]
    assert {type(record) for record in RECORDS} == set(get_args(union))


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.type)
def test_no_line_holds_anything_but_printable_characters(record: Record) -> None:
    for line in plain(*render(record)):
        assert line.isprintable(), line


def test_a_plan_shows_each_steps_state_and_why_it_was_revised() -> None:
    assert text_of(plan("done", "active")) == "Plan\n  [x] step done\n  [>] step active"
    revised = text_of(plan("failed", revision=1, reason="two candidates were wrong"))
    assert revised.startswith("Plan (revision 1: two candidates were wrong)\n  [!] step failed")


def test_of_the_same_revision_only_the_steps_that_moved_are_shown_again() -> None:
    before, after = plan("active", "pending"), plan("done", "pending")
    assert plain(*render(after, before.plan)) == ["  [x] step done"]
    revised = plan("done", "pending", revision=1, reason="r")
    assert len(plain(*render(revised, before.plan))) == 3
    assert render(before, before.plan) == ()


def test_a_plain_allow_is_one_line_and_a_refusal_names_rule_reason_and_remedy() -> None:
    assert text_of(judged(ShellRequest(command="ls"), ALLOW)) == "  3  shell  $ ls"
    refusal = text_of(judged(ShellRequest(command="git reset --hard"), DENY))
    assert "deny by git.history" in refusal
    assert "loses work" in refusal
    assert "commit first" in refusal


def test_a_yes_names_who_said_it() -> None:
    asked = Verdict(decision=Decision.ASK, rule="apply.ci", approved_by="ada")
    assert "ask by apply.ci, yes from ada" in text_of(judged(ShellRequest(command="x"), asked))


def test_a_report_says_how_many_fail_and_which() -> None:
    tests = [{"id": f"t{n}", "outcome": "failed"} for n in range(7)]
    tests.append({"id": "ok", "outcome": "passed"})
    shown = text_of(done("run_tests", data={"tests": tests, "complete": True}))
    assert shown.strip() == "1 pass, 7 fail: t0, t1, t2, t3, t4 and 2 more"


def test_a_run_that_did_not_end_properly_is_never_shown_as_good() -> None:
    record = done(
        "run_tests", data={"tests": [{"id": "t", "outcome": "passed"}], "complete": False}
    )
    (line,) = render(record)
    assert "did not end properly" in str(line)
    assert isinstance(line, Text)
    assert line.style == "yellow"


def test_evidence_says_what_stands_behind_the_patch_and_what_to_know() -> None:
    shown = text_of(RECORDS[14])
    assert "Evidence: failing-test" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["others", "12", "of", "12", "pass"] in rows
    assert ["but", "bubblewrap", "shares", "the", "kernel"] in [row[:5] for row in rows]


def test_a_patch_that_is_not_verified_is_marked_with_what_stands_behind_it() -> None:
    result = Result(
        session_id="s",
        outcome="unsolved",
        exit_code=4,
        reason="0.55 is below the line",
        evidence=Evidence(level="no-regression"),
        patch="diff --git a/a b/a\n",
        confidence=0.55,
        alternatives=("x",),
    )
    shown = "\n".join(plain(*summary(result)))
    assert "not verified; behind it stands: no-regression" in shown
    assert "Confidence 0.55, 1 alternatives" in shown


def test_a_cost_that_is_not_known_is_not_called_nothing() -> None:
    fields = {"session_id": "s", "outcome": "verified", "exit_code": 0, "reason": "r"}
    result = Result(**fields, evidence=EVIDENCE, cost_usd=None)
    assert "cost not known" in "\n".join(plain(*summary(result)))


def test_what_each_model_took_is_one_line() -> None:
    part = {"calls": 1, "input_tokens": 900, "output_tokens": 20}
    spending = Spending.model_validate(
        {
            "models": [
                {**part, "model": f"openai/a{BAD}", "cached_tokens": 0, "cost_usd": None},
                {**part, "model": "openai/b", "calls": 2, "cached_tokens": 800, "cost_usd": "0.1"},
            ]
        }
    )
    fields = {"session_id": "s", "outcome": "verified", "exit_code": 0, "reason": "r"}
    shown = plain(*summary(Result(**fields, evidence=EVIDENCE, spending=spending)))
    assert all(line.isprintable() for line in shown)
    assert shown[-2].endswith(": 1 call, 900 tokens in, 20 out, cost not known")
    assert shown[-1] == "     openai/b: 2 calls, 900 tokens in (800 cached), 20 out, 0.1 USD"


def test_a_model_that_takes_over_is_named_with_the_one_before_and_why() -> None:
    changed = ModelChanged(key="s/1/0", before="openai/a", after="openai/b", reason="no such key")
    assert text_of(changed) == "     openai/b takes over from openai/a: no such key"


def test_a_command_of_many_lines_is_shown_on_one() -> None:
    assert request_line(ShellRequest(command="a\nb")) == "$ a\\nb"


def terminal(width: int) -> Console:
    return Console(force_terminal=True, width=width, color_system="standard", highlight=False)


def test_rows_are_fitted_to_a_terminal_and_lines_are_left_to_it() -> None:
    header, *rows = [
        without_colours(line)
        for renderable in render(RECORDS[14])
        for line in lines(terminal(40), renderable)
    ]
    assert header == "Evidence: failing-test"
    assert len(rows) > len(plain(*render(RECORDS[14]))) - 1
    assert max(map(len, rows)) <= 40

    long = judged(ShellRequest(command="x" * 120))
    assert lines(terminal(40), *render(long)) == [f"  3  shell  $ {'x' * 120}"]


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_patch_is_coloured_and_not_a_character_of_it_is_lost() -> None:
    patch = f"--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n \n-old  \n+new {BAD} {'x' * 200}\n [bold]:boom:\n"
    shown = lines(terminal(40), patch_text(patch))
    assert [without_colours(line) for line in shown] == clean(patch).splitlines()
    removed, added = (next(s for s in shown if word in s) for word in ("old", "new"))
    assert removed.startswith("\x1b[91m-")
    assert added.startswith("\x1b[92m+")


def test_a_tab_in_a_patch_takes_the_room_that_a_terminal_gives_it() -> None:
    assert plain(patch_text("+\ta\n")) == ["+       a"]


def test_markup_in_what_is_shown_is_only_text() -> None:
    assert "[bold]ls[/bold] :boom:" in text_of(
        judged(ShellRequest(command="[bold]ls[/bold] :boom:"))
    )
    assert "[red]x[/red]" in text_of(plan("done", revision=1, reason="[red]x[/red]"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.type)
def test_what_is_under_way_is_known_after_every_kind_of_record(record: Record) -> None:
    assert under_way(record) in {
        None,
        "",
        "preparing the environment",
        "running the tests",
        "trying candidates",
    }


def test_nothing_is_under_way_after_a_refusal_or_once_it_is_done() -> None:
    assert under_way(judged(RunTestsRequest())) == "running the tests"
    assert under_way(judged(RunTestsRequest(), DENY)) == ""
    assert under_way(judged(ShellRequest(command="ls"))) == ""
    assert under_way(done("run_tests")) == ""
    asked = ModelRequest(model="openai/a\x1b[2J", messages=(), history="", max_output_tokens=1)
    assert under_way(judged(asked)) == "waiting for openai/a\\x1b[2J"
    assert under_way(RECORDS[13]) is None, "a notice ends nothing"
