"""Facts of a shell command: every program at every depth, and what it reads and writes.

tree-sitter-bash gives the syntax; words are made as bash makes them (`words.py`), wrappers are
taken off and programs looked at (`programs.py`). Where the parser and bash are known to disagree
without an error, the text is read the other way too, or what hides in it is doubted. Nothing is
run, no disk is looked at.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from policies.facts import paths, programs, traps, words
from policies.facts.collected import DEEPEST, Collected, TooDeep
from policies.facts.paths import UNKNOWN
from policies.facts.words import Word, source
from policies.texts import hidden, names

LONGEST = 100_000
"""Characters of a command that are looked through."""
_DEEPEST_NODE = 120
_LONGEST_CONSTANT = 10_000


@dataclass
class Shell:
    """A shell as far as its text tells: what later words and commands depend on."""

    collected: Collected
    depth: int = 0
    context: str = "plain"
    cwd: str | None = ""
    constants: dict[str, str | None] = field(default_factory=lambda: {"HOME": "~", "PWD": "."})
    functions: set[str] = field(default_factory=set)
    piped: tuple[Word, ...] | None = None
    """What the command before in the pipeline prints, where that is known."""
    stdin: str = "none"
    heredoc: str | None = None

    def value(self, name: str) -> str | None:
        """A variable's constant value."""
        return self.constants.get(name)

    def doubt(self, reason: str) -> None:
        """Say that something could not be made out."""
        self.collected.doubt(reason)

    def substitute(self, node: Node) -> Word:
        """Look through a substitution: what it prints, as far as that is known."""
        if node.type == "arithmetic_expansion":
            _walk_arithmetic(node, self)
            return Word(UNKNOWN, harmless=True)
        inner = self.child(
            context="procsub" if node.type == "process_substitution" else "substitution"
        )
        before = len(self.collected.commands)
        if node.type == "process_substitution" and source(node).startswith(">"):
            self.doubt("process-substitution")
        for child in node.named_children:
            _walk(child, inner, 0)
        traps.read_nested_backticks(node, inner)
        printed = programs.output_of(self.collected.commands[before:])
        # A process substitution stands for the name of a pipe, not for what is printed into it.
        named = node.type == "process_substitution"
        return Word(UNKNOWN, harmless=printed.harmless) if named else printed

    def child(self, **changes: object) -> Shell:
        """A shell within this one: what it sets does not come back."""
        made = replace(self, constants=dict(self.constants), functions=set(self.functions))
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    def run_text(self, text: str, *, context: str, arguments: tuple[str, ...] = ()) -> None:
        """Look through a text that a command runs as a command."""
        inner = self.child(context=context, depth=self.depth + 1, stdin="none", heredoc=None)
        for number, argument in enumerate(arguments):
            inner.constants[str(number)] = argument
        read_text(text, inner)

    def run_words(self, argv: list[Word], *, context: str) -> None:
        """Look through a program with its arguments that is run without a shell."""
        if argv:
            inner = self.child(context=context, depth=self.depth + 1, stdin="none", heredoc=None)
            programs.look_at(argv, [], inner)


def read(command: str, collected: Collected) -> None:
    """Put the facts of a command into `collected`.

    Raises:
        TooDeep: Commands lie within commands deeper than is looked through.
        ValueError: It is too long.
    """
    read_text(command, Shell(collected))


def read_text(text: str, shell: Shell) -> None:
    """Look through a text of commands, in the state of a shell."""
    if shell.depth > DEEPEST:
        raise TooDeep(f"commands within commands, more than {DEEPEST} deep")
    if len(text) > LONGEST:
        raise ValueError(f"a command of {len(text)} characters: more than {LONGEST}")
    if hidden(text):
        shell.doubt("invisible-character")
    _read_one(text, shell)
    if "\\\n" in text:
        # bash joins such lines before it looks at anything; the parser does not.
        _read_one(text.replace("\\\n", ""), shell.child())


def _read_one(text: str, shell: Shell, *, again: int = 0) -> None:
    shielded = words.shield(traps.shield_bodies(text))
    root = _parser().parse(shielded).root_node
    if root.has_error:
        shell.doubt("parse-error")
        traps.guess_paths(text, shell)
    _walk(root, shell, 0)
    for offset in traps.swallowed_lines(root, shielded)[:1]:
        shell.doubt("parser-trap")
        if again < DEEPEST:
            _read_one(words.unshield(shielded[offset:]), shell.child(), again=again + 1)
    if "`" in text:
        traps.read_hidden_backticks(root, shielded, shell)


@functools.cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bash.language()))


def _walk(node: Node, shell: Shell, level: int) -> None:
    """Go through a node as the shell would run it."""
    shell.collected.step()
    if level > _DEEPEST_NODE:
        raise TooDeep("a command whose brackets lie too deep")
    if node.type in _WORDS:
        words.resolve(node, shell)
    else:
        _WALKS.get(node.type, _walk_children)(node, shell, level)


_WORDS = frozenset(
    names(
        "word string raw_string ansi_c_string concatenation expansion simple_expansion number "
        "command_substitution process_substitution arithmetic_expansion translated_string"
    )
)


def _walk_children(node: Node, shell: Shell, level: int) -> None:
    for child in node.named_children:
        _walk(child, shell, level + 1)
    if any(c.type == "&" for c in node.children):
        shell.doubt("background")


def _walk_branches(node: Node, shell: Shell, level: int) -> None:
    """All branches; what one of them sets is not known afterwards."""
    inner = shell.child()
    body = node.child_by_field_name("body")
    if node.type == "c_style_for_statement" and body is not None:
        _walk_arithmetic(node, shell, but=body)
        _walk(body, inner, level + 1)
    else:
        _walk_children(node, inner, level)
    _forget_changes(shell, inner)


def _forget_changes(shell: Shell, inner: Shell) -> None:
    for name, value in inner.constants.items():
        if shell.constants.get(name) != value:
            shell.constants[name] = None
    shell.functions |= inner.functions
    if inner.cwd != shell.cwd:
        shell.cwd = None


def _walk_for(node: Node, shell: Shell, level: int) -> None:
    variable = node.child_by_field_name("variable")
    body = node.child_by_field_name("body")
    listed = [w for v in node.children_by_field_name("value") for w in words.resolve(v, shell)]
    inner = shell.child()
    few = 0 < len(listed) <= 16 and all(w.text for w in listed)
    for word in listed if few else [Word(UNKNOWN)]:
        if variable is not None:
            inner.constants[source(variable)] = word.text if UNKNOWN not in word.text else None
        if body is not None:
            _walk(body, inner, level + 1)
    _forget_changes(shell, inner)


def _walk_function(node: Node, shell: Shell, level: int) -> None:
    name = node.child_by_field_name("name")
    if name is not None:
        shell.functions.add(source(name))
        if programs.is_known(source(name)):
            shell.doubt("shadowed-program")
    # Its arguments and the variables of its callers are not known here.
    inner = shell.child(context="function", constants={"HOME": shell.constants.get("HOME")})
    inner.constants |= {k: v for k, v in shell.constants.items() if not k.isdigit()}
    for child in node.named_children:
        if child != name:
            _walk(child, inner, level + 1)
    _forget_changes(shell, inner)


def _walk_pipeline(node: Node, shell: Shell, level: int) -> None:
    piped: tuple[Word, ...] | None = None
    for number, child in enumerate(node.named_children):
        inner = shell.child(
            stdin="pipe" if number else shell.stdin, piped=piped if number else None
        )
        before = len(shell.collected.commands)
        _walk(child, inner, level + 1)
        made = shell.collected.commands[before:]
        piped = programs.printed(made[0]) if len(made) == 1 else None


def _walk_redirected(node: Node, shell: Shell, level: int) -> None:
    body = node.child_by_field_name("body")
    redirects = [c for c in node.named_children if c != body]
    if body is None:
        for child in redirects:
            _redirect(child, shell, level)
        return
    if body.type == "command":
        _walk_command(body, shell, level, redirects)
        return
    for redirect in redirects:
        # Of which command in the body these words are arguments is not told: they may be files.
        for word in (w for m in traps.misplaced_words(redirect) for w in words.resolve(m, shell)):
            shell.collected.path(word, "read", cwd=shell.cwd)
    if body.type in {"list", "pipeline"}:
        # A redirection at a line's end belongs to its last command, but what the line sets stays:
        # the commands before are looked at as if they had it too.
        before = shell.stdin, shell.heredoc
        for child in redirects:
            _redirect(child, shell, level)
        _walk(body, shell, level + 1)
        shell.stdin, shell.heredoc = before
        return
    inner = shell if body.type == "compound_statement" else shell.child()
    for child in redirects:
        _redirect(child, inner, level)
    _walk(body, inner, level + 1)


def _redirect(node: Node, shell: Shell, level: int) -> None:
    if node.type == "herestring_redirect":
        for child in node.named_children:
            word = words.text_of(child, shell)
            shell.stdin, shell.heredoc = "herestring", word.text if word.known else None
        return
    if node.type == "heredoc_redirect":
        _heredoc(node, shell, level)
        return
    if node.type != "file_redirect":
        _walk(node, shell, level + 1)
        return
    operator = next((source(c) for c in node.children if not c.is_named), "")
    for target in node.children_by_field_name("destination")[:1]:
        for word in words.resolve(target, shell):
            _redirect_to(word, operator, target, shell)


def _redirect_to(word: Word, operator: str, target: Node, shell: Shell) -> None:
    if word.text.startswith(("/dev/tcp/", "/dev/udp/")):
        shell.doubt("network-redirect")
    if target.type == "process_substitution":
        shell.stdin = "pipe"
    elif operator in {">&", "<&"} and (
        word.text.isdigit() or word.text.rstrip("-").isdigit() or word.text == "-"
    ):
        return
    elif operator.startswith("<"):
        shell.stdin = "file"
        shell.collected.path(word, "read", cwd=shell.cwd)
    else:
        shell.collected.path(word, "write", cwd=shell.cwd)


def _heredoc(node: Node, shell: Shell, level: int) -> None:
    start = next((c for c in node.named_children if c.type == "heredoc_start"), None)
    literal = start is not None and any(c in source(start) for c in "'\"\\")
    body = next((c for c in node.named_children if c.type == "heredoc_body"), None)
    word = Word("")
    if body is not None:
        word = Word(source(body)) if literal else words.text_of(body, shell)
    shell.stdin, shell.heredoc = "heredoc", word.text if word.known else None
    for child in node.named_children:
        if child.type == "pipeline":
            # `| sh` behind the opening of a here-document stands inside its node.
            _walk_children(child, shell.child(stdin="pipe", heredoc=None, piped=(word,)), level)
        elif child != body:
            _walk(child, shell, level + 1)


def _walk_arithmetic(node: Node, shell: Shell, *, but: Node | None = None) -> None:
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


def _assign(node: Node, shell: Shell, _level: int = 0) -> str:
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


def _walk_declaration(node: Node, shell: Shell, _level: int) -> None:
    program = source(node.children[0])
    arguments: list[Word] = []
    for child in node.named_children:
        if child.type == "variable_assignment":
            _assign(child, shell)
        else:
            arguments += words.resolve(child, shell)
    names = {w.text for w in arguments}
    if any(t.startswith("-") and set(t) & set("nix") for t in names):
        shell.doubt("declared-attribute")
    programs.look(program, arguments, [], shell)


def _walk_test(node: Node, shell: Shell, _level: int) -> None:
    if re.search(r"-v\b|-eq|-ne|-lt|-gt|-le|-ge", source(node)) and "[" in source(node).strip(
        "[] "
    ):
        shell.doubt("arithmetic-subscript")
    stack = list(node.named_children)
    while stack:
        child = stack.pop()
        if child.type in _WORDS:
            words.resolve(child, shell)
        else:
            stack += child.named_children


def _walk_command(node: Node, shell: Shell, _level: int, redirects: Sequence[Node] = ()) -> None:
    inner = shell.child()
    environment: list[str] = []
    arguments: list[Word] = []
    for redirect in redirects:
        _redirect(redirect, inner, 0)
    misplaced = [w for r in (*redirects, *node.children) for w in traps.misplaced_words(r)]
    for child in (*node.children, *misplaced):
        if child.type == "variable_assignment":
            environment.append(_assign(child, inner))
        elif child.type in {"file_redirect", "herestring_redirect", "heredoc_redirect"}:
            _redirect(child, inner, 0)
        elif child.is_named:
            # An assignment before a command is not seen by that command's own words.
            arguments += words.resolve(child, shell)
        elif child.type != "<<<":
            arguments.append(Word(source(child)))
    if not arguments:
        shell.doubt("no-program")
        return
    if any(a.text in {"{", "}"} for a in arguments[:2]):
        shell.doubt("parser-trap")
    programs.look_at(arguments, environment, inner)
    shell.cwd, shell.constants, shell.functions = inner.cwd, inner.constants, inner.functions
    # Some builtins keep what is set before them: afterwards it is not known.
    shell.constants |= dict.fromkeys(environment)


def _walk_subshell(node: Node, shell: Shell, level: int) -> None:
    _walk_children(node, shell.child(), level)


def _walk_nothing(_node: Node, _shell: Shell, _level: int) -> None:
    """What is no part of any command."""


_WALKS: dict[str, Callable[[Node, Shell, int], object]] = {
    "command": _walk_command,
    "redirected_statement": _walk_redirected,
    "pipeline": _walk_pipeline,
    "subshell": _walk_subshell,
    "variable_assignment": _assign,
    "declaration_command": _walk_declaration,
    "unset_command": _walk_declaration,
    "test_command": _walk_test,
    "function_definition": _walk_function,
    "for_statement": _walk_for,
    "if_statement": _walk_branches,
    "while_statement": _walk_branches,
    "case_statement": _walk_branches,
    "c_style_for_statement": _walk_branches,
    "file_redirect": _redirect,
    "herestring_redirect": _redirect,
    "heredoc_redirect": _redirect,
    "comment": _walk_nothing,
    "heredoc_start": _walk_nothing,
    "heredoc_end": _walk_nothing,
}
