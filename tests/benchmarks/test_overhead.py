"""What a step costs is measured to the last row; how much it is, is no test's business."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.perf import script
from benchmarks.perf.installed import NotInstalled, environment, sizes
from benchmarks.perf.overhead import Start, Taken, least, prompt_tokens, table

ROOT = Path(__file__).resolve().parents[2]


def test_every_command_of_the_script_shows_other_2000_characters_that_the_listing_holds(
    tmp_path: Path,
) -> None:
    listing = (script.lay(tmp_path, 4, red=False) / "listing.py").read_text()

    shown = [script.result(script.command(step)) for step in range(4)]

    assert {len(text) for text in shown} == {2000}
    assert "".join(shown) == listing
    compile(listing, "listing.py", "exec")


def test_the_test_of_the_repository_is_red_only_where_it_is_to_be(tmp_path: Path) -> None:
    for red in (True, False):
        repo = script.lay(tmp_path, 1, red=red)
        code = "from test_total import test_total; test_total()"
        done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True)
        assert bool(done.returncode) is red


def test_the_steps_before_the_fifth_are_not_counted_but_in_a_very_short_run() -> None:
    assert script.start([100, 200]) == 5
    assert script.start([3]) == 2


def test_the_tasks_own_text_is_no_part_of_the_prompt() -> None:
    def request(text: str) -> dict[str, object]:
        return {"messages": [{"role": "user", "content": text}], "tools": []}

    frame = '{"messages":[{"role":"user","content":""}],"tools":[]}'
    assert prompt_tokens(request(script.TASK)) == len(frame) // 4
    assert prompt_tokens(request(script.TASK + "é" * 40)) == (len(frame) + 80) // 4


RUNS = [
    Taken(Start(1.5, 120.0), 2000, {100: 9.0, 200: 12.0}),
    Taken(Start(1.4, 130.0), 2000, {100: 9.5, 200: 11.0}),
]


def test_of_several_runs_the_least_of_each_figure_counts() -> None:
    assert least(RUNS) == Taken(Start(1.4, 120.0), 2000, {100: 9.0, 200: 11.0})


def test_the_table_has_aims_beside_the_figures_and_names_what_is_large() -> None:
    ours = least(RUNS)
    ours.installed = {"large": 61.2, "small": 3.0}
    peer = least(RUNS[:1])
    peer.installed = {"other": 150.0}

    lines = list(table({"journeyman": ours, "peer": peer}, Start(0.9, 90), 0.05, [100, 200]))

    assert lines[0].split() == ["aim", "journeyman", "peer"]
    assert lines[1].endswith("<= 8             9.0            9.0")
    assert lines[2].endswith("<= 10            11.0           12.0")
    assert lines[-3].split() == ["installed,", "MB", "<", "500", "64", "150"]
    assert lines[-2:] == ["journeyman, over 20 MB: large 61", "peer, over 20 MB: other 150"]


def test_what_cannot_be_installed_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match=r"Python 3\.99"):
        environment(tmp_path / "new", ["anything"], (3, 99))
    code = (
        "import sys; from pathlib import Path; from benchmarks.perf.installed import environment;"
        "environment(Path(sys.argv[1]), ['/nowhere/at/all'], (3, 11))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "other")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("benchmarks.perf.installed.NotInstalled: ")
    assert "/nowhere/at/all" in last


def test_an_environments_size_is_told_by_distribution(tmp_path: Path) -> None:
    info = tmp_path / "lib/python3.11/site-packages/small-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
    (info / "RECORD").write_text("small.py,,\nsmall-1.0.dist-info/RECORD,,\ngone.py,,\n")
    (info.parent / "small.py").write_bytes(b"#" * 2_000_000)

    assert sizes(tmp_path) == {"small": pytest.approx(2.0, abs=0.001)}


def test_a_short_measurement_ends_with_every_row() -> None:
    command = [sys.executable, "-m", "benchmarks.perf.overhead", "--steps", "3", "--rounds", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)

    assert done.returncode == 0, done.stderr
    heads = [line[:36].strip() for line in done.stdout.splitlines()]
    assert heads == [
        "",
        "CPU of a step, ms, up to 3",
        "CPU to the first request, s",
        "peak memory there, MB",
        "tokens of its prompt",
        "CPU to the search's first action, s",
        "peak memory there, MB",
        "CPU of journeyman --help, s",
    ], done.stdout
