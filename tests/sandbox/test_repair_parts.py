"""The engine's smaller parts: examples in docstrings, inputs, spectra, commands, forks."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.worker.repair.command import split
from sandbox.worker.repair.examples import Example, examples_of, holds
from sandbox.worker.repair.forks import Alarm, Expired, beat, each
from sandbox.worker.repair.inputs import Call, mutated, normal, plain
from sandbox.worker.repair.spectrum import Tracer, apart, ochiai, project_file


@pytest.mark.parametrize(
    "line",
    [
        ">>> f(3)\n4",
        ">>> f(3) == 4\nTrue",
        ">>> f(3) == 4",
        "f(3) == 4",
        "f(3) -> 4",
        "f(3) ==> 4  (because)",
        "f(3)  # => 4",
        "f(3)   # returns 4",
        "For example, f(3) should be 4.",
        "* `f(3)` returns `4`",
        "assert f(3) => 4",
        "former_name(3) ➞ 4",
        "Input: 3\nOutput: 4 # three and one",
        "Input: n = 3\nOutput: 4",
        "For n = 3 the result should be 4.",
    ],
)
def test_an_example_is_read_however_people_write_it(line: str) -> None:
    doc = f"What it does.\n\n    {line.replace(chr(10), chr(10) + '    ')}\n"
    (example,) = examples_of(doc, "f", frozenset({"print", "len"}))

    assert holds(example, {"f": lambda n: n + 1})
    assert not holds(example, {"f": lambda n: n + 2})


@pytest.mark.parametrize(
    "doc",
    ["", "f takes a number.", "Call f(x) for more.", "len(x) == 3 for all", ">>> f(", "f(1"],
)
def test_prose_is_no_example(doc: str) -> None:
    assert [e for e in examples_of(doc, "f", frozenset({"len"})) if e.wanted] == []


def test_words_for_truth_and_nothing_are_read_in_any_case() -> None:
    doc = "f(1) => true\nf(2) => FALSE\nf(3) => null\n"

    wanted = [example.wanted for example in examples_of(doc, "f", frozenset())]

    assert wanted == ["True", "False", "None"]


def test_an_example_with_a_fraction_need_not_be_exact() -> None:
    assert holds(Example("f()", "0.3"), {"f": lambda: 0.1 + 0.2})


def call(*values: Any) -> Call:
    return Call(print, {f"a{i}": value for i, value in enumerate(values)}, (), {})


def test_mutated_inputs_are_the_same_every_time_and_all_different() -> None:
    seeds = [call([3, 1, 2], "abc", 5), call([1], "x", 7)]

    first, second = mutated(seeds, 40), mutated(seeds, 40)

    assert first == second
    assert first[:2] == seeds
    assert 20 < len(first) <= 42
    assert len({repr(c.arguments) for c in first}) == len(first)


@pytest.mark.parametrize(
    ("values", "never"),
    [
        ((5,), lambda v: v <= 0),
        (([4, 2],), lambda v: not v or min(v) <= 0),
        (("abc",), lambda v: not v or not v.islower()),
        (({"a": 1},), lambda v: not v),
    ],
)
def test_inputs_stay_among_what_the_tests_give(
    values: tuple[Any, ...], never: Callable[[Any], bool]
) -> None:
    made = mutated([call(*values)], 40)[1:]

    assert made or values == ({"a": 1},)
    assert not [c for c in made if never(c.arguments["a0"])]


def test_values_are_told_apart_by_what_they_are_and_not_by_where_they_lie() -> None:
    class Thing:
        def __init__(self, n: int) -> None:
            self.n = n

    assert normal(Thing(1)) == normal(Thing(1)) != normal(Thing(2))
    assert normal(0.1 + 0.2) == normal(0.3)
    assert normal({3, 1, 2}) == normal({2, 3, 1})
    assert normal([1]) != normal((1,))
    assert normal(n for n in range(3)) == normal(n for n in (0, 1, 2))
    assert plain({"a": [1, (2.0, None)]})
    assert not plain([Thing(1)])


def test_ochiai_is_one_where_only_failing_tests_go() -> None:
    bad, both, good = ("m.py", 1), ("m.py", 2), ("m.py", 3)

    scores = ochiai([({bad, both}, True), ({both, good}, False), ({good}, False)])

    assert scores == {bad: 1.0, both: pytest.approx(0.7071, abs=1e-4)}


@pytest.mark.parametrize(
    ("entered", "groups"),
    [
        ({"a": "f", "b": "f"}, [["a", "b"]]),
        ({"a": "f", "b": "g"}, [["a"], ["b"]]),
        ({"a": "f", "b": "g", "c": "g"}, [["b", "c"], ["a"]]),
        ({"a": "mf", "b": "mg", "ok": "m"}, [["a"], ["b"]]),  # m: a door that all go through
        ({"a": "fg", "b": "g"}, [["a"], ["b"]]),  # f calls g
        ({"a": "fg", "b": "gh", "c": "fh"}, [["a", "b", "c"]]),
        ({"a": "", "b": "f"}, [["a"], ["b"]]),
    ],
)
def test_failing_tests_that_suspect_different_functions_are_apart(
    entered: dict[str, str], groups: list[list[str]]
) -> None:
    lines = {name: ("m.py", at) for at, name in enumerate("fghm")}
    spectra = {test: {lines[name] for name in names} for test, names in entered.items()}
    owners = {line: ("m.py", 10 * line[1]) for line in lines.values()}

    assert apart(spectra, [t for t in entered if t != "ok"], owners) == groups


def test_lines_are_traced_in_the_projects_own_files_only(tmp_path: Path) -> None:
    own = tmp_path / "m.py"
    own.write_text("def f(n):\n    if n:\n        return 1\n    return 2\n", "utf-8")
    names: dict[str, Any] = {}
    exec(compile(own.read_text("utf-8"), str(own), "exec"), names)
    tracer = Tracer(project_file(str(tmp_path), ()))

    with tracer:
        names["f"](True)
        random.random()
    first = tracer.lines
    with tracer:
        names["f"](False)

    assert first == {("m.py", 2), ("m.py", 3)}
    assert tracer.lines == {("m.py", 2), ("m.py", 4)}


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("pack/core.py", True),
        ("src/pack/core.py", True),
        ("tests/test_core.py", False),
        ("core_test.py", False),
        ("conftest.py", False),
        (".venv/lib/site.py", False),
        ("lib/site-packages/other.py", False),
        ("given/as_a_test.py", False),
        ("../elsewhere.py", False),
        ("<string>", False),
    ],
)
def test_which_files_are_the_projects_own(path: str, counts: bool, tmp_path: Path) -> None:
    wanted = project_file(str(tmp_path), [str(tmp_path / "given/as_a_test.py")])
    name = path if path.startswith("<") else str(tmp_path / path)

    assert wanted(name) == (path if counts else None)


@pytest.mark.parametrize(
    ("command", "options", "paths"),
    [
        ("python -m pytest -q -p no:cacheprovider", ["-p", "no:cacheprovider"], []),
        ("pytest -x -n auto tests/a.py -k 'not slow'", ["-k", "not slow"], ["tests/a.py"]),
        (".venv/bin/pytest --cov=pack --maxfail=1 -W error", ["-W", "error"], []),
        ("/opt/venv/bin/python -m pytest --import-mode=importlib", ["--import-mode=importlib"], []),
        ("make test", [], []),
        ("pytest 'unclosed", [], []),
    ],
)
def test_of_a_test_command_only_what_helps_is_kept(
    command: str, options: list[str], paths: list[str]
) -> None:
    assert split(command) == (options, paths)


def never() -> bool:
    return False


def test_work_in_forks_goes_on_after_a_piece_dies() -> None:
    def work(number: int) -> int:
        if number == 2:
            os._exit(0)
        return number * 10

    done = list(each([1, 2, 3], work, cpu_s=lambda _: 1.0, stop=never))

    assert [(n, value) for n, value, _ in done] == [(1, 10), (2, None), (3, 30)]
    assert done[1][2] == "exited"


def test_a_piece_that_uses_too_much_cpu_is_ended_unless_it_says_that_it_goes_on() -> None:
    def work(number: int) -> int:
        for _ in range(5):
            until = time.process_time() + 0.3
            while time.process_time() < until:
                pass
            if number == 1:
                beat()
        return number

    done = list(each([1, 2], work, cpu_s=lambda _: 0.2, stop=never))

    assert done == [(1, 1, ""), (2, None, "cpu")]


def test_a_long_result_comes_whole() -> None:
    (done,) = each([0], lambda _: "x" * 1_000_000, cpu_s=lambda _: 1.0, stop=never)

    assert len(done[1]) == 1_000_000


def test_each_fork_begins_with_the_state_of_the_parent() -> None:
    state: list[int] = []

    def work(number: int) -> int:
        state.append(number)
        return len(state)

    done = [v for _, v, _ in each([0] * 6, work, cpu_s=lambda _: 1.0, stop=never, a_fork=2)]

    assert done == [1, 2, 1, 2, 1, 2]
    assert state == []


def test_the_alarm_rings_again_for_code_that_swallows_it() -> None:
    alarm = Alarm()

    def stubborn() -> None:
        try:
            while True:
                pass
        except Expired:
            while True:
                pass

    with pytest.raises(Expired), alarm.limit(0.05):
        stubborn()
