"""A test command as arguments for pytest, with what would disturb the search switched off."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
from typing import List

_UNWANTED = re.compile(
    r"^(-x|--exitfirst|--maxfail(=.*)?|-n\d*|-nauto|--cov.*|-v+|-q+|--junit.*|--lf|--ff)$"
)
_TAKES_VALUE = ("-n", "-p", "-o", "-W", "-k", "-m", "-c", "--maxfail", "--rootdir", "--junitxml", "--ignore", "--import-mode", "--deselect", "--cov")  # fmt: skip


def split(command: str) -> "tuple[List[str], List[str]]":
    """Options and paths of a pytest command; both empty where the command is another one."""
    try:
        words = shlex.split(command)
    except ValueError:
        return [], []
    at = [i for i, word in enumerate(words) if os.path.basename(word) in ("pytest", "py.test")]
    if not at:
        return [], []
    options: List[str] = []
    paths: List[str] = []
    rest = iter(words[at[0] + 1 :])
    for word in rest:
        if not word.startswith("-"):
            paths.append(word)
            continue
        value = [next(rest, "")] if word in _TAKES_VALUE else []
        if not _UNWANTED.match(word) and word != "-n":
            options += [word, *value]
    return options, paths


def quiet() -> List[str]:
    """Options that keep pytest and its plugins from disturbing; run where the tests run."""
    options = ["-q", "-s", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    for module, extra in (
        ("xdist", ["-p", "no:xdist", "-p", "no:xdist.looponfail"]),
        ("pytest_cov", ["-p", "no:pytest_cov"]),
        ("pytest_randomly", ["-p", "no:randomly"]),
        ("pytest_timeout", ["-p", "no:timeout"]),
    ):
        if importlib.util.find_spec(module) is not None:
            options += extra
    return options
