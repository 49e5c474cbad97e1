"""What is in the base image, whichever way it was made."""

from __future__ import annotations

import docker
import pytest

from sandbox import engine, orphans
from sandbox.docker_sandbox import DockerSandbox
from sandbox.image import INTERPRETERS, Source, base_image, parse_sources
from tests.sandbox.conftest import shell


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python3 -c 'import sys; print(sys.version_info[:2])'", "(3, 11)"),
        ("python3.9 -c 'import sys, ssl, sqlite3, ctypes; print(sys.version_info[:2])'", "(3, 9)"),
        ("python3 -m venv --help | head -c 5", "usage"),
        ("git --version | head -c 3", "git"),
        ("rg --version | head -c 7", "ripgrep"),
        ("ps --version | head -c 2", "ps"),
        ("patch --version | head -c 3", "GNU"),
        ("make --version | head -c 3", "GNU"),
        ("id -u; id -g; whoami", "10001\n10001\nagent"),
        ("touch /workspace/x && echo writable", "writable"),
        ("find / -xdev -perm /6000 -type f 2>/dev/null | wc -l", "0"),
        ("grep -c BEGIN /etc/ssl/certs/ca-certificates.crt | grep -vx 0 >/dev/null; echo $?", "0"),
        ("locale -a | grep -c en_US.utf8", "1"),
        ("command -v gcc sudo su-exec | wc -l", "0"),
    ],
)
def test_the_base_image_has_what_it_promises(
    box: DockerSandbox, command: str, expected: str
) -> None:
    assert shell(box, command).stdout.strip() == expected


def test_the_base_image_is_found_again_without_a_word(image: str) -> None:
    said: list[str] = []
    assert base_image(said.append) == image
    assert said == []


def test_the_base_image_is_small_labelled_and_nobodys(image: str) -> None:
    client = engine.connect()
    found = client.images.get(image)
    client.close()
    assert found.labels["journeyman"] == "1"
    assert found.labels["journeyman.recipe"] == image.rpartition(":")[2]
    assert not found.labels.get("journeyman.owner")
    assert found.attrs["Size"] < 450_000_000


def test_every_interpreter_that_is_promised_is_there(box: DockerSandbox) -> None:
    for version in INTERPRETERS:
        assert shell(box, f"python{version} -c 'print(1)'").stdout == "1\n"


def test_a_container_of_the_image_runs_what_it_is_told_and_is_no_orphan(image: str) -> None:
    client: docker.DockerClient = engine.connect()
    container = client.containers.run(image, ["sleep", "60"], detach=True, network_mode="none")
    try:
        assert container.top()["Processes"][0][-1] == "sleep 60"
        orphans.sweep(client)
        container.reload()
        assert container.status == "running"
    finally:
        container.remove(force=True)
        client.close()


@pytest.mark.parametrize(
    "text",
    [
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://mirror/debian bookworm main contrib\n"
            "deb-src http://mirror/debian bookworm main\n# deb http://off/debian bookworm main\n"
        ),
        (
            "Types: deb deb-src\nURIs: http://mirror/debian\nSuites: bookworm\nComponents: main\n"
            "Signed-By: /k.gpg\n\nEnabled: no\nTypes: deb\nURIs: http://off\nSuites: bookworm\n\n"
            "Types: deb-src\nURIs: http://off\nSuites: bookworm\n"
        ),
    ],
    ids=["one line", "deb822"],
)
def test_both_forms_of_apt_sources_are_read(text: str) -> None:
    assert parse_sources(text) == [Source("http://mirror/debian", "bookworm", "/k.gpg")]
