"""`journeyman model`: find out whether a model can do the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.outcome import Outcome

if TYPE_CHECKING:
    from agent.models.probe import Finding, Probe


@click.group()
def model() -> None:
    """Look at a model."""


@model.command()
@click.argument("name")
@click.option("--base-url", metavar="URL", default="", help="Where the model is served.")
def probe(name: str, base_url: str) -> int:
    """Ask model NAME what it can do, by three short calls.

    Says whether it answers, calls tools, keeps to a JSON schema, how fast it is, and whether its
    price is known. What was found is kept: a model that calls no tools but keeps to a schema is asked
    for its calls as JSON. Exit codes: 0 it can work, 6 it cannot be reached or can do neither, 2
    there is no such name, 3 its key or its package is not there.
    """
    if name == "builtin":
        click.echo("builtin is no chat model: it repairs by search, and is always there")
        return Outcome.VERIFIED.exit_code
    from agent.doors.clean_text import clean_line
    from agent.doors.cli.screen import Screen
    from agent.models import findings
    from agent.models.probe import probe as ask
    from agent.settings import load

    home = load().home
    with Screen().waiting_for(f"asking {clean_line(name)}"):
        found = ask(name, base_url=base_url)
    for line in _lines(found):
        click.echo(clean_line(line, limit=400))
    tools, schema = found.tools.works, found.schema.works
    findings.keep(home, name, base_url, tools=tools, schema=schema)
    if tools or schema:
        if not tools:
            click.echo("Sessions will ask it for its calls as JSON.", err=True)
        return Outcome.VERIFIED.exit_code
    click.echo("A session needs a model that can do one of both: choose another.", err=True)
    return Outcome.MODEL_ERROR.exit_code


def _lines(found: Probe) -> list[str]:
    price = "not known: --max-cost cannot hold it"
    if found.price:
        read, written = found.price
        price = f"{read:.2f} USD for a million tokens read, {written:.2f} written"
    return [
        f"reachable  {found.name} at {found.address}, {found.seconds:.1f} s",
        f"tools      {_word(found.tools)}",
        f"schema     {_word(found.schema)}",
        f"speed      {found.tokens_per_s:.0f} tokens/s",
        f"price      {price}",
    ]


def _word(finding: Finding) -> str:
    return "yes" if finding.works else f"no: {finding.detail}"
