"""Here-documents: taken out of a text of commands before it is looked through.

A shell reads them by lines, and so does this. The parser loses its way in them without an error:
`cat <<E; b` hides `b`, a blank line behind a `$x` hides all that follows, and a body that begins
with a backslash becomes words of the line above. So each one is made a file to read from, by a name
that nobody can write, and its lines are kept beside the text.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from tree_sitter import Node

from policies.facts.collected import TooMuch
from policies.facts.syntax import parse, shield, unshield

_MOST = 64
_MOST_READ = 2_000_000
"""Here-documents in one text, and bytes that are read for them: each is a reading of the text."""


@dataclass(frozen=True, slots=True)
class Document:
    """What lies between the line that opens a here-document and the one that ends it.

    Attributes:
        text: Its lines, without the tabs that `<<-` takes off.
        literal: Nothing in it is expanded.
        ended: The line that ends it was found; a shell takes all the rest where it is not.
    """

    text: str
    literal: bool
    ended: bool


_OPENING = re.compile(
    rb"<<(?P<tabs>-?)[ \t]*(?P<end>(?:[^\s;&|<>()'\"\\]|\\.|'[^'\n]*'|\"[^\"\n]*\")+)"
)
_PIECE = re.compile(
    rb"(?<=[\s;&|()])#[^\n]*|\\.|\$\{|\$'(?:[^'\\]|\\.)*'|'[^']*'|\"(?:[^\"\\]|\\.)*\"|.", re.DOTALL
)
"""What stands on a line: a comment, a character with its backslash, a quoted text, a character."""
_FIRST_LINE = "_\n"
_NAME = re.compile("\u00feh(\\d+)\u00fe")


def take_out(text: bytes) -> tuple[bytes, list[Document]]:
    """A shielded text without its here-documents, and these in the order of their names.

    Raises:
        TooMuch: There are too many.
    """
    documents: list[Document] = []
    while b"<<" in text and (opening := _first_opening(parse(text), text)) is not None:
        if len(documents) == _MOST or len(documents) * len(text) > _MOST_READ:
            raise TooMuch(f"{len(documents)} here-documents and more")
        text, document = _without(text, opening, f"\u00feh{len(documents)}\u00fe".encode())
        documents.append(document)
    return text, documents


def named(word: Node, documents: list[Document]) -> Document | None:
    """The here-document that stands behind a word of a text without them."""
    match = _NAME.fullmatch((word.text or b"").decode())
    return documents[int(match[1])] if match else None


def alone(document: Document) -> tuple[bytes, str]:
    """A shielded text of one command that is given the document, and the line that ends it.

    A line of another's stands first: the parser takes one that begins with a backslash for words.
    """
    ends = (f"END{number}" for number in itertools.count())
    end = next(e for e in ends if e not in document.text)
    return shield(f": <<{end}\n{_FIRST_LINE}{document.text}{end}\n"), end


def text_alone(text: str, end: str) -> str:
    """The document's own text out of what was read alone; the parser may overlook its end."""
    return text.removeprefix(_FIRST_LINE).partition(end)[0]


def body_in(root: Node) -> Node | None:
    """What the parser takes for the one here-document of a text."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type == "heredoc_body":
            return node
        stack += node.children
    return None


def _first_opening(root: Node, text: bytes) -> Node | None:
    """The first sign that opens one; in a here-string the parser may see the same sign."""
    found: list[Node] = []
    stack = [root]
    while stack:
        node = stack.pop()
        stack += node.children
        # In arithmetic and in tests the same sign is something else.
        string = text[node.start_byte : node.start_byte + 3] == b"<<<"
        if node.type in {"<<", "<<-"} and not string and node.parent is not None:
            found += [node] * (node.parent.type in {"heredoc_redirect", "ERROR"})
    return min(found, key=lambda n: n.start_byte, default=None)


def _without(text: bytes, opening: Node, name: bytes) -> tuple[bytes, Document]:
    at = opening.start_byte
    match = _OPENING.match(text, at)
    within = _is_substituted(opening)
    line_end = _line_end(text, match.end(), substituted=within) if match else None
    if match is None or line_end is None:
        after = match.end() if match else opening.end_byte
        made = b"".join([text[:at], b"< ", name, b" ", text[after:]])
        return made, Document("", literal=True, ended=False)
    end = re.sub(rb"['\"\\]", b"", match["end"])
    literal = end != match["end"]
    lines = text[line_end + 1 :].split(b"\n")
    if match["tabs"]:
        lines = [one.lstrip(b"\t") for one in lines]
    count = _end_of(lines, end, joined=not literal)
    shown = unshield(b"".join(one + b"\n" for one in lines[:count]))
    rest = b"\n".join([b"", *text[line_end + 1 :].split(b"\n")[count + 1 :]])
    made = b"".join([text[:at], b"< ", name, b" ", text[match.end() : line_end], rest])
    return made, Document(shown, literal=literal, ended=count < len(lines))


def _line_end(text: bytes, at: int, *, substituted: bool) -> int | None:
    """Where the line ends; None where that depends on who reads it.

    What the line opens may be open at its end, or what it stands in may be closed before: one
    shell takes the lines below for the document then, another does not.
    """
    depth = braces = 0
    for piece in _PIECE.finditer(text, at):
        if piece[0] == b"\n":
            return None if depth or braces else piece.start()
        depth += (piece[0] == b"(") - (piece[0] == b")")
        braces += (piece[0] == b"${") - (piece[0] == b"}" and braces > 0)
        spans = b"\n" in piece[0] and piece[0] != b"\\\n"
        if spans or depth < 0 or (substituted and piece[0] == b"`"):
            return None
    return len(text)


def _end_of(lines: list[bytes], end: bytes, *, joined: bool) -> int:
    """Which line ends a here-document; the number of lines where none does."""
    continued = False
    for number, line in enumerate(lines):
        if line == end and not continued:
            return number
        backslashes = len(line) - len(line.rstrip(b"\\"))
        continued = joined and backslashes % 2 == 1
    return len(lines)


def _is_substituted(node: Node) -> bool:
    above = node.parent
    while above is not None and above.type not in {"command_substitution", "process_substitution"}:
        above = above.parent
    return above is not None
