"""The test protocol against real test runs in a real sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.docker_sandbox import DockerSandbox
from sandbox.environment import Environment, EnvironmentSettings, prepare
from sandbox.protocol import Outcome
from sandbox.reports import Report
from tests.sandbox.conftest import SMALL, bytes_of, empty, shell, write

PYTEST = "python -m pytest -q -p no:cacheprovider"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    repo = tmp_path_factory.mktemp("python")
    (repo / "test_nothing.py").write_text("def test_nothing() -> None: ...\n")
    return prepare(repo, EnvironmentSettings(), say=print)


@pytest.fixture(scope="module")
def python_box(environment: Environment) -> Iterator[DockerSandbox]:
    with DockerSandbox.open(
        environment.image,
        session_id="tests",
        python=environment.python,
        environment=environment.variables,
        limits=SMALL,
    ) as sandbox:
        yield sandbox


@pytest.fixture
def box(python_box: DockerSandbox) -> DockerSandbox:
    empty(python_box)
    return python_box


def run(box: DockerSandbox, command: str = PYTEST, **arguments: Any) -> Outcome:
    timeout_s = arguments.pop("timeout_s", 60)
    return box.perform("tests", {"command": command, **arguments}, timeout_s=timeout_s)


def outcomes(outcome: Outcome) -> dict[str, str]:
    return {name: test.outcome for name, test in Report.of(outcome).by_id.items()}


TWO = b"def test_good():\n    pass\n\ndef test_bad():\n    assert 1 == 2\n"


@pytest.mark.parametrize(
    "command",
    [
        PYTEST,
        "pytest",
        "pytest -p no:terminal",
        "python -m pytest tests -q",
        ".venv/bin/pytest tests",
        "./venv/bin/python -m pytest",
        "uv run pytest -q",
        "poetry run python -m pytest",
        "make test",
        "cd tests && pytest",
        "sh -c 'cd tests; exec pytest test_two.py'",
        "env -u PATH /opt/venv/bin/python -m pytest -x --no-header",
        "PYTHONPATH=src pytest",
        "PYTHONPATH= pytest",
        "PYTHONPATH=\"a b\":'c d':$PYTHONPATH pytest",
        "env A=1 PYTHONPATH=src python -m pytest",
        "export PYTHONPATH=src; pytest",
        "(PYTHONPATH=src:tests pytest)",
    ],
)
def test_a_pytest_in_any_disguise_tells_its_tests(box: DockerSandbox, command: str) -> None:
    write(box, "tests/test_two.py", TWO)
    write(box, "Makefile", b"test:\n\tpytest -v tests\n")
    outcome = run(box, command)
    assert outcomes(outcome) == {
        "tests/test_two.py::test_good": "passed",
        "tests/test_two.py::test_bad": "failed",
    }, outcome
    assert outcome.exit_code != 0
    assert outcome.data["runner"] == "pytest"
    assert outcome.data["complete"]


def test_a_command_that_is_one_test_has_the_same_name_each_time(box: DockerSandbox) -> None:
    command = "PYTHONPATH=src python -c pass"
    assert outcomes(run(box, command)) == outcomes(run(box, command)) == {command: "passed"}


def test_all_that_a_command_without_single_tests_said_can_be_looked_into(
    box: DockerSandbox,
) -> None:
    outcome = run(box, "seq 1 9000; false")
    (note,) = outcome.notes
    assert note.startswith("All 43893 bytes of stdout are in /tmp/journeyman/outputs-")
    assert shell(box, f"wc -l < {note.rpartition(' ')[2]}").stdout.strip() == "9000"


def test_every_outcome_is_told_with_its_reason_and_place(box: DockerSandbox) -> None:
    write(box, "lib.py", b"def divide(a, b):\n    return a / b\n")
    write(
        box,
        "test_all.py",
        b"""
import pytest, lib
@pytest.fixture
def broken(): raise RuntimeError("no database")
@pytest.fixture
def untidy():
    yield
    raise OSError("still open")
def test_passed(): pass
def test_failed(): lib.divide(1, 0)
def test_setup_error(broken): pass
def test_teardown_error(untidy): pass
@pytest.mark.skip(reason="not today")
def test_skipped(): pass
@pytest.mark.xfail
def test_xfailed(): assert False
@pytest.mark.xfail
def test_xpassed(): pass
@pytest.mark.parametrize("x", ["a b", "[", "::", "\\u00e9\\u4e2d", "x/y"])
def test_named(x): pass
""",
    )
    report = Report.of(run(box))
    by_name = {name.partition("::")[2]: test for name, test in report.by_id.items()}
    told = {name: test.outcome for name, test in by_name.items() if "named" not in name}
    assert told == {
        "test_passed": "passed",
        "test_failed": "failed",
        "test_setup_error": "error",
        "test_teardown_error": "error",
        "test_skipped": "skipped",
        "test_xfailed": "xfailed",
        "test_xpassed": "xpassed",
    }
    failed = by_name["test_failed"]
    assert failed.message == "ZeroDivisionError: division by zero"
    assert failed.where == "lib.py:2"
    assert "return a / b" in failed.detail
    assert by_name["test_setup_error"].message == "RuntimeError: no database"
    assert by_name["test_skipped"].message == "Skipped: not today"
    assert sum("named" in name for name in by_name) == 5


def test_any_id_that_a_run_tells_can_be_selected(box: DockerSandbox) -> None:
    write(
        box,
        "sub/test_odd.py",
        b"""
import pytest
@pytest.mark.parametrize("x", ["a b", "[", "::", "\\u00e9\\u4e2d", "x/y", "'", '"', "$HOME", "\\n"])
def test_odd(x): pass
class TestIn:
    def test_it(self): pass
""",
    )
    everything = list(outcomes(run(box)))
    assert len(everything) == 10
    for name in everything:
        assert list(outcomes(run(box, tests=[name]))) == [name]
    assert len(outcomes(run(box, tests=["sub/test_odd.py::test_odd"]))) == 9
    assert len(outcomes(run(box, tests=["sub/test_odd.py::TestIn"]))) == 1


def test_thousands_of_ids_can_be_selected_at_once(box: DockerSandbox) -> None:
    write(
        box,
        "test_many.py",
        b"import pytest\n@pytest.mark.parametrize('n', range(3000))\ndef test_n(n): pass\n"
        b"def test_other(): assert False\n",
    )
    names = [f"test_many.py::test_n[{n}]" for n in range(3000)]
    report = Report.of(run(box, tests=names))
    assert report.passed == tuple(names)
    assert report.green


@pytest.mark.parametrize("name", ["test_two.py::test_gone", "test_gone.py::test_x", "test_gone.py"])
def test_a_selected_test_that_is_not_there_is_said_and_never_green(
    box: DockerSandbox, name: str
) -> None:
    write(box, "test_two.py", TWO)
    report = Report.of(run(box, tests=["test_two.py::test_good", name]))
    assert report.passed == ("test_two.py::test_good",)
    assert report.missing == (name,)
    assert not report.complete
    assert not report.green


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("conftest.py", b"import os; os._exit(0)\n", False),
        ("conftest.py", b"import sys; sys.exit(0)\n", False),
        ("test_a.py", b"import os; os._exit(0)\n", False),
        ("test_a.py", b"def test_end():\n    import os; os._exit(0)\n", True),
        ("test_a.py", b"def test_end():\n    import os; os.kill(os.getpid(), 9)\n", True),
        ("test_a.py", b"def test_end():\n    import ctypes; ctypes.string_at(0)\n", True),
        ("test_a.py", b"def test_end():\n    while True: pass\n", True),
        ("test_a.py", b"def test_end():\n    import pytest; pytest.exit('over', 0)\n", True),
    ],
    ids=[
        "conftest _exit", "conftest sys.exit", "module _exit", "test _exit", "killed", "segfault",
        "endless", "pytest.exit",
    ],
)  # fmt: skip
def test_a_run_that_does_not_end_properly_is_never_green(
    box: DockerSandbox, path: str, code: bytes, named: bool
) -> None:
    write(box, "test_0.py", b"def test_first(): pass\n")
    write(box, "Makefile", b"test:\n\tpytest -q\n")
    write(box, path, code)
    report = Report.of(run(box, "make test", timeout_s=4))
    assert not report.complete
    assert not report.green
    if named:
        assert report.failing == ("test_a.py::test_end",)


def test_a_file_that_cannot_be_collected_is_told_apart(box: DockerSandbox) -> None:
    write(box, "test_good.py", b"def test_a(): pass\n")
    write(box, "test_broken.py", b"import not_there\n")
    report = Report.of(run(box))
    [(path, message)] = report.collection_errors
    assert path == "test_broken.py"
    assert message == "ModuleNotFoundError: No module named 'not_there'"
    assert not report.green


def test_a_pytest_that_a_test_starts_does_not_report(box: DockerSandbox) -> None:
    write(box, "inner/test_in.py", b"def test_in(): assert False\n")
    write(
        box,
        "test_out.py",
        b"import subprocess, sys, os\ndef test_out():\n"
        b"    assert 'PYTEST_ADDOPTS' not in os.environ\n"
        b"    assert subprocess.run([sys.executable, '-m', 'pytest', 'inner']).returncode == 1\n",
    )
    outcome = run(box, "pytest test_out.py")
    assert outcomes(outcome) == {"test_out.py::test_out": "passed"}, outcome


def test_two_pytest_runs_of_one_command_are_one_report(box: DockerSandbox) -> None:
    write(box, "a/test_a.py", b"def test_a(): pass\n")
    write(box, "b/test_b.py", b"def test_b(): pass\n")
    command = "(cd a && pytest) && (cd b && pytest)"
    assert Report.of(run(box, command)).passed == ("a/test_a.py::test_a", "b/test_b.py::test_b")
    selected = run(box, command, tests=["b/test_b.py::test_b"])
    assert list(outcomes(selected)) == ["b/test_b.py::test_b"] * len(outcomes(selected))
    assert selected.data["missing"] == []


def test_coverage_tells_the_lines_that_each_test_ran(box: DockerSandbox) -> None:
    write(box, "lib.py", b"def sign(x):\n    if x < 0:\n        return -1\n    return 1\n")
    write(
        box,
        "test_lib.py",
        b"import lib, threading\ndef test_minus(): assert lib.sign(-2) == -1\n"
        b"def test_thread():\n    t = threading.Thread(target=lib.sign, args=(3,))\n"
        b"    t.start(); t.join()\n",
    )
    report = Report.of(run(box, coverage=True))
    assert report.by_id["test_lib.py::test_minus"].coverage["lib.py"] == (1, 2, 3)
    assert report.by_id["test_lib.py::test_thread"].coverage["lib.py"] == (1, 2, 4)


def test_the_functions_that_each_test_runs_are_told_in_the_order_of_their_first_call(
    box: DockerSandbox,
) -> None:
    write(
        box,
        "lib.py",
        b"class A:\n    def b(self):\n        return [c(x) for x in (1, 2)]\n\n\n"
        b"def c(x):\n    def inner():\n        return (\n            x\n        )\n\n    return inner()\n\n\n"
        b"def unused():\n    pass\n",
    )
    write(box, "test_lib.py", b"import lib\ndef test_a(): lib.A().b()\ndef test_none(): pass\n")
    tests: Any = run(box, reached=True).data["tests"]
    first, second = tests
    names = [[path, name.rpartition(".")[2], *lines] for path, name, *lines in first["reached"]]
    assert names == [
        ["test_lib.py", "test_a", 2, 2],
        ["lib.py", "b", 2, 3],
        ["lib.py", "c", 6, 12],
        ["lib.py", "inner", 7, 9],
    ]
    assert [name for _, name, *_ in second["reached"]] == ["test_none"]


XML = """<?xml version="1.0"?><testsuites><testsuite name="s">
<testcase classname="pkg.T" name="good" time="0.5"/>
<testcase classname="pkg.T" name="bad"><failure message="no">text</failure></testcase>
<testcase classname="pkg.T" name="broken"><error>first
second</error></testcase>
<testcase classname="pkg.T" name="left"><skipped/></testcase>
<testcase classname="pkg.T" name="good"/>
</testsuite></testsuites>"""


def test_junit_xml_of_any_runner_is_read_and_taken_away(box: DockerSandbox) -> None:
    write(box, "made.xml", XML.encode())
    outcome = run(box, "mkdir out; cp made.xml out/r.xml; exit 1", junit="out/*.xml")
    assert outcomes(outcome) == {
        "pkg.T::good": "passed",
        "pkg.T::bad": "failed",
        "pkg.T::broken": "error",
        "pkg.T::left": "skipped",
        "pkg.T::good #2": "passed",
    }
    assert Report.of(outcome).by_id["pkg.T::broken"].message == "first"
    assert outcome.data["runner"] == "junit"
    assert shell(box, "ls out").stdout == ""


def test_junit_xml_of_an_older_run_does_not_count(box: DockerSandbox) -> None:
    passed = b'<testsuite><testcase name="old"/></testsuite>'
    write(box, "r.xml", passed)
    report = Report.of(run(box, "true", junit="r.xml"))
    assert report.tests == ()
    assert not report.green
    assert bytes_of(box, "r.xml") == passed


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;">]><testsuite name="&y;"/>',
        '<?xml version="1.0"?>\n<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>',
        '<testsuite><testcase name="cut off"',
        "",
    ],
    ids=["bomb", "outside", "torn", "empty"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_junit_xml_that_cannot_be_trusted_is_refused(
    box: DockerSandbox, text: str, encoding: str
) -> None:
    write(box, "made.xml", text.encode(encoding))
    outcome = run(box, "cp made.xml r.xml", junit="r.xml")
    assert not Report.of(outcome).green
    assert "r.xml is not read" in " ".join(outcome.notes)


@pytest.mark.parametrize(("command", "green"), [("true", True), ("exit 3", False)])
def test_any_other_command_is_one_test_with_its_exit_code(
    box: DockerSandbox, command: str, green: bool
) -> None:
    report = Report.of(run(box, command))
    assert report.green is green
    assert list(report.by_id) == [command]
    assert report.runner == "exit"


def test_a_pytest_that_never_started_is_no_green_run(box: DockerSandbox) -> None:
    outcome = run(box, "true", runner="pytest")
    assert not Report.of(outcome).green
    assert "pytest left no report" in " ".join(outcome.notes)


@pytest.mark.parametrize("command", ["no-such-program", "./data", "sh -c no-such-program"])
def test_a_program_that_did_not_start_is_no_test(box: DockerSandbox, command: str) -> None:
    write(box, "data", b"\x7fno program")
    outcome = run(box, command)
    assert Report.of(outcome).by_id == {}
    assert not outcome.data["complete"]
    assert outcome.stderr


@pytest.mark.parametrize(
    ("command", "runner"),
    [
        (PYTEST, "pytest"),
        ("python -c 'import socket; socket.create_connection((\"example.org\", 80))'", "exit"),
    ],
)
def test_what_fails_for_want_of_a_network_is_said(
    box: DockerSandbox, command: str, runner: str
) -> None:
    write(
        box,
        "test_net.py",
        b"import socket\n\ndef test_net():\n    socket.create_connection(('a.example', 1))\n"
        b"\ndef test_other():\n    assert False\n",
    )
    outcome = run(box, command)
    assert outcome.data["runner"] == runner
    (said,) = [note for note in outcome.notes if "no network" in note]
    assert "test_other" not in said


@pytest.mark.parametrize("holder", ["setsid sleep 60 &", "(setsid sleep 60 >&2 &);", "sleep 60 &"])
def test_a_child_that_holds_the_pipe_does_not_hold_up_the_run(
    box: DockerSandbox, holder: str
) -> None:
    outcome = run(box, f"{holder} echo told; true")
    assert outcome.seconds < 30
    assert outcome.stdout == "told\n"
    assert not outcome.timed_out


def test_a_flood_of_output_is_cut_and_the_run_goes_on(box: DockerSandbox) -> None:
    outcome = run(box, f"yes | head -c 1G; {PYTEST}", timeout_s=120)
    assert outcome.exit_code == 5
    assert "no tests ran" in outcome.stdout
    assert len(outcome.stdout) < 200_000


def test_output_is_kept_at_both_ends(box: DockerSandbox) -> None:
    outcome = run(box, "echo first; head -c 300000 /dev/zero | tr '\\0' x; echo; echo last")
    assert outcome.stdout.startswith("first\n")
    assert outcome.stdout.endswith("last\n")
    assert len(outcome.stdout) < 200_000


def test_a_test_run_leaves_no_process_and_no_file_behind(box: DockerSandbox) -> None:
    run(box, "sleep 300 & (setsid sleep 300 &) ; true", timeout_s=20)
    assert "sleep" not in shell(box, "cat /proc/[0-9]*/comm | grep -x sleep | tail -n +2").stdout
    assert shell(box, "ls -A . /tmp/journeyman | grep tests-").stdout == ""


@pytest.mark.parametrize("never", ["while True: pass", "import time; time.sleep(999)"])
def test_a_test_that_never_ends_does_not_keep_the_others_from_being_heard(
    box: DockerSandbox, never: str
) -> None:
    source = f"def test_endless():\n    try:\n        {never}\n    except Exception: pass\n\n"
    write(box, "test_slow.py", source.encode() + b"def test_other(): pass\n")
    outcome = run(box, test_s=1)

    assert outcomes(outcome) == {
        "test_slow.py::test_endless": "failed",
        "test_slow.py::test_other": "passed",
    }
    assert outcome.data["complete"]
    assert (
        "did not end within 1 s" in Report.of(outcome).by_id["test_slow.py::test_endless"].message
    )


def test_a_long_failure_is_told_by_its_ends_and_the_way_between(box: DockerSandbox) -> None:
    body = "".join(f"    x = {n}  # filling of a long function\n" for n in range(200))
    source = (
        f"def deep(n):\n{body}    if n:\n        return deep(n - 1)\n    raise ValueError('the bottom')\n\n"
        "def test_long():\n    assert deep(3) == 'the beginning'\n"
    )
    write(box, "test_long.py", source.encode())
    detail = Report.of(run(box)).by_id["test_long.py::test_long"].detail

    assert "assert deep(3) == 'the beginning'" in detail
    assert "raise ValueError('the bottom')" in detail
    assert detail.count("test_long.py:") >= 4
    assert len(detail) <= 4_000
