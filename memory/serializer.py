"""How state becomes bytes and comes back: plain data and messages only, and nothing is ever run.

LangGraph's serializer can name any importable class in its bytes, and its strict mode answers a
forbidden one with the raw arguments and a log line. Here such bytes are refused, when they are
read and already when they would be written, so that a state which cannot come back is noticed in
the step that makes it and not in the resume that needs it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import ormsgpack
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from typing_extensions import override

from memory.errors import CheckpointRefused

PLAIN_KINDS = frozenset({"null", "bytes", "bytearray", "msgpack"})
ALLOWED_TYPES = frozenset(
    {
        ("builtins", "frozenset"),
        ("builtins", "set"),
        ("collections", "deque"),
        ("datetime", "date"),
        ("datetime", "time"),
        ("datetime", "timedelta"),
        ("datetime", "timezone"),
        ("decimal", "Decimal"),
        ("langchain_core.messages.ai", "AIMessage"),
        ("langchain_core.messages.human", "HumanMessage"),
        ("langchain_core.messages.modifier", "RemoveMessage"),
        ("langchain_core.messages.system", "SystemMessage"),
        ("langchain_core.messages.tool", "ToolMessage"),
        ("langgraph.types", "Command"),
        ("langgraph.types", "Interrupt"),
        ("langgraph.types", "Overwrite"),
        ("langgraph.types", "Send"),
        ("langgraph.types", "TimeoutPolicy"),
        ("uuid", "UUID"),
    }
)
ALLOWED_METHODS = frozenset({("datetime", "datetime", "fromisoformat")})

CONSTRUCTOR_CODES = frozenset({0, 1, 2, 4, 5})
METHOD_CODE = 3
DELTA_SNAPSHOT_CODE = 7


class StrictSerializer(JsonPlusSerializer):
    """LangGraph's msgpack form, limited to `ALLOWED_TYPES`; no JSON constructors, no pickles."""

    def __init__(self) -> None:
        super().__init__(pickle_fallback=False, allowed_msgpack_modules=None)

    @override
    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """The kind of the bytes, and the bytes.

        Raises:
            CheckpointRefused: They would be refused when read.
        """
        kind, raw = super().dumps_typed(obj)
        _check(kind, raw)
        return kind, raw

    @override
    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """The object that `dumps_typed` was given; a tuple comes back as a list.

        Raises:
            CheckpointRefused: The bytes are of another form, or name a type that is not allowed.
        """
        _check(*data)
        return super().loads_typed(data)

    @override
    def with_msgpack_allowlist(self, extra_allowlist: Iterable[tuple[str, ...] | type]) -> Self:
        """Itself: a graph does not widen what may be built."""
        return self


def _check(kind: str, raw: bytes) -> None:
    if kind not in PLAIN_KINDS:
        raise _refusal(f"a value of kind {kind!r}")
    if kind == "msgpack":
        _check_msgpack(raw)


def _check_msgpack(raw: bytes) -> Any:
    """Walk the bytes without building anything that they name."""
    try:
        return ormsgpack.unpackb(raw, ext_hook=_check_extension, option=ormsgpack.OPT_NON_STR_KEYS)
    except ormsgpack.MsgpackDecodeError as error:
        # The decoder wraps what its hook raises; the refusal inside says more than the wrapper.
        cause = error.__cause__ or error.__context__
        if isinstance(cause, CheckpointRefused):
            raise cause from None
        raise _refusal(f"bytes that are no msgpack ({error})") from error


def _check_extension(code: int, raw: bytes) -> None:
    if code not in CONSTRUCTOR_CODES | {METHOD_CODE, DELTA_SNAPSHOT_CODE}:
        raise _refusal(f"an extension of code {code}")
    named = _check_msgpack(raw)
    if code == DELTA_SNAPSHOT_CODE:
        return
    length = 3 if code == METHOD_CODE else 2
    if not isinstance(named, list) or len(named) < length + 1 or not _are_texts(named[:2]):
        raise _refusal(f"an extension of code {code} that names no type")
    name = (*named[:2], named[3]) if code == METHOD_CODE else tuple(named[:2])
    if name not in (ALLOWED_METHODS if code == METHOD_CODE else ALLOWED_TYPES):
        raise _refusal(".".join(map(str, name)))


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _refusal(what: str) -> CheckpointRefused:
    return CheckpointRefused(
        f"A checkpoint holds {what}, which is not plain data",
        remedy=(
            "Keep state to text, numbers, lists, dictionaries and messages; if Journeyman did not "
            "write it, somebody else writes to this Redis: start a new session elsewhere."
        ),
    )
