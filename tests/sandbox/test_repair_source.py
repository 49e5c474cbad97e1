"""Splices hit the right characters in any file, and leave every other byte alone."""

from __future__ import annotations

import ast
import codecs

import pytest

from sandbox.worker.repair.generate import candidates
from sandbox.worker.repair.source import Source, Splice, splice, tightened, unified, whole_lines

PLAIN = "def f(n):\n    # keep me\n    return n < 3  # and me\n"
FILES = {
    "plain": PLAIN.encode(),
    "CRLF": PLAIN.replace("\n", "\r\n").encode(),
    "no final newline": PLAIN.rstrip("\n").encode(),
    "tabs": PLAIN.replace("    ", "\t").encode(),
    "byte order mark": codecs.BOM_UTF8 + PLAIN.encode(),
    "wide letters": PLAIN.replace("return n", "x = 'äß→🐍'; return n").encode(),
    "latin-1": ("# -*- coding: latin-1 -*-\n" + PLAIN.replace("me", "mé")).encode("latin-1"),
    "decorated": ("import functools\n\n\n@functools.cache\n" + PLAIN).encode(),
    "nested": ("def g():\n" + "".join(f"    {x}\n" for x in PLAIN.splitlines())).encode(),
    "in a class": ("class A:\n" + "".join(f"    {x}\n" for x in PLAIN.splitlines())).encode(),
    "form feed": ("\x0c\n" + PLAIN).encode(),
}


@pytest.mark.parametrize("kind", FILES)
def test_one_comparison_changes_one_comparison(kind: str) -> None:
    data = FILES[kind]
    source = Source("m.py", data)

    results = {
        source.encode(splice(source.text, [one.edit]))
        for one in candidates(source, lambda _line: 1.0, ())
        if one.edit.operator == "cmp"
    }

    at = data.index(b"< 3")
    assert data[:at] + b"<= 3" + data[at + 3 :] in results
    assert data[:at] + b"> 3" + data[at + 3 :] in results
    assert all(r.startswith(data[:at]) and r.endswith(data[at + 1 :]) for r in results)


@pytest.mark.parametrize("kind", FILES)
def test_every_candidate_keeps_the_line_ends_of_its_file(kind: str) -> None:
    source = Source("m.py", FILES[kind])
    bare = source.text.replace("\r\n", "").count("\n") if source.newline == "\r\n" else 0

    for one in candidates(source, lambda _line: 1.0, ()):
        text = splice(source.text, [one.edit])
        if source.newline == "\r\n":
            assert text.replace("\r\n", "").count("\n") == bare, one


def test_edits_that_overlap_are_refused() -> None:
    with pytest.raises(ValueError, match="overlap"):
        splice("abcdef", [Splice("a", 1, 3, "x"), Splice("b", 2, 4, "y")])

    assert splice("abcdef", [Splice("a", 4, 5, "y"), Splice("b", 1, 3, "x")]) == "axdyf"


def test_an_edit_is_cut_to_what_it_changes() -> None:
    assert tightened("return n < 3", Splice("cmp", 7, 12, "n <= 3")) == Splice("cmp", 10, 10, "=")


def test_whole_lines_are_unique_both_ways_so_that_an_edit_can_be_undone() -> None:
    old = "def f():\n    return 1\n\n\ndef g():\n    return 1\n"
    new = "def f():\n    return 1\n\n\ndef g():\n    return 2\n"

    line, gone, come = whole_lines(old, new)

    assert line == 6
    assert (old.count(gone), new.count(come)) == (1, 1)
    assert old.replace(gone, come) == new
    assert new.replace(come, gone) == old


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\nb\nc\n", "a\nc\n"),
        ("a\nc\n", "a\nb\nc\n"),
        ("a\na\na\n", "a\na\n"),
        ("a", "b"),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("x\ny", "x\ny\nz"),
    ],
)
def test_whole_lines_rebuild_the_new_text(old: str, new: str) -> None:
    _, gone, come = whole_lines(old, new)

    assert gone
    assert come
    assert old.replace(gone, come, 1) == new


def test_a_diff_has_a_git_head_and_says_where_a_final_newline_is_missing() -> None:
    diff = unified("a/m.py", "x = 1", "x = 2")

    assert diff.startswith("diff --git a/a/m.py b/a/m.py\n--- a/a/m.py\n+++ b/a/m.py\n")
    assert diff.count("\\ No newline at end of file\n") == 2
    assert unified("m.py", "same\n", "same\n") == ""


def test_the_parser_and_the_source_agree_on_the_place_of_every_node() -> None:
    data = FILES["wide letters"]
    source = Source("m.py", data)

    for node in ast.walk(source.tree):
        if isinstance(node, ast.Compare):
            assert source.segment(node) == "n < 3"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert source.segment(node) == "'äß→🐍'"
