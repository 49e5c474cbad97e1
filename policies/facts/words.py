"""Words of a shell command as the shell would make them: quotes, constants, braces, splitting.

Nothing is ever run to find out a value. A part that is not known is the character U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tree_sitter import Node

from policies.facts.paths import UNKNOWN
from policies.facts.syntax import source, unshield
from policies.texts import names

_MOST_WORDS = 256
"""Words that braces and splitting may make of one; more is not known."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a command.

    Attributes:
        text: Its text; U+FFFD for each part that is not known.
        harmless: What is not known comes from where it does not matter (a commit's name, a date).
        pattern: It has a wildcard that the shell expands.
    """

    text: str
    harmless: bool = False
    pattern: bool = False

    @property
    def known(self) -> bool:
        """Whether the whole of it is known, or what is not does not matter."""
        return self.harmless or UNKNOWN not in self.text


class Values(Protocol):
    """What the words of a text depend on."""

    def value(self, name: str) -> str | None:
        """A variable's constant value; None where it is not known."""
        ...

    def substitute(self, node: Node) -> Word:
        """Look through a substitution: what it prints, as far as that is known."""
        ...

    def doubt(self, reason: str) -> None:
        """Say that something could not be made out."""
        ...


# How a character came to be: written plainly, within quotes, or out of an expansion.
_PLAIN, _QUOTED, _EXPANDED = 0, 1, 2


@dataclass
class _Spelling:
    """Characters of a word with how each came to be."""

    characters: list[tuple[str, int]]
    harmless: bool = True
    unknown: bool = False
    quoted: bool = False

    def add(self, text: str, how: int) -> None:
        self.characters += [(c, how) for c in text]
        self.quoted = self.quoted or how == _QUOTED

    def add_unknown(self, *, harmless: bool, quoted: bool) -> None:
        self.characters.append((UNKNOWN, _QUOTED if quoted else _EXPANDED))
        self.harmless = self.harmless and harmless
        self.unknown = True


def resolve(node: Node, values: Values) -> list[Word]:
    """The words that one word of the text becomes."""
    spelling = _Spelling([])
    _spell(node, values, spelling, quoted=False)
    spellings = _expand_braces(spelling.characters)
    if len(spellings) > _MOST_WORDS:
        values.doubt("too-many-words")
        return [Word(UNKNOWN)]
    harmless = spelling.unknown and spelling.harmless
    words = [
        Word(
            text="".join(c for c, _ in field),
            harmless=harmless,
            pattern=any(c in "*?[" and how != _QUOTED for c, how in field),
        )
        for one in spellings
        for field in _split(one, keep_empty=spelling.quoted)
    ]
    return words[:_MOST_WORDS]


def text_of(node: Node, values: Values) -> Word:
    """One word, not split: the value of an assignment, or of a here-string."""
    spelling = _Spelling([])
    _spell(node, values, spelling, quoted=False)
    text = "".join(c for c, _ in spelling.characters)
    return Word(text, harmless=spelling.unknown and spelling.harmless)


TYPES = frozenset(
    names(
        "word string raw_string ansi_c_string concatenation expansion simple_expansion number "
        "command_substitution process_substitution arithmetic_expansion translated_string"
    )
)
"""Kinds of node that become words."""
_COMPOUND = frozenset({"concatenation", "translated_string", "command_name"})
_SUBSTITUTIONS = frozenset({"command_substitution", "process_substitution", "arithmetic_expansion"})


def _spell(node: Node, values: Values, out: _Spelling, *, quoted: bool) -> None:
    if node.type in {"raw_string", "ansi_c_string"}:
        raw = source(node)
        out.add(raw[1:-1] if node.type == "raw_string" else ansi_c(raw[2:-1], values), _QUOTED)
        out.quoted = True
    elif node.type in {"string", "heredoc_body"}:
        out.quoted = True
        _spell_parts(node, values, out, quoted=True)
    elif node.type in _COMPOUND:
        _spell_parts(node, values, out, quoted=quoted)
    elif node.type == "simple_expansion":
        _spell_variable(source(node)[1:], values, out, quoted=quoted)
    elif node.type == "expansion":
        _spell_expansion(node, values, out, quoted=quoted)
    elif node.type in _SUBSTITUTIONS:
        printed = values.substitute(node)
        if printed.text == UNKNOWN:
            out.add_unknown(harmless=printed.harmless, quoted=quoted)
        else:
            out.add(printed.text, _QUOTED if quoted else _EXPANDED)
    elif node.type == "extglob_pattern":
        values.doubt("extended-pattern")
        out.add(source(node), _EXPANDED)
    else:
        _spell_text(source(node), out, _QUOTED if quoted else _PLAIN)


def _spell_parts(node: Node, values: Values, out: _Spelling, *, quoted: bool) -> None:
    """Children, and the text between them: not every piece of text has a node of its own."""
    whole = node.text or b""
    at = 0
    for child in node.children:
        start, end = child.start_byte - node.start_byte, child.end_byte - node.start_byte
        _spell_text(unshield(whole[at:start]), out, _QUOTED if quoted else _PLAIN)
        at = end
        if child.is_named:
            _spell(child, values, out, quoted=quoted)
        elif child.type not in {'"', "$"} or (child.type == "$" and quoted):
            _spell_text(source(child), out, _QUOTED if quoted else _PLAIN)
    _spell_text(unshield(whole[at:]), out, _QUOTED if quoted else _PLAIN)


def _spell_text(text: str, out: _Spelling, how: int) -> None:
    """Text with its backslashes taken off: all of them outside quotes, some within."""
    at = 0
    while at < len(text):
        character = text[at]
        if (
            character == "\\"
            and at + 1 < len(text)
            and (how == _PLAIN or text[at + 1] in '$`"\\\n')
        ):
            if text[at + 1] != "\n":
                out.add(text[at + 1], _QUOTED)
            at += 2
        else:
            out.add(character, how)
            at += 1


def _spell_variable(name: str, values: Values, out: _Spelling, *, quoted: bool) -> None:
    value = values.value(name)
    if value is None:
        out.add_unknown(harmless=name in {"?", "#", "$", "!", "RANDOM", "SECONDS"}, quoted=quoted)
    else:
        out.add(value, _QUOTED if quoted else _EXPANDED)


def _spell_expansion(node: Node, values: Values, out: _Spelling, *, quoted: bool) -> None:
    """`${...}`: a plain name, a default, or something that is only known not to be code."""
    tokens = [source(c) for c in node.children if not c.is_named]
    named = [c for c in node.children if c.is_named]
    name = (
        source(named[0])
        if named and named[0].type in {"variable_name", "special_variable_name"}
        else ""
    )
    operator = "".join(tokens[1:-1])
    if "!" in tokens or "@" in operator:
        # Indirection and @P run what a value holds.
        values.doubt("indirect-expansion")
    for child in named[1:]:
        if child.type == "subscript":
            values.doubt("subscript")
    if name and not operator and len(named) == 1:
        _spell_variable(name, values, out, quoted=quoted)
        return
    if "#" in tokens[:2] and len(named) == 1:
        out.add_unknown(harmless=True, quoted=quoted)
        return
    before = len(out.characters)
    for child in named[1:]:
        _spell(child, values, out, quoted=quoted)
    known = values.value(name) if name else None
    if operator in {":-", "-", ":=", "="} and known is None:
        # What the variable may hold is not known either: the default is one outcome of two.
        values.doubt("default-value")
        return
    del out.characters[before:]
    if operator in {":-", "-", ":=", "="} and known:
        out.add(known, _QUOTED if quoted else _EXPANDED)
    else:
        out.add_unknown(harmless=False, quoted=quoted)


_ANSI = re.compile(
    r"\\(?:([abeEfnrtv\\'\"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|c(.))",
    re.DOTALL,
)
_ANSI_LETTERS = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "E": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def ansi_c(text: str, values: Values) -> str:
    r"""The text of `$'...'`; bash ends it at a NUL (`\0`), which is doubted."""

    def one(match: re.Match[str]) -> str:
        letter, octal, two, four, eight, control = match.groups()
        if letter:
            return _ANSI_LETTERS.get(letter, letter)
        if control:
            return chr(ord(control.upper()) & 0x1F)
        code = int(octal, 8) & 0xFF if octal else int(two or four or eight, 16)
        return chr(code) if code <= 0x10FFFF and not 0xD800 <= code < 0xE000 else UNKNOWN

    plain = _ANSI.sub(one, text)
    if "\0" in plain:
        values.doubt("not-text")
    return plain.partition("\0")[0]


_Characters = list[tuple[str, int]]


def _expand_braces(word: _Characters) -> list[_Characters]:
    """`{a,b}` and `{1..3}`, only where written plainly."""
    for open_at, (character, how) in enumerate(word):
        if character != "{" or how != _PLAIN:
            continue
        found = _brace_parts(word, open_at)
        if found is None:
            continue
        parts, close_at = found
        made: list[_Characters] = []
        for part in parts:
            made += _expand_braces(word[:open_at] + part + word[close_at + 1 :])
            if len(made) > _MOST_WORDS:
                break
        return made
    return [word]


def _brace_parts(word: _Characters, open_at: int) -> tuple[list[_Characters], int] | None:
    parts: list[_Characters] = [[]]
    depth = 0
    for at in range(open_at + 1, len(word)):
        character, how = word[at]
        if how == _PLAIN and character == "}" and depth == 0:
            if len(parts) > 1:
                return parts, at
            listed = _brace_range("".join(c for c, _ in parts[0]))
            return ([[(c, _PLAIN) for c in item] for item in listed], at) if listed else None
        if how == _PLAIN and character == "," and depth == 0:
            parts.append([])
            continue
        depth += (how == _PLAIN) * ((character == "{") - (character == "}"))
        parts[-1].append(word[at])
    return None


def _brace_range(text: str) -> list[str]:
    if numbers := re.fullmatch(r"(-?\d{1,9})\.\.(-?\d{1,9})(?:\.\.-?\d{1,9})?", text):
        first, last = int(numbers[1]), int(numbers[2])
        step = 1 if last >= first else -1
        return [str(n) for n in range(first, last + step, step)[: _MOST_WORDS + 1]]
    if letters := re.fullmatch(r"([A-Za-z])\.\.([A-Za-z])", text):
        first, last = ord(letters[1]), ord(letters[2])
        step = 1 if last >= first else -1
        return [chr(n) for n in range(first, last + step, step)]
    return []


def _split(word: _Characters, *, keep_empty: bool) -> Iterator[_Characters]:
    """Fields: what an expansion outside quotes brings is split at blanks."""
    field: _Characters = []
    made = False
    for character, how in word:
        if how == _EXPANDED and character in " \t\n":
            if field:
                yield field
                made = True
            field = []
        else:
            field.append((character, how))
    if field or (keep_empty and not made):
        yield field
