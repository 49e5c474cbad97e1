"""What a model reads of a tool's answer."""

from __future__ import annotations

import re

from policies.action import Decision, Observation, Verdict
from tools.edit import EDIT
from tools.read import LIMIT, READ
from tools.run_tests import RUN_TESTS
from tools.search import SEARCH
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


def test_a_text_is_cut_between_lines_and_the_mark_says_which_are_missing() -> None:
    cut = clip("".join(f"line {n}\n" for n in range(1, 101)), limit=200)
    head, mark, tail = re.split(r"\n(?=\[)|(?<=\])\n", cut)
    assert head.splitlines() == [f"line {n}" for n in range(1, 14)]
    first = int(tail.split()[1])
    assert mark.startswith(f"[... lines 14 to {first - 1}, ")
    assert tail.endswith("line 100\n")


def match(path: str, line: int, text: str, *, near: bool = False) -> dict[str, object]:
    return {"path": path, "line": line, "text": text} | ({"near": True} if near else {})


def test_matches_are_told_one_a_line_and_what_is_left_out_by_file() -> None:
    told = SEARCH.to_text(done(matches=[match("a.py", 3, "  x = 1")], more={"b.py": 30, "c.py": 2}))
    assert told == (
        "a.py:3:  x = 1\n[32 more matches, in b.py (30), c.py (2): narrow the pattern, `path` or "
        "`glob`]"
    )


def test_lines_around_a_match_stand_below_their_path_with_a_mark_between_places() -> None:
    rows = [
        match("a.py", 1, "import x", near=True),
        match("a.py", 2, "x.y()"),
        match("a.py", 9, "x.z()"),
        match("b.py", 10, "x"),
    ]
    assert SEARCH.to_text(done(matches=rows)).splitlines() == [
        "a.py",
        "1-import x",
        "2:x.y()",
        "--",
        "9:x.z()",
        "b.py",
        "10:x",
    ]


def test_tests_that_fail_alike_are_told_once() -> None:
    tests = [
        {"id": f"t.py::t[{n}]", "outcome": "failed", "message": "boom", "detail": f"report {n}"}
        for n in range(3)
    ]
    told = RUN_TESTS.to_text(done(tests=[*tests, {"id": "t.py::s", "outcome": "skipped"}]))
    assert told.startswith("0 passed, 3 failed of 4 (1 skipped or expected to fail)")
    assert told.count("report") == 1
    assert told.endswith("FAILED likewise t.py::t[1]\nFAILED likewise t.py::t[2]")


def test_a_large_edit_is_told_by_its_borders() -> None:
    now = "".join(f"line {n}\n" for n in range(1, 41))
    told = EDIT.to_text(done(path="a.py", line=1, removed=1, added=40, now=now, start=1))
    assert "line 8\n   ...\n" in told
    assert told.endswith("line 40")
    assert "line 20" not in told


def test_the_whole_of_a_definition_is_told_as_such() -> None:
    told = READ.to_text(done(text="def f():\n    pass\n", start=7, lines=2, total=90, symbol="f"))
    assert told.endswith("[all of it; lines 7 to 8 of 90]")
