"""A session from the command line, where what begins it fails in an odd way."""

from __future__ import annotations

import json
import signal

import pytest

from agent.doors.cli.output import Output
from agent.doors.cli.work import Stopped, Work
from agent.outcome import Outcome
from agent.session import Observe, Session
from tools.workbench import Approve


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(signal.SIGINT, Outcome.INTERRUPTED), (signal.SIGTERM, Outcome.TERMINATED)],
)
def test_a_stop_that_compiled_code_turned_into_its_own_error_is_a_stop(
    capfd: pytest.CaptureFixture[str], number: signal.Signals, outcome: Outcome
) -> None:
    def begin(_approve: Approve, _observe: Observe) -> Session:
        try:
            signal.raise_signal(number)
        except Stopped:
            raise RuntimeError("UNKNOWN: [UNKNOWN]") from None
        raise AssertionError("the signal was lost")

    assert Work(Output("json")).run(begin) == outcome.exit_code
    assert json.loads(capfd.readouterr().out)["outcome"] == outcome.label
