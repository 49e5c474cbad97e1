"""What repositories need: concluded from their files, and built for real."""

from __future__ import annotations

import base64
import http.server
import io
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from typing_extensions import override

from sandbox import engine, workspace
from sandbox.build import Build
from sandbox.detection import fits
from sandbox.docker_sandbox import DockerSandbox
from sandbox.environment import LAY_MADE, Environment, EnvironmentSettings, detect, prepare
from sandbox.errors import SandboxMissing, SetupFailed
from sandbox.index_settings import read
from sandbox.python_project import pip_specifiers
from sandbox.reports import Report
from tests.sandbox.conftest import SMALL

PYPROJECT = '[build-system]\nrequires = ["{0}"]\nbuild-backend = "{1}"\n'
TWO_EXTRAS = (
    '[project]\nname = "p"\nversion = "1"\n[project.optional-dependencies]\nfast = ["six"]\n'
    'doc = ["furo"]\n[dependency-groups]\nci = ["ddt"]\nlint = ["ruff"]\n'
)
SHAPES: dict[str, dict[str, str]] = {
    "flit": {
        "pyproject.toml": PYPROJECT.format("flit_core>=3", "flit_core.buildapi")
        + '[project]\nname = "p"\nversion = "1"\ndescription = "p"\nrequires-python = ">=3.8"\n'
        '[project.optional-dependencies]\ntest = ["pytest"]\ndev = ["ruff"]\n',
        "p.py": "",
    },
    "poetry": {
        "pyproject.toml": '[tool.poetry]\nname = "p"\nversion = "1"\n[tool.poetry.dependencies]\n'
        'python = "^3.8"\nsix = "^1.2"\n[tool.poetry.group.dev.dependencies]\npytest = "^8"\n',
        "p.py": "",
    },
    "src": {
        "setup.cfg": "[metadata]\nname = p\n[options]\npython_requires = >=3.7\n"
        "[options.extras_require]\ntesting = pytest\n",
        "setup.py": "from setuptools import setup; setup()",
        "src/p/__init__.py": "",
    },
    "setup.py": {
        "setup.py": "from setuptools import setup\nNEED = ['six']\n"
        "setup(name='p', python_requires='<3.11', install_requires=NEED, tests_require=['mock'])",
        "p.py": "",
    },
    "requirements": {"requirements.txt": "six\n", "requirements-dev.txt": "pytest\n", "p.py": ""},
    "groups": {
        "pyproject.toml": '[project]\nname = "p"\nversion = "1"\n[dependency-groups]\n'
        'test = ["pytest", {include-group = "more"}]\nmore = ["hypothesis"]\n'
        '[tool.pytest.ini_options]\naddopts = "-n2 --cov=p"\n',
        "p.py": "",
    },
    "namespace": {
        "setup.py": "from setuptools import setup\nTESTS = ['six']\n"
        "setup(name='s.p', extras_require=dict(test=TESTS + ['mock'], docs=['furo']))",
        "src/s/p/__init__.py": "",
        "tox.ini": "[testenv]\ndeps =\n    zope.testrunner\nextras =\n    test\n",
    },
    "tox.ini": {
        "pyproject.toml": TWO_EXTRAS,
        "tox.ini": "[testenv]\ndeps = -r{toxinidir}/needs/ci.txt\n  ./local\n  -rmissing.txt\n"
        "extras =\n    fast: fast\n    doc\n    unknown\ndependency_groups = ci, lint\n",
        "needs/ci.txt": "pytest\n",
    },
    "tox.toml": {
        "pyproject.toml": TWO_EXTRAS,
        "tox.toml": '[env_run_base]\nextras = ["fast"]\ndependency_groups = ["ci"]\n',
    },
    "tool.tox": {
        "pyproject.toml": TWO_EXTRAS + '[tool.tox.env_run_base]\ndeps = ["mock>4", "-e ."]\n',
    },
    "test files": {
        "setup.py": "from setuptools import setup\nsetup(name='p')",
        "requirements/pytest.txt": "pytest\n",
        "requirements/requirements-tests.txt": "mock\n",
        "requirements/dev.txt": "ruff\n",
    },
}


NODE_TEST = "node --test --test-reporter=junit --test-reporter-destination=.journeyman-junit.xml"


def lay(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("shape", "python", "setup"),
    [
        ("flit", "3.11", ("-e '.[test]'",)),
        ("poetry", "3.11", ("-e .", "'pytest>=8,<9'")),
        ("src", "3.11", ("-e '.[testing]'",)),
        ("setup.py", "3.9", ("-e .", "mock")),
        ("requirements", "3.11", ("-r requirements.txt", "-r requirements-dev.txt")),
        ("groups", "3.11", ("-e .", "pytest hypothesis pytest-cov pytest-xdist")),
        ("namespace", "3.11", ("-e '.[test]'", "zope.testrunner")),
        ("tox.ini", "3.11", ("-e .", "ddt six", "-r needs/ci.txt")),
        ("tox.toml", "3.11", ("-e .", "ddt six")),
        ("tool.tox", "3.11", ("-e .", "'mock>4'")),
        (
            "test files",
            "3.11",
            ("-e .", "-r requirements/requirements-tests.txt", "-r requirements/pytest.txt"),
        ),
    ],
)
def test_a_python_project_says_what_it_needs(
    tmp_path: Path, shape: str, python: str, setup: tuple[str, ...]
) -> None:
    detected = detect(lay(tmp_path, SHAPES[shape]))
    assert detected.python == python
    assert detected.setup == tuple(f"python -m pip install {part}" for part in setup)
    assert detected.runner == "pytest"
    assert detected.source_root == ("src" if shape in {"src", "namespace"} else ".")
    assert len(detected.description()) == 5


@pytest.mark.parametrize(
    ("files", "runner", "command"),
    [
        (
            {"package.json": '{"scripts": {"test": "node --test test/"}}'},
            "junit",
            NODE_TEST + " test/",
        ),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, "exit", "npm test"),
        ({"package.json": "{}", "a.js": ""}, "exit", ""),
        ({"Makefile": "test: all\n\t./run\n", "a.c": ""}, "exit", "make test"),
        ({"go.mod": "module m\n", "a.go": ""}, "exit", "go test ./..."),
        ({"README": ""}, "exit", ""),
    ],
)
def test_other_projects_are_judged_by_what_their_files_name(
    tmp_path: Path, files: dict[str, str], runner: str, command: str
) -> None:
    detected = detect(lay(tmp_path, files))
    assert (detected.runner, detected.test_command) == (runner, command)


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "not [toml"},
        {"setup.py": "import os; os.system('touch ran'); raise SystemExit"},
        {"setup.cfg": "no section", "setup.py": "def f(:"},
        {"package.json": "[1"},
        {"pyproject.toml": "[project]\nrequires-python = 3\n[tool]\npoetry = 'x'\n"},
        {
            "tox.toml": "env_run_base = 1\n",
            "setup.py": "setup(extras_require=dict(*x, test=1) + [])",
        },
        {"tox.ini": "[testenv]\ndeps = -r /etc/passwd\n  -r../../etc/passwd\n", "setup.py": ""},
    ],
)
def test_a_broken_or_hostile_tree_is_read_without_being_run(
    tmp_path: Path, files: dict[str, str]
) -> None:
    detect(lay(tmp_path, files))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(files)


def test_old_hooks_in_a_conftest_ask_for_an_older_pytest(tmp_path: Path) -> None:
    lay(tmp_path, {"conftest.py": "def pytest_ignore_collect(path, config):\n    pass\n"})
    assert "pytest<9" in detect(tmp_path).foundation("3.11")[1].lines[0]


@pytest.mark.parametrize(
    ("specifier", "fitting"),
    [
        ("", "3.11 3.9"), (">=3.8", "3.11 3.9"), (">=3.10", "3.11"), (">=3.12", ""),
        ("<3.11", "3.9"), (">=3.7,<4", "3.11 3.9"), ("^3.9", "3.11 3.9"), ("~3.9", "3.9"),
        ("~=3.10", "3.11"), ("==3.9.*", "3.9"), ("!=3.11.*,>=3.9", "3.9"), ("<=3.9.18", "3.9"),
        (">3.9", "3.11"), ("~=3.9.2", "3.9"), (">=3.11.4", "3.11"), ("==2.7", ""),
        (">=2.7,!=3.0.*,!=3.1.*", "3.11 3.9"), ("2.7 || ^3.10", "3.11"), ("nonsense", "3.11 3.9"),
    ],
)  # fmt: skip
def test_requires_python_chooses_among_the_interpreters(specifier: str, fitting: str) -> None:
    assert [v for v in ("3.11", "3.9") if fits(specifier, v)] == fitting.split()


@pytest.mark.parametrize(
    ("version", "specifiers"),
    [
        ("^1.2.3", [">=1.2.3", "<2"]), ("^0.2.3", [">=0.2.3", "<0.3"]), ("~1.2", [">=1.2", "<1.3"]),
        ("^0.0.3", [">=0.0.3", "<0.0.4"]), ("~1", [">=1", "<2"]), ("*", []), ("1.5", ["==1.5"]),
        (">=1,<2", [">=1", "<2"]), ("^1 || ^2", [">=1", "<2"]),
    ],
)  # fmt: skip
def test_poetrys_constraints_become_pips(version: str, specifiers: list[str]) -> None:
    assert pip_specifiers(version) == specifiers


def test_no_interpreter_that_fits_is_named_with_what_there_is(tmp_path: Path) -> None:
    lay(tmp_path, {"setup.py": "from setuptools import setup\nsetup(python_requires='>=3.13')"})
    with pytest.raises(SandboxMissing, match=r"requires Python >=3\.13.*3\.11 and 3\.9"):
        prepare(tmp_path, EnvironmentSettings(), say=print)


def run_tests(repo: Path, environment: Environment, tmp_path: Path) -> Report:
    archive = tmp_path / "tree.tar"
    workspace.capture(repo, archive)
    with DockerSandbox.open(
        environment.image,
        session_id="tests",
        python=environment.python,
        environment=environment.variables,
        limits=SMALL,
    ) as box:
        box.put(archive)
        arguments = {
            "command": environment.test_command,
            "junit": environment.junit,
            "runner": environment.runner,
        }
        return Report.of(box.perform("tests", arguments, timeout_s=60))


@pytest.mark.parametrize("version", ["3.11", "3.9"])
def test_a_project_is_prepared_once_and_its_tests_run_without_a_network(
    tmp_path: Path, version: str
) -> None:
    repo = lay(
        tmp_path / "repo",
        {
            "requirements.txt": "",
            "test_it.py": "import sys, socket\ndef test_version():\n"
            f"    assert '%d.%d' % sys.version_info[:2] == '{version}'\n"
            "def test_offline():\n    assert not [n for _, n in socket.if_nameindex() if n != 'lo']\n",
        },
    )
    said: list[str] = []
    environment = prepare(repo, EnvironmentSettings(python=version), say=said.append)
    assert run_tests(repo, environment, tmp_path).green
    said.clear()
    assert prepare(repo, EnvironmentSettings(python=version), say=said.append) == environment
    assert said == []


def test_the_users_setup_command_comes_before_the_projects(tmp_path: Path) -> None:
    lay(tmp_path, {"requirements.txt": "no-such-package-of-ours==1\n", "test_a.py": ""})
    line = "touch made.txt; ln -s /etc/passwd link"
    environment = prepare(tmp_path, EnvironmentSettings(), say=print, user_setup=line)
    assert environment.setup[-1] == line
    assert any("made.txt" in note for note in environment.notes)
    with DockerSandbox.open(environment.image, session_id="tests", limits=SMALL) as box:
        found = box.perform("shell", {"command": f"ls; {LAY_MADE}; ls"}, timeout_s=20)
    assert found.stdout == "made.txt\n"


def test_what_was_written_down_of_a_setup_is_found_built(tmp_path: Path) -> None:
    lay(tmp_path, {"requirements-test.txt": "no-such-package-of-ours==1\n", "test_a.py": ""})
    first = prepare(tmp_path, EnvironmentSettings(), say=print)
    assert any("did not install" in note for note in first.notes)
    said: list[str] = []
    again = prepare(tmp_path, EnvironmentSettings(setup=first.setup), say=said.append)
    assert said == []
    assert again.setup == first.setup


def test_a_setup_that_fails_shows_its_last_lines_and_what_to_do(tmp_path: Path) -> None:
    lay(tmp_path, {"a.txt": ""})
    settings = EnvironmentSettings(setup=("seq 1000; echo at the end >&2; exit 3",))
    with pytest.raises(SetupFailed, match=r"exit code 3") as failure:
        prepare(tmp_path, settings, say=print)
    lines = str(failure.value).splitlines()
    assert lines[-1] == "at the end"
    assert len(lines) == 21
    assert "--setup" in failure.value.remedy


def test_setup_runs_without_privileges(tmp_path: Path) -> None:
    lay(tmp_path, {"a.txt": ""})
    line = "test $(id -u) = 10001 && test -w a.txt && ! touch /usr/x && ! su -c true"
    environment = prepare(tmp_path, EnvironmentSettings(setup=(line,)), say=print)

    assert environment.setup[-1] == line


@pytest.mark.parametrize("package", ["a b", "x;id", "-o", "$(id)"])
def test_what_is_no_package_name_is_refused(tmp_path: Path, package: str) -> None:
    with pytest.raises(SetupFailed, match="not the name of a Debian package"):
        prepare(tmp_path, EnvironmentSettings(packages=(package,)), say=print)


def test_an_own_image_brings_its_own_python(tmp_path: Path, image: str) -> None:
    lay(tmp_path, {"test_a.py": "def test_a(): pass\n"})
    environment = prepare(tmp_path, EnvironmentSettings(image=image, test="true"), say=print)
    assert (environment.python, environment.setup) == ("python3", ())
    with pytest.raises(SandboxMissing, match=r"no-such-image"):
        prepare(tmp_path, EnvironmentSettings(image="no-such-image.invalid/x:1"), say=print)


def test_a_dockerfile_of_the_repository_is_built(tmp_path: Path, image: str) -> None:
    lay(tmp_path, {"docker/File": f"FROM {image}\nCOPY data.txt /opt/data.txt\n", "data.txt": "7"})
    environment = prepare(tmp_path, EnvironmentSettings(dockerfile="docker/File"), say=print)
    with DockerSandbox.open(environment.image, session_id="tests", limits=SMALL) as box:
        assert box.perform("shell", {"command": "cat /opt/data.txt"}, timeout_s=20).stdout == "7"


USER, PASSWORD = "some" + "body", "p4ss" + "word-of-the-index"


class PrivateIndex(http.server.BaseHTTPRequestHandler):
    """One wheel, for those who give the password."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {token}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            return
        self.seen.append(self.path)
        name = "tinypackage-1.0-py3-none-any.whl"
        body = wheel() if name in self.path else f'<a href="/{name}">{name}</a>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, *_: object) -> None:
        return


def wheel() -> bytes:
    buffer = io.BytesIO()
    info = "tinypackage-1.0.dist-info"
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("tinypackage.py", "VALUE = 7\n")
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinypackage\nVersion: 1.0\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


@pytest.fixture
def private_index(monkeypatch: pytest.MonkeyPatch, image: str) -> Iterator[str]:
    """An index on this machine that build containers reach through their network's gateway."""
    with Build(image, index=read({}, []), say=print) as build:
        gateway = build.run("awk '$2 == \"00000000\" {print $3}' /proc/net/route").text
    address = ".".join(str(byte) for byte in reversed(bytes.fromhex(gateway)))
    server = http.server.ThreadingHTTPServer((address, 0), PrivateIndex)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    where = f"{address}:{server.server_port}"
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{USER}:{PASSWORD}@{where}/simple")
    monkeypatch.setenv("PIP_TRUSTED_HOST", address)
    yield where
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("fails", [False, True], ids=["works", "fails"])
def test_a_private_index_is_used_and_its_password_stays_nowhere(
    tmp_path: Path, private_index: str, fails: bool
) -> None:
    PrivateIndex.seen.clear()
    lay(tmp_path, {"a.txt": private_index})
    said: list[str] = []
    lines = (
        f"python3 -m venv /opt/venv && pip install -v tinypackage # {private_index}",
        "pip config list; env; exit 7" if fails else "pip config list; pip cache dir; env",
    )
    settings = EnvironmentSettings(setup=lines)
    told = ""
    image = ""
    try:
        environment = prepare(tmp_path, settings, say=said.append)
        image, told = environment.image, repr(environment)
    except SetupFailed as failure:
        told = str(failure)
        assert "PIP_INDEX_URL=http://***@" in told
    assert any("whl" in path for path in PrivateIndex.seen)
    assert bool(image) is not fails
    assert PASSWORD not in told + "\n".join(said)
    if image:
        client = engine.connect()
        kept = client.images.get(image)
        shown = repr(kept.attrs) + repr(kept.history())
        assert PASSWORD not in shown
        client.images.remove(image)
        client.close()


def test_nothing_of_a_password_is_in_the_bytes_of_a_layer(
    tmp_path: Path, private_index: str
) -> None:
    lay(tmp_path, {"a.txt": ""})
    line = f"python3 -m venv /opt/venv && pip install tinypackage # {private_index} bytes"
    environment = prepare(tmp_path, EnvironmentSettings(setup=(line,)), say=print)
    found = subprocess.run(
        ["sh", "-c", f"docker save {environment.image} | grep -a -c {PASSWORD}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert found.stdout.strip() == "0"
    client = engine.connect()
    client.images.remove(environment.image)
    client.close()


def test_only_what_means_the_same_in_a_container_is_taken_from_pip(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://u:pw12345@one.example/simple\n"
        "extra-index-url =\n  file:///opt/simple\n  https://two.example/simple\n"
        "find-links = /wheels\nconstraint = /c.txt\ntimeout = 9\n[install]\ntrusted-host = one.example\n"
    )
    npmrc = tmp_path / ".npmrc"
    npmrc.write_text("registry=https://npm.example/\n//npm.example/:_authToken=abc\n")
    variables = {"HOME": str(tmp_path), "PIP_TIMEOUT": "30", "HTTPS_PROXY": "http://proxy:3128"}
    settings = read(variables, [config, npmrc])
    taken = {k: v for k, v in settings.variables.items() if not k.startswith("PIP_NO_")}
    assert taken["PIP_INDEX_URL"] == "https://u:pw12345@one.example/simple"
    assert taken["PIP_EXTRA_INDEX_URL"] == "https://two.example/simple"
    assert taken["PIP_TRUSTED_HOST"] == "one.example"
    assert taken["PIP_TIMEOUT"] == "30"
    assert taken["NPM_CONFIG_REGISTRY"] == "https://npm.example/"
    assert taken["https_proxy"] == taken["HTTPS_PROXY"] == "http://proxy:3128"
    assert not any("FIND_LINKS" in name or "CONSTRAINT" in name for name in taken)
    assert len(settings.left_out) == 3
    assert "abc" not in repr(settings)
    assert (
        settings.mask("at https://u:pw12345@one.example, pw12345")
        == "at https://***@one.example, ***"
    )
