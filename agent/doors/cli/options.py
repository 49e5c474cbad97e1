"""Options that `run` and `resume` share: what may be spent, and where the result goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def limit_options(steps: str, cost: str, tokens: str, seconds: str) -> Callable[[C], C]:
    """`--max-steps`, `--max-cost`, `--max-tokens` and `--timeout`, all of the whole session.

    Args:
        steps: What holds where the option is not given, as the help says it.
        cost: Likewise.
        tokens: Likewise.
        seconds: Likewise.
    """
    whole, money = click.IntRange(min=1), click.FloatRange(min=0)
    time = click.FloatRange(min=0, min_open=True)
    options = (
        click.option("--max-steps", metavar="N", type=whole, help=f"Steps at most.  [{steps}]"),
        click.option("--max-cost", metavar="USD", type=money, help=f"Money at most.  [{cost}]"),
        click.option("--max-tokens", metavar="N", type=whole, help=f"Tokens at most.  [{tokens}]"),
        click.option("--timeout", metavar="S", type=time, help=f"Seconds at most.  [{seconds}]"),
    )

    def decorate(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def limit_flags(options: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that were given, by their dotted keys; None where one was not."""
    return {
        "limits.steps": options["max_steps"],
        "limits.cost_usd": None if options["max_cost"] is None else str(options["max_cost"]),
        "limits.tokens": options["max_tokens"],
        "limits.seconds": options["timeout"],
    }
