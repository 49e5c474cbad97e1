"""The engine localises, tries and compares, whatever the candidates do to the process they run in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.sandbox.repair_bench import Bench, bench_with, texts

CLAMP = '''"""Keep numbers in bounds."""


def clamp(x, low, high):
    """Bound a number.

    >>> clamp(5, 1, 3)
    3
    """
    # lower bound first
    if x <= low:
        return high
    if x > high:
        return high
    return x
'''
CLAMP_TESTS = """import pytest
from clamp import clamp

@pytest.mark.parametrize("x", [-2, 0])
def test_low(x):
    assert clamp(x, 1, 3) == 1

class TestHigh:
    def test_high(self):
        assert clamp(9, 1, 3) == 3

def test_inside():
    assert clamp(2, 1, 3) == 2
"""
LOW = ["test_clamp.py::test_low[-2]", "test_clamp.py::test_low[0]"]


@pytest.fixture
def clamp(tmp_path: Path) -> Bench:
    return bench_with(tmp_path, {"clamp.py": CLAMP, "test_clamp.py": CLAMP_TESTS})


def fingerprint(folder: Path) -> dict[str, str]:
    return {
        str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()
    }


def test_the_line_that_only_failing_tests_run_is_the_most_suspicious(clamp: Bench) -> None:
    answer = clamp.data("localise", LOW)

    assert answer["red"] == LOW
    assert answer["green"] == 2
    assert answer["lines"][0]["text"] == "return high"
    assert answer["lines"][0]["line"] == 12
    assert answer["cover"]["clamp.py"][:2] == LOW
    columns = answer["columns"]
    assert {len(columns[k]) for k in ("path", "line", "operator", "suspicion", "old", "new")} == {
        answer["count"]
    }


def test_the_right_edit_passes_and_nothing_is_written_to_the_workspace(clamp: Bench) -> None:
    before = fingerprint(clamp.workspace)

    answer = clamp.everything(LOW)

    assert CLAMP.replace("        return high\n    if x > high", "        return low\n    if x > high") in texts(clamp, answer)  # fmt: skip
    assert answer["tried"] > 50
    assert answer["left"] == 0
    assert fingerprint(clamp.workspace) == before


def test_patches_that_do_the_same_are_one_cluster_and_examples_are_counted(clamp: Bench) -> None:
    old = "    if x <= low:\n        return high"
    written = [
        [{"path": "clamp.py", "old": old, "new": old.replace("high", new), "at": -1}]
        for new in ("low", "min([low])", "1")
    ]

    answer = clamp.data("behaviours", LOW, candidates=written)

    one, two, three = answer["candidates"]
    assert answer["targets"] == ["clamp"]
    assert answer["examples"] == 1
    assert answer["inputs"] > answer["seeds"] >= 2
    assert one["cluster"] == two["cluster"]
    assert one["cluster"] != three["cluster"]
    assert [row["held"] for row in (one, two, three)] == [1, 1, 1]


def test_examples_that_do_not_hold_as_the_code_is_are_told_apart(tmp_path: Path) -> None:
    code = """def f(n):
    \"\"\"Twice.

    >>> f(0)
    0
    >>> f(2)
    4
    \"\"\"
    return n
"""
    tests = "from m import f\n\ndef test_f():\n    assert f(3) == 6\n"
    bench = bench_with(tmp_path, {"m.py": code, "test_m.py": tests})
    change = {"path": "m.py", "old": "    return n\n", "new": "    return n * 2\n", "at": -1}

    answer = bench.data("behaviours", ["test_m.py::test_f"], candidates=[[change]])

    assert [row["held"] for row in answer["candidates"]] == [2]
    assert (answer["examples"], answer["unheld"]) == (2, 1)


def test_a_model_may_write_candidates_out_and_learns_why_the_others_fail(clamp: Bench) -> None:
    def change(old: str, new: str) -> list[dict[str, object]]:
        return [{"path": "clamp.py", "old": old, "new": new, "at": -1}]

    right = change("    if x <= low:\n        return high", "    if x <= low:\n        return low")
    answer = clamp.data(
        "try",
        LOW,
        candidates=[
            change("return x\n", "return x + 1\n"),
            right,
            change("return high", "return low"),
            change("return x\n", "return (\n"),
            change('"""Keep', '"""Hold'),
        ],
    )

    assert [p["ids"] for p in answer["plausible"]] == [[1]]
    reasons = {r["candidate"]: r["reason"] for r in answer["reasons"]}
    assert "2 times" in reasons[2]
    assert "compile" in reasons[3]
    assert "fails" in reasons[0]


def test_numbers_of_a_file_that_has_changed_are_refused(clamp: Bench) -> None:
    clamp.data("localise", LOW)
    (clamp.workspace / "clamp.py").write_text(CLAMP + "\n", "utf-8")

    outcome = clamp.ask("try", LOW, ids=[[0]])

    assert outcome["exit_code"] == 1
    assert "localise again" in outcome["stderr"]


def test_numbers_without_a_table_are_refused(clamp: Bench) -> None:
    outcome = clamp.ask("try", LOW, ids=[[0]])

    assert outcome["exit_code"] == 1
    assert "localise again" in outcome["stderr"]


def test_a_candidate_that_breaks_another_test_is_rejected_with_its_name(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path,
        {
            "m.py": "def f(n):\n    return n - 1\n",
            "test_m.py": "from m import f\n\ndef test_red():\n    assert f(0) == 1\n\n"
            "def test_green():\n    assert f(3) == 2\n",
        },
    )
    answer = bench.data(
        "try",
        ["test_m.py::test_red"],
        candidates=[[{"path": "m.py", "old": "n - 1", "new": "n + 1", "at": -1}]],
    )

    assert answer["plausible"] == []
    assert any("test_green" in str(r) for r in [*answer["rejected"], *answer["reasons"]])


WAYS_TO_DIE = {
    "hang": "while True: pass",
    "swallowing hang": "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
    "deaf": "10 ** 10 ** 9",
    "exit": "import os; os._exit(0)",
    "polite exit": "raise SystemExit(0)",
    "memory": "x = 'a' * 1000\n    while True: x += x",
    "segfault": "import ctypes; ctypes.string_at(0)",
    "sleep": "import time; time.sleep(3600)",
    "stop": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
    "noise": "import sys; sys.stdout.write('x' * 10_000_000); sys.stdout.flush()",
}


def test_candidates_that_hang_or_kill_their_process_cost_only_themselves(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path,
        {
            "m.py": "def f(n):\n    return n - 1\n",
            "test_m.py": "from m import f\n\ndef test_red():\n    assert f(0) == 1\n",
        },
    )
    old = "    return n - 1\n"
    deadly = [
        [{"path": "m.py", "old": old, "new": f"    {code}\n{old}", "at": -1}]
        for code in WAYS_TO_DIE.values()
    ]
    right = [{"path": "m.py", "old": old, "new": "    return n + 1\n", "at": -1}]

    answer = bench.data("try", ["test_m.py::test_red"], candidates=[*deadly, right])

    assert [p["ids"] for p in answer["plausible"]] == [[len(deadly)]]
    assert answer["tried"] == len(deadly) + 1


def test_state_that_one_candidate_leaves_does_not_mislead_the_next(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path,
        {
            "m.py": "SEEN = []\n\n\ndef f(n):\n    SEEN.append(n)\n    return len(SEEN) - 1\n",
            "test_m.py": "from m import f\n\ndef test_red():\n    assert f(0) == 1\n",
        },
    )
    changes = [("- 1", "- 2"), ("- 1", "+ 0")]
    answer = bench.data(
        "try",
        ["test_m.py::test_red"],
        candidates=[
            [{"path": "m.py", "old": f"len(SEEN) {old}", "new": f"len(SEEN) {new}", "at": -1}]
            for old, new in changes
        ],
    )

    assert [p["ids"] for p in answer["plausible"]] in ([[1]], [])
    assert [0] not in [p["ids"] for p in answer["plausible"]]


MADE_AT_IMPORT = {
    "module constant": ("STEP = -1\n\n\ndef f(n):\n    return n + STEP\n", "STEP = -1", "STEP = 1"),
    "default argument": ("def f(n, step=-1):\n    return n + step\n", "step=-1", "step=1"),
    "class attribute": (
        "class A:\n    step = -1\n\n\ndef f(n):\n    return n + A.step\n",
        "step = -1",
        "step = 1",
    ),
    "decorator": (
        "def d(k):\n    return lambda g: lambda n: g(n) + k\n\n\n@d(-1)\ndef f(n):\n    return n\n",
        "@d(-1)",
        "@d(1)",
    ),
}


@pytest.mark.parametrize("kind", MADE_AT_IMPORT)
def test_what_is_made_at_import_is_tried_in_a_new_process(kind: str, tmp_path: Path) -> None:
    code, old, new = MADE_AT_IMPORT[kind]
    tests = "from m import f\n\ndef test_red():\n    assert f(0) == 1\n"
    bench = bench_with(tmp_path, {"m.py": code, "test_m.py": tests})
    wrong = [{"path": "m.py", "old": old, "new": new.replace("1", "2"), "at": -1}]
    right = [{"path": "m.py", "old": old, "new": new, "at": -1}]

    answer = bench.data("try", ["test_m.py::test_red"], candidates=[wrong, right])

    assert [p["ids"] for p in answer["plausible"]] == [[1]]
    assert answer["tried"] == 2


def test_a_constant_that_suspicious_code_reads_is_itself_a_candidate(tmp_path: Path) -> None:
    code, _, _ = MADE_AT_IMPORT["module constant"]
    tests = "from m import f\n\ndef test_red():\n    assert f(0) == 1\n"
    bench = bench_with(tmp_path, {"m.py": code, "test_m.py": tests})

    columns = bench.data("localise", ["test_m.py::test_red"])["columns"]

    assert {columns["line"][n] for n in columns["slow"]} == {1}


def test_a_package_in_a_folder_with_unittest_tests_and_its_own_options_is_searched(
    tmp_path: Path,
) -> None:
    bench = bench_with(
        tmp_path,
        {
            "src/pack/__init__.py": "from .core import last\n",
            "src/pack/core.py": "def last(xs):\n    return xs[0]\n",
            "tests/test_core.py": "import unittest\nimport sys\nsys.path.insert(0, 'src')\n"
            "from pack import last\n\nclass Tests(unittest.TestCase):\n"
            "    def test_last(self):\n        self.assertEqual(last([1, 2, 3]), 3)\n"
            "    def test_one(self):\n        self.assertEqual(last([1]), 1)\n"
            "    @unittest.skip('never')\n    def test_skipped(self):\n        pass\n",
        },
    )
    (bench.workspace / "pytest.ini").write_text("[pytest]\naddopts = -x --no-such-option\n")

    answer = bench.everything(
        ["tests/test_core.py::Tests::test_last"], command="python -m pytest -q -x tests"
    )

    assert any("xs[-1]" in text for text in texts(bench, answer))


def test_two_edits_in_one_function_are_found_as_a_pair(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path,
        {
            "m.py": "def f(n):\n    if n == 2:\n        return 2\n    return n * 10\n",
            "test_m.py": "import pytest\nfrom m import f\n\n"
            "@pytest.mark.parametrize(('n', 'wanted'), [(1, 0), (2, 20), (3, 30)])\n"
            "def test_f(n, wanted):\n    assert f(n) == wanted\n",
        },
    )
    failing = ["test_m.py::test_f[1-0]", "test_m.py::test_f[2-20]"]
    located = bench.data("localise", failing)
    cheap = [
        [n]
        for n, operator in enumerate(located["columns"]["operator"])
        if operator in ("cmp", "const-int")
    ]

    answer = bench.data("try", failing, ids=cheap, options={"pairs": True, "within": 3})

    right = "def f(n):\n    if n == 1:\n        return 0\n    return n * 10\n"
    assert right in texts(bench, answer)
    assert all(len(p["ids"]) == 2 for p in answer["plausible"])


def test_a_test_that_does_not_fail_is_not_called_red(clamp: Bench) -> None:
    answer = clamp.data("localise", [*LOW, "test_clamp.py::test_inside", "test_clamp.py::gone"])

    assert answer["red"] == LOW
    assert answer["not_red"] == ["test_clamp.py::test_inside"]
    assert answer["missing"] == ["test_clamp.py::gone"]


def test_a_project_that_cannot_be_imported_is_said_and_not_searched(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path, {"m.py": "def f(:\n", "test_m.py": "import m\n\ndef test_m():\n    pass\n"}
    )

    answer = bench.data("localise", ["test_m.py::test_m"])

    assert answer["count"] == 0
    assert answer["missing"] == ["test_m.py::test_m"]
    assert answer["collection_errors"] == ["test_m.py"]


def test_a_search_out_of_time_is_ended_and_said(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path, {"test_m.py": "import time\ntime.sleep(60)\n\ndef test_m():\n    pass\n"}
    )
    bench.timeout_s = 2.0

    outcome = bench.ask("localise", ["test_m.py::test_m"])

    assert outcome["exit_code"] == 124
    assert outcome["timed_out"]
    assert "2 s" in outcome["notes"][0]


def test_a_test_that_hangs_is_red_and_mended(tmp_path: Path) -> None:
    bench = bench_with(
        tmp_path,
        {
            "m.py": "def f(n):\n    s = 0\n    while n > 0:\n        s += n\n        n += 1\n    return s\n",
            "test_m.py": "from m import f\n\ndef test_red():\n    assert f(3) == 6\n\n"
            "def test_none():\n    assert f(0) == 0\n",
        },
    )

    located = bench.data("localise", ["test_m.py::test_red"])
    ids = [[n] for n, name in enumerate(located["columns"]["operator"]) if name == "aug-op"]

    answer = bench.data("try", ["test_m.py::test_red"], ids=ids)

    assert any("n -= 1" in text for text in texts(bench, answer))


def test_a_subtest_that_fails_is_told_like_any_other_failure_and_mended(tmp_path: Path) -> None:
    tests = """
import unittest
from m import f

class F(unittest.TestCase):
    def test_f(self):
        for n in range(30):
            with self.subTest(n=n):
                self.assertEqual(f(n), n + 1)

    def test_g(self):
        with self.subTest(n=1):
            self.assertIsNotNone(f(1))
"""
    red = "test_m.py::F::test_f"
    bench = bench_with(tmp_path, {"m.py": "def f(n):\n    return n + 2\n", "test_m.py": tests})

    data = bench.data("localise", [red])
    table = json.loads((bench.scratch / "table.json").read_text("utf-8"))

    assert data["errors"] == {red: "AssertionError"}
    assert (data["green"], table["bench"]["full"]) == (1, [])
    assert "def f(n):\n    return n + 1\n" in texts(bench, bench.everything([red]))


def test_a_failing_test_that_takes_longer_than_its_neighbours_has_the_time_it_needs(
    tmp_path: Path,
) -> None:
    tests = """
import time
from m import f

def test_f():
    until = time.process_time() + 0.15
    while time.process_time() < until:
        pass
    assert f(1) == 2

def test_g():
    assert f(0) is not None
"""
    red = "test_m.py::test_f"
    bench = bench_with(tmp_path, {"m.py": "def f(n):\n    return n + 2\n", "test_m.py": tests})
    columns = bench.data("localise", [red])["columns"]
    ones = [[n] for n, new in enumerate(columns["new"]) if new == "1"]

    answer = bench.data("try", [red], ids=ones)

    assert answer["expired"] == 0
    assert "def f(n):\n    return n + 1\n" in texts(bench, answer)


def test_an_edit_is_as_suspicious_as_the_worst_line_that_it_spans(tmp_path: Path) -> None:
    code = "def f(n):\n    if n > 3:\n        return 1\n    elif n > 1:\n        return 2\n    return 3\n"
    tests = """
from m import f

def test_high():
    assert f(5) == 2

def test_middle():
    assert f(2) == 2

def test_low():
    assert f(0) == 3
"""
    bench = bench_with(tmp_path, {"m.py": code, "test_m.py": tests})

    columns = bench.data("localise", ["test_m.py::test_high"])["columns"]

    dropped = columns["operator"].index("drop-branch")
    returned = columns["line"].index(3)
    assert columns["line"][dropped] == 2
    assert columns["suspicion"][dropped] == columns["suspicion"][returned] > 0.9
