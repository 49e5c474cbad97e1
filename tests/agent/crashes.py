"""Kills runs of the command with -9 and lets them go on, and says what must hold in the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.session_store import seal_key
from policies.action import Effect
from policies.log import read, verify
from policies.record import ActionDone, ActionJudged, SessionEnded
from sandbox import orphans
from sandbox.engine import connect

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, str(ROOT / "journeyman.py")]
VERIFIED = 0
GONE_WITHIN_S = 15.0


def tree_of(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Names, modes, times and bytes of all that lies in a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        data = (
            os.fsencode(path.readlink())
            if path.is_symlink()
            else path.read_bytes()
            if path.is_file()
            else b""
        )
        times = (0, 0) if path.is_dir() else (status.st_mtime_ns, status.st_ctime_ns)
        found[str(path.relative_to(folder))] = (status.st_mode, *times, data)
    return found


@dataclass
class Crashing:
    """One task in one repository with a state folder of its own.

    Attributes:
        home: State folder.
        repo: The user's tree.
        options: Of `journeyman run`, beside the task and the repository.
        prefix: What starts the command, where it is not started by itself.
    """

    home: Path
    repo: Path
    options: Sequence[str] = ()
    prefix: Sequence[str] = ()

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command, in a process group of its own."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("JOURNEYMAN_")}
        self.home.mkdir(exist_ok=True)
        with (self.home / "stderr.txt").open("ab") as said:
            return subprocess.Popen(
                [*self.prefix, *COMMAND, *arguments],
                env={**kept, "JOURNEYMAN_HOME": str(self.home)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
            )

    def begin(self) -> subprocess.Popen[bytes]:
        """A new run, or where there is a session, its resumption."""
        session = self.session()
        if session:
            return self.start("resume", session)
        return self.start("run", "Mend the failing test.", "--repo", str(self.repo), *self.options)

    def session(self) -> str:
        """The session that can be gone on with; empty where none got so far."""
        for folder in sorted((self.home / "sessions").glob("*")):
            log = folder / "log.jsonl"
            if log.exists() and b'"session_started"' in log.read_bytes().partition(b"\n")[0]:
                return folder.name
        return ""

    def records(self) -> list[Any]:
        """All that the log holds."""
        return [record for _, record in read(self.home / "sessions" / self.session())]

    def finish(self) -> None:
        """Go on until the end."""
        with self.begin() as process:
            code = process.wait(timeout=180)
        assert code == VERIFIED, (self.home / "stderr.txt").read_text()

    def kill_at(self, seconds: float) -> bool:
        """Begin, and kill it after some seconds; whether it had not ended by itself."""
        with self.begin() as process:
            try:
                process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return True
        return False

    def kill_when(self, happened: Callable[[], bool]) -> None:
        """Begin, and kill it as soon as something can be seen."""
        with self.begin() as process:
            while process.poll() is None and not happened():
                time.sleep(0.001)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)

    def kinds(self) -> Counter[str]:
        """How many records of each kind the log holds."""
        log = self.home / "sessions" / self.session() / "log.jsonl"
        if not self.session():
            return Counter()
        lines = log.read_bytes().split(b"\n")[:-1]
        return Counter(json.loads(line)["kind"] for line in lines)


def assert_as_if_nothing_had_happened(
    run: Crashing, before: dict[str, Any], patch: str = ""
) -> str:
    """What must hold after the last resumption; gives the patch."""
    folder = run.home / "sessions" / run.session()
    result = json.loads((folder / "result.json").read_text())
    assert result["outcome"] == "verified"
    assert result["patch"]
    assert not patch or result["patch"] == patch
    assert tree_of(run.repo) == before

    found = verify(folder, key=seal_key(run.home))
    assert found.whole, found
    assert_each_effect_once(run.records())
    assert_no_container(run.session())
    return str(result["patch"])


def assert_each_effect_once(records: Sequence[Any]) -> None:
    """What reaches beyond the sandbox was done once; what is judged has come to an end or again."""
    judged = {r.action.key: r.action for r in records if isinstance(r, ActionJudged)}
    done = Counter(r.key for r in records if isinstance(r, ActionDone))
    for key, action in judged.items():
        if action.effect is not Effect.CONTAINED:
            assert done[key] == 1, (key, action.tool)
    assert isinstance(records[-1], SessionEnded)


def assert_no_container(session: str) -> None:
    """The session's containers are gone, within seconds."""
    client = connect()
    filters = {"label": f"{orphans.SESSION}={session}"}
    end = time.monotonic() + GONE_WITHIN_S
    while found := client.api.containers(all=True, filters=filters):
        assert time.monotonic() < end, found
        time.sleep(0.2)
    client.close()
