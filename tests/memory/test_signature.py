from __future__ import annotations

from typing import Any

import pytest

from memory.signature import failure_text, normalise
from memory.terms import cosine, dense, sparse, terms, weights
from memory.vectors import Json


def failing(**fields: Json) -> dict[str, Json]:
    return {"id": "tests/test_a.py::test_one", "outcome": "failed", **fields}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("No such file: /home/ann/app/src/parse.py", "No such file: /tmp/x-1/src/parse.py"),
        (r"C:\Users\Ann\app\parse.py is bad", r"D:\ci\parse.py is bad"),
        ("tests/unit/test_a.py failed", "other/test_a.py failed"),
        ("assert 3 == 4", "assert 17 == -2.5e10"),
        ("line 12, column 7", "line 900, column 1"),
        ("<Box object at 0x7f0eb39af850>", "<Box object at 0x1>"),
        ("assert 'a b' == 'c d!'", "assert 'x, y' == \"1 2\""),
        ("got b'\\x00 1'", "got b'other bytes'"),
        ("id 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "id 9d2504e1-4f89-41d3-9a0c-0305e82c33ff"),
        ("commit 74f3e85b9473c62560006c043e13737ce6b48412", "commit 1234567a"),
        ("\x1b[31mred\x1b[0m text", "red   text"),
        ("two\n lines", "two lines"),
    ],
)
def test_what_differs_from_run_to_run_is_folded(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("'NoneType' object has no attribute 'strip'", "NoneType object has no attribute strip"),
        ("name 'os.path' is not defined", "name os.path is not defined"),
        ("utf8 and sha256 stay", "utf8 and sha256 stay"),
        ("can't and won't stay", "can't and won't stay"),
        ("parse_2nd(1)", "parse_2nd(NUM)"),
        ("deadbeef is a word", "deadbeef is a word"),
        ("KeyError: 'host'", "KeyError: host"),
    ],
)
def test_what_a_message_is_about_stays(text: str, kept: str) -> None:
    assert normalise(text) == kept


def test_the_signature_names_error_frames_message_and_test() -> None:
    report = (
        "tests/test_a.py:4: in test_one\n    parse('x')\n"
        "src/app/parse.py:33: in parse_hour\n    int(x)\n"
        "E   ValueError: invalid literal for int() with base 10: 'x y'"
    )
    test = failing(
        id="tests/test_a.py::TestHours::test_one[param-3]",
        message="ValueError: invalid literal for int() with base 10: 'x y'",
        where="src/app/parse.py:33",
        longrepr=report,
    )

    assert failure_text([test]).splitlines() == [
        "error ValueError",
        "frame parse.py parse_hour",
        "frame test_a.py test_one",
        "message ValueError: invalid literal for int() with base NUM: STR",
        "test test_a.py TestHours test_one",
    ]


def test_the_order_of_the_tests_and_their_repetition_do_not_matter() -> None:
    tests = [failing(id=f"t.py::test_{n}", message=f"assert {n} == 0") for n in range(9)]

    assert failure_text(tests) == failure_text([*reversed(tests), tests[3]])


@pytest.mark.parametrize("outcome", ["passed", "skipped", "xfailed"])
def test_only_failures_count(outcome: str) -> None:
    assert failure_text([{**failing(message="KeyError: 'a'"), "outcome": outcome}]) == ""
    assert failure_text([]) == ""


LONG = (
    "x",
    "/",
    "a/",
    "\\",
    "a.",
    "'",
    "'a",
    "1",
    "1.",
    "a1-",
    "-",
    "E   a\n",
    "a.py:1: in b\n",
    "\x1b[",
)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("junk", [None, 3, [], {}, "", "\x00", "::", *(s * 50_000 for s in LONG)])
def test_a_report_of_any_form_is_taken(junk: Any) -> None:
    for field in ("id", "message", "where", "longrepr"):
        assert len(failure_text([failing(**{field: junk})])) <= 4000


@pytest.mark.parametrize(
    ("message", "longrepr", "error"),
    [
        ("assert 1 == 2", "", "AssertionError"),
        ("app.errors.ParseError: bad", "", "ParseError"),
        ("", "E   TypeError: no", "TypeError"),
        ("Failed: DID NOT RAISE <class 'ValueError'>", "", None),
        ("something went wrong", "", None),
    ],
)
def test_the_error_s_type_is_found(message: str, longrepr: str, error: str | None) -> None:
    lines = failure_text([failing(message=message, longrepr=longrepr)]).splitlines()

    assert [line for line in lines if line.startswith("error ")] == (
        [f"error {error}"] if error else []
    )


# --- terms


def test_identifiers_are_split_at_underscores_and_humps() -> None:
    assert set(terms("parse_hour parseHour HTTPServer x1")) == {
        "parse",
        "hour",
        "parse_hour",
        "parsehour",
        "http",
        "server",
        "httpserver",
        "x1",
    }


def test_vectors_are_the_same_in_every_process() -> None:
    assert sparse("alpha_beta") == {3504355690: 1.0, 2408645731: 1.0, 2765076736: 1.0}
    assert sum(value * value for value in dense("alpha_beta")) == pytest.approx(1.0)
    assert len(dense("")) == len(dense("alpha")) == 64


def test_similarity_is_one_for_the_same_and_zero_for_nothing_shared() -> None:
    text = weights("KeyError in parse_headers")

    assert cosine(text, text) == pytest.approx(1.0)
    assert cosine(text, weights("zebra")) == 0.0
    assert cosine({}, text) == 0.0
