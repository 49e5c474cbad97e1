"""Facts of a shell command: every program at every depth, and what it reads and writes.

tree-sitter-bash gives the syntax; words are made as bash makes them (`words.py`), wrappers are
taken off and programs looked at (`programs.py`). Where the parser and bash are known to disagree
without an error, the text is read the other way too, or what hides in it is doubted. Nothing is
run, no disk is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from policies.facts import evaluation, heredocs, programs, traps, words
from policies.facts.collected import DEEPEST, Collected, TooDeep, TooMuch
from policies.facts.heredocs import Document
from policies.facts.paths import UNKNOWN
from policies.facts.syntax import parse, shield, source
from policies.facts.words import Word
from policies.texts import hidden

LONGEST = 100_000
"""Characters of a command that are looked through."""
_DEEPEST_NODE = 120
_MOST_READINGS = 16


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
    documents: list[Document] = field(default_factory=list)
    """The here-documents of the text that is being looked through."""
    piecewise: bool = False
    """It is read piece by piece: no piece of it is taken apart again."""

    def value(self, name: str) -> str | None:
        """A variable's constant value."""
        return self.constants.get(name)

    def doubt(self, reason: str) -> None:
        """Say that something could not be made out."""
        self.collected.doubt(reason)

    def substitute(self, node: Node) -> Word:
        """Look through a substitution: what it prints, as far as that is known."""
        if node.type == "arithmetic_expansion":
            evaluation.look_at_arithmetic(node, self)
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


def _read_one(text: str, shell: Shell) -> None:
    first, shell.documents = heredocs.take_out(shield(text))
    root = parse(first)
    _walk_text(root, text, shell)
    if not all(d.ended for d in shell.documents):
        shell.doubt("unfinished-heredoc")
        traps.read_pieces(text, shell)
    ended = first
    for _ in range(_MOST_READINGS):
        ends = traps.swallowed_lines(root, ended)
        if not ends:
            break
        ended = traps.end_lines(ended, ends)
        root = parse(ended)
    else:
        raise TooMuch("lines of which it cannot be told where they end")
    if ended != first:
        shell.doubt("parser-trap")
        _walk_text(root, text, shell.child())
    if "`" in text:
        traps.read_hidden_backticks(root, ended, shell)


def _walk_text(root: Node, text: str, shell: Shell) -> None:
    _walk(root, shell, 0)
    if root.has_error and not shell.piecewise:
        shell.doubt("parse-error")
        traps.guess_paths(text, shell)
        traps.read_pieces(text, shell)


def _walk(node: Node, shell: Shell, level: int) -> None:
    """Go through a node as the shell would run it."""
    shell.collected.step()
    if level > _DEEPEST_NODE:
        raise TooDeep("a command whose brackets lie too deep")
    if node.type in words.TYPES:
        words.resolve(node, shell)
    else:
        _WALKS.get(node.type, _walk_children)(node, shell, level)


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
        evaluation.look_at_arithmetic(node, shell, but=body)
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
        given = [w for r in child.named_children for w in _documents_of(r, inner)]
        # A program that is given a document is taken to pass it on, as `cat` does.
        piped = tuple(given) or (programs.printed(made[0]) if len(made) == 1 else None)


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
    if node.type != "file_redirect":
        _walk(node, shell, level + 1)
        return
    operator = next((source(c) for c in node.children if not c.is_named), "")
    for word in _documents_of(node, shell):
        shell.stdin, shell.heredoc = "heredoc", word.text if word.known else None
        return
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


def _documents_of(node: Node, shell: Shell) -> list[Word]:
    """What a redirection puts in where a here-document stands behind it."""
    targets = node.children_by_field_name("destination")[:1] if node.type == "file_redirect" else []
    named = [heredocs.named(target, shell.documents) for target in targets]
    return [_document(document, shell) for document in named if document]


def _document(document: Document, shell: Shell) -> Word:
    """What a here-document puts in, with the substitutions in it looked through."""
    if document.literal or not any(c in document.text for c in "$`\\"):
        return Word(document.text)
    text, end = heredocs.alone(document)
    root = parse(text)
    body = heredocs.body_in(root)
    if root.has_error or body is None:
        _walk_text(root, document.text, shell.child())
        return Word(UNKNOWN)
    word = words.text_of(body, shell)
    if "`" in document.text:
        traps.read_hidden_backticks(root, text, shell)
    return replace(word, text=heredocs.text_alone(word.text, end))


def _walk_command(node: Node, shell: Shell, level: int, redirects: Sequence[Node] = ()) -> None:
    inner = shell.child()
    environment: list[str] = []
    arguments: list[Word] = []
    for redirect in redirects:
        _redirect(redirect, inner, 0)
    misplaced = [w for r in (*redirects, *node.children) for w in traps.misplaced_words(r)]
    for child in (*node.children, *misplaced):
        if child.type == "variable_assignment":
            environment.append(evaluation.assign(child, inner))
        elif child.type in {"file_redirect", "herestring_redirect"}:
            _redirect(child, inner, 0)
        elif child.is_named and child.type not in words.TYPES | {"command_name"}:
            # `time (a)`: brackets where the parser has words.
            shell.doubt("parser-trap")
            _walk(child, inner, level + 1)
        elif child.is_named:
            # An assignment before a command is not seen by that command's own words.
            arguments += words.resolve(child, shell)
        elif child.type != "<<<":
            arguments.append(Word(source(child)))
    if not arguments:
        shell.doubt("no-program")
        return
    if traps.is_misread(node, arguments):
        shell.doubt("parser-trap")
        traps.read_pieces(source(node), shell)
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
    "variable_assignment": evaluation.assign,
    "declaration_command": evaluation.declare,
    "unset_command": evaluation.declare,
    "test_command": evaluation.look_at_test,
    "function_definition": _walk_function,
    "for_statement": _walk_for,
    "if_statement": _walk_branches,
    "while_statement": _walk_branches,
    "case_statement": _walk_branches,
    "c_style_for_statement": _walk_branches,
    "file_redirect": _redirect,
    "herestring_redirect": _redirect,
    "comment": _walk_nothing,
}
