"""Conditions: CEL over typed facts, behind one function that says True or False and nothing else.

    compile_condition(text) -> Condition      raises ConditionError, at load
    evaluate(condition, bound) -> bool        raises EngineError: the caller denies

The engine is cel-cpp. Its traps are closed here: a result that is an error value, or no boolean,
raises; a pattern that is none is refused at load, because the engine would only see it when a list
is not empty; facts go in as messages, so that a misspelt field is refused and no text is cut at a
NUL.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import re2
from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from policies.facts.vocabulary import Facts

_PACKAGE = "journeyman.facts"
_SCALARS = {
    str: descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    bool: descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    int: descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    float: descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
}


class ConditionError(ValueError):
    """A condition that cannot be used: it does not compile, or is no yes-or-no question."""


class EngineError(RuntimeError):
    """A condition gave neither yes nor no on some facts."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition, with its text for people."""

    text: str
    expression: Any


Bound: TypeAlias = cel.Activation
"""Facts as the engine takes them; made by `bind`."""


def compile_condition(text: str) -> Condition:
    """Compile a condition over the fields of `Facts`.

    Raises:
        ConditionError: What is wrong with it, with line and column where the engine says so.
    """
    _check_patterns(text)
    try:
        expression = _environment().compile(text)
    except RuntimeError as error:
        raise ConditionError(str(error)) from error
    if expression.return_type() != cel.Type.BOOL:
        raise ConditionError(f"it gives {expression.return_type()}, not true or false")
    return Condition(text, expression)


def bind(facts: Facts) -> Bound:
    """Make the engine's messages of the facts, once for all conditions.

    Raises:
        EngineError: A text is not whole Unicode, or holds a NUL.
    """
    try:
        return _environment().Activation(
            {name: _told(getattr(facts, name)) for name in _fact_names()}
        )
    except (ValueError, TypeError, RuntimeError) as error:
        raise EngineError(f"the facts cannot be told to the engine: {error}") from error


def evaluate(condition: Condition, facts: Bound) -> bool:
    """Whether the condition holds.

    Raises:
        EngineError: The engine says neither yes nor no.
    """
    try:
        result = condition.expression.eval(facts)
    except RuntimeError as error:
        raise EngineError(f"{condition.text!r}: {error}") from error
    value = result.value()
    # Every result object is truthy, and an error is a value too: only the two booleans count.
    if result.type() != cel.Type.BOOL or not isinstance(value, bool):
        raise EngineError(f"{condition.text!r}: {value}")
    return value


@functools.cache
def _environment() -> Any:
    hints = typing.get_type_hints(Facts)
    variables = {name: _cel_type(hint) for name, hint in hints.items()}
    any_match = cel.FunctionDecl(
        "anyMatch",
        [
            cel.Overload(
                "list_anyMatch_string",
                cel.Type.BOOL,
                [cel.Type.List(cel.Type.STRING), cel.Type.STRING],
                is_member=True,
                impl=_any_match,
            )
        ],
    )
    return cel.NewEnv(variables=variables, descriptor_pool=_pool(), functions=[any_match])


def _any_match(texts: Sequence[str], pattern: str) -> bool:
    """Whether one of the texts holds the pattern; far cheaper than `matches` in a loop."""
    compiled = _pattern(pattern)
    return any(compiled.search(text) is not None for text in texts)


@functools.lru_cache(maxsize=1024)
def _pattern(text: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    return re2.compile(text, options)


_STRING = r"""r?"(?:[^"\\\n]|\\.)*"|r?'(?:[^'\\\n]|\\.)*'"""
_PATTERN_USE = re.compile(rf"\.(?:matches|anyMatch)\s*\(\s*(?P<literal>{_STRING})?")


def _check_patterns(text: str) -> None:
    """Refuse a pattern that RE2 refuses, and one that is no literal and so cannot be checked."""
    for use in _PATTERN_USE.finditer(text):
        literal = use["literal"]
        if literal is None:
            raise ConditionError(
                "a pattern must be written out in quotes, so that it can be checked"
            )
        raw = literal.startswith("r")
        body = literal[2:-1] if raw else re.sub(r"\\(.)", r"\1", literal[1:-1])
        try:
            _pattern(body)
        except re2.error as error:
            raise ConditionError(f"the pattern {literal} is none: {error}") from error


@functools.cache
def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(
        name="journeyman/facts.proto", package=_PACKAGE, syntax="proto3"
    )
    for message in _message_types():
        described = file.message_type.add(name=message.__name__)
        hints = typing.get_type_hints(message)
        for number, (name, hint) in enumerate(hints.items(), start=1):
            repeated = typing.get_origin(hint) is tuple
            field = described.field.add(
                name=name,
                number=number,
                type=_SCALARS[typing.get_args(hint)[0] if repeated else hint],
            )
            field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _message_types() -> list[type]:
    """The classes of the vocabulary, from the fields of `Facts`."""
    hints = typing.get_type_hints(Facts).values()
    return [typing.get_args(h)[0] if typing.get_origin(h) is tuple else h for h in hints]


def _cel_type(hint: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        return cel.Type.List(cel.Type(f"{_PACKAGE}.{typing.get_args(hint)[0].__name__}"))
    return cel.Type(f"{_PACKAGE}.{hint.__name__}")


@functools.cache
def _message_class(name: str) -> tuple[type[Message], tuple[str, ...]]:
    described = _pool().FindMessageTypeByName(f"{_PACKAGE}.{name}")
    return message_factory.GetMessageClass(described), tuple(described.fields_by_name)


@functools.cache
def _fact_names() -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(Facts))


def _told(facts: Any) -> Message | list[Message]:
    if isinstance(facts, tuple):
        return [_to_message(fact) for fact in facts]
    return _to_message(facts)


def _to_message(fact: Any) -> Message:
    made, fields = _message_class(type(fact).__name__)
    return made(**{name: getattr(fact, name) for name in fields})
