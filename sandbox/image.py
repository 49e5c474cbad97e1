"""The base image: Debian 12 with two Pythons, git and ripgrep, built once and found by its recipe.

Two ways lead to the root file system: `debian:12-slim` where an image registry can be reached,
else mmdebstrap with the package mirrors that this machine itself uses. What is put into it is one
list and one script for both. An image from Debian's mirrors is not the same byte for byte twice:
the recipe's digest says what was asked for, not what came.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import APIError, ImageNotFound
from requests.exceptions import RequestException

from sandbox import engine
from sandbox.build import Build, find
from sandbox.errors import SandboxError, SandboxMissing
from sandbox.home import locked, state_folder
from sandbox.index_settings import read

INTERPRETERS = ("3.11", "3.9")
"""Python versions of the base image, the preferred one first."""

PACKAGES = (
    "bash", "ca-certificates", "git", "make", "patch", "procps", "python3", "python3-venv",
    "python3.9", "ripgrep", "unzip", "xz-utils",
)  # fmt: skip

_VERSION = "2"  # raised when what `Build.commit` leaves in an image changes
_ROOT = "debian:12-slim"
_SUITE = "bookworm"
_OLDER_SUITE = "bullseye"
_PULL_SILENCE_S = 20
_CA_FOLDER = Path("/usr/local/share/ca-certificates")
_LOCALES = ("en_US", "en_GB", "de_DE", "fr_FR")  # those that tests of real projects ask for
_EXCLUDED = ("doc", "man", "locale", "info")

# Debian ships distutils beside Python; the older suite's package cannot be installed beside ours.
_CONFIGURE = f"""
set -eu
export DEBIAN_FRONTEND=noninteractive
for part in {" ".join(_EXCLUDED)}; do echo "path-exclude=/usr/share/$part/*"; done \
  > /etc/dpkg/dpkg.cfg.d/90journeyman
printf 'Package: *\\nPin: release n={_OLDER_SUITE}\\nPin-Priority: 100\\n' \
  > /etc/apt/preferences.d/{_OLDER_SUITE}
echo "deb $MIRROR {_OLDER_SUITE} main" > /etc/apt/sources.list.d/{_OLDER_SUITE}.list
apt-get -q update
apt-get -q install -y --no-install-recommends {" ".join(PACKAGES)}
cd /tmp
apt-get -q download python3-distutils/{_OLDER_SUITE} python3-lib2to3/{_OLDER_SUITE}
for archive in *.deb; do dpkg-deb -x $archive older; done
cp -r older/usr/lib/python3.9/distutils older/usr/lib/python3.9/lib2to3 /usr/lib/python3.9/
apt-get -q install -y --no-install-recommends locales
for name in {" ".join(_LOCALES)}; do localedef --no-archive -i $name -f UTF-8 $name.UTF-8; done
apt-get -q purge -y locales
update-ca-certificates
apt-get clean
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/log/apt /var/log/dpkg.log
useradd -u 10001 -U -m -d /home/agent -s /bin/bash agent
mkdir -p /workspace
chown agent:agent /workspace
"""

_BOOTSTRAP = (
    "--variant=minbase",
    "--include=ca-certificates",
    '--aptopt=Apt::Install-Recommends "false"',
    *(f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in _EXCLUDED),
)


def base_image(say: Callable[[str], None]) -> str:
    """The reference of the base image; it is built when this machine has none of this recipe.

    Raises:
        SandboxMissing: No Docker engine, or no way to a root file system.
        SandboxError: The build failed; the message holds its last lines.
    """
    recipe = _recipe()
    reference = f"journeyman/base:{recipe}"
    client = engine.connect()
    try:
        if find(client, reference):
            return reference
        say("Building the sandbox image (once; one to four minutes)")
        with locked("base"):
            if not find(client, reference):
                _configure(_root_image(client, say), reference, recipe, say)
    finally:
        client.close()
    say(f"The sandbox image is ready: {reference}")
    return reference


def _recipe() -> str:
    """16 hex digits over what is asked for: script, options, certificates, architecture."""
    digest = hashlib.sha256()
    for part in (_VERSION, _CONFIGURE, *_BOOTSTRAP, _ROOT, _SUITE, platform.machine()):
        digest.update(part.encode() + b"\0")
    for file in _certificates():
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _certificates() -> list[Path]:
    """Certificates that the owner of this machine has added to Debian's own."""
    return sorted(_CA_FOLDER.glob("**/*.crt"))


def _configure(root: str, reference: str, recipe: str, say: Callable[[str], None]) -> None:
    """Install the package list into the root file system and keep the result."""
    say("  installing Python 3.11 and 3.9, git, ripgrep")
    with Build(root, index=read(), say=say) as build:
        sources = build.run(
            "for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do cat $file; echo; done",
            user="0:0",
        )
        mirror = next((s.address for s in parse_sources(sources.text) if s.suite == _SUITE), "")
        for number, file in enumerate(_certificates()):
            build.run(f"mkdir -p {_CA_FOLDER}", user="0:0")
            build.put_file(f"{_CA_FOLDER}/host-{number}.crt", file.read_bytes())
        ran = build.run(_CONFIGURE, user="0:0", environment={"MIRROR": mirror})
        if ran.exit_code:
            raise SandboxError(
                "the sandbox image could not be built:\n" + "\n".join(ran.lines[-20:]),
                remedy="look whether Debian's package mirrors can be reached from a container",
            )
        build.commit(
            reference,
            {"journeyman.recipe": recipe},
            [
                "ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/home/agent",
                "WORKDIR /workspace",
            ],
        )


def _root_image(client: docker.DockerClient, say: Callable[[str], None]) -> str:
    """An image with Debian 12's root file system: pulled, or made by mmdebstrap."""
    if find(client, _ROOT):
        return _ROOT
    say(f"  asking the image registry for {_ROOT}")
    impatient = engine.connect()
    impatient.api.timeout = _PULL_SILENCE_S
    try:
        impatient.images.pull(_ROOT)
    except (APIError, ImageNotFound, RequestException):
        say("  no image registry can be reached: making the root file system from Debian packages")
        return _bootstrap(client, say)
    finally:
        impatient.close()
    return _ROOT


def _bootstrap(client: docker.DockerClient, say: Callable[[str], None]) -> str:
    mirrors = _host_mirrors()
    tool = _mmdebstrap(say) if mirrors else ""
    if not tool:
        raise SandboxMissing(
            "there is no sandbox image, no image registry can be reached, and this machine has no "
            "mmdebstrap with Debian mirrors to make one",
            remedy=f"make {_ROOT} known to Docker (docker load), or run once on a Debian machine as "
            "root: apt-get install mmdebstrap",
        )
    with tempfile.TemporaryDirectory(dir=state_folder("images")) as folder:
        archive = Path(folder) / "root.tar"
        command = [tool, *_BOOTSTRAP, _SUITE, str(archive), *mirrors]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as run:
            assert run.stderr is not None  # noqa: S101  a pipe was asked for
            lines = [_said(line.rstrip(), say) for line in run.stderr]
        if run.returncode:
            raise SandboxError(
                "mmdebstrap failed:\n" + "\n".join(lines[-20:]),
                remedy="run it as root, with Debian's package mirrors in reach",
            )
        say("  handing the root file system to Docker")
        client.api.timeout = 600
        client.api.import_image_from_file(
            str(archive), "journeyman/root", _SUITE, changes=["LABEL journeyman=1"]
        )
    return f"journeyman/root:{_SUITE}"


def _said(line: str, say: Callable[[str], None]) -> str:
    if line.startswith("I: "):
        say(f"  {line[3:]}")
    return line


def _mmdebstrap(say: Callable[[str], None]) -> str:
    """Its path; installed first where this is root's own Debian. Empty where there is none."""
    found = shutil.which("mmdebstrap")
    if found or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return found or ""
    say("  installing mmdebstrap on this machine: apt-get install mmdebstrap")
    for command in (
        ["apt-get", "-q", "update"],
        ["apt-get", "-q", "install", "-y", "--no-install-recommends", "mmdebstrap"],
    ):
        subprocess.run(command, check=False, capture_output=True)
    return shutil.which("mmdebstrap") or ""


@dataclass(frozen=True, slots=True)
class Source:
    """One archive that apt reads: where it is, which suite, and the keyring that signs it."""

    address: str
    suite: str
    keyring: str = ""


def parse_sources(text: str) -> list[Source]:
    """Read apt's sources, in both of their forms; what is switched off or not binary is left out."""
    found: list[Source] = []
    for line in re.findall(r"(?m)^deb\s.*$", text):
        options, rest = re.match(r"deb\s+(?:\[(.*?)\]\s*)?(.*)", line).groups()  # type: ignore[union-attr]
        keyring = re.search(r"signed-by=(\S+)", options or "")
        words = rest.split()
        if len(words) >= 2:
            found.append(Source(words[0], words[1], keyring[1] if keyring else ""))
    for stanza in re.split(r"(?m)^\s*$", text):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+):[ \t]*(.*)$", stanza))
        if "deb" not in fields.get("Types", "").split() or fields.get("Enabled") == "no":
            continue
        found += [
            Source(address, suite, fields.get("Signed-By", ""))
            for address in fields.get("URIs", "").split()
            for suite in fields.get("Suites", "").split()
        ]
    return found


def _host_mirrors() -> list[str]:
    """Debian 12's archives as lines for mmdebstrap, at the addresses this Debian machine uses."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return []
    own = release.get("VERSION_CODENAME", "")
    if release.get("ID") != "debian" or not own:
        return []
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    usable = [f for f in files if f.is_file() and f.suffix in {".list", ".sources"}]
    text = "\n\n".join(file.read_text("utf-8", errors="replace") for file in usable)
    lines: dict[str, None] = {}
    for source in parse_sources(text):
        if source.suite in {own, f"{own}-updates", f"{own}-security"}:
            keyring = f"[signed-by={source.keyring}] " if source.keyring.startswith("/") else ""
            suite = source.suite.replace(own, _SUITE)
            lines[f"deb {keyring}{source.address} {suite} main"] = None
    return list(lines)
