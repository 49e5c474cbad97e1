"""The engine of the repair search over a folder, in processes of its own, as the sandbox runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUN = """
import json, sys, types
from sandbox.worker import repair
arguments, context = json.load(sys.stdin)
json.dump(repair.run(arguments, types.SimpleNamespace(**context)), sys.stdout)
"""
ROOT = Path(__file__).parents[2]


@dataclass
class Bench:
    """A workspace with its private folder; each call is one verb, in a process of its own."""

    workspace: Path
    scratch: Path
    timeout_s: float = 120.0

    def ask(self, operation: str, failing: Sequence[str], **arguments: Any) -> dict[str, Any]:
        """One verb; the whole outcome."""
        context = {
            "workspace": str(self.workspace),
            "python": sys.executable,
            "scratch": str(self.scratch),
            "environment": {
                "PATH": os.environ["PATH"],
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            "timeout_s": self.timeout_s,
        }
        request = {"operation": operation, "failing": list(failing), **arguments}
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            input=json.dumps([request, context]),
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        outcome: dict[str, Any] = json.loads(done.stdout)
        return outcome

    def data(self, operation: str, failing: Sequence[str], **arguments: Any) -> dict[str, Any]:
        """One verb that has to be done; its answer."""
        outcome = self.ask(operation, failing, **arguments)
        assert outcome["exit_code"] == 0, outcome
        answer: dict[str, Any] = outcome["data"]
        return answer

    def everything(self, failing: Sequence[str], **arguments: Any) -> dict[str, Any]:
        """Localise, then try every candidate; the answer to the second."""
        count = self.data("localise", failing)["count"]
        return self.data("try", failing, ids=[[n] for n in range(count)], **arguments)

    def patched(self, row: dict[str, Any]) -> str:
        """The file's text with a plausible candidate's edit, made by text as the edit tool does."""
        text = (self.workspace / row["path"]).read_bytes().decode()
        assert text.count(row["old"]) == 1
        return str(text.replace(row["old"], row["new"]))


def bench_with(folder: Path, files: Mapping[str, str]) -> Bench:
    """A workspace with these files, by path."""
    workspace, scratch = folder / "workspace", folder / "scratch"
    scratch.mkdir(parents=True)
    for name, text in files.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return Bench(workspace, scratch)


def texts(bench: Bench, answer: dict[str, Any]) -> list[str]:
    """The files with each plausible candidate's edit."""
    return [bench.patched(row) for row in answer["plausible"]]
