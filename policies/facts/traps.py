"""Where the parser and bash are known to disagree without an error in the tree.

What hides there is looked for on its own, and doubted.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from tree_sitter import Node

from policies.facts import paths
from policies.facts.syntax import source, unshield
from policies.facts.words import Word
from policies.texts import names

if TYPE_CHECKING:
    from policies.facts.shell import Shell


def guess_paths(text: str, shell: Shell) -> None:
    """Secret files named in a text that has no syntax: better one too many than none."""
    for piece in re.split(r"[\s,;|&(){}<>'\"=@:]+", text):
        if "secret" in paths.classify(paths.normal(piece or ".")):
            shell.collected.path(Word(piece), "read", cwd=shell.cwd)


_RESERVED = frozenset(
    names("if then elif else fi case esac for select while until do done function { } ! [[ ]]")
)
_BETWEEN = re.compile(
    r"[;&|(){}`\n]+|(?:^|(?<=\s))(?:if|then|elif|else|while|until|do|time|coproc|!)(?=\s)"
)


def is_misread(command: Node, words: list[Word]) -> bool:
    """Whether the parser takes for a program or its words what is a shell's own syntax."""
    name = command.child_by_field_name("name")
    if name is not None and source(name) in _RESERVED:
        return True
    # Behind these three words a whole command may follow, to coproc after a name.
    many = {"time": 2, "!": 2, "coproc": 3}.get(words[0].text, 0)
    return any(w.text in {"{", "}"} for w in words[:2]) or any(
        w.text in _RESERVED for w in words[1:many]
    )


def read_pieces(text: str, shell: Shell) -> None:
    """Commands in a text that has no syntax, or another one than the parser says.

    What stands between two signs is read as a command whatever is around it: better one too many
    than none.
    """
    if shell.piecewise:
        # What is a piece already is not taken apart again; who took it doubts it.
        return
    for piece in _BETWEEN.split(text):
        if piece.strip():
            shell.child(piecewise=True).run_text(piece, context=shell.context)


_INNERMOST = re.compile(rb"`((?:[^`\\]|\\.)*)`", re.DOTALL)


def read_nested_backticks(node: Node, shell: Shell) -> None:
    """Backticks within backticks: bash takes one level of backslashes off and reads again."""
    text = source(node)
    if text.startswith("`") and "\\`" in text:
        shell.doubt("nested-backticks")
        shell.run_text(re.sub(r"\\([`$\\])", r"\1", text[1:-1]), context="substitution")


def read_hidden_backticks(root: Node, text: bytes, shell: Shell) -> None:
    """Backticks that the parser took for text, though bash runs what is between them."""
    blank = bytearray(text)
    stack = [root]
    while stack:
        node = stack.pop()
        quoted = node.type in {"raw_string", "ansi_c_string", "comment"}
        if quoted or (node.type == "command_substitution" and source(node).startswith("`")):
            blank[node.start_byte : node.end_byte] = b" " * (node.end_byte - node.start_byte)
        else:
            stack += node.children
    for match in _INNERMOST.finditer(bytes(blank)):
        if match.start() and blank[match.start() - 1 : match.start()] == b"\\":
            continue
        shell.doubt("hidden-backticks")
        shell.run_text(unshield(match[1]), context="substitution")


def misplaced_words(redirect: Node) -> list[Node]:
    """Arguments of a command that the parser hangs below a redirection before them.

    `cat > out .env` has two destinations in the tree; it reads `.env`.
    """
    if redirect.type == "file_redirect":
        return redirect.children_by_field_name("destination")[1:]
    return []


_ONE_LINE = frozenset(
    names(
        "command redirected_statement file_redirect herestring_redirect "
        "declaration_command unset_command variable_assignment variable_assignments concatenation"
    )
)
"""What a shell ends at the end of a line."""


_LINE_END = re.compile(rb"(?<![\\;])\n")


def swallowed_lines(root: Node, text: bytes) -> list[int]:
    """Where lines end that the parser takes the next line for a part of.

    Of several lines in one command only the first: where the others end, another reading tells.
    """
    found: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        stack += node.children
        for before, after in itertools.pairwise(node.children if node.type in _ONE_LINE else ()):
            end = _LINE_END.search(text, before.end_byte, after.start_byte)
            if end:
                found.add(end.start())
                break
    return sorted(found)


def end_lines(text: bytes, ends: list[int]) -> bytes:
    """A text with the lines that end there ended in a way that the parser sees."""
    pieces = [text[a:b] for a, b in itertools.pairwise([0, *ends, len(text)])]
    return b";".join(pieces)
