"""Image layers for a repository: its own image, Debian packages, what its setup leaves behind.

Each layer is found again by the digest of what went into it; a killed build leaves none.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import docker
from docker.errors import APIError, BuildError, ImageNotFound

from sandbox import index_settings, workspace
from sandbox.build import Build, find
from sandbox.detection import Step
from sandbox.errors import SandboxMissing, SetupFailed
from sandbox.home import locked, state_folder
from sandbox.setup_steps import Told, digest, failure, inputs, set_up


class Layers:
    """Builds the layers of one repository.

    Args:
        client: Of the Docker engine.
        repo: The repository's folder.
        say: Told what is going on.
    """

    def __init__(self, client: docker.DockerClient, repo: Path, say: Callable[[str], None]) -> None:
        self._client = client
        self._repo = repo
        self._say = say

    def fetched(self, image: str) -> str:
        """An image by its reference, pulled where it is not here.

        Raises:
            SandboxMissing: It is not here and cannot be pulled.
        """
        if find(self._client, image):
            return image
        self._say(f"Fetching the image {image}")
        try:
            self._client.images.pull(image)
        except (APIError, ImageNotFound) as error:
            raise SandboxMissing(
                f"the image {image} is not on this machine and cannot be pulled",
                remedy="`docker pull` or `docker load` it, or take `image` out of [environment]",
            ) from error
        return image

    def built(self, dockerfile: str) -> str:
        """Build the repository's Dockerfile; Docker's own cache makes the second time short.

        Raises:
            SetupFailed: It does not build.
        """
        self._say(f"Building {dockerfile}")
        self._client.api.timeout = 3600
        with tempfile.TemporaryDirectory(dir=state_folder("images")) as folder:
            archive = Path(folder) / "context.tar"
            workspace.capture(self._repo, archive)
            with archive.open("rb") as context:
                try:
                    image, _ = self._client.images.build(
                        fileobj=context,
                        custom_context=True,
                        dockerfile=dockerfile,
                        rm=True,
                        forcerm=True,
                        labels={"journeyman": "1", "journeyman.recipe": ""},
                    )
                except (BuildError, APIError) as error:
                    raise SetupFailed(
                        f"{dockerfile} could not be built: {error}",
                        remedy=f"see where it stops: docker build -f {dockerfile} .",
                    ) from error
        return str(image.id)

    def packages(self, image: str, names: tuple[str, ...]) -> str:
        """The image with Debian packages installed.

        Raises:
            SetupFailed: A name is none, or apt could not install it.
        """
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+(?:=[\w.+:~-]+)?", name):
                raise SetupFailed(
                    f"{name!r} is not the name of a Debian package",
                    remedy="correct [environment] packages in .journeyman/config.toml",
                )
        key = digest([find(self._client, image), *sorted(names)])
        reference = f"journeyman/packages:{key}"
        with locked(key):
            if find(self._client, reference):
                return reference
            self._say(f"Installing {' '.join(names)} into the sandbox image (once)")
            line = "apt-get -q update && apt-get -q install -y --no-install-recommends "
            line += f"{' '.join(names)} && rm -rf /var/lib/apt/lists/* /var/cache/apt/*"
            with Build(image, index=index_settings.read(), say=self._say) as build:
                quiet = {"DEBIAN_FRONTEND": "noninteractive"}
                ran = build.run(line, user="0:0", environment=quiet)
                if ran.exit_code:
                    raise failure("apt-get install " + " ".join(names), ran)
                build.commit(reference, {})
        return reference

    def setup(self, image: str, steps: tuple[Step, ...]) -> str:
        """The image after the setup commands, run with the tree at /workspace.

        Raises:
            SetupFailed: A command failed; the message holds its last 20 lines.
            CompilerMissing: It failed for want of a compiler.
        """
        base = find(self._client, image)
        key = digest([base, *inputs(self._repo, steps)])
        reference = f"journeyman/environment:{key}"
        with locked(key):
            if find(self._client, reference):
                return reference
            index = index_settings.read()
            self._say(f"Setting up {self._repo.name} (once; its dependencies are kept)")
            for setting in index.left_out:
                self._say(setting)
            with Build(image, index=index, say=self._say) as build:
                told = set_up(build, self._repo, steps, self._say)
                labels = {
                    "journeyman.setup": json.dumps([index.mask(line) for line in told.setup]),
                    "journeyman.notes": json.dumps(told.notes),
                }
                build.commit(reference, labels)
            worked = tuple(Step((line,)) for line in told.setup)  # what `init` writes down
            same = digest([base, *inputs(self._repo, worked)])
            self._client.images.get(reference).tag("journeyman/environment", same)
        return reference

    def told(self, image: str) -> Told:
        """The commands that worked in a setup layer, and what was said."""
        labels = self._client.images.get(image).labels
        setup = json.loads(labels.get("journeyman.setup") or "[]")
        return Told(tuple(setup), tuple(json.loads(labels.get("journeyman.notes") or "[]")))
