"""A candidate reaches live functions of any kind, and goes without a trace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sandbox.worker.repair.generate import units
from sandbox.worker.repair.source import Source, Splice
from sandbox.worker.repair.swap import Live, NeedsProcess

LIVE = {
    "method": ("class A:\n    def f(self, n):\n        return n - 1\n", "A().f"),
    "static method": ("class A:\n    @staticmethod\n    def f(n):\n        return n - 1\n", "A.f"),
    "class method": ("class A:\n    @classmethod\n    def f(cls, n):\n        return n - 1\n", "A.f"),
    "property": (
        ("class A:\n    @property\n    def g(self):\n        return self.n - 1\n"
        "    def f(self, n):\n        self.n = n\n        return self.g\n"),
        "A().f",
    ),
    "decorated": (
        ("import functools\n\ndef d(g):\n    @functools.wraps(g)\n    def w(*a):\n"
        "        return g(*a)\n    return w\n\n@d\ndef f(n):\n    return n - 1\n"),
        "f",
    ),
    "cached": ("import functools\n\n@functools.lru_cache\ndef f(n):\n    return n - 1\n", "f"),
    "nested": ("def f(n):\n    def g():\n        return n - 1\n    return g()\n", "f"),
    "closure made at import": (
        "def make():\n    def g(n):\n        return n - 1\n    return g\n\nf = make()\n",
        "f",
    ),
    "generator": ("def g(n):\n    yield n - 1\n\ndef f(n):\n    return next(g(n))\n", "f"),
    "coroutine": (
        "import asyncio\n\nasync def g(n):\n    return n - 1\n\ndef f(n):\n    return asyncio.run(g(n))\n",
        "f",
    ),
    "super and private names": (
        ("class B:\n    def f(self, n):\n        return 0\n\nclass A(B):\n    def __g(self, n):\n"
        "        return super().f(n) + n - 1\n    def f(self, n):\n        return self.__g(n)\n"),
        "A().f",
    ),
    "in a class in a class": (
        "class A:\n    class B:\n        def f(self, n):\n            return n - 1\n",
        "A.B().f",
    ),
    "under a condition": ("if True:\n    def f(n):\n        return n - 1\n", "f"),
    "annotated lazily": (
        "from __future__ import annotations\n\ndef f(n: Nowhere) -> Never:\n    return n - 1\n",
        "f",
    ),
}  # fmt: skip


def imported(folder: Path, code: str) -> tuple[ModuleType, Source, Live]:
    path = folder / "live_module.py"
    path.write_text(code, "utf-8")
    module = ModuleType("live_module")
    exec(compile(code, str(path), "exec", dont_inherit=True), module.__dict__)
    source = Source("live_module.py", path.read_bytes())
    live = Live(source, str(path))
    live.find()
    return module, source, live


def edit(source: Source, old: str, new: str) -> tuple[Any, list[Splice]]:
    at = source.text.index(old)
    line = source.line_of(at)
    unit = next(u for u in units(source) if u.lineno <= line <= (u.end_lineno or 0))
    return unit, [Splice("test", at, at + len(old), new)]


def caller(module: ModuleType, call: str) -> Callable[[int], Any]:
    return eval(f"lambda n: {call}(n)", module.__dict__)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", LIVE)
def test_the_code_of_any_kind_of_function_is_exchanged_and_given_back(
    kind: str, tmp_path: Path
) -> None:
    code, call = LIVE[kind]
    module, source, live = imported(tmp_path, code)
    f = caller(module, call)
    assert f(5) == 4

    live.put(*edit(source, "n - 1", "n + 1"))
    assert f(5) == 6

    live.restore()
    if kind != "cached":
        assert f(5) == 4


def test_a_name_imported_elsewhere_is_the_same_function(tmp_path: Path) -> None:
    module, source, live = imported(tmp_path, "def f(n):\n    return n - 1\n")
    elsewhere = {"f": module.f}

    live.put(*edit(source, "- 1", "+ 1"))

    assert elsewhere["f"](1) == 2


def test_lines_of_a_traceback_are_those_of_the_file(tmp_path: Path) -> None:
    code = "import functools\n\n\nclass A:\n    @functools.cache\n    def f(self):\n        return 1 / 1\n"
    module, source, live = imported(tmp_path, code)

    live.put(*edit(source, "1 / 1", "1 / 0"))

    with pytest.raises(ZeroDivisionError) as caught:
        module.A().f()
    assert caught.traceback[-1].lineno + 1 == 7


def test_an_edit_that_changes_what_a_closure_holds_needs_a_new_process(tmp_path: Path) -> None:
    code = "def make(k):\n    def g(n):\n        return n - 1\n    return g\n\nf = make(3)\n"
    module, source, live = imported(tmp_path, code)

    with pytest.raises(NeedsProcess):
        live.put(*edit(source, "n - 1", "n - k"))

    assert module.f(5) == 4


def test_an_edit_that_does_not_compile_changes_nothing(tmp_path: Path) -> None:
    module, source, live = imported(tmp_path, "def f(n):\n    return n - 1\n")

    with pytest.raises(SyntaxError):
        live.put(*edit(source, "n - 1", "n - ("))

    assert module.f(5) == 4
    assert "live_module" not in sys.modules
