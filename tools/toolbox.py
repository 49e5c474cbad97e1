"""The tools there are: a new one is one file and one line here."""

from __future__ import annotations

from typing import Any

from tools.edit import EDIT
from tools.git import GIT
from tools.python import PYTHON
from tools.read import READ
from tools.run_tests import RUN_TESTS
from tools.search import SEARCH
from tools.shell import SHELL
from tools.tool import Tool
from tools.try_candidates import TRY_CANDIDATES

TOOLS: tuple[Tool[Any], ...] = (
    READ,
    SEARCH,
    EDIT,
    RUN_TESTS,
    PYTHON,
    SHELL,
    GIT,
    TRY_CANDIDATES,
)
NEED_PYTHON = (PYTHON, TRY_CANDIDATES)
NEED_PYTEST = (TRY_CANDIDATES,)
BY_NAME = {tool.name: tool for tool in TOOLS}


def usable(*, python: bool, pytest: bool) -> tuple[Tool[Any], ...]:
    """The tools that work in an environment with or without a Python for cells, and pytest as runner."""
    without = {*(() if python else NEED_PYTHON), *(() if pytest else NEED_PYTEST)}
    return tuple(tool for tool in TOOLS if tool not in without)
