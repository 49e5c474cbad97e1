"""One build container: run commands with the network, then keep the result as an image layer.

The opposite of the sandbox: it has the network and no task. What a repository says to run here is
foreign code all the same, so it runs as the sandbox's own user, without privileges; only Debian's
packages are installed as root. Index settings travel as variables of single commands and are in
neither the container's configuration nor the image's history.
"""

from __future__ import annotations

import io
import tarfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import docker
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.containers import Container
from requests.exceptions import RequestException

from sandbox import engine, orphans
from sandbox.errors import SandboxError, SandboxMissing
from sandbox.home import locked
from sandbox.index_settings import CA_FILE, IndexSettings

AGENT = "10001:10001"
"""The user of everything that is not Debian's own, inside and at build time."""

NETWORK = "journeyman-build"

_LIFE_S = 3 * 3600
_KEPT_LINES = 400
_SHOWN = 100
_KILLED = 137
_PROGRESS = ("Collecting ", "Building wheel", "Successfully ", "added ")


@dataclass(frozen=True, slots=True)
class Ran:
    """How one command of a build ended; `lines` are the last of its output, both streams."""

    exit_code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The kept output as one string."""
        return "\n".join(self.lines)


class Build:
    """A container with network, gone when the `with` block ends.

    Args:
        image: What it starts from.
        index: The user's package index settings.
        say: Told what is going on.
    """

    def __init__(self, image: str, *, index: IndexSettings, say: Callable[[str], None]) -> None:
        self._image = image
        self._index = index
        self._say = say
        self._client = engine.connect()
        self._client.api.timeout = _LIFE_S

    def __enter__(self) -> Self:
        try:
            self._container: Container = self._client.containers.create(
                self._image,
                entrypoint=["sh", "-c", "exec cat"],
                command=[],
                stdin_open=True,
                auto_remove=True,
                user="0:0",
                init=True,
                mem_limit="4g",
                pids_limit=2048,
                security_opt=["no-new-privileges:true"],
                network=_network(self._client),
                labels={"journeyman.recipe": "", **orphans.labels("build")},
            )
            # Its main command lives as long as its standard input is ours: kill -9 ends it as well.
            self._held = self._container.attach_socket(params={"stdin": 1, "stream": 1})
            self._container.start()
        except ImageNotFound as error:
            raise SandboxMissing(
                f"the image {self._image} is not on this machine",
                remedy="`docker pull` it, or take `image` out of [environment]",
            ) from error
        except APIError as error:
            raise SandboxError(
                f"no build container could be started from {self._image}: {error.explanation}",
                remedy="`journeyman doctor` looks at the Docker engine",
            ) from error
        try:
            self._prepare()
        except BaseException:  # a signal too: no container is left behind
            self._remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._remove()

    def _remove(self) -> None:
        try:
            self._container.remove(force=True, v=True)
        except (NotFound, APIError, RequestException):  # auto_remove may be quicker
            return
        finally:
            self._held.close()
            self._client.close()

    def _prepare(self) -> None:
        """Folders that belong to the sandbox's user, whatever image this is."""
        self.run(
            "mkdir -p /home/agent /workspace && chown 10001:10001 /home/agent /workspace",
            user="0:0",
        )
        if self._index.certificates:
            self.put_file(CA_FILE, self._index.certificates)

    def run(
        self,
        command: str,
        *,
        user: str = AGENT,
        environment: Mapping[str, str] | None = None,
        timeout_s: int = 1800,
    ) -> Ran:
        """Run `sh -c COMMAND` in the workspace; a failing command is an answer, not an exception.

        Raises:
            SandboxError: The container is not alive any more.
        """
        api = self._client.api
        variables = {"HOME": "/home/agent" if user == AGENT else "/root", "LANG": "C.UTF-8"}
        try:
            execution = api.exec_create(
                self._container.id,
                # One stream: what comes by two has no order.
                ["timeout", str(timeout_s), "sh", "-c", f"exec 2>&1; {command}"],
                user=user,
                workdir="/workspace" if user == AGENT else "/",
                environment={**variables, **self._index.variables, **(environment or {})},
            )["Id"]
            kept = follow(api.exec_start(execution, stream=True), self._index, self._say)
            code = api.exec_inspect(execution)["ExitCode"]
            return Ran(_KILLED if code is None else int(code), kept)
        except APIError as error:
            raise self._not_alive(error) from error

    def _not_alive(self, error: APIError) -> SandboxError:
        return SandboxError(
            f"a container of {self._image} does not stay alive: {error.explanation}",
            remedy="the image needs sh, cat and mkdir on its PATH",
        )

    def put(self, archive: IO[bytes], folder: str) -> None:
        """Unpack a tar archive into a folder of the container, owned by the sandbox's user."""
        self._container.put_archive(folder, archive)
        self.run(f"chown -R {AGENT} {folder}", user="0:0")

    def put_file(self, path: str, content: bytes) -> None:
        """Write one file that everybody may read."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
        self._container.put_archive("/", buffer.getvalue())

    def get_file(self, path: str, *, limit: int) -> bytes:
        """The bytes of one regular file.

        Raises:
            SandboxError: It is not there, not a regular file, or larger than `limit` bytes.
        """
        try:
            chunks, about = self._container.get_archive(path)
        except NotFound as error:
            raise SandboxError(
                f"the build left no {path}", remedy="read its output above"
            ) from error
        if about is None or about["size"] > limit:
            raise SandboxError(
                f"{Path(path).name} has more than the {limit} bytes allowed",
                remedy="take a smaller release",
            )
        data = bytearray()
        for chunk in chunks:
            data += chunk
            if len(data) > limit + 1_000_000:
                raise SandboxError(f"{path} does not end", remedy="take another release")
        with tarfile.open(fileobj=io.BytesIO(bytes(data))) as tar:
            member = tar.next()
            file = tar.extractfile(member) if member is not None and member.isreg() else None
            if file is None:
                raise SandboxError(
                    f"{path} is not a regular file", remedy="read the build's output"
                )
            return file.read()

    def hand_over(self, folder: str, to: Build, parent: str) -> None:
        """Copy a folder of this container into `parent` of another, owners and modes kept."""
        chunks, _ = self._container.get_archive(folder)
        try:
            to._container.put_archive(parent, chunks)
        except APIError as error:
            raise to._not_alive(error) from error

    def commit(self, reference: str, labels: Mapping[str, str], changes: Iterable[str] = ()) -> str:
        """Keep the container's file system as the image `reference` (NAME:TAG); gives its id.

        Temporary files go first; set-uid files lose that bit; the tree at /workspace is not kept.
        Nor is the label of this build's owner, which would mark later containers as orphans.
        Where another process was quicker (with a lock of another state folder), its image stays.
        """
        self.run(
            "rm -rf /tmp/* /tmp/.[!.]* ~root/.cache ~root/.npm /home/agent/.cache /home/agent/.npm; "
            "find /workspace -mindepth 1 -maxdepth 1 -exec rm -rf {} +; "
            "find / -xdev -perm /6000 -type f -exec chmod a-s {} +",
            user="0:0",
        )
        if built := find(self._client, reference):
            return built
        name, _, tag = reference.rpartition(":")
        image = self._container.commit(
            repository=name,
            tag=tag,
            # An empty list would leave this build's own entry point; an empty text is none.
            changes=['ENTRYPOINT [""]', 'CMD ["bash"]', *changes],
            conf={"Labels": {**dict.fromkeys(orphans.labels(""), ""), "journeyman": "1", **labels}},
        )
        return str(image.id)


def _network(client: docker.DockerClient) -> str:
    """The name of a network for builds alone, so that they see no other container of the user."""
    with locked(NETWORK):
        if not client.networks.list(names=[NETWORK]):
            client.networks.create(
                NETWORK,
                driver="bridge",
                options={"com.docker.network.bridge.enable_icc": "false"},
                labels={"journeyman": "1"},
            )
    return NETWORK


def follow(
    chunks: Iterable[bytes], index: IndexSettings, say: Callable[[str], None]
) -> tuple[str, ...]:
    """Say what shows progress in an output while it comes; gives its last lines, masked."""
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    for line in _lines(chunks):
        shown = index.mask(line)
        kept.append(shown)
        if shown.startswith(_PROGRESS):
            say(f"  {shown}" if len(shown) <= _SHOWN else f"  {shown[: _SHOWN - 1]}…")
    return tuple(kept)


def _lines(chunks: Iterable[bytes]) -> Iterable[str]:
    """Whole lines of a byte stream; a line over 4 kB is cut."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in whole:
            yield line[:4000].decode("utf-8", errors="replace").rstrip()
        rest = rest[:4000]
    if rest:
        yield rest.decode("utf-8", errors="replace")


def find(client: docker.DockerClient, reference: str) -> str:
    """The id of an image that was built before; empty when there is none."""
    try:
        return str(client.images.get(reference).id)
    except ImageNotFound:
        return ""
    except APIError as error:
        if error.status_code != 400:
            raise
        return ""  # what is no reference at all names no image
