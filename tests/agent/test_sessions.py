"""Whole sessions: a real repository goes in, a verified patch comes out, by both kinds of mind."""

from __future__ import annotations

import textwrap
from pathlib import Path

from agent.task import Task
from policies.log import verify
from policies.record import EnvironmentReady
from sandbox.image import base_image
from tests.model_server import Call, ModelServer, Turn, texts
from tests.sessions import FIXTURES, Watched, copy_fixture, copy_red_test, run

MODEL = "openai-compatible/scripted"
NODES = {"recall", "plan", "act", "verify", "remember"}
FAILING = "tests/test_levels.py::test_a_shelf_at_its_minimum_is_not_ordered"


def call(name: str, **arguments: object) -> Turn:
    return Turn(calls=(Call(name, arguments),))


MENDED = "for part, count in self.counts.items() if count < minimum)"
RED_TEST = [
    call("read", path="stockroom/levels.py"),
    call("run_tests", tests=[FAILING]),
    call(
        "edit",
        path="stockroom/levels.py",
        old="for part, count in self.counts.items() if count <= minimum)",
        new=MENDED,
    ),
    call("done", summary="A part at its minimum is enough."),
]
REFUSING = call(
    "edit",
    path="durations/text.py",
    old="    if not parts:\n",
    new="    if not parts or _PART.sub('', text.lower()).strip():\n",
)
"""What mends the repository of the issue."""


def scripted(turns: list[Turn], text: str, repo: Path) -> Watched:
    """A session by a model that answers these turns."""
    with ModelServer(turns) as server:
        return run(Task(text=text, repo=repo, model=MODEL, base_url=server.base_url))


def assert_verified(watched: Watched) -> None:
    result = watched.result
    assert result is not None
    assert result.outcome == "verified", result.reason
    assert set(watched.nodes) == NODES
    assert watched.plans[-1].plan.steps
    assert {step.state for step in watched.plans[-1].plan.steps} <= {"done", "failed", "dropped"}
    assert {"recall", "remember", "verify", "tests"} <= watched.kinds
    assert verify(Path(result.log), key=None).whole


def test_a_model_mends_a_red_test_through_the_loop(tmp_path: Path) -> None:
    repo = copy_fixture("red_test", tmp_path)
    watched = scripted(RED_TEST, "Make the failing test pass.", repo)

    assert_verified(watched)
    result = watched.result
    assert result is not None
    assert result.evidence.level == "failing-test"
    assert result.evidence.red_before == (FAILING,) == result.evidence.green_after
    assert result.evidence.regressions == ()
    assert result.evidence.others.total >= 4
    assert f"+        return sorted(part {MENDED}" in result.patch
    assert result.input_tokens > 0
    assert "count <= minimum" in (repo / "stockroom/levels.py").read_text()


def test_the_search_mends_the_same_test_and_leaves_the_same_kinds_of_records(
    tmp_path: Path,
) -> None:
    repo = copy_red_test(tmp_path)
    watched = run(Task(text="Make the failing test pass.", repo=repo))

    assert_verified(watched)
    result = watched.result
    assert result is not None
    assert result.evidence.level == "failing-test"
    assert result.candidates > 0
    assert result.patch.count("\n+") <= 2
    assert (repo / "stockroom/levels.py").read_text() == (
        FIXTURES / "red_test/stockroom/levels.py"
    ).read_text()


def test_a_patch_that_only_a_weak_test_speaks_for_is_shown_as_a_proposal(tmp_path: Path) -> None:
    watched = run(Task(text="Make it pass.", repo=copy_fixture("red_test", tmp_path)))
    result = watched.result

    assert result is not None
    assert (result.outcome, result.exit_code) == ("unsolved", 4)
    assert "a proposal" in result.reason
    assert result.confidence is not None
    assert result.confidence < 0.7
    assert result.evidence.level == "failing-test"
    assert "stockroom/levels.py" in result.patch
    assert "remember" not in watched.nodes


def test_an_issue_without_a_test_is_proven_by_the_models_own_reproduction(tmp_path: Path) -> None:
    repo = copy_fixture("issue_only", tmp_path)
    script = [
        call("read", path="durations/text.py"),
        call(
            "edit",
            operation="create",
            path="tests/test_rubbish.py",
            new=(
                "import pytest\n\nfrom durations.text import parse\n\n\n"
                "@pytest.mark.parametrize('text', ['1h 30min 5x', '1h-2m', 'x1h'])\n"
                "def test_rubbish_is_refused(text):\n"
                "    with pytest.raises(ValueError):\n        parse(text)\n\n\n"
                "def test_blanks_are_fine():\n    assert parse(' 1h  30m ') == 5400\n"
            ),
        ),
        call("run_tests", tests=["tests/test_rubbish.py"]),
        REFUSING,
        call("done", summary="Whatever is not a part is refused."),
    ]
    watched = scripted(script, (FIXTURES / "issue_only.md").read_text(), repo)

    assert_verified(watched)
    result = watched.result
    assert result is not None
    assert result.evidence.level == "reproduction"
    assert len(result.evidence.red_before) >= 2
    assert "tests/test_rubbish.py" in result.patch


def test_a_claim_without_proof_is_sent_back_and_the_plan_is_revised(tmp_path: Path) -> None:
    repo = copy_fixture("red_test", tmp_path)
    wrong = call(
        "edit",
        path="stockroom/levels.py",
        old="for part, count in self.counts.items() if count <= minimum)",
        new="for part, count in self.counts.items() if count == minimum)",
    )
    right = call(
        "edit",
        path="stockroom/levels.py",
        old="for part, count in self.counts.items() if count == minimum)",
        new=MENDED,
    )
    done = call("done", summary="It should hold now.")
    watched = scripted([done, wrong, done, right, done], "Make the test pass.", repo)

    assert_verified(watched)
    assert watched.nodes.count("verify") == 3
    assert watched.plans[-1].plan.revision >= 2
    reasons = " ".join(made.plan.reason for made in watched.plans)
    assert "no change" in reasons
    assert "Tests that passed before do not pass" in reasons


def test_a_claim_that_comes_again_as_it_was_is_handed_in_unverified(tmp_path: Path) -> None:
    repo = copy_fixture("issue_only", tmp_path)
    done = call("done", summary="I cannot show it.")
    watched = scripted([REFUSING, done, done], (FIXTURES / "issue_only.md").read_text(), repo)

    result = watched.result
    assert result is not None
    assert (result.outcome, result.evidence.level) == ("unsolved", "no-regression")
    assert result.reason.startswith("handed in without a further change. No test shows the change")
    assert "_PART.sub" in result.patch


def test_a_runner_that_tells_no_single_test_apart_proves_a_change_by_its_end(
    tmp_path: Path,
) -> None:
    repo = copy_fixture("issue_only", tmp_path)
    (repo / "check.py").write_text(
        "import glob, runpy\nfor path in glob.glob('tests/own_*.py'):\n    runpy.run_path(path)\n"
    )
    test = call(
        "edit",
        operation="create",
        path="tests/own_rubbish.py",
        new=(
            "import sys\nsys.path.insert(0, '.')\nfrom durations.text import parse\n"
            "try:\n    parse('1h 30min 5x')\nexcept ValueError:\n    pass\n"
            "else:\n    raise SystemExit('taken')\n"
        ),
    )
    turns = [test, call("run_tests"), REFUSING, call("run_tests"), call("done", summary="Refused.")]
    with ModelServer(turns) as server:
        text = (FIXTURES / "issue_only.md").read_text()
        task = Task(text=text, repo=repo, model=MODEL, base_url=server.base_url)
        watched = run(task.model_copy(update={"test_command": "python check.py"}))
        told = texts(server.requests[-1])

    assert_verified(watched)
    assert watched.result is not None
    assert watched.result.evidence.level == "reproduction"
    assert "the command succeeds; its single tests are not told apart" in told[1]
    assert [said for said in told if "taken" in said and "[exit code 1]" in said]


def test_a_claim_beside_an_edit_that_was_refused_is_not_checked(tmp_path: Path) -> None:
    repo = copy_fixture("red_test", tmp_path)
    wrong = Call("edit", {"path": "stockroom/levels.py", "old": "no such text", "new": "x"})
    done = Call("done", {"summary": "Mended."})
    turns = [Turn(calls=(wrong, done)), RED_TEST[2], RED_TEST[3]]
    with ModelServer(turns) as server:
        task = Task(text="Mend it.", repo=repo, model=MODEL, base_url=server.base_url)
        watched = run(task)
        told = texts(server.requests[1])

    assert_verified(watched)
    assert watched.nodes.count("verify") == 1
    assert "Not changed" in told[-2]
    assert told[-1].startswith("Not checked")


def test_a_data_file_beside_the_tests_is_no_test(tmp_path: Path) -> None:
    repo = copy_fixture("issue_only", tmp_path)
    new = [
        ("tests/data/rubbish.toml", "texts = ['1h 30min 5x']\n"),
        ("tests/data/broken_module.py", "raise SystemExit('no test')\n"),
        (
            "tests/test_rubbish.py",
            textwrap.dedent("""\
                import pathlib, pytest, tomllib
                from durations.text import parse


                def test_rubbish():
                    data = pathlib.Path(__file__).parent / "data" / "rubbish.toml"
                    for text in tomllib.loads(data.read_text())["texts"]:
                        with pytest.raises(ValueError):
                            parse(text)
                """),
        ),
    ]
    edits = [call("edit", operation="create", path=path, new=text) for path, text in new]
    done = call("done", summary="Refused.")
    watched = scripted([*edits, REFUSING, done], (FIXTURES / "issue_only.md").read_text(), repo)

    assert_verified(watched)
    assert watched.result is not None
    assert watched.result.evidence.red_before == ("tests/test_rubbish.py::test_rubbish",)


def test_a_patch_of_nothing_but_tests_is_sent_back_once(tmp_path: Path) -> None:
    repo = copy_fixture("red_test", tmp_path)
    easy = "def test_a_shelf_at_its_minimum_is_not_ordered(): pass"
    bent = call("shell", command=f"echo '{easy}' > tests/test_levels.py")
    back = call("shell", command="git checkout -q tests && git status --short")
    done = call("done", summary="It passes.")
    watched = scripted([bent, done, back, RED_TEST[2], done], "Make the test pass.", repo)

    assert_verified(watched)
    assert watched.result is not None
    assert "tests/" not in watched.result.patch
    (reason,) = {made.plan.reason for made in watched.plans if made.plan.revision}
    assert "test files alone (tests/test_levels.py)" in reason


def test_a_task_about_tests_is_done_at_the_second_claim(tmp_path: Path) -> None:
    repo = copy_fixture("issue_only", tmp_path)
    more = call(
        "edit",
        operation="create",
        path="tests/test_more.py",
        new="from durations.text import parse\n\n\ndef test_hours():\n    assert parse('2h') == 7200\n",
    )
    done = call("done", summary="One more test.")
    text = "Tidy up the tests: one for whole hours is missing."
    watched = scripted([more, done, done], text, repo)

    assert_verified(watched)
    assert watched.nodes.count("verify") == 2


def test_a_feature_is_proven_by_tests_that_come_with_it(tmp_path: Path) -> None:
    repo = copy_fixture("feature", tmp_path)
    method = (
        "    def tag_counts(self):\n"
        '        """Number of cards for each tag, most frequent first."""\n'
        "        counts = {}\n"
        "        for card in self.cards:\n"
        "            for tag in card.tags:\n"
        "                counts[tag] = counts.get(tag, 0) + 1\n"
        "        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))\n"
    )
    anchor = "        return [card for card in self.cards if tag.lower() in card.tags]\n"
    script = [
        Turn(
            calls=(
                Call(
                    "edit",
                    {"path": "notecards/cards.py", "old": anchor, "new": f"{anchor}\n{method}"},
                ),
                Call(
                    "edit",
                    {
                        "operation": "create",
                        "path": "tests/test_tag_counts.py",
                        "new": (
                            "from notecards.cards import Box\n\n\n"
                            "def test_the_most_frequent_tag_comes_first():\n"
                            "    box = Box()\n    box.add('a', 'x', 'y')\n    box.add('b', 'y')\n"
                            "    assert list(box.tag_counts().items()) == [('y', 2), ('x', 1)]\n"
                        ),
                    },
                ),
            )
        ),
        call("done", summary="Counts tags."),
    ]
    watched = scripted(script, (FIXTURES / "feature.md").read_text(), repo)

    assert_verified(watched)
    assert watched.result is not None
    assert watched.result.evidence.level == "reproduction"


def test_a_node_project_is_mended_and_proven_by_its_junit_report(tmp_path: Path) -> None:
    repo = copy_fixture("node_junit", tmp_path)
    script = [
        call("run_tests"),
        call(
            "edit",
            path="src/seats.js",
            old="for (let seat = 1; seat < this.size; seat += 1) {",
            new="for (let seat = 1; seat <= this.size; seat += 1) {",
        ),
        call("done", summary="The last seat counts."),
    ]
    watched = scripted(script, (FIXTURES / "node_junit.md").read_text(), repo)

    assert_verified(watched)
    assert watched.result is not None
    assert watched.result.evidence.level == "failing-test"
    assert any("last seat" in test for test in watched.result.evidence.green_after)


def test_a_project_whose_own_image_has_no_python_is_mended_by_shell_and_files(
    tmp_path: Path,
) -> None:
    repo = tmp_path / "bare"
    repo.mkdir()
    gone = "/usr/bin/python3* /usr/lib/python3* /usr/bin/git /usr/bin/rg"
    (repo / "Dockerfile").write_text(f"FROM {base_image(print)}\nUSER 0\nRUN rm -r {gone}\n")
    (repo / "greet.sh").write_text("echo goodbye\n")
    command = 'test "$(sh greet.sh)" = hello'
    script = [
        call("python", code="1 + 1"),
        call("edit", path="greet.sh", old="goodbye", new="hello"),
        call("shell", command=command),
        call("done", summary="It greets."),
    ]
    with ModelServer(script) as server:
        task = Task(
            text="Make it greet.",
            repo=repo,
            model=MODEL,
            base_url=server.base_url,
            test_command=command,
        )
        watched = run(task, environment={"dockerfile": "Dockerfile"})
        offered = {tool["function"]["name"] for tool in server.requests[0]["tools"]}

    assert_verified(watched)
    assert {"shell", "read", "edit", "search"} <= offered
    assert not {"python", "try_candidates"} & offered
    assert not watched.outputs("python")
    ready = next(record for record in watched.records if isinstance(record, EnvironmentReady))
    assert any("shell and files only" in note for note in ready.notes)


def test_the_search_refuses_a_project_without_python_tests_at_once(tmp_path: Path) -> None:
    watched = run(Task(text="Mend it.", repo=copy_fixture("node_junit", tmp_path)))

    assert watched.result is not None
    assert watched.result.outcome == "unsolved"
    assert "Python" in watched.result.reason
    assert watched.nodes.count("act") == 0


def test_nothing_fails_ends_the_run_before_anything_is_tried(tmp_path: Path) -> None:
    repo = copy_fixture("issue_only", tmp_path)
    watched = run(Task(text="Mend it.", repo=repo))

    assert watched.result is not None
    assert watched.result.exit_code == 4
    assert "nothing fails" in watched.result.reason
