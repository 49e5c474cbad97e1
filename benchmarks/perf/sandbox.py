"""What an action in the sandbox takes, against `docker exec` for each: `python -m benchmarks.perf.sandbox`.

Everything is measured in one run on one machine, medians of many rounds; compare the ratios, since
the milliseconds are the machine's. `through the door` is `Workbench.perform` with everything on:
gate, masks, two records of the log with their fsyncs, and the sandbox itself.

    --rounds N    rounds of the short measures (default 100; the long ones take a tenth)
    --trees N,N   files of the trees for copy-in and snapshot (default 5000,50000)
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import docker

from policies.gate import Circumstances, Gate
from policies.log import SessionLog
from policies.masks import ALL_KINDS, Masks
from policies.packs import builtin
from sandbox import orphans, workspace
from sandbox.docker_sandbox import DockerSandbox
from sandbox.engine import connect
from sandbox.image import base_image
from sandbox.protocol import Sandbox
from tools.python import PYTHON
from tools.shell import SHELL
from tools.workbench import Performer, Workbench

CELL, COMMAND = "1 + 1", "true"
BYTES_PER_FILE = 20_000
SESSION = "benchmark"


def median_ms(act: Callable[[], object], rounds: int) -> float:
    """Median milliseconds of an act; one round before is not counted."""
    act()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
    return 1000 * statistics.median(taken)


def opening(image: str, rounds: int) -> float:
    """Median seconds from nothing to a sandbox that answers."""

    def once() -> None:
        DockerSandbox.open(image, session_id=SESSION).close()

    return median_ms(once, rounds) / 1000


@contextmanager
def workbench(sandbox: Sandbox) -> Iterator[Workbench]:
    """The one door in front of a sandbox, with everything on that a session has."""
    key = b"k" * 32
    masks = Masks(key)
    circumstances = Circumstances(
        contained=True, mode="benchmark", model="builtin", user_commands=frozenset()
    )

    def perform(action: object) -> object:
        request = action.request  # type: ignore[attr-defined]
        arguments = request.model_dump(mode="json", exclude={"kind"})
        return sandbox.perform(request.kind, arguments, timeout_s=60.0)

    performers: dict[str, Performer] = dict.fromkeys(("python", "shell"), perform)  # type: ignore[arg-type]
    with (
        tempfile.TemporaryDirectory() as folder,
        SessionLog.create(
            Path(folder) / SESSION,
            key=key,
            mask=lambda data: masks.mask_json(data, ALL_KINDS),
        ) as log,
    ):
        bench = Workbench(
            session_id=SESSION,
            gate=Gate([builtin("baseline")], circumstances, masks),
            log=log,
            masks=masks,
            performers=performers,
            approve=lambda _action, _verdict: "",
        )
        bench.begin_step(1)
        yield bench


def actions(image: str, client: docker.DockerClient, rounds: int) -> None:
    """Print what a cell and a command take by each way, and the ratios."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(DockerSandbox.open(image, session_id=SESSION))
        bench = stack.enter_context(workbench(sandbox))
        (container,) = client.containers.list(filters={"label": f"{orphans.SESSION}={SESSION}"})

        def run(*command: str) -> Callable[[], object]:
            return lambda: container.exec_run(list(command), user="10001:10001")

        ways = {
            "Python": (
                lambda: sandbox.perform("python", {"code": CELL}, timeout_s=60.0),
                lambda: PYTHON.call(bench, {"code": CELL}, origin="model"),
                run("python3", "-I", "-c", CELL),
            ),
            "shell": (
                lambda: sandbox.perform("shell", {"command": COMMAND}, timeout_s=60.0),
                lambda: SHELL.call(bench, {"command": COMMAND}, origin="model"),
                run("bash", "-c", COMMAND),
            ),
        }
        print(f"{'ping':<8} {median_ms(sandbox.ping, rounds):>8.2f} ms")
        print(f"{'':<8} {'stream':>11} {'the door':>11} {'docker exec':>11} {'ratios':>13}")
        for name, (stream, door, execution) in ways.items():
            taken = [median_ms(stream, rounds), median_ms(door, rounds)]
            taken.append(median_ms(execution, max(10, rounds // 5)))
            columns = " ".join(f"{ms:>8.2f} ms" for ms in taken)
            print(f"{name:<8} {columns} {taken[2] / taken[0]:>5.1f}, {taken[2] / taken[1]:.1f}")


def tree(folder: Path, files: int, size: int) -> None:
    """Lay a tree of source-like files: 100 in a folder, every line another."""
    for number in range(files):
        path = folder / f"part{number // 100}" / f"module{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (f"value_{number}_{line} = {line * number}\n" for line in range(size // 30))
        path.write_text("".join(lines))


def copying(image: str, files: int) -> None:
    """Print what it takes to take a tree in, and to keep it before and after one edit."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, archive = Path(scratch) / "tree", Path(scratch) / "base.tar"
        tree(folder, files, BYTES_PER_FILE)
        with DockerSandbox.open(image, session_id=SESSION) as sandbox:
            edit = {"command": "echo 'edited = 1' >> part0/module0.py"}
            base = ""

            def first() -> None:
                nonlocal base
                base = sandbox.snapshot()

            steps: dict[str, Callable[[], object]] = {
                "capture": lambda: workspace.capture(folder, archive),
                "copy in": lambda: sandbox.put(archive),
                "first snapshot": first,
                "an edit": lambda: sandbox.perform("shell", edit, timeout_s=60.0),
                "snapshot after it": lambda: sandbox.changes(base),
                "patch": lambda: sandbox.diff(base),
            }
            taken = []
            for name, act in steps.items():
                began = time.perf_counter()
                act()
                taken.append(f"{name} {time.perf_counter() - began:.2f} s")
        megabytes = archive.stat().st_size / 1e6
        print(f"{files} files, {megabytes:.0f} MB: {', '.join(taken)}")


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description="What an action in the sandbox takes.")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--trees", default="5000,50000")
    options = parser.parse_args()
    image, client = base_image(print), connect()
    print(f"ready    {opening(image, max(3, options.rounds // 10)):>8.2f} s")
    actions(image, client, options.rounds)
    for files in map(int, filter(None, options.trees.split(","))):
        copying(image, files)
    client.close()


if __name__ == "__main__":
    main()
