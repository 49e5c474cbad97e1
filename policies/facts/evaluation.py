"""What a shell evaluates besides programs: assignments, declarations, arithmetic and tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tree_sitter import Node

from policies.facts import paths, programs, words
from policies.facts.paths import UNKNOWN
from policies.facts.syntax import source
from policies.facts.words import Word

if TYPE_CHECKING:
    from policies.facts.shell import Shell

_LONGEST_CONSTANT = 10_000


def look_at_arithmetic(node: Node, shell: Shell, *, but: Node | None = None) -> None:
    """Arithmetic runs the substitutions in it, and evaluates what its variables hold again."""
    stack = [c for c in node.named_children if c != but]
    if any("[" in source(c) for c in stack):
        shell.doubt("arithmetic-subscript")
    while stack:
        child = stack.pop()
        if child.type in {"command_substitution", "process_substitution"}:
            shell.substitute(child)
        elif child.type in {"variable_name", "word"}:
            value = shell.value(source(child))
            if value is not None and "[" in value:
                shell.doubt("arithmetic-subscript")
        else:
            stack += child.named_children


def assign(node: Node, shell: Shell, _level: int = 0) -> str:
    """One assignment; returns the name."""
    target, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    name = source(target) if target is not None else ""
    if target is not None and target.type == "subscript":
        shell.doubt("subscript")
        return name
    word = words.text_of(value, shell) if value is not None and value.type != "array" else Word("")
    if value is not None and value.type == "array":
        listed = [w for c in value.named_children for w in words.resolve(c, shell)]
        word = Word(UNKNOWN)
        for one in listed:
            if "secret" in paths.classify(paths.normal(one.text or ".")):
                shell.collected.path(one, "read", cwd=shell.cwd)
    if any(c.type == "+=" for c in node.children):
        before = shell.value(name)
        word = Word(UNKNOWN) if before is None else Word(before + word.text)
    if re.search(r"\$\(|`", word.text):
        shell.doubt("deferred-code")
    known = UNKNOWN not in word.text and len(word.text) <= _LONGEST_CONSTANT
    shell.constants[name] = word.text if known else None
    if programs.is_risky_variable(name, word.text):
        shell.doubt(f"variable {name}")
    return name


def declare(node: Node, shell: Shell, _level: int) -> None:
    """`export`, `declare`, `unset` and their like, which set variables as they run."""
    program = source(node.children[0])
    arguments: list[Word] = []
    for child in node.named_children:
        if child.type == "variable_assignment":
            assign(child, shell)
        else:
            arguments += words.resolve(child, shell)
    names = {w.text for w in arguments}
    if any(t.startswith("-") and set(t) & set("nix") for t in names):
        shell.doubt("declared-attribute")
    programs.look(program, arguments, [], shell)


def look_at_test(node: Node, shell: Shell, _level: int) -> None:
    """`[[ ... ]]` and `[ ... ]`: some of their operators evaluate what they compare."""
    if re.search(r"-v\b|-eq|-ne|-lt|-gt|-le|-ge", source(node)) and "[" in source(node).strip(
        "[] "
    ):
        shell.doubt("arithmetic-subscript")
    stack = list(node.named_children)
    while stack:
        child = stack.pop()
        if child.type in words.TYPES:
            words.resolve(child, shell)
        else:
            stack += child.named_children
