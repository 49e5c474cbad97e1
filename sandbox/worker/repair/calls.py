"""Operators on calls: another method, other arguments, ranges, keys of sorting, folds."""

from __future__ import annotations

import ast
import builtins
import collections
import datetime as dt
import decimal
import difflib
import functools
import pathlib
import re
from typing import Iterator

from .scope import FUNCTIONS
from .site import Site
from .source import Splice, neighbours

_FAMILIES = (
    ("lower", "upper", "swapcase", "capitalize", "title", "casefold"),
    ("startswith", "endswith"),
    ("strip", "lstrip", "rstrip"),
    ("find", "rfind", "index", "rindex", "count"),
    ("split", "rsplit", "splitlines", "partition", "rpartition"),
    ("isdigit", "isalpha", "isalnum", "isnumeric", "isdecimal", "isspace", "isupper", "islower"),
    ("append", "extend", "add", "insert", "appendleft"),
    ("pop", "popleft", "remove", "discard"),
    ("keys", "values", "items"),
    ("union", "intersection", "difference", "symmetric_difference"),
    ("match", "search", "fullmatch", "findall", "finditer"),
    ("read", "readline", "readlines"),
    ("update", "setdefault"),
    ("ljust", "rjust", "center"),
    ("removeprefix", "removesuffix", "lstrip", "rstrip"),
)
_FUNCTIONS = (
    ("min", "max", "sum", "len"),
    ("any", "all"),
    ("int", "float", "round", "str", "abs"),
    ("sorted", "reversed", "list", "set", "tuple"),
    ("floor", "ceil", "round", "trunc", "int"),
    ("bin", "oct", "hex"),
    ("ord", "chr"),
    ("filter", "map"),
    ("zip", "enumerate"),
    ("isinstance", "issubclass"),
    ("getattr", "hasattr"),
)
_TYPES = (
    str,
    bytes,
    int,
    float,
    list,
    dict,
    set,
    tuple,
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    re.Match,
    re.Pattern,
    pathlib.PurePosixPath,
    decimal.Decimal,
    collections.deque,
)


@functools.lru_cache(maxsize=None)
def spelt_alike(name: str) -> tuple[str, ...]:
    """Public attributes of the built-in types that have `name`, spelt nearly like it; at most 6."""
    near: dict[str, float] = {}
    for type_ in _TYPES:
        if not hasattr(type_, name):
            continue
        for other in dir(type_):
            if other.startswith("_") or other == name:
                continue
            ratio = difflib.SequenceMatcher(None, name, other).ratio()
            if ratio >= 0.55:
                near[other] = max(ratio, near.get(other, 0.0))
    return tuple(sorted(near, key=lambda other: (-near[other], other))[:6])


def _neighbours(name: str, families: tuple[tuple[str, ...], ...]) -> dict[str, None]:
    return dict.fromkeys(
        other for family in families if name in family for other in family if other != name
    )


def methods(site: Site) -> Iterator[Splice]:
    """A neighbour of the method or attribute: by family, or spelt nearly alike."""
    node = site.node
    if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load):
        return
    start = site.end - len(node.attr)
    for name in dict.fromkeys([*_neighbours(node.attr, _FAMILIES), *spelt_alike(node.attr)]):
        yield Splice("method", start, site.end, name)


def functions(site: Site) -> Iterator[Splice]:
    """Another function: a built-in one of the same family, or another of the same file.

    A type that is handed on and not called gives way to types only: what takes it may ask for one.
    """
    node, parent = site.node, site.parent
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        return
    called = isinstance(parent, ast.Call) and parent.func is node
    for name in _neighbours(node.id, _FUNCTIONS):
        if called or _is_type(name) or not _is_type(node.id):
            yield Splice("call-name", site.start, site.end, name)
    if not called:
        return
    tops = [n.name for n in site.source.tree.body if isinstance(n, FUNCTIONS)]
    if node.id in tops:
        for name in difflib.get_close_matches(node.id, [t for t in tops if t != node.id], 4, 0.3):
            yield Splice("call-name", site.start, site.end, name)


def _is_type(name: str) -> bool:
    return isinstance(getattr(builtins, name, None), type)


def ranges(site: Site) -> Iterator[Splice]:
    """Other start, stop and step of a range."""
    node = site.node
    if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "range"):
        return
    if not 1 <= len(node.args) <= 3 or node.keywords:
        return
    args = [site.of(a) for a in node.args]
    start, stop = ("0", args[0]) if len(args) == 1 else (args[0], args[1])
    step = args[2] if len(args) == 3 else "1"
    shapes = [
        *((s, stop, step) for s in ("0", "1", "2", f"{start} + 1", f"{start} - 1")),
        *(
            (start, s, step)
            for s in (f"{stop} + 1", f"{stop} - 1", f"{stop} + 2", f"{stop} // 2 + 1")
        ),
        *((start, stop, s) for s in ("1", "2", "-1")),
        (stop, start, "-1"),
        (f"{stop} - 1", f"{start} - 1", "-1"),
        ("1", f"{stop} + 1", step),
    ]
    for name in site.scope.names(site.line):
        if site.scope.kinds.get(name, "int") == "int" and name != start:
            shapes += [(name, stop, step), (f"{name} + 1", stop, step)]
    for shape in shapes:
        kept = list(shape)
        if kept[2] == "1":
            kept = kept[:2]
            if kept[0] == "0":
                kept = kept[1:]
        yield Splice("range", site.start, site.end, f"range({', '.join(kept)})")


def arguments(site: Site) -> Iterator[Splice]:
    """An argument left out, two exchanged, one more from the variables."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    text = site.source.text
    spans = [site.source.span(a) for a in node.args]
    for left, right in neighbours(spans):
        between = text[left[1] : right[0]]
        swapped = text[slice(*right)] + between + text[slice(*left)]
        yield Splice("swap-args", left[0], right[1], swapped)
    everything = sorted([*spans, *(_keyword_span(site, k) for k in node.keywords)])
    for i, (start, end) in enumerate(everything):
        if i:
            yield Splice("drop-arg", everything[i - 1][1], end, "")
        elif len(everything) > 1:
            yield Splice("drop-arg", start, everything[1][0], "")
    if spans and not isinstance(node.args[-1], (ast.Starred, ast.GeneratorExp)):
        for name in site.scope.names(site.line):
            yield Splice("add-arg", spans[-1][1], spans[-1][1], f", {name}")


def _keyword_span(site: Site, keyword: ast.keyword) -> tuple[int, int]:
    start, end = site.source.span(keyword.value)
    name = "**" if keyword.arg is None else keyword.arg
    return site.source.text.rfind(name, 0, start), end


def keywords(site: Site) -> Iterator[Splice]:
    """An order or a key for sorting and choosing; a key that looks up a mapping."""
    node = site.node
    if not isinstance(node, ast.Call):
        return
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if name not in ("sorted", "sort", "max", "min") or bool(node.args) == (name == "sort"):
        return
    if node.args and isinstance(node.args[-1], (ast.GeneratorExp, ast.Starred)):
        return
    given = {k.arg for k in node.keywords}
    additions = [] if name in ("max", "min") or "reverse" in given else ["reverse=True"]
    if "key" not in given:
        additions += [f"key={key}" for key in _keys(site)]
    present = [*node.args, *(k.value for k in node.keywords)]
    at = max((site.source.span(n)[1] for n in present), default=site.end - 1)
    for addition in additions:
        yield Splice("add-kw", at, at, f", {addition}" if present else addition)


def _keys(site: Site) -> list[str]:
    keys = ["len", "abs", "str", "str.lower"]
    keys += [
        f"lambda v: {e}" for e in ("v[0]", "v[1]", "v[-1]", "-v", "(len(v), v)", "(v[1], v[0])")
    ]
    outer = site.scope.globals_read()
    for name in [*site.scope.names(site.line), *outer]:
        kind = site.scope.kinds.get(name, "dict" if name in outer else "")
        if kind == "dict":
            keys += [f"lambda v: {name}[v]", f"lambda v: {name}.get(v, 0)"]
        elif name not in ("self", "cls") and kind == "":
            keys.append(f"{name}.get")
    return keys


def mapped_keys(site: Site) -> Iterator[Splice]:
    """Any sequence sorted by what a mapping in scope says of its elements."""
    node, parent = site.node, site.parent
    if not isinstance(node, (ast.Name, ast.Call, ast.ListComp)) or not isinstance(
        parent, (ast.Return, ast.Assign, ast.Call, ast.For)
    ):
        return
    if isinstance(parent, ast.Call) and parent.func is node:
        return
    if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        return
    if site.scope.kind(node) not in ("list", ""):
        return
    for name, kind in site.scope.kinds.items():
        if kind == "dict" and name != site.text:
            text = f"sorted({site.argument()}, key=lambda v: {name}[v])"
            yield Splice("key-map", site.start, site.end, text)


def folds(site: Site) -> Iterator[Splice]:
    """In a loop, the extreme of the whole for the extreme so far: max(xs) is max(best, x)."""
    node = site.node
    if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("max", "min", "sum")):
        return
    name = node.func.id  # type: ignore[attr-defined]
    name = "max" if name == "sum" else name
    names = [n for n in site.scope.names(site.line) if n not in ("self", "cls")]
    for one in names:
        for two in names:
            if one < two:
                yield Splice("fold-step", site.start, site.end, f"{name}({one}, {two})")
