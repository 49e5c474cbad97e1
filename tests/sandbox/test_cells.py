"""The stateful interpreter, and tools from inside it; in both kinds of sandbox where it can differ."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from sandbox.bubblewrap import BubblewrapSandbox
from sandbox.docker_sandbox import DockerSandbox
from sandbox.errors import SandboxLost, SandboxMissing
from sandbox.protocol import Json, Outcome
from sandbox.supervised import SupervisedSandbox
from tests.sandbox.conftest import cell, empty, shell


@pytest.fixture(scope="module")
def weaker() -> Iterator[BubblewrapSandbox]:
    with BubblewrapSandbox.open(session_id="tests") as sandbox:
        yield sandbox


@pytest.fixture(params=["docker", "bubblewrap"])
def either(request: pytest.FixtureRequest) -> SupervisedSandbox:
    name = {"docker": "opened", "bubblewrap": "weaker"}[request.param]
    sandbox: SupervisedSandbox = request.getfixturevalue(name)
    empty(sandbox)
    return sandbox


def test_variables_imports_and_functions_live_on_over_cells(either: SupervisedSandbox) -> None:
    cell(either, "import math\ndef area(r):\n    return math.pi * r * r\nr = 2")

    assert cell(either, "round(area(r), 3)").value == "12.566"


def test_what_a_cell_its_children_and_its_value_say_comes_back_apart(
    either: SupervisedSandbox,
) -> None:
    code = "import os, sys\nprint('out')\nprint('err', file=sys.stderr)\nos.system('echo child')\n'value'"

    done = cell(either, code)

    assert (done.stdout, done.stderr, done.children) == ("out\n", "err\n", "child\n")
    assert done.value == "'value'"
    assert done.exit_code == 0
    assert done.notes == ()


@pytest.mark.parametrize(
    "end",
    ["os._exit(7)", "os.kill(os.getpid(), 9)", "import ctypes; ctypes.string_at(0)", "os.abort()"],
)
def test_a_cell_that_kills_the_interpreter_costs_only_itself(
    either: SupervisedSandbox, end: str
) -> None:
    cell(either, "import os\nx = 1")

    done = cell(either, f"x = 2\n{end}")

    assert done.exit_code != 0
    assert "put back" in done.notes[0]
    assert cell(either, "x").value == "1"


def test_a_deaf_cell_ends_at_its_limit_and_the_state_is_kept(either: SupervisedSandbox) -> None:
    cell(either, "x = 1")

    done = cell(either, "sum(range(10**12))", timeout_s=0.3)

    assert done.timed_out
    assert done.exit_code == 124
    assert cell(either, "x").value == "1"


def test_an_error_shows_the_cells_own_lines_only(box: DockerSandbox) -> None:
    done = cell(box, "def f():\n    return 1 / 0\nf()")

    assert done.exit_code == 1
    assert done.stderr.startswith('Traceback (most recent call last):\n  File "<cell ')
    assert "return 1 / 0" in done.stderr
    assert "interpreter.py" not in done.stderr


def test_a_cell_that_does_not_parse_says_where(box: DockerSandbox) -> None:
    assert "line 2" in cell(box, "x = 1\ny = (").stderr


def test_a_child_that_a_cell_started_lives_on_to_the_next(box: DockerSandbox) -> None:
    cell(box, "import subprocess\np = subprocess.Popen(['sleep', '60'])")

    assert shell(box, "echo between").notes == ()
    assert cell(box, "p.poll()").value is None
    assert cell(box, "p.kill(); p.wait()").value == "-9"


def test_code_and_arguments_of_megabytes_go_through(box: DockerSandbox) -> None:
    text = "x" * (3 << 20)

    assert cell(box, f"len('{text}')").value == str(3 << 20)
    answer = cell(box, f"tool('echo', text='y' * {2 << 20}) == 'y' * {2 << 20}", answer=_echo)
    assert answer.value == "True"


def test_a_long_output_is_cut_in_the_middle_and_kept_whole(box: DockerSandbox) -> None:
    done = shell(box, "seq 1 200000")

    assert done.stdout.startswith("1\n2\n")
    assert done.stdout.endswith("\n200000\n")
    assert "bytes cut" in done.stdout
    assert done.whole["stdout"] == "".join(f"{n}\n" for n in range(1, 200001)).encode()


def test_a_long_output_can_be_looked_into_afterwards(box: DockerSandbox) -> None:
    long = [shell(box, "seq 1 4000; seq 1 4000 >&2"), cell(box, "print('x\\n' * 8000)")]
    told = [note.rpartition(" ") for done in long for note in done.notes]

    assert [said for said, _, _ in told] == [
        "All 18893 bytes of stdout are in",
        "All 18893 bytes of stderr are in",
        "All 16001 bytes of stdout are in",
    ]
    for _, _, path in told:
        found = shell(box, f"wc -l < {path}; rm -f {path}; touch {path}x; ls {path}").stdout
        assert found.split() in (["4000", path], ["8001", path])
    assert shell(box, "seq 1 2000").notes == ()


def test_kept_outputs_do_not_fill_the_sandbox(box: DockerSandbox) -> None:
    for _ in range(8):
        done = shell(box, "head -c 9000000 /dev/zero")
    assert done.notes[0].startswith("The first and last 4194304 bytes of stdout are in")

    kept = int(shell(box, "du -sm /tmp/journeyman-outputs | cut -f1").stdout)
    assert kept <= 33


def test_tools_called_from_a_cell_go_to_the_host_and_back(box: DockerSandbox) -> None:
    asked: list[tuple[str, Mapping[str, Json]]] = []

    def answer(name: str, arguments: Mapping[str, Json]) -> Json:
        asked.append((name, arguments))
        if name == "shell":
            return shell(box, str(arguments["command"])).stdout
        return f"{name} done"

    code = (
        "a = shell('echo nested'); b = read('a.py'); c = edit('a.py', 'old', 'new')\n"
        "d = search('x', path='src'); e = tool('run_tests', tests=['t'])\n[a, b, c, d, e]"
    )

    done = cell(box, code, answer=answer)

    assert done.value == "['nested\\n', 'read done', 'edit done', 'search done', 'run_tests done']"
    assert asked == [
        ("shell", {"command": "echo nested"}),
        ("read", {"path": "a.py"}),
        ("edit", {"operation": "replace", "path": "a.py", "old": "old", "new": "new"}),
        ("search", {"pattern": "x", "path": "src"}),
        ("run_tests", {"tests": ["t"]}),
    ]


def test_a_tool_that_says_no_is_an_exception_in_the_cell(box: DockerSandbox) -> None:
    def refuse(name: str, arguments: Mapping[str, Json]) -> Json:
        raise PermissionError("Not run (rule-7): not here.")

    done = cell(
        box,
        "try:\n    shell('rm x')\nexcept RuntimeError as error:\n    print(error)",
        answer=refuse,
    )

    assert "rule-7" in done.stdout
    unanswered = cell(box, "shell('ls')").stderr
    assert "No tools can" in unanswered
    assert "interpreter.py" not in unanswered


def test_time_in_a_tool_is_not_the_cells(box: DockerSandbox) -> None:
    def slow(name: str, arguments: Mapping[str, Json]) -> Json:
        time.sleep(1.0)
        return "slept"

    assert cell(box, "shell('x')", timeout_s=0.7, answer=slow).value == "'slept'"


def test_a_cell_cannot_be_run_from_inside_a_cell(box: DockerSandbox) -> None:
    def answer(name: str, arguments: Mapping[str, Json]) -> Json:
        return cell(box, "1").stderr

    assert "cannot be run" in str(cell(box, "tool('python', code='1')", answer=answer).value)


def test_tools_work_from_threads_and_are_refused_to_children(box: DockerSandbox) -> None:
    threads = "from concurrent.futures import ThreadPoolExecutor\nsorted(ThreadPoolExecutor(4).map(lambda n: tool('echo', text=n), range(20))) == list(range(20))"
    child = "import os\nr, w = os.pipe()\nif not os.fork():\n    try:\n        shell('x')\n    except RuntimeError as e:\n        os.write(w, str(e).encode())\n    os._exit(0)\nos.wait(); os.read(r, 500)"

    assert cell(box, threads, answer=_echo).value == "True"
    assert "children" in str(cell(box, child, answer=_echo).value)


def test_a_cell_killed_while_its_tool_runs_gives_both_answers(box: DockerSandbox) -> None:
    cell(box, "x = 1")

    def answer(name: str, arguments: Mapping[str, Json]) -> Json:
        return shell(box, "kill -9 -1; echo did").stdout

    done = cell(box, "shell('x')", answer=answer)

    assert "lost" in " ".join(done.notes)
    assert cell(box, "1 + 1").value == "2"


@pytest.mark.parametrize("verb", ["python", "shell"])
def test_another_thread_can_interrupt_what_runs(box: DockerSandbox, verb: str) -> None:
    arguments: dict[str, dict[str, Json]] = {
        "python": {"code": "while True: pass"},
        "shell": {"command": "sleep 60"},
    }
    timer = threading.Timer(0.5, box.interrupt)
    timer.start()

    done = box.perform(verb, arguments[verb], timeout_s=30)
    timer.join()

    assert done.exit_code == 130
    assert "interrupted" in " ".join(done.notes)
    assert cell(box, "1").value == "1"


def test_the_tasks_interpreter_and_variables_are_used(image: str) -> None:
    environment = {"PYTHONPATH": "/workspace/src:/opt/extra", "GREETING": "hello"}
    with DockerSandbox.open(image, session_id="tests", environment=environment) as sandbox:
        shell(sandbox, "mkdir src; echo 'NAME = 1' > src/inner.py; echo 'NAME = 2' > outer.py")

        done = cell(
            sandbox,
            "import inner, outer, os, sys\n[inner.NAME, outer.NAME, os.environ['GREETING'], sys.path[:3]]",
        )

        assert done.value == "[1, 2, 'hello', ['/workspace', '/workspace/src', '/opt/extra']]"
        assert shell(sandbox, "echo $GREETING").stdout == "hello\n"


def test_an_interpreter_that_is_not_there_is_said(image: str) -> None:
    with pytest.raises(SandboxMissing, match="/opt/none/bin/python"):
        DockerSandbox.open(image, session_id="tests", python="/opt/none/bin/python")


def test_a_closed_sandbox_is_lost_and_can_be_closed_again(image: str) -> None:
    sandbox = DockerSandbox.open(image, session_id="tests")
    sandbox.close()
    sandbox.close()

    with pytest.raises(SandboxLost):
        shell(sandbox, "true")


def _echo(name: str, arguments: Mapping[str, Json]) -> Json:
    return arguments["text"]


def test_outcomes_have_the_protocols_shape(box: DockerSandbox) -> None:
    assert isinstance(cell(box, "1"), Outcome)
    with pytest.raises(ValueError, match="no verb"):
        box.perform("unpack", {}, timeout_s=1)
