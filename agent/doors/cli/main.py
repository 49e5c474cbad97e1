"""The command group: commands by name, loaded when they are called, and the end of every error."""

from __future__ import annotations

import itertools
import pkgutil
import sys
from collections.abc import Sequence

import click
from typing_extensions import override

from agent.doors.cli import signals
from agent.doors.cli.failure import Failure, crashed, failure_of
from agent.doors.cli.streams import open_closed_streams, reader_left
from agent.outcome import Outcome, exit_code_table

COMMANDS = {
    "run": "agent.doors.cli.run:run",
    "init": "agent.doors.cli.init:init",
    "sessions": "agent.doors.cli.sessions:sessions",
    "resume": "agent.doors.cli.resume:resume",
    "log": "agent.doors.cli.log:log",
    "doctor": "agent.doors.cli.doctor:doctor",
    "model": "agent.doors.cli.model:model",
    "setup": "agent.doors.cli.setup:setup",
    "demo": "agent.doors.cli.demo:demo",
    "clean": "agent.doors.cli.clean:clean",
}
"""Where each command lies; its module imports nothing heavy before it runs."""


class LazyGroup(click.Group):
    """Loads a command's module when the command is asked for."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of `COMMANDS`."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = pkgutil.resolve_name(COMMANDS[cmd_name])
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="\b\nExit codes:\n" + exit_code_table(),
)
@click.version_option(package_name="journeyman")
@click.pass_context
def cli(context: click.Context) -> None:
    """A coding agent that does the work and keeps the rules.

    A task goes in, a verified patch and its evidence come out. Start with `journeyman init` in a
    repository, then `journeyman run "TASK"`.
    """
    if context.invoked_subcommand in ("run", "resume"):
        signals.hold()


def main(arguments: Sequence[str]) -> int:
    """Run the command line.

    Returns:
        The exit code. No exception leaves but a second Ctrl-C.
    """
    open_closed_streams()
    try:
        with cli.make_context("journeyman", list(arguments)) as context:
            code = cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as end:
        return end.exit_code
    except BrokenPipeError:
        reader_left(sys.stdout)
        return Outcome.INTERRUPTED.exit_code
    except (click.Abort, KeyboardInterrupt):
        return Outcome.INTERRUPTED.exit_code
    except Exception as error:  # noqa: BLE001  the last place before the user: nothing may pass as a traceback
        failure = _explained(error)
        _show(failure, _form_asked_for(arguments))
        return failure.outcome.exit_code
    return code if isinstance(code, int) else Outcome.VERIFIED.exit_code


def _explained(error: Exception) -> Failure:
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "journeyman"
        remedy = f"see {command} --help"
        return Failure(error.format_message(), remedy=remedy, outcome=Outcome.USAGE)
    return failure_of(error) or crashed(error)


def _form_asked_for(arguments: Sequence[str]) -> str:
    """What `--output` says, read by hand: where another option is wrong, click reads none."""
    form = "text"
    for word, value in itertools.pairwise(["", *arguments, ""]):
        if word == "--":
            break
        if word == "--output":
            form = value
        elif word.startswith("--output="):
            form = word.partition("=")[2]
    return form


def _show(failure: Failure, form: str) -> None:
    """Two lines; after a result on stdout where a program reads it."""
    if form not in {"json", "stream-json"}:
        failure.show()
        return
    from agent.doors.cli.output import Output, result_without_run

    output = Output("json" if form == "json" else "stream-json")
    output.finish(result_without_run(failure.outcome, failure.reason), failure)
