"""Options that `run` and `resume` share: where the result goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

FORMS = ("text", "json", "stream-json")
C = TypeVar("C", bound=Callable[..., Any])


def result_options(command: C) -> C:
    """`--output`, `-o` and `--apply`, in this order in the help."""
    options = (
        click.option(
            "--output",
            type=click.Choice(FORMS),
            default="text",
            help="What stdout holds.  [text: the patch]",
        ),
        click.option(
            "-o",
            "patch_file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Write the patch there too.",
        ),
        click.option("--apply", is_flag=True, help="Put a verified patch into the folder."),
    )
    for option in reversed(options):
        command = option(command)
    return command
