"""`journeyman model probe`, against a server that speaks each protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.doors.cli.main import main
from agent.models import names
from agent.outcome import Outcome
from tests.model_server import Call, ModelServer, Turn

PAIR = {"left": 19, "right": 23}
COUNTED = Turn("1 2 3", output_tokens=120)
CALLED = Turn(calls=(Call("add", PAIR),))
SHAPED = Turn(json.dumps(PAIR))
MODELS = [
    "openai/gpt-5.5",
    "openai/gpt-6.1-sol",
    "anthropic/claude-opus-5-5",
    "google/gemini-3.8-flash",
    "azure/gpt-5.5",
    "openai-compatible/x",
]


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in names.KEY_VARIABLES.values():
        monkeypatch.setenv(variable, "any")


def probed(script: list[Turn], name: str = MODELS[-1]) -> tuple[int, list[dict[str, Any]]]:
    with ModelServer(script) as server:
        return main(["model", "probe", name, "--base-url", server.base_url]), server.requests


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_can_do_the_work_is_told_so_in_every_protocol(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, requests = probed([COUNTED, CALLED, SHAPED], name)

    assert code == Outcome.VERIFIED.exit_code
    said = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(said) == ["reachable", "tools", "schema", "speed", "price"]
    assert said["reachable"].startswith(f"{name} at http://127.0.0.1:")
    assert (said["tools"], said["schema"]) == ("yes", "yes")
    assert said["speed"].endswith("tokens/s")
    assert ("not known" in said["price"]) == (name == MODELS[-1])
    assert '"required": ["left", "right"]' in json.dumps(requests[1])
    assert '"additionalProperties": false' in json.dumps(requests[2])


def test_a_model_that_only_talks_is_told_with_what_it_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    talk = Turn("I would call add(19, 23).")
    code, _ = probed([COUNTED, talk, talk])

    assert code == Outcome.MODEL_ERROR.exit_code
    told = capsys.readouterr()
    assert "tools      no: it called none, and said: I would call add" in told.out
    assert "schema     no: it said: I would call add" in told.out
    assert "choose another" in told.err


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (Turn(calls=(Call("add", {"left": 1, "right": 2}),)), "it called add with"),
        (Turn(status=400, text="tools are not supported"), "tools are not supported"),
    ],
)
def test_tools_that_do_not_work_are_told_with_what_happened(
    turn: Turn, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _ = probed([COUNTED, turn, SHAPED])

    assert code == Outcome.VERIFIED.exit_code
    told = capsys.readouterr()
    assert said in told.out
    assert "ask it for its calls as JSON" in told.err


def test_an_answer_of_another_shape_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = probed([COUNTED, CALLED, Turn('{"left": 19}')])

    assert code == Outcome.VERIFIED.exit_code
    assert "schema     no: it answered {'left': 19}" in capsys.readouterr().out


def test_a_server_that_is_not_there_is_a_model_error_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with ModelServer([]) as server:
        gone = server.base_url
    code = main(["model", "probe", MODELS[-1], "--base-url", gone])

    assert code == Outcome.MODEL_ERROR.exit_code
    assert "Next: Check the address" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nobody/x"], ["openai-compatible/x"], []], ids=" ".join)
def test_a_name_that_cannot_be_used_is_wrong_use(arguments: list[str]) -> None:
    assert main(["model", "probe", *arguments]) == Outcome.USAGE.exit_code


def test_builtin_needs_no_probe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "probe", "builtin"]) == Outcome.VERIFIED.exit_code
    assert "by search" in capsys.readouterr().out
