"""Start file of the command `journeyman`, and the public names: `Session`, `Task`, `Record`.

The rooms are imported by their own short names (`agent`, `tools`, …), which a user's project may
bear as well. So this file, the only one of its name, puts its own folder first before it imports
any of them: a foreign `agent/` is never ours to run, not even with PYTHONPATH naming it.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from agent.session import Session
    from agent.task import Task
    from policies.record import Record

__all__ = ["Record", "Session", "Task", "main"]


def _own_folder_first() -> None:
    own = str(Path(__file__).resolve().parent)
    sys.path[:] = [own, *(entry for entry in sys.path if entry != own)]


def main() -> NoReturn:
    """Run the command line."""
    _own_folder_first()
    try:
        from agent.doors.cli.main import main as command_line  # noqa: PLC0415  after our folder is first

        code = command_line(sys.argv[1:])
        gc.freeze()  # all of it goes with the process: the collector need not look through it first
        sys.exit(code)
    except KeyboardInterrupt:
        sys.exit(130)


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    import pkgutil  # noqa: PLC0415  only for library use

    homes = {"Session": "agent.session", "Task": "agent.task", "Record": "policies.record"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _own_folder_first()
    return pkgutil.resolve_name(f"{homes[name]}:{name}")


if __name__ == "__main__":
    main()
