"""`journeyman init`: look at a repository, prove how its tests stand, write that down on consent."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.doors.cli.ask import ask
from agent.doors.cli.failure import Failure
from agent.doors.cli.given import check_home, existing_folder
from agent.outcome import Outcome

if TYPE_CHECKING:
    from agent.doors.cli.screen import Screen
    from agent.settings import Settings
    from sandbox.environment import Environment
    from sandbox.reports import Report


@click.command()
@click.option(
    "--repo",
    type=click.Path(path_type=Path),
    default=Path(),
    help="Folder to look at; the current one.",
)
@click.option(
    "--model", metavar="NAME", default="", help="Model to write down; none: chosen at each run."
)
@click.option(
    "--yes", is_flag=True, help="Write the file without asking; agree to one that is there."
)
def init(repo: Path, model: str, *, yes: bool) -> int:
    """Look at a repository; say in five lines what it is.

    Its tests run in the sandbox, on a copy. What was concluded goes into .journeyman/config.toml,
    on consent only.
    """
    repo = existing_folder(repo)
    check_home(repo)
    from agent.doors.cli.screen import Screen
    from agent.doors.cli.trust import ask_trust
    from agent.settings import load

    settings = load(repo, trust=lambda file, text: yes or ask_trust(file, text))
    screen = Screen()
    environment, report = _baseline(repo, settings, screen)
    for line in _conclusions(environment, report):
        click.echo(line)
    for note in environment.notes:
        screen.say(note)
    if not report.green:
        screen.say(_what_is_red(report))
    _write(repo, settings, _project_file(settings, environment, model), yes=yes)
    return 0


def _baseline(repo: Path, settings: Settings, screen: Screen) -> tuple[Environment, Report]:
    """Prepare the environment and run the tests once on a copy of the tree as it is."""
    from policies.action import Action, RunTestsRequest
    from sandbox.reports import Report
    from tools.site import TESTS_TIMEOUT_S, Place, Site

    with tempfile.TemporaryDirectory(prefix="journeyman-") as folder:
        place = Place("init", repo, Path(folder), settings.sandbox, settings.environment)
        site = Site(place)
        try:
            site.capture()
            with screen.waiting_for("preparing the environment"):
                environment = site.prepare(screen.say)
                site.open()
            screen.say(f"running the tests: {site.test_command}")
            action = Action(
                session_id="init",
                step=0,
                index=0,
                tool="run_tests",
                request=RunTestsRequest(),
                origin="user",
                timeout_s=TESTS_TIMEOUT_S,
            )
            run_tests = site.performers(lambda _name, _arguments: None)["tests"]
            with screen.waiting_for("running the tests"):
                return environment, Report.of(run_tests(action))
        finally:
            site.close()


def _conclusions(environment: Environment, report: Report) -> list[str]:
    """The five lines."""
    from agent.doors.clean_text import clean_line

    setup = "; ".join(environment.setup) or "nothing to install"
    colour = "green" if report.green else "red"
    python = environment.python
    interpreter = f"{python}, in the sandbox" if python else "none: shell and files only"
    return [
        clean_line(f"Language     {', '.join(environment.languages) or 'none recognised'}"),
        clean_line(f"Interpreter  {interpreter}"),
        clean_line(f"Setup        {setup}"),
        clean_line(f"Tests        {environment.test_command} ({environment.runner})"),
        clean_line(f"Baseline     {colour}: {report.summary()}", limit=400),
    ]


def _what_is_red(report: Report) -> str:
    """The first thing that went wrong, and what can be done about it."""
    from agent.doors.clean_text import clean_line

    if report.collection_errors:
        path, message = report.collection_errors[0]
        return clean_line(f"{path} could not be collected: {_first_line(message)}", limit=400)
    if not report.failing:
        return "see that the command under Tests runs some: name another in .journeyman/config.toml"
    name = report.failing[0]
    message = _first_line(report.by_id[name].message) or "no message"
    return clean_line(f"{name} fails: {message}", limit=400)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _project_file(settings: Settings, environment: Environment, model: str) -> str:
    from agent.settings import project_text

    found = settings.environment
    return project_text(
        {
            "environment.image": found.get("image", ""),
            "environment.dockerfile": found.get("dockerfile", ""),
            "environment.packages": environment.packages,
            "environment.setup": tuple(found.get("setup") or environment.setup),
            "environment.test": environment.test_command,
            "environment.python": found.get("python", ""),
            "environment.junit": environment.junit,
            "model.name": model or settings.model,
        }
    )


def _write(repo: Path, settings: Settings, text: str, *, yes: bool) -> None:
    """Write the project's file on consent, and trust what was consented to."""
    from agent.doors.clean_text import clean
    from agent.settings import PROJECT_FILE, trust_text

    file = repo / PROJECT_FILE
    if os.path.lexists(file):
        click.echo(f"{file} is there already and stays as it is", err=True)
        return
    click.echo(f"\n{clean(text)}", err=True)
    if not (yes or ask(f"Write this to {file}?")):
        click.echo("not written; `journeyman init --yes` writes it", err=True)
        return
    try:
        _write_new(file, text)
    except OSError as error:
        raise Failure(
            f"{file} cannot be written ({error.strerror})",
            remedy="see to it that the folder is yours to write to, and no link",
            outcome=Outcome.ENVIRONMENT,
        ) from error
    trust_text(settings.home, text)
    click.echo(f"written: {file}", err=True)


def _write_new(file: Path, text: str) -> None:
    """Write a file into its folder, which is made; a link that lies at either is not followed."""
    file.parent.mkdir(exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(
            os.open(file.name, flags, 0o666, dir_fd=folder), "w", encoding="utf-8"
        ) as new:
            new.write(text)
    finally:
        os.close(folder)
