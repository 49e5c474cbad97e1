"""The texts that a proposer is told: one file each, filled with the facts of a situation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent


def render(name: str, **values: str) -> str:
    """A prompt by its file's name, without the file's last line end.

    Raises:
        KeyError: A `$name` of the file has no value.
    """
    return _template(name).substitute(values).removesuffix("\n")


@cache
def _template(name: str) -> Template:
    return Template((FOLDER / f"{name}.md").read_text("utf-8"))
