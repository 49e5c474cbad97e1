"""What a model reads of a tool's answer."""

from __future__ import annotations

from policies.action import Decision, Observation, Verdict
from tools.edit import EDIT
from tools.read import LIMIT, READ
from tools.tool import clip

ALLOWED = Verdict(decision=Decision.ALLOW, rule="gate.contained")


def done(**data: object) -> Observation:
    return Observation.model_validate({"status": "done", "verdict": ALLOWED, "data": data})


def test_a_short_file_is_shown_whole_with_numbers_only() -> None:
    assert READ.to_text(done(text="a\nb\n", start=1, total=2)) == "     1\ta\n     2\tb"


def test_a_part_says_where_it_lies_and_how_to_go_on() -> None:
    text = READ.to_text(done(text="b\nc\n", start=2, total=9))

    assert text.endswith("[lines 2 to 3 of 9; go on with start=4]")


def test_a_long_file_ends_at_a_whole_line_and_names_the_next() -> None:
    line = "x" * 99
    text = READ.to_text(done(text=f"{line}\n" * 1000, start=1, total=1000))
    *shown, last = text.splitlines()

    assert len(text) <= LIMIT + 100
    assert all(one.endswith(line) for one in shown)
    assert last == f"[lines 1 to {len(shown)} of 1000; go on with start={len(shown) + 1}]"


def test_an_edit_shows_the_place_as_it_reads_now() -> None:
    text = EDIT.to_text(done(path="a.py", line=3, removed=1, added=1, start=2, now="b\nC\nd\n"))

    assert text == (
        "Changed a.py at line 3: 1 lines out, 1 lines in. It reads now:\n"
        "     2\tb\n     3\tC\n     4\td"
    )


def test_a_little_more_than_the_limit_is_not_cut() -> None:
    assert clip("x" * 110, limit=100) == "x" * 110
    assert "100 characters cut" in clip("x" * 200, limit=100)
