"""Journeyman's search: says when its first action is about to be done, and waits to be measured."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.outcome import Outcome
from agent.session import Session
from agent.settings import load
from agent.task import Task
from benchmarks.perf import script
from policies.record import ActionJudged, Record


def main() -> None:
    """Go as far as the first action."""

    def observe(record: Record) -> None:
        if isinstance(record, ActionJudged) and record.action.origin == "search":
            print("the first action", flush=True)
            sys.stdin.readline()
            session.stop(Outcome.INTERRUPTED)

    repo = script.lay(Path(sys.argv[1]), 1, red=True)
    task = Task(text=script.TASK, repo=repo, model="builtin")
    with Session.start(task, load(), approve=lambda *_: "", observe=observe) as session:
        session.run()


if __name__ == "__main__":
    main()
