"""Every kind of bug has its undoing among the candidates, as a splice that changes nothing else."""

from __future__ import annotations

import ast

import pytest

from sandbox.worker.repair.generate import Found, candidates
from sandbox.worker.repair.source import Source, splice


def found(buggy: str, raised: tuple[str, ...] = ()) -> list[tuple[Found, str]]:
    source = Source("m.py", buggy.encode())
    made = candidates(source, lambda _line: 1.0, raised)
    return [(one, splice(source.text, [one.edit])) for one in made]


def body(*lines: str) -> str:
    return "\n".join(["def f(xs, n=0):", *(f"    {line}" for line in lines), ""])


PAIRS = {
    "cmp": (body("return n < 3"), body("return n <= 3")),
    "cmp-kind": (body("return n < 3"), body("return n == 3")),
    "cmp in": (body("return n in xs"), body("return n not in xs")),
    "cmp is": (body("return n is None"), body("return n is not None")),
    "const-int": (body("return n + 1"), body("return n + 2")),
    "const-int two off": (body("return n + 24"), body("return n + 26")),
    "const-int sign": (body("return -1"), body("return 1")),
    "const-float": (body("return n * 0.5"), body("return n * 5.0")),
    "const-str": (body("return 'ab'"), body("return 'abb'")),
    "letter": (body("return 'Fizz'"), body("return 'Fuzz'")),
    "const-bool": (body("return True"), body("return False")),
    "repeat": (body("a = 2", "return a + 2"), body("a = 3", "return a + 3")),
    "method": (body("return n.lower()"), body("return n.upper()")),
    "method spelt alike": (body("return n.time()"), body("return n.timetz()")),
    "call-name": (body("return min(xs)"), body("return max(xs)")),
    "call-name of a type handed on": (body("return map(int, xs)"), body("return map(str, xs)")),
    "arith": (body("return n - 1"), body("return n + 1")),
    "swap-operands": (body("return n - len(xs)"), body("return len(xs) - n")),
    "drop-operand": (body("return n + n * 2"), body("return n")),
    "regroup": (body("return n + n * 2"), body("return (n + n) * 2")),
    "regroup moved": (body("return abs(n - 1)"), body("return abs(n) - 1")),
    "and-or": (body("return n and xs"), body("return n or xs")),
    "negate": (body("if n:", "    return 1", "return 2"), body("if not n:", "    return 1", "return 2")),
    "cond-const": (body("while n:", "    n -= 1"), body("while True:", "    n -= 1")),
    "shift": (body("return n < len(xs)"), body("return n < len(xs) - 1")),
    "index": (body("return xs[n]"), body("return xs[n + 1]")),
    "range": (body("return range(n)"), body("return range(1, n)")),
    "range stop": (body("return range(2, n)"), body("return range(2, n + 1)")),
    "add-kw": (body("return sorted(xs)"), body("return sorted(xs, reverse=True)")),
    "add-kw method": (body("xs.sort()"), body("xs.sort(reverse=True)")),
    "add-kw key": (body("return max(xs)"), body("return max(xs, key=len)")),
    "key-map": (
        body("order = {'a': 1}", "return list(xs)"),
        body("order = {'a': 1}", "return sorted(list(xs), key=lambda v: order[v])"),
    ),
    "fold-step": (body("for x in xs:", "    n = max(xs)"), body("for x in xs:", "    n = max(n, x)")),
    "unwrap": (body("return sorted(xs)"), body("return xs")),
    "unwrap receiver": (body("return n.strip()"), body("return n")),
    "wrap": (body("return xs"), body("return sorted(xs)")),
    "wrap tail": (body("return xs"), body("return xs[::-1]")),
    "wrap in an operation": (body("return n * xs"), body("return n * (xs + 1)")),
    "wrap-name": (body("return xs"), body("return xs[:n]")),
    "swap-branches": (body("return 1 if n else 2"), body("return 2 if n else 1")),
    "slice": (body("return xs[1:n]"), body("return xs[1:n + 1]")),
    "slice start": (body("return xs[:n]"), body("return xs[n:]")),
    "default": (body("return xs[n]"), body("return xs.get(n, 0)")),
    "aug-op": (body("n -= 1", "return n"), body("n += 1", "return n")),
    "aug-assign": (body("n = 1", "return n"), body("n += 1", "return n")),
    "aug-assign of bits": (body("n += 1", "return n"), body("n |= 1", "return n")),
    "aug-assign back": (body("n += 1", "return n"), body("n = 1", "return n")),
    "jump": (body("for x in xs:", "    break"), body("for x in xs:", "    continue")),
    "drop-elt": (body("return [1, 2, 3]"), body("return [1, 3]")),
    "swap-elts": (body("a, b = b, a"), body("a, b = a, b")),
    "swap-args": (body("return pow(n, 2)"), body("return pow(2, n)")),
    "drop-arg": (body("return int(n, 2)"), body("return int(n)")),
    "add-arg": (body("return f(xs)"), body("return f(xs, n)")),
    "delete": (body("n = 1", "n = 2", "return n"), body("n = 1", "return n")),
    "drop-guard": (body("if n:", "    return 1", "return 2"), body("return 2")),
    "drop-branch": (
        body("if n:", "    return 1", "elif xs:", "    return 2", "return 3"),
        body("if n:", "    return 1", "return 3"),
    ),
    "drop-branch the first": (
        body("if n:", "    return 1", "elif xs:", "    return 2", "return 3"),
        body("if xs:", "    return 2", "return 3"),
    ),
    "guard": (body("return xs[n]"), body("if n < 0:", "    return xs[n]", "return xs[n]")),
    "wrap-if": (body("xs.append(n)", "return xs"), body("if n:", "    xs.append(n)", "return xs")),
    "insert-step": (
        body("while n:", "    xs.pop()", "return n"),
        body("while n:", "    xs.pop()", "    n -= 1", "return n"),
    ),
    "insert-copy": (
        body("n = 1", "xs.sort()", "return xs"),
        body("n = 1", "xs.sort()", "n = 1", "return xs"),
    ),
    "loop-tail": (
        body("r = []", "for x in xs[:-1]:", "    r.append(x)", "return r"),
        body("r = []", "for x in xs[:-1]:", "    r.append(x)", "r.append(xs[:-1][-1])", "return r"),
    ),
    "swap-stmts": (body("n = 1", "xs = n"), body("xs = n", "n = 1")),
    "indent": (
        body("for x in xs:", "    n += x", "n *= 2"),
        body("for x in xs:", "    n += x", "    n *= 2"),
    ),
    "dedent": (
        body("for x in xs:", "    n += x", "    return n"),
        body("for x in xs:", "    n += x", "return n"),
    ),
    "drop-else": (
        body("if n:", "    n = 1", "else:", "    n = 2", "return n"),
        body("if n:", "    n = 1", "return n"),
    ),
    "unwrap-if": (body("if n:", "    xs = 1", "return xs"), body("xs = 1", "return xs")),
    "elif-order": (
        body("if n > 1:", "    return 1", "elif n > 2:", "    return 2", "return 3"),
        body("if n > 2:", "    return 2", "elif n > 1:", "    return 1", "return 3"),
    ),
    "elif-copy": (
        body("if n == 1:", "    return 5", "return 3"),
        body("if n == 1:", "    return 5", "elif n == 2:", "    return 5", "return 3"),
    ),
    "concat": (body("return xs + 'b'"), body("return xs + ' ' + 'b'")),
    "cond-extend": (
        body("if n:", "    return 1", "return xs"),
        body("if n and xs:", "    return 1", "return xs"),
    ),
    "var": (body("return n"), body("return xs")),
    "var-target": (body("n = 1", "return xs"), body("xs = 1", "return xs")),
    "return": (body("return xs"), body("return None")),
    "ingredient": (body("n = len(xs)", "return 0"), body("n = len(xs)", "return len(xs)")),
    "tuple-target": (body("a, b = 1, 2", "return a"), body("b, a = 1, 2", "return a")),
    "call-name of the file": (
        "def is_prime(n):\n    return n\n\ndef is_primes(n):\n    return is_prime(n)\n",
        "def is_prime(n):\n    return n\n\ndef is_primes(n):\n    return is_primes(n)\n",
    ),
    "none-test": (body("if n:", "    return 1"), body("if n is not None:", "    return 1")),
    "none-test turned": (body("while not n.up:", "    n = 1"), body("while n.up is None:", "    n = 1")),
    "none-test back": (body("return 1 if n is None else 2"), body("return 1 if not n else 2")),
    "none-test of a default": (body("return n or 5"), body("return 5 if n is None else n")),
    "test-guard": (body("if n.up > 1:", "    return 1"), body("if n and n.up > 1:", "    return 1")),
    "test-guard of an index": (
        body("while xs[n] or n.a:", "    n += 1"),
        body("while n < len(xs) and (xs[n] or n.a):", "    n += 1"),
    ),
    "loop-cond": (body("while True:", "    xs.pop()"), body("while xs:", "    xs.pop()")),
    "dict-view": (body("for k in xs:", "    n += k"), body("for k in xs.values():", "    n += k")),
    "dict-view looked into": (body("return n in xs"), body("return n in xs.values()")),
    "lit-arg": (body("return enumerate(xs)"), body("return enumerate(xs, 1)")),
    "lit-arg of none": (body("return xs.pop()"), body("return xs.pop(0)")),
    "type-test": (body("return isinstance(n, int)"), body("return isinstance(n, (int, float))")),
    "copy": (body("n.append(xs)"), body("n.append(xs.copy())")),
    "wrap in a list": (body("return []"), body("return [[]]")),
    "const-inf": (body("best = 0", "return best"), body("best = float('inf')", "return best")),
    "const-name": (body("return f(xs, n=0)"), body("return f(xs, n=n)")),
    "yield": (body("yield f(n)"), body("yield from f(n)")),
    "yield back": (body("yield from f(n)"), body("yield f(n)")),
    "star": (body("return f(xs)"), body("return f(*xs)")),
    "regex": (body(r"return f(r'\+a+$')"), body(r"return f(r'\+a*$')")),
    "regex lazy": (body(r"return f(r'a+b')"), body(r"return f(r'a+?b')")),
    "regex anchored": (body(r"return f(r'a+')"), body(r"return f(r'a+$')")),
    "regex let loose": (body(r"return f(r'^a')"), body(r"return f(r'a')")),
    "regex dot": (body(r"return f(r'a.b')"), body(r"return f(r'a\.b')")),
    "add-return": (body("if n:", "    f(n)", "return 1"), body("if n:", "    return f(n)", "return 1")),
    "insert-return": (body("xs.sort()"), body("xs.sort()", "return xs")),
    "concat with what separates": (body("return xs + n"), body("return xs + '.' + n")),
    "default argument": ("def f(n=1):\n    return n\n", "def f(n=2):\n    return n\n"),
    "module constant": ("LIMIT = 3\n", "LIMIT = 4\n"),
    "class attribute": ("class A:\n    size = 3\n", "class A:\n    size = 4\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PAIRS)
def test_the_undoing_of_a_bug_is_among_the_candidates(kind: str) -> None:
    buggy, right = PAIRS[kind]
    wanted = ast.dump(ast.parse(right))

    undoings = [one for one, text in found(buggy) if _tree(text) == wanted]

    assert undoings
    if kind.split(maxsplit=1)[0] in {one.edit.operator for one, _ in found(buggy)}:
        return
    assert kind in {"default argument", "module constant", "class attribute"}


def test_a_type_that_is_handed_on_does_not_give_way_to_a_function() -> None:
    texts = {text for _, text in found("def f(xs):\n    return convertible(float, xs)\n")}

    assert "def f(xs):\n    return convertible(int, xs)\n" in texts
    assert "def f(xs):\n    return convertible(abs, xs)\n" not in texts


def test_a_large_number_is_not_nudged() -> None:
    texts = {text for _, text in found(body("return n * 1000000"))}

    assert not [text for text in texts if "1000000 + 1" in text or "1000001" in text]
    assert body("return n * 10000000") in texts


def test_what_is_escaped_in_a_pattern_stays_so() -> None:
    edits = {
        one.edit for one, _ in found(body(r"return f(r'\+\\+x')")) if one.edit.operator == "regex"
    }
    starts = body(r"return f(r'").rstrip("\n")

    assert {edit.start - len(starts) for edit in edits} == {0, 4, 5, 6}


def test_an_exception_of_the_failing_test_is_caught_where_it_was_raised() -> None:
    buggy = body("n = int(xs)", "return n")
    right = body("try:", "    n = int(xs)", "except ValueError:", "    pass", "return n")

    assert ast.dump(ast.parse(right)) in {_tree(text) for _, text in found(buggy, ("ValueError",))}
    assert not [one for one, _ in found(buggy) if "$" in one.edit.new]


def test_what_is_made_at_import_needs_a_new_process() -> None:
    slow = {one.line for one, _ in found("A = 1\n\n\ndef f(n=2):\n    return n + 3\n") if one.slow}

    assert slow == {1, 4}


def test_no_candidate_is_made_twice_and_none_changes_nothing() -> None:
    buggy = PAIRS["loop-tail"][0]
    texts = [text for _, text in found(buggy)]

    assert len(texts) == len(set(texts))
    assert buggy not in texts


@pytest.mark.parametrize(
    "code",
    [
        "def f(x):\n    if x: return 1\n    return 2\n",
        "def f(x):\n    a = 1; b = 2\n    return a + b\n",
        "def f(x):\n    return (\n        x  # why\n        + 1\n    )\n",
        "def f(x):\n    return f'{x + 1} {x!r}'\n",
        "def f(xs):\n    return sum(x for x in xs if x)\n",
        "def f(x):\n    '''Text 1.'''\n    return x\n",
        "@staticmethod\ndef f(x: int = 1) -> int:\n    return x\n",
        "async def f(x):\n    async for y in x:\n        await y\n    return [z async for z in x]\n",
        "def f(x):\n    def g(y):\n        return x + y\n    return g\n",
        "def f(x):\n    with x as y, x as z:\n        return y or z\n",
        "def f(x):\n    try:\n        return x[0]\n    except (KeyError, IndexError):\n        raise\n",
        "def f(*, x=1, **k):\n    return dict(k, x=x)\n",
        "def f(x):\n    return x[1:2, ..., -1]\n",
        "def f(x):\n    return lambda y: y if x else -y\n",
        "class A:\n    def f(self):\n        self.x, self.y = self.y, 1\n        return super().f()\n",
        "def f(x):\n    x[0] += 1\n    del x[1]\n    return not x\n",
        "def f():\n    return 1\n    # a comment without a line end",
    ],
)
def test_nearly_every_candidate_of_any_shape_of_code_parses(code: str) -> None:
    texts = [text for _, text in found(code)]

    assert texts
    assert sum(_tree(text) == "" for text in texts) <= len(texts) // 20


def _tree(text: str) -> str:
    try:
        return ast.dump(ast.parse(text))
    except SyntaxError:
        return ""
