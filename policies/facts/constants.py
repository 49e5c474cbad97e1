"""Constant texts of Python expressions, without running them: literals and what is built of them."""

from __future__ import annotations

import ast
import base64
import posixpath
from collections.abc import Callable, Mapping
from typing import Any

_LONGEST = 100_000


def text_of(node: ast.expr, names: Mapping[str, str], aliases: Mapping[str, str]) -> str | None:
    """The text that an expression surely is; None where it is not known.

    Args:
        node: The expression.
        names: Variables with a constant text.
        aliases: Local names of imported things, in full.
    """
    value = _value(node, names, aliases)
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if value is not None and len(value) <= _LONGEST else None


def dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """The dotted name of an expression, imports' aliases resolved; empty where it has none."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        parts.append(aliases.get(node.id, node.id))
    elif isinstance(node, ast.Call):
        inner = dotted(node.func, aliases)
        if not inner:
            return ""
        parts.append(f"{inner}()")
    else:
        return ""
    return ".".join(reversed(parts))


def _value(
    node: ast.expr, names: Mapping[str, str], aliases: Mapping[str, str]
) -> str | bytes | None:
    value: str | bytes | None = None
    match node:
        case ast.Constant(value=str() | bytes() as constant):
            value = constant
        case ast.Constant(value=int() as number):
            value = str(number)
        case ast.Name(id=name):
            value = names.get(name)
        case ast.BinOp(left=left, op=ast.Add() | ast.Div() as op, right=right):
            value = _both(_value(left, names, aliases), _value(right, names, aliases), op)
        case ast.JoinedStr(values=values):
            value = _joined([_value(v, names, aliases) for v in values], "")
        case ast.FormattedValue(value=inner, format_spec=None):
            value = _value(inner, names, aliases)
        case ast.Subscript(
            value=inner, slice=ast.Slice(lower=None, upper=None, step=ast.UnaryOp())
        ):
            text = _value(inner, names, aliases)
            value = text[::-1] if text is not None else None
        case ast.Call():
            value = _call(node, names, aliases)
        case _:
            pass
    return value


def _both(
    left: str | bytes | None, right: str | bytes | None, op: ast.operator
) -> str | bytes | None:
    if isinstance(left, str) and isinstance(right, str):
        return posixpath.join(left, right) if isinstance(op, ast.Div) else left + right
    if isinstance(left, bytes) and isinstance(right, bytes) and isinstance(op, ast.Add):
        return left + right
    return None


def _joined(parts: list[str | bytes | None], separator: str) -> str | None:
    texts = [p for p in parts if isinstance(p, str)]
    return separator.join(texts) if len(texts) == len(parts) else None


_JOINS = frozenset({"os.path.join", "posixpath.join", "pathlib.Path", "pathlib.PurePath"})
_SAME = frozenset({"str", "os.fspath", "os.path.expanduser", "os.path.abspath", "os.path.realpath"})


def _call(
    node: ast.Call, names: Mapping[str, str], aliases: Mapping[str, str]
) -> str | bytes | None:
    arguments = [_value(a, names, aliases) for a in node.args]
    function = dotted(node.func, aliases)
    first = arguments[0] if arguments else None
    value: str | bytes | None = None
    if function == "chr" and isinstance(first, str) and first.isdigit():
        value = chr(int(first)) if int(first) < 0xD800 else None
    elif function in _JOINS and arguments:
        texts = [a for a in arguments if isinstance(a, str)]
        value = posixpath.join(*texts) if len(texts) == len(arguments) else None
    elif function in _SAME:
        value = first
    elif function == "bytes.fromhex" and isinstance(first, str):
        value = _decoded(bytes.fromhex, first)
    elif function in {"base64.b64decode", "base64.urlsafe_b64decode"} and first is not None:
        value = _decoded(base64.b64decode, first)
    elif isinstance(node.func, ast.Attribute):
        owner = _value(node.func.value, names, aliases)
        value = _method(owner, node.func.attr, node, names, aliases) if owner is not None else None
    return value


def _decoded(decode: Callable[[Any], bytes], text: str | bytes) -> bytes | None:
    try:
        return decode(text)
    except ValueError:
        return None


def _method(
    owner: str | bytes,
    method: str,
    node: ast.Call,
    names: Mapping[str, str],
    aliases: Mapping[str, str],
) -> str | bytes | None:
    if isinstance(owner, bytes):
        return owner.decode("utf-8", "replace") if method == "decode" else None
    texts = [_value(a, names, aliases) for a in node.args]
    value: str | bytes | None = None
    if method == "join" and node.args and isinstance(node.args[0], ast.List | ast.Tuple):
        value = _joined([_value(e, names, aliases) for e in node.args[0].elts], owner)
    elif method == "format" and owner.count("{}") == len(texts):
        pairs = zip(owner.split("{}"), [*texts, ""], strict=True)
        value = _joined([piece for pair in pairs for piece in pair], "")
    elif method == "encode":
        value = owner.encode("utf-8", "replace")
    elif method in {"resolve", "absolute", "expanduser", "strip", "lower"}:
        value = owner
    elif method == "joinpath":
        value = _joined([owner, *texts], "/")
    return value
