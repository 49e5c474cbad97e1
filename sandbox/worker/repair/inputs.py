"""Inputs for comparing behaviours: arguments seen while the tests ran, and mutations of them."""

from __future__ import annotations

import copy
import inspect
import itertools
import math
import random
import re
import sys
import types
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from .swap import live_objects

PLAIN = (int, float, str, bytes, bool, type(None))
MOST_SEEDS = 12
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


class Call(NamedTuple):
    """A function and the arguments of one call, by name; `stars` are those of `*args`."""

    function: Callable[..., Any]
    arguments: Dict[str, Any]
    stars: Tuple[Any, ...]
    keywords: Dict[str, Any]


def plain(value: Any, depth: int = 0) -> bool:
    """Whether a value is a literal through and through."""
    if type(value) in PLAIN:
        return True
    if depth > 6:
        return False
    if type(value) in (list, tuple, set, frozenset):
        return all(plain(v, depth + 1) for v in value)
    if type(value) is dict:
        return all(plain(k, depth + 1) and plain(v, depth + 1) for k, v in value.items())
    return False


class Recorder:
    """Keeps the arguments of calls into the project while a block runs.

    Args:
        is_project: Whether a file name is one of the project's own files.
        edited: Code objects of the functions that candidates edit.
    """

    def __init__(self, is_project: Callable[[str], bool], edited: Set[types.CodeType]) -> None:
        self._is_project = is_project
        self._edited = edited
        self._open: List[Tuple[types.FrameType, Optional[Dict[str, Any]], bool]] = []
        self._known: Dict[str, bool] = {}
        self.outer: List[Tuple[types.CodeType, Dict[str, Any]]] = []
        self.inner: List[Tuple[types.CodeType, Dict[str, Any]]] = []

    def _project(self, filename: str) -> bool:
        if filename not in self._known:
            self._known[filename] = self._is_project(filename)
        return self._known[filename]

    def __enter__(self) -> None:
        sys.setprofile(self._event)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        self._open = []

    def _event(self, frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and self._project(frame.f_code.co_filename):
            caller = frame.f_back
            is_outer = caller is not None and not self._project(caller.f_code.co_filename)
            kept = _copied(frame) if is_outer or frame.f_code in self._edited else None
            if frame.f_code in self._edited:
                if kept is not None and len(self.inner) < 200:
                    self.inner.append((frame.f_code, kept))
                self._open = [(f, a, True) for f, a, _ in self._open]
            if is_outer:
                self._open.append((frame, kept, frame.f_code in self._edited))
        elif event == "return" and self._open and self._open[-1][0] is frame:
            _, arguments, touched = self._open.pop()
            if touched and arguments is not None and len(self.outer) < 400:
                self.outer.append((frame.f_code, arguments))


def _copied(frame: types.FrameType) -> Optional[Dict[str, Any]]:
    code = frame.f_code
    if code.co_name.startswith("<") or (
        code.co_name.startswith("__") and code.co_name != "__call__"
    ):
        return None
    count = code.co_argcount + code.co_kwonlyargcount
    count += bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    values = frame.f_locals
    try:
        return {
            name: values[name]
            if plain(values[name]) and not _holds(values[name])
            else copy.deepcopy(values[name])
            for name in code.co_varnames[:count]
        }
    except BaseException:  # foreign __deepcopy__ may raise anything, SystemExit too
        return None


def _holds(value: Any) -> bool:
    return isinstance(value, (list, dict, set, tuple))


def calls(recorded: List[Tuple[types.CodeType, Dict[str, Any]]]) -> List[Call]:
    """Recorded arguments with the live functions they belong to; different ones only."""
    owners: Dict[types.CodeType, types.FunctionType] = {}
    codes = {code for code, _ in recorded}
    for thing in live_objects():
        if isinstance(thing, types.FunctionType) and thing.__code__ in codes:
            owners.setdefault(thing.__code__, thing)
    seen: Set[str] = set()
    found: List[Call] = []
    for code, values in recorded:
        function = owners.get(code)
        key = code.co_name + _ADDRESS.sub(
            "0x", repr(sorted(values.items(), key=lambda p: p[0]))[:2000]
        )
        if function is None or function.__closure__ or key in seen:
            continue
        seen.add(key)
        names = list(code.co_varnames)
        count = code.co_argcount + code.co_kwonlyargcount
        arguments = {name: values[name] for name in names[:count]}
        stars: Tuple[Any, ...] = ()
        keywords: Dict[str, Any] = {}
        if code.co_flags & inspect.CO_VARARGS:
            stars = tuple(values[names[count]])
            count += 1
        if code.co_flags & inspect.CO_VARKEYWORDS:
            keywords = dict(values[names[count]])
        found.append(Call(function, arguments, stars, keywords))
    return found


def mutated(seeds: List[Call], most: int) -> List[Call]:
    """The seeds and mutations of their plain arguments, at most `most` more, always the same."""
    chance = random.Random(0)
    found = list(seeds)
    domain = _domain(seeds)
    streams = [_mutations(seed, chance, domain) for seed in seeds]
    seen = {repr(_shown(seed)) for seed in seeds}
    for call in itertools.chain.from_iterable(itertools.zip_longest(*streams)):
        if len(found) - len(seeds) >= most:
            break
        if call is not None and repr(_shown(call)) not in seen:
            seen.add(repr(_shown(call)))
            found.append(call)
    return found


def _shown(call: Call) -> Tuple[Any, ...]:
    return (call.function.__name__, sorted(call.arguments.items(), key=lambda p: p[0]), call.stars, sorted(call.keywords.items()))  # fmt: skip


def _domain(seeds: List[Call]) -> Dict[Tuple[str, Any], Set[str]]:
    """Traits of the values that the tests give each argument: what a function is meant for."""
    domain: Dict[Tuple[str, Any], Set[str]] = {}
    for seed in seeds:
        for place, value in [*seed.arguments.items(), *enumerate(seed.stars)]:
            key = (seed.function.__qualname__, place)
            domain.setdefault(key, set()).update(_traits(value))
    return domain


def _traits(value: Any, depth: int = 0) -> Iterator[str]:
    """What is not a matter of course: negative, zero, empty; kinds of letters in strings."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if value <= 0:
            yield f"{depth}:{'negative' if value else 'zero'}"
    elif isinstance(value, str):
        if not value:
            yield f"{depth}:no text"
        for letter in value:
            kind = "upper" if letter.isupper() else "digit" if letter.isdigit() else letter
            if not letter.islower():
                yield f"{depth}:letter {kind}"
    elif isinstance(value, (list, tuple, set, frozenset, dict)):
        inner = [*value, *value.values()] if isinstance(value, dict) else list(value)
        if not inner:
            yield f"{depth}:nothing in it"
        for element in inner:
            yield from _traits(element, depth + 1)


def _mutations(
    call: Call, chance: random.Random, domain: Dict[Tuple[str, Any], Set[str]]
) -> Iterator[Call]:
    places: List[Tuple[Any, Any]] = [
        (name, value) for name, value in call.arguments.items() if name not in ("self", "cls")
    ]
    places += list(enumerate(call.stars))
    name = call.function.__qualname__
    variants = [
        [
            (place, new)
            for new in _variants(value, chance)
            if domain[name, place].issuperset(_traits(new))
        ]
        for place, value in places
        if plain(value)
    ]
    for variant in itertools.chain.from_iterable(itertools.zip_longest(*variants)):
        if variant is None:
            continue
        place, new = variant
        if isinstance(place, int):
            stars = (*call.stars[:place], new, *call.stars[place + 1 :])
            yield call._replace(stars=stars)
        else:
            yield call._replace(arguments={**call.arguments, place: new})


def _variants(value: Any, chance: random.Random) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, value - 1, value + 2, value * 2, 0, 1, -value, value + 7, value // 2)
    elif isinstance(value, float):
        yield from (value + 1.0, value - 1.0, -value, value / 2, 0.0, float(round(value)))
    elif isinstance(value, (str, list, tuple)):
        yield from _of_sequence(value, chance)
    elif isinstance(value, dict):
        for key in list(value)[:3]:
            yield {k: v for k, v in value.items() if k != key}
            for new in itertools.islice(_variants(value[key], chance), 2):
                yield {**value, key: new}
    elif isinstance(value, set):
        for key in sorted(value, key=repr)[:3]:
            yield value - {key}


def _of_sequence(value: Any, chance: random.Random) -> Iterator[Any]:
    size = len(value)
    empty = value[:0]
    if isinstance(value, str):
        yield from (value.swapcase(), value.upper())
    if size:
        i, j = chance.randrange(size), chance.randrange(size)
        yield value[:i] + value[i + 1 :]
        yield value[:j] + value[j : j + 1] + value[j:]
        low, high = min(i, j), max(i, j)
        if low != high:
            yield (
                value[:low]
                + value[high : high + 1]
                + value[low + 1 : high]
                + value[low : low + 1]
                + value[high + 1 :]
            )
    yield value[::-1]
    if not isinstance(value, str):
        for at in dict.fromkeys([chance.randrange(size), 0, size - 1] if size else []):
            for new in itertools.islice(_variants(value[at], chance), 3):
                yield value[:at] + type(value)([new]) + value[at + 1 :]
    elif size:
        at = chance.randrange(size)
        for new in ("a", "A", "1", " ", "z", chance.choice(value)):
            yield value[:at] + new + value[at + 1 :]
    yield value + value
    yield value[1:]
    yield value[:-1]
    yield value[: size // 2]
    yield empty


def normal(value: Any, depth: int = 0) -> str:
    """A value as text that is equal for equal behaviour: fractions rounded, no addresses."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.9g}" if value != int(value) or abs(value) > 1e15 else f"{value:.1f}"
    if depth < 5 and type(value) in (list, tuple):
        inner = ", ".join(normal(v, depth + 1) for v in value[:200])
        return f"{type(value).__name__}({inner})"
    if depth < 5 and type(value) is dict:
        inner = ", ".join(
            f"{normal(k, depth + 1)}: {normal(v, depth + 1)}" for k, v in value.items()
        )
        return "{" + inner + "}"
    if isinstance(value, (set, frozenset)):
        return f"set({sorted(map(repr, value))})"
    if isinstance(value, types.GeneratorType):
        return "generator " + normal(list(itertools.islice(value, 100)), depth + 1)
    text = repr(value)
    if getattr(type(value), "__repr__", None) == object.__repr__:
        text = type(value).__name__ + normal(getattr(value, "__dict__", {}), depth + 1)
    return _ADDRESS.sub("0x", text)[:4000]
