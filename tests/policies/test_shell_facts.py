"""Shell facts: every program at every depth, with the words that bash would give it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import facts
from policies.action import Action, ShellRequest
from policies.facts import Facts
from policies.gate import Circumstances

OPEN = Circumstances(contained=False, mode="ci")


def facts_of(command: str) -> Facts:
    request = ShellRequest(command=command)
    action = Action(session_id="s", step=0, index=0, tool="shell", request=request)
    return facts.of(action, OPEN)


def programs(command: str) -> list[str]:
    return sorted(c.program for c in facts_of(command).commands)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("a | b && c || d; e & f", "a b c d e f"),
        ("(a; { b; }); ! c", "a b c"),
        ("if a; then b; elif c; then d; else e; fi", "a b c d e"),
        ("while a; do b; done; until c; do d; done", "a b c d"),
        ("for x in 1 2; do a; done", "a a"),
        ("for ((i=0; i<$(a); i++)); do b; done", "a b"),
        ("case $(a) in x) b;; *) c;; esac", "a b c"),
        ("f() { a; }; function g { b; }", "a b"),
        ("x=$(a $(b)) c; y=`d`", "a b c d"),
        ('echo "$(a)" ${x:-$(b)} $((1 + $(c)))', "a b c echo"),
        ("a <(b) > >(c)", "a b c"),
        ("a < $(b) 2>&1", "a b"),
        ("cat <<E\n$(a) `b`\nE", "a b cat"),
        ("cat <<'E'\n$(a) `b`\nE", "cat"),
        ("cat <<E | a && b\nx\nE", "a b cat"),
        ("[[ -n $(a) ]] && [ $(b) ]", "a b"),
        ("export X=$(a) Y=b", "a export"),
        ("A=1 B=2", ""),
        ("env X=1 timeout -k 1 5 nice -n 3 a b", "a"),
        ("sh -c 'a; bash -c \"b\"'", "a b bash sh"),
        ("eval a b", "a eval"),
        ("echo a b | xargs -n1 c", "c echo"),
        ("find . -exec a {} \\; -exec b {} +", "a b find"),
        ("time ( a; b )", "a b time"),
        ("coproc ( a )", "a coproc"),
    ],
)
def test_every_program_is_found(command: str, expected: str) -> None:
    assert programs(command) == expected.split()


@pytest.mark.parametrize(
    "command",
    ["time { a; b; }", "coproc Z { a; b; }", "! { ! a; b; }", "! for x in 1; do a; b; done", "time for x in 1; do a; b; done",
     "time if a; then b; fi", "coproc while a; do b; done", "a#x|b; a", "a > f <<< x | b", "a @(x) | b"],
)  # fmt: skip
def test_what_the_parser_misreads_is_doubted_and_read_piece_by_piece(command: str) -> None:
    assert {"a", "b"} <= set(programs(command))
    assert {"parser-trap", "parse-error"} & set(facts_of(command).action.uncertain)


def test_a_line_is_not_swallowed_by_the_command_above_it() -> None:
    """Each of several such lines in a text is found, not only one of them."""
    swallowed = '{ while f; do x; done; (x); } | { f; } | <(~)""\np <\'\'\n((f)) | (o) | 5\n("") | while c; do 1; done | q'
    assert {"p", "q"} <= set(programs(swallowed))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a'b'\"c\"d", ["abcd"]),
        (r"a\ b\c", ["a bc"]),
        (r"$'\x41\102\u0043\n'", ["ABC\n"]),
        ("\"a b\" 'c d'", ["a b", "c d"]),
        ("{a,b}{1..2}", ["a1", "a2", "b1", "b2"]),
        ("a{,b}c", ["ac", "abc"]),
        ("'{a,b}' {a}", ["{a,b}", "{a}"]),
        ('""', [""]),
        ("a=1", ["a=1"]),
        ("$(x)y", ["\ufffdy"]),
        ("~/x", ["~/x"]),
        ("$HOME/x", ["~/x"]),
        (r'"\$x \a"', [r"$x \a"]),
    ],
)
def test_words_are_made_as_bash_makes_them(text: str, words: list[str]) -> None:
    assert list(facts_of(f"prog {text}").commands[-1].arguments) == words


@pytest.mark.parametrize(
    "words", ["a'b'\"c\"d", r"a\ b\c", r"$'\x41\102\n'", "{a,b}{1..3}", "a{,b}c", "'{a,b}' {a}", '""', r'"\$x \a"', "x{a,{b,c}}y"]
)  # fmt: skip
def test_words_agree_with_bash_itself(words: str) -> None:
    """bash prints constants only: nothing of the words can run anything."""
    bash = shutil.which("bash")
    assert bash is not None
    printed = subprocess.run(
        [bash, "-c", f"printf '%s\\0' {words}"], capture_output=True, check=True
    )
    expected = printed.stdout.decode().split("\0")[:-1]
    assert list(facts_of(f"prog {words}").commands[-1].arguments) == expected


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("V=x; prog $V", ["x"]),
        ("V='a b'; prog $V \"$V\"", ["a", "b", "a b"]),
        ("V=a; V+=b; prog $V", ["ab"]),
        ("(V=x); prog $V", ["\ufffd"]),
        ("V=x | true; prog $V", ["\ufffd"]),
        ("if a; then V=x; fi; prog $V", ["\ufffd"]),
        ("V=x prog $V", ["\ufffd"]),
        ("{ V=x; }; prog $V", ["x"]),
        ("read V; prog $V", ["\ufffd"]),
        ("bash -c 'prog $0 $1' a b", ["a", "b"]),
    ],
)
def test_constants_flow_as_far_as_the_shell_carries_them(
    command: str, arguments: list[str]
) -> None:
    found = [c for c in facts_of(command).commands if c.program == "prog"]
    assert list(found[-1].arguments) == arguments


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("cat .env", ".env"),
        ("cd a && cat b/../.env", "a/.env"),
        ("cat > out .env", ".env"),
        ("cat <<E .env\nx\nE", ".env"),
        ("cat < .env", ".env"),
        ("true && cat > out .env", ".env"),
        ("cat $(echo .env)", ".env"),
        ("echo `echo \\`cat .env\\``", ".env"),
        ("cat .e\\\nnv", ".env"),
        ("find . -name .env | xargs cat", ".env"),
        ("cat $(find . -name .env)", ".env"),
        ("V=.env bash -c 'cat $V'", ".env"),
        ('a=(.env); cat "${a[0]}"', ".env"),
        ("dd if=.env", ".env"),
        ("perl -ne print .env", ".env"),
        ("find .env -exec cat {} +", ".env"),
        ("parallel cat ::: .env", ".env"),
        ("true | cat > out .env", ".env"),
        ("echo $(< .env)", ".env"),
        ("cat 0< .env", ".env"),
        ("tar --file=.env", ".env"),
        ("curl -d @.env x", ".env"),
        ("unheard-of x:.env", ".env"),
        ("find . -name .env -exec cat {} +", ".env"),
        ("{cat,.env}", ".env"),
        ("case x in (x) cat .env ;; esac", ".env"),
        ("echo .env | xargs cat", ".env"),
        ("python3 -c 'open(\".env\")'", ".env"),
        ("ruby -e 'puts File.read(\".env\")'", ".env"),
    ],
)
def test_a_secret_file_is_seen_however_it_is_named(command: str, path: str) -> None:
    read = [p for p in facts_of(command).paths if p.access == "read" and "secret" in p.classes]
    assert path in [p.text for p in read]


def _words(draw: random.Random, names: Iterator[str], depth: int) -> str:
    forms = ["w", "'q q'", '"d"', "$V", "${V:-d}", "*.c", "{a,b}", "~", r"b\ s"]
    if depth > 0:
        inner = _command(draw, names, depth - 1)
        forms += [f"$( {inner} )", f'"$( {inner} )"', f"<( {inner} )", f"${{V:-$( {inner} )}}"]
    # The last forms hold the programs that were just named: they must not be dropped.
    return draw.choice(forms[9:] or forms)


def _command(draw: random.Random, names: Iterator[str], depth: int) -> str:
    """A command of programs that have names of their own, so that none can hide behind another."""

    def one() -> str:
        return _command(draw, names, depth - 1)

    arguments = [_words(draw, names, depth - 1) for _ in range(draw.randint(0, 2))]
    simple = " ".join([draw.choice(["", "A=1 "]) + next(names), *arguments])
    simple += draw.choice(["", "", " > f", " 2>&1", " < f", " >> f x", " <<< h"])
    if depth <= 0:
        return simple
    forms = [
        lambda: simple,
        lambda: f"{one()} | {one()} | {simple}",
        lambda: f"{one()} && {one()} || {simple}",
        lambda: f"( {one()}; {simple} )",
        lambda: f"{{ {one()}; {simple}; }}",
        lambda: f"if {one()}; then {one()}; else {simple}; fi",
        lambda: f"while {one()}; do {simple}; done",
        lambda: f"for v in {_words(draw, names, depth - 1)}; do {simple}; done",
        lambda: f"case {_words(draw, names, depth - 1)} in x) {one()};; *) {simple};; esac",
        lambda: f"fn() {{ {one()}; {simple}; }}",
        lambda: f"( ! {simple} )",
    ]
    return draw.choice(forms)()


def _statement(draw: random.Random, names: Iterator[str]) -> str:
    command = _command(draw, names, depth=3)
    forms = [
        command,
        f"{command} &",
        f"{next(names)} <<END\nbody $({next(names)}) ${{V}}\nEND\n{command}",
        f"{next(names)} <<'END' | {next(names)}\n$(no) `no`\nEND\n{command}",
        f"if true\nthen\n  {command}\nfi",
        f"{next(names)} <<END; {next(names)}\nbody ${{V}}\n  \n$\nEND\n{command}",
        f"{next(names)} w <<-'END' > f && {next(names)}\n\tit's\n\tEND\n{command}",
        f"{next(names)} <<A <<'B' & {next(names)} w\n`{next(names)}` x\nA\n$(no)\nB\n{command}",
        f"x=$({next(names)} <<END\n\\ $({next(names)})\nEND\n)\n{command}",
        f"time ( {command} )",
    ]
    return draw.choice(forms)


def _called(tree: Any) -> Iterator[str]:
    """The programs in shfmt's tree."""
    if isinstance(tree, dict):
        arguments = tree.get("Args") if tree.get("Type") == "CallExpr" else None
        if arguments:
            yield "".join(p.get("Value", "?") for p in arguments[0]["Parts"])
        for value in tree.values():
            yield from _called(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _called(value)


SEEDS = [*range(25), *(pytest.param(n, marks=pytest.mark.soak) for n in range(25, 500))]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_programs_agree_with_shfmt_on_generated_commands(seed: int) -> None:
    shfmt = Path(shutil.which("shfmt") or Path(sys.executable).parent / "shfmt")
    draw = random.Random(seed)
    names = (f"p{number}" for number in range(10**6))
    command = "\n".join(_statement(draw, names) for _ in range(12))
    tree = subprocess.run(
        [shfmt, "-ln", "bash", "--to-json"], input=command.encode(), capture_output=True, check=True
    )
    theirs = {name for name in _called(json.loads(tree.stdout)) if name.startswith("p")}
    found = facts_of(command)
    ours = {c.program for c in found.commands if c.program.startswith("p")}
    assert ours == theirs, command
    assert "parse-error" not in found.action.uncertain


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
)
def test_any_text_has_facts(text: str) -> None:
    assert facts_of(text).action.kind == "shell"


SHELL_PIECES = ["'", '"', "`", "$(", ")", "${", "}", "((", "))", "{", "|", "&", ";", "\n", "\\", "<<E", "E",
                "<(", ">", "[", "]", "case x in", "esac", "if", "then", "fi", "do", "done", "a", " ", "=", "*", "!"]  # fmt: skip


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(SHELL_PIECES), max_size=25).map("".join))
def test_broken_commands_have_facts_too(text: str) -> None:
    assert facts_of(text).action.kind == "shell"
