"""Tool calls spoken as text, for models whose servers have none: JSON by a schema, code in a fence.

The history keeps its plain form (see `messages.py`), so that models that call tools and models that
do not can follow each other in one conversation; only what goes over the wire differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.models.messages import Message
from agent.prompts import render

CODE = {"edit": "new", "python": "code"}
"""The argument of a tool that is code: it is asked for by itself, as JSON escapes spoil it."""
WHOLE = ["function", "create"]
"""Operations of `edit` that take something whole."""
LEFT_OUT = {"plan", "try_candidates", "git", "python"}
"""Tools that a small model does better without."""
THOUGHT = 400
"""Characters of what is thought before a call: without it a small model does not think at all."""
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL)


class Told(Protocol):
    """A tool as a model is told of it."""

    @property
    def name(self) -> str:
        """What it is called by."""
        ...

    @property
    def description(self) -> str:
        """What it does."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """JSON schema of an object."""
        ...


@dataclass(frozen=True, slots=True)
class SpokenCalls:
    """How calls of these tools are spoken.

    Attributes:
        tools: All that a model may call; the ones that it is told of are fewer.
    """

    tools: Sequence[Told]

    def schema(self, messages: Sequence[Message]) -> dict[str, Any]:
        """What the next answer must fit; a tool that was just called twice alike is not offered.

        A small model takes words about going in circles for one more turn of the circle.
        """
        last = [message["tool_calls"][0] for message in messages if message.get("tool_calls")][-2:]
        alike = len(last) == 2 and all(
            last[0][key] == last[1][key] for key in ("name", "arguments")
        )
        tools = [tool for tool in self._spoken() if not (alike and tool.name == last[0]["name"])]
        return {"oneOf": [self._call_schema(tool) for tool in tools]}

    def prompt(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation in system, user and assistant messages alone, no two alike in a row."""
        prompt: list[Message] = []
        for message in messages:
            role, text = self._plain(message)
            if prompt and prompt[-1]["role"] == role != "system":
                prompt[-1] = {"role": role, "content": f"{prompt[-1]['content']}\n\n{text}"}
            else:
                prompt.append({"role": role, "content": text})
        return prompt

    def call(self, text: str) -> tuple[str, dict[str, Any]] | None:
        """The thought and the call (name, arguments) of an answer; None where it names none."""
        found = _object(text)
        if found is None or not isinstance(found.get("arguments"), dict):
            return None
        call = {"name": str(found.get("tool")), "arguments": found["arguments"]}
        return str(found.get("thought") or ""), call

    def wanted(self, call: Mapping[str, Any]) -> str:
        """What code a call lacks, in words; empty where it lacks none."""
        argument = CODE.get(call["name"])
        if argument is None or argument in call["arguments"]:
            return ""
        arguments = call["arguments"]
        if arguments.get("operation") == "function":
            return f"the whole new definition of `{arguments.get('old')}`"
        return f"`{argument}`"

    def with_code(self, call: Mapping[str, Any], text: str) -> dict[str, Any]:
        """The call with the code of an answer: its first fenced block, or all of it."""
        block = _FENCE.search(text)
        code = block.group(1) if block else text.strip("\n")
        arguments = {**call["arguments"], CODE[call["name"]]: code + "\n"}
        return {"name": call["name"], "arguments": arguments}

    def _spoken(self) -> list[Told]:
        return [tool for tool in self.tools if tool.name not in LEFT_OUT]

    def _call_schema(self, tool: Told) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {
                "thought": {"type": "string", "maxLength": THOUGHT},
                "tool": {"const": tool.name},
                "arguments": _without_code(tool),
            },
            "required": ["thought", "tool", "arguments"],
            "additionalProperties": False,
        }

    def _plain(self, message: Message) -> tuple[str, str]:
        match message["role"]:
            case "system":
                return "system", f"{message['content']}\n\n{self._instructions()}"
            case "tool":
                return "user", f"Result:\n{message['content']}"
            case "assistant":
                calls = message.get("tool_calls", ())
                said = [_spoken(call, message["content"]) for call in calls] or [message["content"]]
                return "assistant", "\n".join(said) or "(no answer)"
            case role:
                return str(role), str(message["content"])

    def _instructions(self) -> str:
        tools = [
            f"- {tool.name}: {' '.join(tool.description.split())}\n"
            f"  arguments: {json.dumps(_without_code(tool)['properties'])}"
            for tool in self._spoken()
        ]
        return render("spoken_calls", tools="\n".join(tools))


def _without_code(tool: Told) -> dict[str, Any]:
    """A tool's parameters, all named in an answer; without the argument that is code."""
    code = CODE.get(tool.name)
    properties = {
        name: schema for name, schema in tool.parameters["properties"].items() if name != code
    }
    required = [name for name in tool.parameters.get("required", ()) if name != code]
    if tool.name == "edit":
        # A whole function is what a small model writes best; exact texts it does not keep to.
        properties["operation"] = {"enum": WHOLE}
        required += ["operation", "old"]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _spoken(call: Mapping[str, Any], thought: str) -> str:
    """A call as the model would have said it."""
    code = CODE.get(call["name"])
    rest = {name: value for name, value in call["arguments"].items() if name != code}
    whole = {"thought": thought, "tool": call["name"], "arguments": rest}
    said = json.dumps(whole, ensure_ascii=False)
    written = call["arguments"].get(code) if code else None
    return f"{said}\n```\n{written}\n```" if written else said


def _object(text: str) -> dict[str, Any] | None:
    """The first JSON object of a text, in a fence or not."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", text):
        try:
            found, _ = decoder.raw_decode(text, match.start())
        except ValueError:
            continue
        if isinstance(found, dict) and "tool" in found:
            return found
    return None
