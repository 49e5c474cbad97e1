"""Verbs on files: read, edit, search."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.docker_sandbox import DockerSandbox
from sandbox.protocol import Json
from tests.sandbox.conftest import bytes_of, edit, shell, write

MODULE = b"""import os

@first
@second(
    1)
def decorated(a):
    return a

class Parser:
    \"\"\"Parses.\"\"\"

    def parse(self, text):
        \"\"\"Parse.

        More.
        \"\"\"
        return text  # the end

    async def fetch(self):
        def inner(): return 1
        return inner()

def one_line(): return 1
"""


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"one\ntwo\nthree\n", "utf-8"),
        (b"one\r\ntwo\r\nthree\r\n", "utf-8"),
        (b"one\ntwo\nthree", "utf-8"),
        (b"one\r\ntwo\nthree\r\n", "utf-8"),
        (b"\xef\xbb\xbfone\ntwo\nthree\n", "utf-8-sig"),
        (b"caf\xe9\ntwo\nthree\n", "latin-1"),
        ("été\ntwo\n日本\n".encode(), "utf-8"),
        (b"\tone\n\t\ttwo\n\x0cthree\n", "utf-8"),
        (b"one\ntwo\nthree\n\n\n", "utf-8"),
    ],
)
def test_an_edit_changes_its_span_and_no_other_byte(
    box: DockerSandbox, data: bytes, encoding: str
) -> None:
    write(box, "file.txt", data)

    seen = box.perform("read", {"path": "file.txt"}, timeout_s=5).data
    done = edit(box, operation="replace", path="file.txt", old="two", new="2\nII")

    assert seen["encoding"] == encoding
    assert done.exit_code == 0, done
    newline = b"\r\n" if data.count(b"\r\n") * 2 > data.count(b"\n") else b"\n"
    assert bytes_of(box, "file.txt") == data.replace(b"two", b"2" + newline + b"II")


@pytest.mark.parametrize(
    "data",
    [b"a = 1\r\nb = 2\r\nc = 3\r\n", b"a = 1\nb = 2\nc = 3", b"\xef\xbb\xbfa = 1\nb = 2\nc = 3\n"],
)
def test_what_read_shows_edit_accepts(box: DockerSandbox, data: bytes) -> None:
    write(box, "m.py", data)
    shown = str(
        box.perform("read", {"path": "m.py", "start": 1, "lines": 2}, timeout_s=5).data["text"]
    )

    assert edit(box, operation="replace", path="m.py", old=shown, new="a = 9\n").exit_code == 0
    assert b"a = 9" in bytes_of(box, "m.py")
    assert b"b = 2" not in bytes_of(box, "m.py")


def test_read_gives_the_lines_asked_for_and_how_many_there_are(box: DockerSandbox) -> None:
    write(box, "n.txt", "".join(f"{n}\n" for n in range(1, 101)).encode())

    data = box.perform("read", {"path": "n.txt", "start": 10, "lines": 3}, timeout_s=5).data

    assert data["text"] == "10\n11\n12\n"
    assert (data["start"], data["lines"], data["total"]) == (10, 3, 100)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("none.py", "does not exist"),
        ("m.pz", "Near it: m.py"),
        ("../etc/passwd", "leads out"),
        ("/etc/passwd", "leads out"),
        ("out/passwd", "leads out"),
        ("folder", "no regular file"),
        ("binary", "binary"),
        ("pipe", "no regular file"),
    ],
)
def test_a_read_that_cannot_be_says_why(box: DockerSandbox, path: str, said: str) -> None:
    shell(box, "echo 1 > m.py; ln -s /etc out; mkdir folder; printf 'a\\0b' > binary; mkfifo pipe")

    done = box.perform("read", {"path": path}, timeout_s=5)

    assert done.exit_code == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"operation": "replace", "path": "m.py", "old": "return", "new": "x"}, "times"),
        ({"operation": "replace", "path": "m.py", "old": "retrun text", "new": "x"}, "return text"),
        (
            {
                "operation": "replace",
                "path": "m.py",
                "old": "def parse(self, text):\nreturn",
                "new": "x",
            },
            "indentation",
        ),
        ({"operation": "replace", "path": "m.py", "old": "", "new": "x"}, "empty"),
        ({"operation": "replace", "path": "m.py", "old": "import os", "new": "import os"}, "same"),
        (
            {"operation": "replace", "path": "m.py", "old": "import os", "new": "import ("},
            "not parse",
        ),
        (
            {
                "operation": "function",
                "path": "m.py",
                "old": "Parser.prase",
                "new": "def f(): pass",
            },
            "Parser.parse",
        ),
        (
            {"operation": "function", "path": "m.py", "old": "Parser.parse", "new": "x = 1"},
            "no definition",
        ),
        (
            {"operation": "function", "path": "m.py", "old": "Parser.parse", "new": "def parse(:"},
            "not parse",
        ),
        ({"operation": "create", "path": "m.py", "new": ""}, "exists already"),
        ({"operation": "create", "path": "new.py", "new": "def f(:"}, "not parse"),
        ({"operation": "create", "path": "../new.txt", "new": ""}, "leads out"),
        ({"operation": "create", "path": "out/new.txt", "new": ""}, "leads out"),
        ({"operation": "create", "path": ".git/hooks/pre-commit", "new": ""}, "belongs to git"),
        ({"operation": "create", "path": "m.py/new.txt", "new": ""}, "No folder"),
    ],
)
def test_an_edit_that_cannot_be_changes_nothing_and_says_why(
    box: DockerSandbox, arguments: dict[str, Any], said: str
) -> None:
    write(box, "m.py", MODULE)
    shell(box, "ln -s /tmp out")

    done = edit(box, **arguments)

    assert done.exit_code == 1
    assert said in done.stderr
    assert bytes_of(box, "m.py") == MODULE


def test_overlapping_matches_are_ambiguous(box: DockerSandbox) -> None:
    write(box, "x.txt", b"aXaXa")

    assert "2 times" in edit(box, operation="replace", path="x.txt", old="aXa", new="").stderr


def test_a_file_that_did_not_parse_may_go_on_not_parsing(box: DockerSandbox) -> None:
    write(box, "m.py", b"x = (\ny = 1\n")

    assert edit(box, operation="replace", path="m.py", old="y = 1", new="y = 2").exit_code == 0


@pytest.mark.parametrize(
    ("name", "new", "old_text", "new_text"),
    [
        (
            "decorated",
            "def decorated(b):\n    return b",
            b"def decorated(a):\n    return a\n",
            b"def decorated(b):\n    return b\n",
        ),
        (
            "decorated",
            "@third\ndef decorated(b):\n    return b\n",
            b"@first\n@second(\n    1)\ndef decorated(a):\n    return a\n",
            b"@third\ndef decorated(b):\n    return b\n",
        ),
        (
            "Parser.fetch",
            "    async def fetch(self):\n        return 2\n",
            b"    async def fetch(self):\n        def inner(): return 1\n        return inner()\n",
            b"    async def fetch(self):\n        return 2\n",
        ),
        (
            "Parser.fetch.inner",
            "def inner(): return 3",
            b"def inner(): return 1",
            b"def inner(): return 3",
        ),
        (
            "one_line",
            "def one_line():\n    return 2",
            b"def one_line(): return 1",
            b"def one_line():\n    return 2",
        ),
        (
            "Parser.parse",
            'def parse(self, text):\n    s = """\nkept\n"""\n    return s',
            b'    def parse(self, text):\n        """Parse.\n\n        More.\n        """\n        return text  # the end\n',
            b'    def parse(self, text):\n        s = """\nkept\n"""\n        return s\n',
        ),
    ],
)
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_a_whole_function_is_swapped_where_it_stands(
    box: DockerSandbox, name: str, new: str, *, old_text: bytes, new_text: bytes, newline: bytes
) -> None:
    write(box, "m.py", MODULE.replace(b"\n", newline))

    done = edit(box, operation="function", path="m.py", old=name, new=new)

    assert done.exit_code == 0, done
    expected = MODULE.replace(old_text, new_text)
    assert expected != MODULE
    assert bytes_of(box, "m.py") == expected.replace(b"\n", newline)


def test_a_new_file_gets_its_folders_and_a_changed_one_keeps_its_mode(box: DockerSandbox) -> None:
    write(box, "run.sh", b"#!/bin/sh\necho 1\n")
    shell(box, "chmod 751 run.sh; ln -s run.sh link")

    assert edit(box, operation="create", path="a/b/c.py", new="x = 1\n").data["added"] == 1
    assert edit(box, operation="replace", path="link", old="echo 1", new="echo 2").exit_code == 0

    assert bytes_of(box, "a/b/c.py") == b"x = 1\n"
    assert (
        shell(box, "stat -c %a run.sh; readlink link; ls -A").stdout
        == "751\nrun.sh\na\nlink\nrun.sh\n"
    )


def test_a_character_the_encoding_lacks_is_refused(box: DockerSandbox) -> None:
    write(box, "l.txt", b"caf\xe9 one\n")

    assert "latin-1" in edit(box, operation="replace", path="l.txt", old="one", new="日本").stderr


def test_search_finds_lines_in_order_and_says_when_there_are_more(box: DockerSandbox) -> None:
    shell(
        box,
        "mkdir -p b a .github; for f in b/x.py a/y.py a/z.txt .github/w.yml; do printf 'one\\ntwo hit\\n' > $f; done",
    )

    def found(**arguments: Any) -> list[str]:
        done = box.perform("search", {"pattern": "hit", **arguments}, timeout_s=10)
        matches: Any = done.data["matches"]
        assert all(match["text"] == "two hit" and match["line"] == 2 for match in matches)
        return [match["path"] for match in matches]

    assert found() == [".github/w.yml", "a/y.py", "a/z.txt", "b/x.py"]
    assert found(path="a") == ["a/y.py", "a/z.txt"]
    assert found(glob="*.py") == ["a/y.py", "b/x.py"]
    assert box.perform("search", {"pattern": "hit", "limit": 2}, timeout_s=10).data["more"] == {
        "a/z.txt": 1,
        "b/x.py": 1,
    }
    assert found(pattern="none") == []
    assert "not understood" in box.perform("search", {"pattern": "("}, timeout_s=10).stderr
    assert (
        "leads out" in box.perform("search", {"pattern": "x", "path": "/etc"}, timeout_s=10).stderr
    )


def test_search_tells_the_lines_around_its_matches_once_each(box: DockerSandbox) -> None:
    shell(box, "printf '%s\\n' a hit b hit c d e hit > x.txt; printf 'hit' > y.txt")
    done = box.perform("search", {"pattern": "hit", "context": 1}, timeout_s=10)
    matches: Any = done.data["matches"]
    told = [f"{one['path'][0]}{one['line']}{one['text']}" for one in matches]
    assert told == ["x1a", "x2hit", "x3b", "x4hit", "x5c", "x7e", "x8hit", "x9", "y1hit"]
    assert [one["line"] for one in matches if one.get("near")] == [1, 3, 5, 7, 9]


def test_a_definition_is_found_by_its_last_name_where_it_is_the_only_one(
    box: DockerSandbox,
) -> None:
    source = "class A:\n    def f(self):\n        return 1\n\n    def g(self):\n        def f():\n            pass\n"
    box.perform("shell", {"command": f"cat > named.py <<'END'\n{source}END"}, timeout_s=10)

    def read(symbol: str) -> Any:
        arguments: dict[str, Json] = {"path": "named.py", "start": 1, "lines": 0, "symbol": symbol}
        return box.perform("read", arguments, timeout_s=10)

    assert (read("g").data["start"], read("g").data["lines"]) == (5, 3)
    assert "defines no f. Did you mean: A.f (line 2); A.g.f (line 6)?" in read("f").stderr


def test_a_definition_is_read_by_its_name(box: DockerSandbox) -> None:
    source = "import x\n\n\nclass A:\n    @x.wrap\n    def f(self):\n        return 1\n\n    def g(self):\n        return 2\n"
    box.perform("shell", {"command": f"cat > named.py <<'END'\n{source}END"}, timeout_s=10)
    arguments: dict[str, Json] = {"path": "named.py", "start": 1, "lines": 0, "symbol": "A.f"}
    outcome = box.perform("read", arguments, timeout_s=10)

    assert outcome.data["text"] == "    @x.wrap\n    def f(self):\n        return 1\n"
    assert (outcome.data["start"], outcome.data["lines"]) == (5, 3)

    arguments["symbol"] = "A.ff"
    missing = box.perform("read", arguments, timeout_s=10)
    assert missing.exit_code == 1
    assert "A.f (line 6)" in missing.stderr


def test_an_edit_shows_the_place_as_it_is_now(box: DockerSandbox) -> None:
    box.perform("shell", {"command": "seq 1 9 > numbers.txt"}, timeout_s=10)
    edit: dict[str, Json] = {
        "operation": "replace",
        "path": "numbers.txt",
        "old": "5\n6\n",
        "new": "five\n",
    }
    data = box.perform("edit", edit, timeout_s=10).data

    assert (data["start"], data["now"]) == (3, "3\n4\nfive\n7\n8\n")
