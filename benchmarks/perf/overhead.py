"""What a step, a start and an installation cost: `python -m benchmarks.perf.overhead`.

Every agent works on the same task with the same scripted model in a process of its own, which names
calls that bring 2,000 characters each. Ours is a whole session: gate, log, masks, checkpoints in
Redis and a real sandbox; the peers' tools answer from memory. CPU is that of the agent's own
process, the least of some rounds; sandbox, Redis, Docker and the model are other processes and are
not counted.

    --steps N N      steps at which CPU per step is read, counted from the fifth (default 100 200)
    --peers FOLDER   also the peers, each installed into an environment below FOLDER, and sizes
    --rounds N       runs of each agent (default 3)
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import subprocess  # noqa: TID251 - a benchmark measures processes; no act of a task starts here
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.perf import installed, script
from memory import redis_server

HELP_ROUNDS = 5
LONGEST_S = 600.0
AIMS = {100: "<= 8", 200: "<= 10"}
BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that is measured; `benchmarks/perf/peers/` has its driver.

    Attributes:
        name: Of its folder, and with underscores of its driver.
        tool: The tool that the model is to call.
        requirements: What it is installed from; empty: it is this environment's own.
        python: The lowest version that it runs on.
    """

    name: str
    tool: str = "shell"
    requirements: tuple[str, ...] = ()
    python: tuple[int, int] = (3, 11)


OURS = Agent("journeyman")
PEERS = (
    Agent("mini-swe-agent", "bash", ("mini-swe-agent==2.4.6",)),
    Agent("deepagents", requirements=("deepagents==0.7.32", "langchain-openai==1.7.4")),
    Agent("langgraph", requirements=("langgraph==1.2.24", "langchain-openai==1.7.4")),
    Agent("openhands-sdk", requirements=("openhands-sdk==1.58.2",), python=(3, 12)),
)


@dataclass(frozen=True, slots=True)
class Start:
    """What a process had used at a moment: CPU seconds, and peak megabytes of memory."""

    cpu_s: float
    peak_mb: float


@dataclass(slots=True)
class Taken:
    """What an agent took.

    Attributes:
        start: At its first request.
        tokens: Of that request, without the task's own text.
        step_ms: CPU per step by the step up to which it was counted.
        installed: Megabytes by distribution; empty where it was not installed for this.
    """

    start: Start
    tokens: int
    step_ms: dict[int, float]
    installed: dict[str, float] = field(default_factory=dict)


class Broken(Exception):
    """A driver did not come to its end; the text is the last that it said."""


@contextmanager
def process(
    python: Path, module: str, *arguments: object, **variables: Path
) -> Iterator[subprocess.Popen[str]]:
    """A module's process, with pipes to it; ended when the block is left.

    Raises:
        Broken: It ended by itself, and not well.
    """
    command = [str(python), "-m", f"benchmarks.perf.{module}", *map(str, arguments)]
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    environment["PYTHONPATH"] = str(installed.ROOT)
    pipe = subprocess.PIPE
    with (
        tempfile.TemporaryFile("w+") as said,
        subprocess.Popen(
            command, env=environment, stdin=pipe, stdout=pipe, stderr=said, text=True
        ) as one,
    ):
        try:
            yield one
        finally:
            failed = bool(one.poll())
            one.kill()
        if failed:
            said.seek(0)
            raise Broken(f"{module}: {said.read().strip()[-2000:]}")


def next_line(one: subprocess.Popen[str], *, unless: subprocess.Popen[str]) -> str:
    """What a process prints next; empty where it, or the other one, ended before."""
    stream = one.stdout
    while stream and unless.poll() is None:
        if select.select([stream], [], [], 0.2)[0]:
            return stream.readline()
    return ""


def go_on(one: subprocess.Popen[str]) -> None:
    """Let a process go on that waits for a line."""
    if one.stdin:
        one.stdin.write("\n")
        one.stdin.flush()


def so_far(pid: int) -> Start:
    """What a process has used by now."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    (peak,) = (line.split()[1] for line in status if line.startswith("VmHWM:"))
    return Start(ticks / os.sysconf("SC_CLK_TCK"), int(peak) * 1024 / 1e6)


def work(agent: Agent, python: Path, steps: Sequence[int], home: Path) -> Taken:
    """One run of an agent to its last step.

    Raises:
        Broken: It did not get there.
    """
    driver = f"peers.{agent.name.replace('-', '_')}"
    with (
        tempfile.TemporaryDirectory() as folder,
        process(Path(sys.executable), "scripted_server", agent.tool, max(steps)) as server,
    ):
        url = f"http://127.0.0.1:{next_line(server, unless=server).strip()}/v1"
        listed = ",".join(map(str, steps))
        own = {"HOME": Path(folder), "JOURNEYMAN_HOME": home}
        with process(python, driver, url, folder, listed, **own) as one:
            request = next_line(server, unless=one)
            start = so_far(one.pid) if request else None
            go_on(server)
            said = one.communicate(timeout=LONGEST_S)[0]
    if start is None:
        raise Broken(f"{driver} ended before it asked the model")
    marks = json.loads(said.splitlines()[-1])
    begun = script.start(steps)
    step_ms = {n: 1000 * (marks[str(n)] - marks[str(begun)]) / (n - begun) for n in steps}
    return Taken(start, prompt_tokens(json.loads(request)), step_ms)


def prompt_tokens(request: dict[str, Any]) -> int:
    """Bytes of a request as compact JSON, without the task's own text, by 4."""
    whole = json.dumps(request, ensure_ascii=False, separators=(",", ":"))
    return (len(whole.encode()) - len(script.TASK)) // BYTES_PER_TOKEN


def search_start(home: Path) -> Start:
    """What the search has used when its first action is about to be done."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"JOURNEYMAN_HOME": home}
        with process(Path(sys.executable), "peers.builtin", folder, **own) as one:
            if not next_line(one, unless=one):
                one.wait()
                raise Broken("the search ended before its first action")
            start = so_far(one.pid)
            go_on(one)
            one.communicate(timeout=LONGEST_S)
    return start


def help_s() -> float:
    """CPU seconds of `journeyman --help`."""
    command = [str(Path(sys.executable).with_name("journeyman")), "--help"]

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return spent() - before


def least(runs: Sequence[Taken]) -> Taken:
    """The least of each figure: what other work on the machine added is taken off."""
    start = least_start([run.start for run in runs])
    step_ms = {n: min(run.step_ms[n] for run in runs) for n in runs[0].step_ms}
    return Taken(start, runs[0].tokens, step_ms)


def least_start(starts: Sequence[Start]) -> Start:
    """The same for starts."""
    return Start(min(s.cpu_s for s in starts), min(s.peak_mb for s in starts))


def compared(
    steps: Sequence[int], rounds: int, home: Path, folder: Path | None
) -> dict[str, Taken]:
    """Every agent's figures by its name; of one that cannot be had it is said why."""
    found: dict[str, Taken] = {}
    for agent in (OURS, *PEERS) if folder else (OURS,):
        try:
            python, sizes = Path(sys.executable), {}
            if folder:
                place = _environment(agent, folder.resolve() / agent.name)
                sizes = installed.sizes(place)
                python = place / "bin" / "python" if agent.requirements else python
            runs = [work(agent, python, steps, home) for _ in range(rounds)]
        except (Broken, installed.NotInstalled) as error:
            print(f"{agent.name} is not in the table: {error}\n")
            continue
        found[agent.name] = least(runs)
        found[agent.name].installed = sizes
    return found


def _environment(agent: Agent, place: Path) -> Path:
    if not agent.requirements:
        return installed.own_environment(place)
    return installed.environment(place, agent.requirements, agent.python)


def table(
    found: dict[str, Taken], search: Start, help_cpu_s: float, steps: Sequence[int]
) -> Iterator[str]:
    """The lines of the table: a row a figure, a column an agent, aims beside them."""
    agents = list(found.values())
    rows = [
        (f"CPU of a step, ms, up to {n}", AIMS.get(n, ""), [f"{a.step_ms[n]:.1f}" for a in agents])
        for n in steps
    ]
    rows += [
        ("CPU to the first request, s", "<= 1.6", [f"{a.start.cpu_s:.2f}" for a in agents]),
        ("peak memory there, MB", "<= 140", [f"{a.start.peak_mb:.0f}" for a in agents]),
        ("tokens of its prompt", "", [str(a.tokens) for a in agents]),
        ("CPU to the search's first action, s", "<= 1.0", [f"{search.cpu_s:.2f}"]),
        ("peak memory there, MB", "", [f"{search.peak_mb:.0f}"]),
        ("CPU of journeyman --help, s", "< 0.15", [f"{help_cpu_s:.3f}"]),
    ]
    if any(a.installed for a in agents):
        whole = [f"{sum(a.installed.values()):.0f}" for a in agents]
        rows.append(("installed, MB", "< 500", whole))
    for label, aim, values in [("", "aim", list(found)), *rows]:
        yield f"{label:<36} {aim:>6}  " + " ".join(f"{value:>14}" for value in values)
    for name, agent in found.items():
        large = [f"{d} {mb:.0f}" for d, mb in agent.installed.items() if mb > installed.LARGE_MB]
        if large:
            yield f"{name}, over {installed.LARGE_MB} MB: {', '.join(large)}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What a step and a start cost.")
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 200])
    parser.add_argument("--peers", type=Path, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        try:
            found = compared(options.steps, options.rounds, home, options.peers)
            search = least_start([search_start(home) for _ in range(options.rounds)])
        finally:
            redis_server.stop(home)
    help_cpu_s = min(help_s() for _ in range(HELP_ROUNDS))
    print("\n".join(table(found, search, help_cpu_s, options.steps)))


if __name__ == "__main__":
    main()
