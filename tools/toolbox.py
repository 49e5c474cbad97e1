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
BY_NAME = {tool.name: tool for tool in TOOLS}


def usable(*, python: bool) -> tuple[Tool[Any], ...]:
    """The tools that work in an environment with or without a Python for cells."""
    return tuple(tool for tool in TOOLS if python or tool not in NEED_PYTHON)
