"""Journeyman itself, as a library: gate, log, checkpoints, masks and a real sandbox, as always."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.session import Session
from agent.settings import load
from agent.task import Limits, Task
from benchmarks.perf import script
from policies.record import ActionDone, Record


def main() -> None:
    """Run the script to its last step."""
    base_url, folder, steps = sys.argv[1], Path(sys.argv[2]), script.as_steps(sys.argv[3])
    marks = script.Marks(steps)

    def observe(record: Record) -> None:
        if isinstance(record, ActionDone) and record.tool == "shell":
            marks.result()

    task = Task(
        text=script.TASK,
        repo=script.lay(folder, max(steps), red=False),
        model="openai-compatible/scripted",
        base_url=base_url,
        limits=Limits(steps=max(steps), tokens=10**9),
    )
    with Session.start(task, load(), approve=lambda *_: "", observe=observe) as session:
        ended = session.run()
    if ended.outcome != "budget":
        sys.exit(f"the session ended with {ended.outcome}: {ended.reason}")
    marks.show()


if __name__ == "__main__":
    main()
