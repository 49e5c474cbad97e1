"""`journeyman demo`: the main job on a real bug of a real package."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import click

from agent.doors.cli.options import FORMS

if TYPE_CHECKING:
    from agent.doors.cli.output import Form
    from agent.session import Observe, Session
    from tools.workbench import Approve


@click.command()
@click.argument("package", default="parse")
@click.argument("old", default="1.22.2")
@click.argument("new", default="1.22.3")
@click.option("--model", metavar="NAME", default="builtin", show_default=True, help="Who repairs.")
@click.option(
    "--output",
    type=click.Choice(FORMS),
    default="text",
    help="What stdout holds.  [text: the patch]",
)
def demo(package: str, old: str, new: str, model: str, output: Form) -> int:
    """Repair a real bug of a real package.

    Release OLD of PACKAGE is made to pass the tests that release NEW brought. Both are fetched by the ordinary client inside a build container; nothing of theirs runs on
    this machine itself. No key and no model download is needed.
    """
    from agent.doors.cli.output import Output
    from agent.doors.cli.work import Work
    from agent.session import Session
    from agent.settings import load
    from agent.task import Task
    from sandbox.releases import release_pair

    out = Output(output)
    screen = out.screen

    def begin(approve: Approve, observe: Observe) -> Session:
        settings = load(flags={"model.name": model})
        target = settings.home / "demo" / f"{package}-{old}-{new}"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700, parents=True)
        screen.say(f"{package} {old}, with the tests of {new}, in {target}")
        with screen.waiting_for("fetching both releases"):
            brought = release_pair(package, old, new, target, say=screen.say)
        screen.say(f"tests that {new} brought: {', '.join(brought)}")
        task = Task(
            text=f"Release {new} of {package} brought tests that {old} does not pass. Make them pass.",
            repo=target,
            model=settings.model,
            limits=settings.limits,
        )
        return Session.start(task, settings, approve=approve, observe=observe)

    return Work(out).run(begin)
