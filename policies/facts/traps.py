"""Where the parser and bash are known to disagree without an error in the tree.

What hides there is looked for on its own, and doubted.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from tree_sitter import Node

from policies.facts import paths
from policies.facts.words import Word, source, unshield

if TYPE_CHECKING:
    from policies.facts.shell import Shell


def guess_paths(text: str, shell: Shell) -> None:
    """Secret files named in a text that has no syntax: better one too many than none."""
    for piece in re.split(r"[\s,;|&(){}<>'\"=@:]+", text):
        if "secret" in paths.classify(paths.normal(piece or ".")):
            shell.collected.path(Word(piece), "read", cwd=shell.cwd)


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
        quoted = node.type in {"raw_string", "ansi_c_string", "comment"} or _is_literal_body(node)
        if quoted or (node.type == "command_substitution" and source(node).startswith("`")):
            blank[node.start_byte : node.end_byte] = b" " * (node.end_byte - node.start_byte)
        else:
            stack += node.children
    for match in _INNERMOST.finditer(bytes(blank)):
        if match.start() and blank[match.start() - 1 : match.start()] == b"\\":
            continue
        shell.doubt("hidden-backticks")
        shell.run_text(unshield(match[1]), context="substitution")


def _is_literal_body(node: Node) -> bool:
    if node.type != "heredoc_body" or node.parent is None:
        return False
    start = next((c for c in node.parent.named_children if c.type == "heredoc_start"), None)
    return start is not None and any(c in source(start) for c in "'\"\\")


def misplaced_words(redirect: Node) -> list[Node]:
    """Arguments of a command that the parser hangs below a redirection before them.

    `cat > out .env` has two destinations in the tree, and `cat <<E .env` a word below the
    here-document; both read `.env`.
    """
    if redirect.type == "file_redirect":
        return redirect.children_by_field_name("destination")[1:]
    if redirect.type == "heredoc_redirect":
        return redirect.children_by_field_name("argument")
    return []


_BODY_THAT_BEGINS_SO = re.compile(r"(<<[^\n]*\n)(?=[ \t]*\\)")


def shield_bodies(text: str) -> str:
    """A text whose here-documents do not begin with a backslash.

    The parser takes such a body for words of the line above. A line of comment before it changes
    nothing for a shell or for Python.
    """
    return _BODY_THAT_BEGINS_SO.sub(r"\1#\n", text)


_ONE_LINE = frozenset({"command", "redirected_statement", "file_redirect", "herestring_redirect"})


def swallowed_lines(root: Node, text: bytes) -> list[int]:
    """Offsets of lines that the parser takes for further words of the command above them."""
    found: list[int] = []
    stack = [root]
    while stack:
        node = stack.pop()
        stack += node.children
        if node.type not in _ONE_LINE:
            continue
        for before, after in itertools.pairwise(node.children):
            gap = text[before.end_byte : after.start_byte]
            if b"\n" in gap.replace(b"\\\n", b"") and before.type != "heredoc_redirect":
                found.append(after.start_byte)
    return found
