"""Records as lines: everything of interest is said, and nothing in them moves a cursor."""

from __future__ import annotations

from typing import get_args

import pytest

from agent.doors.cli.render import render, request_line, summary
from agent.result import Result
from policies.action import Decision, ShellRequest, Verdict
from policies.record import Evidence, Record
from tests.doors.records import ALLOW, DENY, EVIDENCE, RECORDS, done, judged, plan


def text_of(record: Record) -> str:
    return "\n".join(line.text for line in render(record))


def test_the_samples_hold_every_kind_of_record() -> None:
    union = get_args(Record)[0]
    assert {type(record) for record in RECORDS} == set(get_args(union))


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: r.type)
def test_no_line_holds_anything_but_printable_characters(record: Record) -> None:
    for line in render(record):
        assert line.text.isprintable(), line.text


def test_a_plan_shows_each_steps_state_and_why_it_was_revised() -> None:
    assert text_of(plan("done", "active")) == "Plan\n  [x] step done\n  [>] step active"
    revised = text_of(plan("failed", revision=1, reason="two candidates were wrong"))
    assert revised.startswith("Plan (revision 1: two candidates were wrong)\n  [!] step failed")


def test_of_the_same_revision_only_the_steps_that_moved_are_shown_again() -> None:
    before, after = plan("active", "pending"), plan("done", "pending")
    lines = render(after, before.plan)
    assert [line.text for line in lines] == ["  [x] step done"]
    revised = plan("done", "pending", revision=1, reason="r")
    assert len(render(revised, before.plan)) == 3


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
    assert "did not end properly" in line.text
    assert line.tone == "warn"


def test_evidence_says_what_stands_behind_the_patch_and_what_to_know() -> None:
    shown = text_of(RECORDS[14])
    assert "Evidence: failing-test" in shown
    assert "others: 12 of 12 pass" in shown
    assert "but: bubblewrap shares the kernel" in shown


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
    shown = "\n".join(line.text for line in summary(result))
    assert "not verified; behind it stands: no-regression" in shown
    assert "Confidence 0.55, 1 alternatives" in shown


def test_a_cost_that_is_not_known_is_not_called_nothing() -> None:
    fields = {"session_id": "s", "outcome": "verified", "exit_code": 0, "reason": "r"}
    result = Result(**fields, evidence=EVIDENCE, cost_usd=None)
    assert "cost not known" in "\n".join(line.text for line in summary(result))


def test_a_command_of_many_lines_is_shown_on_one() -> None:
    assert request_line(ShellRequest(command="a\nb")) == "$ a\\nb"
