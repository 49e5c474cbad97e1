"""A model that calls no tools, driven by a JSON schema over a real socket."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.models import findings
from agent.models.client import ModelClient
from agent.proposers.chat_tools import tool_schemas
from agent.task import Task
from memory import redis_server
from tests.agent.models.conftest import COMPATIBLE, HELLO, said
from tests.model_server import ModelServer, Turn, texts
from tests.sessions import copy_fixture, run
from tools.toolbox import TOOLS

SHELL = Turn(
    '{"thought": "I look.", "tool": "shell", "arguments": {"command": "ls"}}', output_tokens=10
)
FUNCTION = {"path": "a.py", "operation": "function", "old": "f"}
EDIT = Turn(json.dumps({"tool": "edit", "arguments": FUNCTION}), output_tokens=20)
CODE = Turn("Here it is:\n```python\ndef f():\n    return 2\n```", output_tokens=30)


def spoken(server: ModelServer) -> ModelClient:
    return ModelClient(
        COMPATIBLE, base_url=server.base_url, tools=tool_schemas(TOOLS), timeout_s=20, spoken=True
    )


def test_an_answer_in_json_is_the_call_that_it_speaks_of() -> None:
    with ModelServer([SHELL]) as server:
        reply = spoken(server).call(HELLO, max_output_tokens=500)

    (request,) = server.requests
    assert "tools" not in request
    assert request["response_format"]["json_schema"]["schema"]["oneOf"]
    assert "- shell: Run one shell command" in texts(request)[0]
    (call,) = reply.message["tool_calls"]
    assert (call["name"], call["arguments"]) == ("shell", {"command": "ls"})
    assert (reply.message["content"], reply.finish) == ("I look.", "tool_calls")


def test_code_is_asked_for_in_a_second_answer_without_a_schema_and_both_are_counted() -> None:
    with ModelServer([EDIT, CODE, SHELL]) as server:
        client = spoken(server)
        reply = client.call(HELLO, max_output_tokens=500)
        said(client)

    first, second, third = server.requests
    assert "response_format" not in second
    assert texts(second)[:2] == texts(first)
    assert "the whole new definition of `f`" in texts(second)[-1]
    (call,) = reply.message["tool_calls"]
    assert call["arguments"] == {**FUNCTION, "new": "def f():\n    return 2\n"}
    assert reply.output_tokens == 50
    assert texts(third)[2].endswith("```\ndef f():\n    return 2\n\n```")


@pytest.mark.parametrize(
    "turns",
    [
        [Turn("I think that f is wrong.")],
        [Turn('{"tool": "shell", "argum', finish="length")],
        [EDIT, Turn("```python\ndef f():", finish="length")],
    ],
    ids=["words alone", "a call cut off", "code cut off"],
)
def test_an_answer_that_names_no_whole_call_is_an_answer_in_words(turns: list[Turn]) -> None:
    with ModelServer(turns) as server:
        reply = spoken(server).call(HELLO, max_output_tokens=500)

    assert "tool_calls" not in reply.message
    assert reply.message["content"] == turns[0].text
    assert reply.finish == ("length" if "length" in {turn.finish for turn in turns} else "stop")


def test_what_a_probe_found_is_kept_by_name_and_address(tmp_path: Path) -> None:
    findings.keep(tmp_path, "openai-compatible/a", "http://h/v1/", tools=False, schema=True)
    findings.keep(tmp_path, "openai-compatible/b", "http://h/v1", tools=True, schema=True)

    assert findings.speaks_only(tmp_path, "openai-compatible/a", "http://h/v1")
    assert not findings.speaks_only(tmp_path, "openai-compatible/a", "http://other/v1")
    assert not findings.speaks_only(tmp_path, "openai-compatible/b", "http://h/v1")
    (tmp_path / findings.FILE).write_text("{")
    assert not findings.speaks_only(tmp_path, "openai-compatible/a", "http://h/v1")


def test_a_model_that_calls_no_tools_mends_a_red_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("JOURNEYMAN_HOME", str(home))
    repo = copy_fixture("red_test", tmp_path)
    edit = {"path": "stockroom/levels.py", "operation": "function", "old": "Shelf.to_order"}
    code = (
        "```python\ndef to_order(self, minimum):\n    counts = self.counts.items()\n"
        "    return sorted(part for part, count in counts if count < minimum)\n```"
    )
    turns = [
        Turn('{"tool": "read", "arguments": {"path": "stockroom/levels.py"}}'),
        Turn(json.dumps({"tool": "edit", "arguments": edit})),
        Turn(code),
        Turn('{"tool": "done", "arguments": {"summary": "Below, not at."}}'),
    ]
    with ModelServer(turns) as server:
        home.mkdir(mode=0o700)
        findings.keep(home, COMPATIBLE, server.base_url, tools=False, schema=True)
        watched = run(Task(text="Mend it.", repo=repo, model=COMPATIBLE, base_url=server.base_url))
    redis_server.stop(home)

    assert watched.result is not None
    assert watched.result.outcome == "verified", watched.result.reason
    assert "1\tfrom" in texts(server.requests[1])[-1] or "to_order" in texts(server.requests[1])[-1]
