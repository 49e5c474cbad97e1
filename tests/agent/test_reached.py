from __future__ import annotations

from typing import Any

import pytest

from agent.reached import LINES, LONGEST, Function, choose, itself, reached


def red(*functions: tuple[str, str, int, int], where: str = "") -> dict[str, Any]:
    return {"id": "t.py::t", "where": where, "reached": [list(one) for one in functions]}


def chosen(*tests: dict[str, Any]) -> list[str]:
    return [function.name for function in choose(tests)]


def test_the_tests_own_file_is_not_what_it_reaches() -> None:
    test = red(("t.py", "t", 1, 4), ("a.py", "f", 1, 9))
    assert reached(test) == [Function("a.py", "f", 1, 9)]


def test_a_test_is_found_among_the_functions_of_its_file() -> None:
    own = [["t.py", "helper", 1, 2], ["t.py", "A.t", 3, 9], ["a.py", "t", 1, 9]]
    assert itself({"id": "t.py::A::t[x-1]", "reached": own}) == Function("t.py", "A.t", 3, 9)
    assert itself({"id": "t.py::t", "reached": [["t.py", "t", 3, 9]]}) is not None
    assert itself({"id": "t.py::B::u", "reached": own}) is None


def test_where_a_test_broke_comes_first_and_then_what_it_called_last() -> None:
    test = red(("a.py", "f", 1, 9), ("b.py", "h", 1, 5), ("a.py", "g", 11, 19), where="b.py:3")
    assert chosen(test) == ["h", "g", "f"]


def test_of_functions_in_each_other_the_one_that_broke_is_told_and_no_line_twice() -> None:
    test = red(("a.py", "f", 1, 30), ("a.py", "f.<locals>.inner", 10, 20), where="a.py:12")
    assert chosen(test) == ["f.<locals>.inner", "f"]
    outer = ("a.py", "f", 1, 30)
    assert chosen(red(("a.py", "f.<locals>.inner", 10, 20), outer)) == ["f"]


def test_of_a_long_way_only_the_function_that_broke_is_told() -> None:
    way = [("a.py", f"f{n}", n * 10, n * 10 + 5) for n in range(40)]
    assert chosen(red(*way, where="a.py:203")) == ["f20"]
    assert chosen(red(*way)) == []


def test_no_more_is_told_than_a_reader_can_take() -> None:
    long = ("a.py", "long", 1, LONGEST + 1)
    many = [("b.py", f"f{n}", n * 50, n * 50 + 39) for n in range(9)]
    assert chosen(red(long, *many), red(long, *many)) == [f"f{8 - n}" for n in range(LINES // 40)]


@pytest.mark.parametrize("where", ["", "a.py", "a.py:", "a.py:x", "gone.py:3"])
def test_a_place_that_is_none_names_no_function(where: str) -> None:
    assert chosen(red(("a.py", "f", 1, 9), where=where)) == ["f"]
