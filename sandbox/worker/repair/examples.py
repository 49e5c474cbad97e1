"""Examples in docstrings, as extra tests: doctest's form, and the looser ones that people write.

>>> f(3)                f(3) == 4        f(3) # => 4        Input: a = 3, b = 1     For a = 3,
4                       f(3) returns 4                      Output: 4               the result should be 4
"""

from __future__ import annotations

import ast
import doctest
import math
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

_ARROW = re.compile(
    r"`?\s*(?:#+\s*)?(?:==>|===|==|=>|->|➞|→|⇒|=|returns|should return|should be|is)\s*"
)
_INPUT = re.compile(r"^\s*inputs?\s*[:=]\s*(.+)$", re.IGNORECASE)
_OUTPUT = re.compile(r"^\s*outputs?\s*[:=]\s*(.+)$", re.IGNORECASE)
_FOR = re.compile(
    r"^\s*(?:for|if|when|given)\s+(\w+\s*=.+?),?\s+(?:then\s+)?the\s+(?:output|result|answer)\s+"
    r"(?:should be|will be|is)\s+(.+)$",
    re.IGNORECASE,
)
_WORDS = {"true": "True", "false": "False", "none": "None", "null": "None"}


class Example(NamedTuple):
    """An expression or statement, and what it should give (None: only be run)."""

    code: str
    wanted: Optional[str]


def examples_of(doc: str, name: str, others: "frozenset[str]") -> List[Example]:
    """The examples of a function's docstring.

    Args:
        doc: The docstring.
        name: The function's name.
        others: Names that mean something else; a call of any other name that is nowhere defined
            is taken for the function under a former name.
    """
    found = [split for example in _sessions(doc) for split in _split(example, name)]
    if not any(example.wanted for example in found):
        found = [e for line in doc.splitlines() for e in _line(line, name)]
    if not found:
        found = list(_told(doc, name))
    if not found:
        called = dict.fromkeys(re.findall(r"\b([A-Za-z_]\w*)\(", doc))
        for former in [c for c in called if c not in others and c != name][:1]:
            for line in doc.splitlines():
                found += [
                    e._replace(code=name + e.code[len(former) :]) for e in _line(line, former)
                ]
    return found


def _sessions(doc: str) -> List[Example]:
    """Doctest's own form; prompt by prompt where the whole does not parse."""
    parser = doctest.DocTestParser()
    texts = [doc]
    try:
        parser.get_examples(doc)
    except ValueError:
        texts = [">>>" + part for part in doc.split(">>>")[1:]]
    found = []
    for text in texts:
        try:
            examples = parser.get_examples(text)
        except ValueError:
            continue
        found += [Example(e.source, e.want) for e in examples if not e.exc_msg]
    return found


def _split(example: Example, name: str) -> Iterator[Example]:
    """A doctest whose own line already says what it gives (`>>> f(3) == 4`, `>>> f(3) -> 4`)."""
    if example.wanted or not example.code.startswith(f"{name}("):
        yield example
        return
    inline = list(_line(example.code.strip(), name))
    yield from inline or [example]


def _line(line: str, name: str) -> Iterator[Example]:
    start = line.find(f"{name}(")
    if start < 0 or (start and (line[start - 1].isalnum() or line[start - 1] in "._")):
        return
    end = _closing(line, start)
    arrow = _ARROW.match(line, end) if end else None
    wanted = _literal(line[arrow.end() :]) if arrow else None
    if wanted is not None:
        yield Example(line[start:end], wanted)


def _closing(line: str, start: int) -> int:
    """Offset behind the call that begins at `start`; 0 where it does not end on the line."""
    for end in range(start, len(line) + 1):
        if line[end - 1 : end] == ")" and _parses(line[start:end]):
            return end
    return 0


def _parses(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


def _told(doc: str, name: str) -> Iterator[Example]:
    """`Input:` and `Output:` on lines of their own; `For n = 3 the result should be 4`."""
    given = ""
    for line in doc.splitlines():
        taken, came, told = _INPUT.match(line), _OUTPUT.match(line), _FOR.match(line)
        if taken:
            given = taken.group(1).strip()
        elif came and given:
            yield from _example(name, given, came.group(1))
            given = ""
        elif told:
            yield from _example(name, told.group(1), told.group(2))


def _example(name: str, given: str, wanted: str) -> Iterator[Example]:
    code, value = f"{name}({given})", _literal(wanted)
    if value is not None and _parses(code):
        yield Example(code, value)


def _literal(text: str) -> Optional[str]:
    """The longest literal that a text begins with."""
    text = text.strip().strip("`")
    word = re.match(r"[A-Za-z]+", text)
    if word and word.group().lower() in _WORDS:
        return _WORDS[word.group().lower()]
    for end in range(len(text), 0, -1):
        part = text[:end].strip()
        try:
            ast.literal_eval(part)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return part
    return None


def same(value: Any, wanted: Any) -> bool:
    """Whether two values are equal, fractions nearly so."""
    if isinstance(value, float) or isinstance(wanted, float):
        try:
            return math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-9)
        except TypeError:
            return False
    return bool(value == wanted)


def holds(example: Example, names: Dict[str, Any]) -> bool:
    """Whether an example gives what it should; what it raises goes to the caller."""
    if not _parses(example.code.strip()):
        exec(compile(example.code, "<example>", "exec"), names)
        return not example.wanted
    value = eval(compile(example.code.strip(), "<example>", "eval"), names)
    if not example.wanted:
        return value is None or example.wanted is None
    if repr(value) == example.wanted.strip():
        return True
    try:
        return same(value, ast.literal_eval(example.wanted.strip()))
    except (ValueError, SyntaxError):
        return False
