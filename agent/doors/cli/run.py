"""`journeyman run`: one task, from its words to a verified patch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.doors.cli.failure import Failure
from agent.doors.cli.given import (
    check_home,
    check_patch_file,
    check_spelling,
    check_words,
    existing_folder,
    words_on_standard_input,
    wrong,
)
from agent.doors.cli.options import limit_flags, limit_options, result_options

if TYPE_CHECKING:
    from agent.doors.cli.work import Begin

LEVELS = ("failing-test", "reproduction", "no-regression", "checks", "none")


@click.command()
@click.argument("task")
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder to work on; the current one.",
)
@click.option("--test", metavar="CMD", default="", help="Command that runs the tests.")
@click.option(
    "--failing", metavar="TEST", multiple=True, help="A test that is red; may be repeated."
)
@click.option("--setup", metavar="CMD", help="Command that installs what the project needs.")
@click.option(
    "--sandbox", type=click.Choice(["docker", "bubblewrap"]), help="Where commands run.  [docker]"
)
@click.option(
    "--model",
    metavar="NAME",
    help="builtin, openai/NAME, anthropic/NAME, google/NAME, azure/NAME, bedrock/NAME, openai-compatible/NAME.",
)
@click.option(
    "--fallback",
    metavar="NAME",
    multiple=True,
    help="A model that takes over where the one before it cannot be had; may be repeated.",
)
@click.option("--base-url", metavar="URL", help="Where an openai-compatible model is served.")
@click.option("--require", type=click.Choice(LEVELS), help="Evidence that the patch must have.")
@limit_options(steps="100", cost="3", tokens="2000000", seconds="3600")
@result_options
def run(task: str, **options: Any) -> int:
    """Work on TASK and end with a verified patch.

    TASK is what you want in your own words; `-` reads it from standard input. The folder is not
    touched before the end, and then only with --apply or a yes. Exit codes: journeyman --help.
    """
    failure = _wrong_use(task, options)
    if failure and options["output"] == "text":
        raise failure  # at once, before the slow imports
    from agent.doors.cli.output import Output
    from agent.doors.cli.work import Work

    work = Work(Output(options["output"]), patch_file=options["patch_file"], apply=options["apply"])
    return work.run(_begin(task, options, failure))


def _wrong_use(task: str, options: dict[str, Any]) -> Failure | None:
    try:
        check_home(existing_folder(options["repo"]))
        check_patch_file(options["patch_file"])
        for name in ("test", "setup", "failing", "model", "fallback", "base_url"):
            given = "".join(options[name] or "")
            check_spelling({f"--{name.replace('_', '-')}": given})
        if task != "-":
            check_words(task)
    except Failure as failure:
        return failure
    return None


def _begin(text: str, options: dict[str, Any], failure: Failure | None) -> Begin:
    from agent.doors.cli.trust import ask_trust
    from agent.minds import BUILTIN
    from agent.session import Observe, Session
    from agent.settings import load
    from agent.task import Task
    from tools.workbench import Approve

    def begin(approve: Approve, observe: Observe) -> Session:
        if failure:
            raise failure
        repo = existing_folder(options["repo"])
        settings = load(repo, _flags(options), trust=ask_trust)
        if options["fallback"] and settings.model in {"", BUILTIN}:
            raise wrong(
                f"--fallback {options['fallback'][0]} has no model to take over from",
                remedy="name a chat model with --model",
            )
        task = Task(
            text=words_on_standard_input() if text == "-" else text,
            repo=repo,
            test_command=options["test"].strip(),
            setup=options["setup"],
            failing=options["failing"],
            model=settings.model,
            fallbacks=settings.fallbacks,
            base_url=settings.base_url,
            require=options["require"],
            sandbox=settings.sandbox,
            limits=settings.limits,
        )
        return Session.start(task, settings, approve=approve, observe=observe)

    return begin


def _flags(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "model.name": options["model"],
        "model.base_url": options["base_url"],
        "model.fallbacks": options["fallback"] or None,
        "sandbox.kind": options["sandbox"],
        **limit_flags(options),
    }
