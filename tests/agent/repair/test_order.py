"""Likely edits come first, and what memory recalls comes before them."""

from __future__ import annotations

from typing import Any

from agent.repair.order import COSTS, Row, ordered, rows_of
from sandbox.worker.repair.generate import candidates
from sandbox.worker.repair.source import Source


def row(number: int, operator: str, suspicion: float = 1.0, old: str = "", new: str = "") -> Row:
    return Row(
        id=number,
        path="m.py",
        line=1,
        operator=operator,
        suspicion=suspicion,
        old=old,
        new=new,
        slow=False,
    )


def test_closed_operators_come_before_open_ones_on_equally_suspicious_lines() -> None:
    assert ordered([row(0, "guard"), row(1, "ingredient"), row(2, "cmp")], ()) == [2, 1, 0]


def test_a_suspicious_line_comes_before_a_cheap_operator() -> None:
    assert ordered([row(0, "cmp", 0.3), row(1, "var", 1.0)], ()) == [1, 0]


def test_a_recalled_edit_of_the_same_words_goes_first() -> None:
    rows = [
        row(0, "cmp", old="<", new="<="),
        row(1, "method", old="time", new="date"),
        row(2, "method", old="time", new="timetz"),
    ]
    recalled: list[dict[str, Any]] = [
        {
            "operator": "method",
            "old": "        return dt.time()\n",
            "new": "        return dt.timetz()\n",
            "similarity": 0.8,
        }
    ]

    assert ordered(rows, ()) == [0, 1, 2]
    assert ordered(rows, recalled) == [2, 1, 0]


def test_a_recalled_patch_of_a_model_disturbs_nothing() -> None:
    rows = [row(0, "guard"), row(1, "cmp")]

    assert ordered(rows, [{"operator": "model", "old": "a", "new": "b", "similarity": 0.9}]) == [
        1,
        0,
    ]
    assert ordered(rows, [{}]) == [1, 0]


def test_every_operator_that_makes_candidates_has_a_cost() -> None:
    code = (
        "A = {1: 2}\n\n\ndef g(xs, n=0):\n    return xs\n\n\ndef f(xs, n=0, *k):\n"
        "    t, u = 1, 'ab'\n    n += 1\n    d = {'a': 1}\n    for x in xs[1:n]:\n"
        "        if x and not n < 3 or u in xs:\n            continue\n        elif n == 2:\n"
        "            break\n        else:\n            t = max(xs) * 0.5\n        xs.append(x + 'b' + u)\n"
        "        t += n - 1\n    try:\n        n = int(u.lower(), 2)\n    except ValueError:\n"
        "        return None\n    while True:\n        n -= 1\n    if isinstance(n, int) and xs.a > 1:\n"
        "        best = 0\n        yield best\n    re.match(r'a+', u.get(n))\n    while n:\n        n -= 1\n    return sorted(g(xs)) if n else [d['a'], 2, True]\n"
    )
    source = Source("m.py", code.encode())
    made = {c.edit.operator for c in candidates(source, lambda _line: 1.0, ("KeyError",))}

    assert len(made) > 40
    assert made <= set(COSTS)


def test_columns_become_rows_with_their_numbers() -> None:
    data = {
        "paths": ["a.py", "b.py"],
        "count": 2,
        "columns": {
            "path": [1, 0],
            "line": [3, 4],
            "operator": ["cmp", "var"],
            "suspicion": [1.0, 0.5],
            "old": ["<", "x"],
            "new": ["<=", "y"],
            "slow": [1],
        },
    }

    first, second = rows_of(data)

    assert (first.id, first.path, first.line, first.new, first.slow) == (0, "b.py", 3, "<=", False)
    assert (second.id, second.path, second.slow) == (1, "a.py", True)
