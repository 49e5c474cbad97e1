from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from agent.models.spoken_calls import SpokenCalls
from agent.proposers.chat_tools import tool_schemas
from tools.toolbox import TOOLS

SPOKEN = SpokenCalls(tool_schemas(TOOLS))


def valid(answer: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(SPOKEN.schema([])).is_valid(answer))


@pytest.mark.parametrize(
    ("answer", "fits"),
    [
        ({"tool": "read", "arguments": {"path": "a.py", "start": 3}}, True),
        (
            {"tool": "edit", "arguments": {"path": "a.py", "operation": "function", "old": "f"}},
            True,
        ),
        ({"tool": "done", "arguments": {}}, True),
        ({"tool": "edit", "arguments": {"path": "a.py", "new": "x = 1"}}, False),
        (
            {"tool": "edit", "arguments": {"path": "a.py", "operation": "replace", "old": "x"}},
            False,
        ),
        ({"tool": "edit", "arguments": {"path": "a.py", "old": "x"}}, False),
        ({"tool": "read", "arguments": {}}, False),
        ({"tool": "rm", "arguments": {}}, False),
        ({"tool": "read", "arguments": {"path": "a.py"}, "more": 1}, False),
    ],
)
def test_an_answer_fits_the_schema_where_it_calls_a_tool_rightly(
    answer: dict[str, Any], fits: bool
) -> None:
    assert valid({"thought": "t", **answer}) is fits
    assert not valid(answer)


def test_a_conversation_is_spoken_in_turns_without_any_tool_message() -> None:
    edit = {"path": "a.py", "operation": "create", "new": "x = 1"}
    calls = [
        {"id": "1", "name": "read", "arguments": {"path": "a.py"}},
        {"id": "2", "name": "edit", "arguments": edit},
    ]
    prompt = SPOKEN.prompt(
        [
            {"role": "system", "content": "You work."},
            {"role": "user", "content": "Mend it."},
            {"role": "assistant", "content": "I look.", "tool_calls": calls},
            {"role": "tool", "content": "it is empty", "tool_call_id": "1"},
            {"role": "tool", "content": "made", "tool_call_id": "2"},
            {"role": "user", "content": "Go on."},
        ]
    )

    assert [message["role"] for message in prompt] == ["system", "user", "assistant", "user"]
    assert "- shell: Run one shell command" in prompt[0]["content"]
    assert "try_candidates" not in prompt[0]["content"]
    read, create, *block = prompt[2]["content"].split("\n")
    told = {"thought": "I look.", "tool": "read", "arguments": {"path": "a.py"}}
    assert json.loads(read) == told
    assert json.loads(create)["arguments"] == {"path": "a.py", "operation": "create"}
    assert block == ["```", "x = 1", "```"]
    assert prompt[3]["content"] == "Result:\nit is empty\n\nResult:\nmade\n\nGo on."


@pytest.mark.parametrize(
    "text",
    [
        '{"tool": "read", "arguments": {"path": "{a}.py"}}',
        'I look.\n```json\n{"tool": "read", "arguments": {"path": "{a}.py"}}\n```\nThen I mend.',
        'Given {x: 1}, {"y": 2}: {"tool": "read", "arguments": {"path": "{a}.py"}} {"tool": "done"',
    ],
)
def test_a_call_is_found_in_whatever_stands_around_it(text: str) -> None:
    assert SPOKEN.call(text) == ("", {"name": "read", "arguments": {"path": "{a}.py"}})


@pytest.mark.parametrize("text", ["", "I am done.", "{", '{"tool": "read"}', '[{"tool": 1}]'])
def test_a_text_without_a_call_names_none(text: str) -> None:
    assert SPOKEN.call(text) is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("```python\ndef f():\n    return '```'\n```\nDone.", "def f():\n    return '```'\n"),
        ("Here:\n```\nx = 1\n```", "x = 1\n"),
        ("```py\nx = 1", "x = 1\n"),
        ("x = 1\n", "x = 1\n"),
    ],
    ids=["fence", "words before", "cut off", "bare"],
)
def test_code_is_taken_from_the_first_fence(answer: str, code: str) -> None:
    arguments = {"path": "a.py", "operation": "function", "old": "f"}
    call = {"name": "edit", "arguments": arguments}

    assert SPOKEN.wanted(call) == "the whole new definition of `f`"
    assert SPOKEN.with_code(call, answer)["arguments"] == {**arguments, "new": code}


def test_only_a_call_that_lacks_its_code_wants_some() -> None:
    assert SPOKEN.wanted({"name": "shell", "arguments": {"command": "ls"}}) == ""
    assert SPOKEN.wanted({"name": "edit", "arguments": {"path": "a", "new": "x"}}) == ""
    assert SPOKEN.wanted({"name": "edit", "arguments": {"path": "a"}}) == "`new`"


def test_a_tool_that_was_called_twice_alike_is_not_offered_next() -> None:
    def turn(number: int, **arguments: Any) -> dict[str, Any]:
        call = {"id": str(number), "name": "read", "arguments": arguments}
        return {"role": "assistant", "content": "", "tool_calls": [call]}

    def offered(*turns: dict[str, Any]) -> list[str]:
        calls = SPOKEN.schema(turns)["oneOf"]
        return [call["properties"]["tool"]["const"] for call in calls]

    first, other = turn(1, path="a.py"), turn(2, path="b.py")
    assert "read" in offered(first)
    assert "read" in offered(first, other)
    assert offered(first, turn(3, path="a.py")) == [
        tool for tool in offered(first) if tool != "read"
    ]
    assert "read" in offered(first, turn(3, path="a.py"), other)
