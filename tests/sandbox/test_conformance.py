"""The table holds in every kind of sandbox, and the check that runs it can be believed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import bubblewrap
from sandbox.bubblewrap import BubblewrapSandbox
from sandbox.conformance import escapes, exhaustion, host, interpreter
from sandbox.conformance.row import Arena, Row, cell, shell
from sandbox.conformance.table import ROWS, Finding, check
from sandbox.conformance.weakness import Weakness
from sandbox.docker_sandbox import DockerSandbox
from sandbox.supervised import SupervisedSandbox
from tests.sandbox.conftest import SMALL

Opener = Callable[[], SupervisedSandbox]

GROUPS = {
    "exhaustion": exhaustion.ROWS,
    "interpreter": interpreter.ROWS,
    "escapes": escapes.ROWS,
    "host": host.ROWS,
}


def openers(image: str) -> dict[str, Opener]:
    return {
        "docker": lambda: DockerSandbox.open(image, session_id="tests", limits=SMALL),
        "bubblewrap": weaker,
    }


def weaker() -> BubblewrapSandbox:
    return BubblewrapSandbox.open(session_id="tests", limits=SMALL)


def failed(findings: list[Finding]) -> list[str]:
    return [
        f"{finding.row.number} {finding.row.name}: {finding.detail}"
        for finding in findings
        if finding.outcome == "failed"
    ]


def stray(arena: Arena) -> list[str]:
    arena.cell("import subprocess; child = subprocess.Popen(['sleep', '300'])")
    return []


def kill_the_sandbox(arena: Arena) -> list[str]:
    """End the one child of ours that there is, with all that it started."""
    (child,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    os.killpg(int(child), signal.SIGKILL)
    while True:
        arena.shell("true")


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", ["docker", "bubblewrap"])
def test_every_row_holds_or_is_said_not_to_be_protected(kind: str, group: str, image: str) -> None:
    findings = list(check(openers(image)[kind], SMALL, GROUPS[group]))

    assert failed(findings) == []
    assert len(findings) == len(GROUPS[group])
    if kind == "docker":
        assert {finding.outcome for finding in findings} == {"ok"}


def test_where_there_is_no_control_group_limits_hold_for_each_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bubblewrap, "make_group", lambda _limits: None)
    with weaker() as sandbox:
        weaknesses = sandbox.description.weaknesses

    findings = list(check(weaker, SMALL, exhaustion.ROWS))

    assert failed(findings) == []
    assert {Weakness.MEMORY, Weakness.PROCESSOR} <= set(weaknesses)
    assert {f.row.number for f in findings if f.outcome == "not protected"} >= {7, 50, 51}


def test_what_a_result_says_of_its_sandbox_and_what_the_table_reports_are_the_same() -> None:
    with weaker() as sandbox:
        said = set(sandbox.description.weaknesses)
    open_rows = [row for row in ROWS if row.open_to is not None]

    findings = list(check(weaker, SMALL, [row for row in open_rows if row.open_to in said]))

    assert {finding.outcome for finding in findings} == {"not protected"}
    # The set-up's network is no row: by the time that a sandbox is open, it is closed.
    assert {finding.detail for finding in findings} == said - {Weakness.SETUP_NETWORK}
    assert {row.open_to for row in open_rows} == set(Weakness) - {Weakness.SETUP_NETWORK}


def test_every_row_has_a_number_of_its_own() -> None:
    assert [row.number for row in ROWS] == list(range(1, len(ROWS) + 1))


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (Row(1, "gets through", shell("echo BROKEN")), "BROKEN"),
        (Row(1, "says something else", shell("echo other", "expected")), "expected"),
        (Row(1, "loses the state", shell("kill -9 -1")), "state is not kept"),
        (Row(1, "keeps the state", shell("true"), state="lost"), "state is not lost"),
        (Row(1, "hides from the sweep", cell("x = 1; del kept")), "state is not kept"),
        (Row(1, "leaves a process", stray), "still there"),
        (Row(1, "takes the sandbox along", kill_the_sandbox), "lost"),
    ],
    ids=lambda value: value.name if isinstance(value, Row) else "",
)
def test_a_row_that_does_not_hold_has_failed_and_the_next_is_tried_in_a_sandbox_that_works(
    row: Row, detail: str
) -> None:
    after = Row(2, "the next", shell("echo fine", "fine"))

    first, second = check(weaker, SMALL, [row, after])

    assert (first.outcome, second.outcome) == ("failed", "ok")
    assert detail in first.detail
