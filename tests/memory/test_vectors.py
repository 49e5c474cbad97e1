"""The contract of `VectorStore`, over every engine that there is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory.edge_store import EdgeStore
from memory.errors import MemoryUnavailable
from memory.private import private_folder
from memory.server_store import ServerStore
from memory.terms import dense, sparse
from memory.vectors import Json, Point, VectorStore

ROOT = Path(__file__).parents[2]

ENGINES = ["embedded", "memory"] + (["server"] if os.environ.get("JOURNEYMAN_QDRANT_URL") else [])
SERVER_URL = os.environ.get("JOURNEYMAN_QDRANT_URL", "")


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    if request.param == "embedded":
        yield EdgeStore(tmp_path, "contract")
    elif request.param == "memory":
        yield ServerStore(":memory:", "contract")
    else:
        made = ServerStore(SERVER_URL, f"contract-{uuid.uuid4()}")
        yield made
        made._client.delete_collection(made.collection)


def point(n: int, text: str, **payload: Json) -> Point:
    return Point(str(uuid.UUID(int=n)), sparse(text), dense(text), {"text": text, **payload})


def texts(store: VectorStore, query: str, *, limit: int = 10, **where: str | int) -> list[str]:
    hits = store.query_hybrid(sparse(query), dense(query), limit=limit, where=where or None)
    return [str(hit.payload["text"]) for hit in hits]


def test_an_empty_store_has_nothing(store: VectorStore) -> None:
    assert store.count() == 0
    assert texts(store, "anything") == []
    assert store.scroll() == ([], None)


def test_the_nearest_point_comes_first(store: VectorStore) -> None:
    store.upsert(
        [
            point(1, "ZeroDivisionError mean of an empty list"),
            point(2, "KeyError missing_header in parse_headers"),
            point(3, "ValueError invalid literal for int parse_hour"),
        ]
    )

    assert (
        texts(store, "KeyError in parse_headers")[0] == "KeyError missing_header in parse_headers"
    )
    assert texts(store, "mean_of_list ZeroDivisionError", limit=1) == [
        "ZeroDivisionError mean of an empty list"
    ]


def test_a_payload_comes_back_as_it_was_given(store: VectorStore) -> None:
    payload: dict[str, Json] = {
        "s": "ünï ☃ \x00 '\"",
        "n": 2**40,
        "f": 0.1,
        "b": True,
        "nothing": None,
        "list": ["a", {"deep": [1, 2, []]}],
        "long": "x" * 200_000,
    }
    store.upsert([Point(str(uuid.UUID(int=1)), {1: 1.0}, dense("x"), payload)])

    ((hit,), _) = store.scroll()

    assert hit.payload == payload
    assert hit.id == str(uuid.UUID(int=1))


def test_the_same_id_replaces(store: VectorStore) -> None:
    store.upsert([point(1, "alpha"), point(2, "beta")])
    store.upsert([point(1, "gamma")])

    assert store.count() == 2
    assert texts(store, "gamma", limit=1) == ["gamma"]
    assert "alpha" not in texts(store, "alpha")


def test_equalities_narrow_every_call(store: VectorStore) -> None:
    store.upsert([point(n, f"parse word{n}", repo=f"r{n % 2}", no=n) for n in range(6)])

    assert store.count({"repo": "r1"}) == 3
    assert store.count({"repo": "r1", "no": 5}) == 1
    assert store.count({"repo": "r"}) == 0
    assert sorted(texts(store, "parse", repo="r1")) == ["parse word1", "parse word3", "parse word5"]
    assert [hit.payload["no"] for hit in store.scroll(where={"repo": "r0"})[0]] == [0, 2, 4]


def test_an_equality_to_a_bool_is_refused_by_every_engine(store: VectorStore) -> None:
    with pytest.raises(TypeError, match="bool"):
        store.count({"ok": True})


def test_a_limit_holds_with_equalities_too(store: VectorStore) -> None:
    store.upsert([point(n, "parse same words", repo=f"r{n % 2}") for n in range(20)])

    assert len(texts(store, "parse", limit=5, repo="r1")) == 5


def test_deleted_points_are_found_no_more(store: VectorStore) -> None:
    store.upsert([point(n, f"parse word{n}", repo=f"r{n % 2}") for n in range(6)])

    store.delete_ids([str(uuid.UUID(int=1)), str(uuid.UUID(int=99))])
    assert store.count() == 5
    store.delete_by({"repo": "r0"})

    assert sorted(texts(store, "parse")) == ["parse word3", "parse word5"]


def test_deleting_by_nothing_is_refused(store: VectorStore) -> None:
    store.upsert([point(1, "kept")])

    with pytest.raises(ValueError, match="matches every point"):
        store.delete_by({})

    assert store.count() == 1


def test_nothing_to_do_is_no_error(store: VectorStore) -> None:
    store.upsert([])
    store.delete_ids([])

    assert store.count() == 0


def test_scrolling_gives_every_point_once_in_the_order_of_ids(store: VectorStore) -> None:
    store.upsert([point(n, f"w{n}") for n in reversed(range(25))])

    seen: list[str] = []
    after: str | None = None
    while True:
        page, after = store.scroll(limit=10, after=after)
        seen += [str(hit.payload["text"]) for hit in page]
        if after is None:
            break

    assert seen == [f"w{n}" for n in range(25)]


def test_a_query_of_no_terms_is_answered(store: VectorStore) -> None:
    store.upsert([point(1, "alpha"), point(2, "")])

    assert len(texts(store, "")) == 2


def test_a_rare_word_weighs_more_than_a_common_one(store: VectorStore) -> None:
    store.upsert([point(n, "connection refused retry") for n in range(20)])
    store.upsert([point(30, "connection timezone")])

    assert texts(store, "retry timezone", limit=1) == ["connection timezone"]


# --- the embedded engine alone


def test_what_was_kept_is_there_for_the_next_process(tmp_path: Path) -> None:
    EdgeStore(tmp_path, "s").upsert([point(1, "alpha")])
    code = (
        "import sys; from pathlib import Path; from memory.edge_store import EdgeStore\n"
        "print(EdgeStore(Path(sys.argv[1]), 's').scroll()[0][0].payload['text'])"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )

    assert ran.stdout == "alpha\n", ran.stderr


def test_kill_9_amid_writes_loses_no_point_that_was_acknowledged(tmp_path: Path) -> None:
    code = (
        "import sys, uuid; from pathlib import Path\n"
        "from memory.edge_store import EdgeStore; from memory.vectors import Point\n"
        "from memory.terms import dense\n"
        "store = EdgeStore(Path(sys.argv[1]), 's')\n"
        "for n in range(10**6):\n"
        "    store.upsert([Point(str(uuid.UUID(int=n)), {n: 1.0}, dense('x'), {'n': n})])\n"
        "    print(n, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 5:
            pass
        writer.kill()
        rest = [int(line) for line in writer.stdout if line.endswith("\n")]
    acknowledged = max([5, *rest])

    page, _ = EdgeStore(tmp_path, "s").scroll(limit=10_000)

    assert {hit.payload["n"] for hit in page} >= set(range(acknowledged + 1))


def test_two_threads_take_turns(tmp_path: Path) -> None:
    stores = [EdgeStore(tmp_path, "s") for _ in range(4)]
    threads = [
        threading.Thread(target=store.upsert, args=([point(n, f"w{n}")],))
        for n, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert stores[0].count() == 4


def test_a_store_that_stays_in_use_is_said_with_the_way_out(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path, "s")
    with store._locked(), pytest.raises(MemoryUnavailable, match="in use") as error:
        EdgeStore(tmp_path, "s").count()

    assert "JOURNEYMAN_QDRANT_URL" in error.value.remedy
    assert store.count() == 0


def test_a_store_in_use_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path, "s")
    held, waited = threading.Event(), threading.Event()

    def hold() -> None:
        with store._locked():
            held.set()
            time.sleep(0.3)
            waited.set()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()

    assert EdgeStore(tmp_path, "s").count() == 0
    assert waited.is_set()
    holder.join()


def spoil_config(folder: Path) -> None:
    next(folder.glob("*.json")).write_text("{")


def remove_segments(folder: Path) -> None:
    for file in (folder / "segments").rglob("*.json"):
        file.write_text("")


def empty_folder(folder: Path) -> None:
    for file in sorted(folder.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()


@pytest.mark.parametrize("damage", [spoil_config, remove_segments, empty_folder])
def test_a_damaged_store_is_said_with_the_way_out(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    store = EdgeStore(tmp_path, "s")
    store.upsert([point(1, "alpha")])
    damage(store.folder)

    with pytest.raises(MemoryUnavailable, match="failed") as error:
        store.count()

    assert f"mv {store.folder}" in error.value.remedy
    store.folder.rename(store.folder.with_name("s.damaged"))
    assert store.count() == 0


def test_a_kill_while_the_store_is_made_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    store = EdgeStore(tmp_path, "s")
    half = private_folder(tmp_path / "qdrant") / "s.new"
    (half / "segments").mkdir(parents=True)

    assert store.count() == 0
    assert not half.exists()


def test_a_home_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(MemoryUnavailable, match="could not be made"):
        EdgeStore(tmp_path / "file", "s").count()


def test_only_the_user_can_enter_the_store(tmp_path: Path) -> None:
    EdgeStore(tmp_path / "h", "s").count()

    assert (tmp_path / "h").stat().st_mode & 0o077 == 0
    assert (tmp_path / "h" / "qdrant").stat().st_mode & 0o077 == 0


def test_a_store_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "qdrant").mkdir()
    (tmp_path / "qdrant").chmod(0o755)

    with pytest.raises(MemoryUnavailable, match="open to other users"):
        EdgeStore(tmp_path, "s").count()


def test_processes_that_write_at_once_all_get_their_turn(tmp_path: Path) -> None:
    code = (
        "import sys, uuid; from pathlib import Path\n"
        "from memory.edge_store import EdgeStore; from memory.vectors import Point\n"
        "from memory.terms import dense\n"
        "store = EdgeStore(Path(sys.argv[1]), 's')\n"
        "for n in range(2):\n"
        "    store.upsert([Point(str(uuid.uuid4()), {n: 1.0}, dense('x'), {})])"
    )
    crowd = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT) for _ in range(3)
    ]

    assert [process.wait(timeout=60) for process in crowd] == [0] * 3
    assert EdgeStore(tmp_path, "s").count() == 6
