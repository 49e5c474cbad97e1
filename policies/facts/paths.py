"""What kind of place a path names, by lists of names; never by looking at a disk.

Classes: secret (holds what opens a door), process (another process's insides), vcs_hooks (programs
and settings that git obeys), vcs (the rest of `.git`), vcs_settings (`.gitattributes`,
`.gitmodules`), ci, agent_config, own (this program's settings), startup (read by a program as it starts), build (code that an
installer runs), dependency, test, socket, device.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase, translate

from policies.texts import names

UNKNOWN = "\ufffd"
"""Stands in a path for a part that is not known."""


def _one_of(globs: Iterable[str]) -> Callable[[str], object]:
    """Whether a name fits one of the patterns, as one look."""
    return re.compile("|".join(map(translate, globs))).match


_SECRET_NAMES = names(
    ".env .envrc .env.local .env.dev .env.development .env.prod .env.production .env.staging "
    ".env.test .dev.vars .netrc _netrc .pgpass .my.cnf .git-credentials .pypirc .npmrc "
    ".vault-token .htpasswd .dockercfg id_rsa id_dsa id_ecdsa id_ed25519 credentials.json "
    "service-account.json secrets.yml secrets.yaml secrets.json secrets.toml .terraformrc "
    "terraform.tfstate master.key .boto"
)
_is_secret_kind = _one_of(names("*.pem *.key *.p12 *.pfx *.jks *.keystore *.kdbx *.env"))
_SECRET_FOLDERS = names(
    ".ssh .aws .gnupg .docker/config.json .kube/config .azure/accesstokens.json .config/gcloud "
    ".config/gh .config/git/credentials run/secrets .password-store .secrets secrets etc/shadow "
    "etc/gshadow etc/sudoers etc/sudoers.d"
)
"""A place that is one of these or lies below one."""
_is_public = _one_of(
    names("*.pub known_hosts *.example *.sample *.template *.dist *.md *.py example* sample*")
)
_TEST_FOLDERS = frozenset(
    names("test tests testing testdata test_data fixtures fixture examples example docs doc certs")
)
_CI_FOLDERS = (".github", ".gitlab", ".circleci", ".buildkite", ".ci", ".teamcity", ".woodpecker")
_CI_NAMES = frozenset(
    names(
        ".gitlab-ci.yml .travis.yml jenkinsfile azure-pipelines.yml bitbucket-pipelines.yml "
        "appveyor.yml .appveyor.yml .drone.yml cloudbuild.yaml .cirrus.yml codecov.yml"
    )
)
_AGENT_FOLDERS = names(
    ".claude .cursor .codex .gemini .aider .continue .windsurf .vscode .idea .devcontainer"
)
_AGENT_NAMES = frozenset(
    names(
        "agents.md claude.md gemini.md .cursorrules .aider.conf.yml .mcp.json mcp.json .envrc "
        ".pre-commit-config.yaml"
    )
)
_STARTUP_NAMES = frozenset(
    names(
        ".bashrc .bash_profile .bash_login .bash_logout .profile .zshrc .zshenv .zprofile "
        ".inputrc sitecustomize.py usercustomize.py pyvenv.cfg crontab .vimrc .gdbinit .pdbrc "
        ".pythonrc .gitconfig .curlrc .wgetrc .tmux.conf .screenrc"
    )
)
_HOOK_FOLDERS = (".husky", ".githooks", "githooks", ".git-hooks", "hooks", ".lefthook")
_HOOK_NAMES = frozenset(
    f"{dot}lefthook{local}.{form}"
    for dot in ("", ".")
    for local in ("", "-local")
    for form in ("yml", "yaml", "toml", "json")
)
_BUILD_FOLDERS = (".cargo", ".mvn", ".yarn", "buildsrc")
_BUILD_NAMES = frozenset(
    names(
        "setup.py setup.cfg pyproject.toml conftest.py noxfile.py tox.ini makefile gnumakefile "
        "cmakelists.txt package.json build.rs build.gradle build.gradle.kts settings.gradle "
        "pom.xml rakefile gemfile dockerfile containerfile docker-compose.yml compose.yaml "
        "justfile pytest.ini binding.gyp .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs gradlew "
        "gradlew.bat gradle-wrapper.properties mvnw mvnw.cmd meson.build build.bazel workspace "
        "module.bazel .bazelrc build.zig taskfile.yml taskfile.yaml mix.exs package.swift "
        "directory.build.props directory.build.targets hatch_build.py pdm_build.py"
    )
)
_is_dependency = _one_of(
    names(
        "requirements*.txt constraints*.txt *.lock package-lock.json go.mod go.sum cargo.toml "
        "pipfile environment.yml pnpm-lock.yaml"
    )
)
_EVERYBODYS = names("/tmp/ /dev/null /dev/stdout /dev/stderr /dev/stdin /dev/tty /dev/fd/")  # noqa: S108  named to be judged, not to be written
_READABLE = names(
    "/usr/ /bin/ /lib /opt/ /etc/os-release /etc/debian_version /proc/cpuinfo /proc/meminfo "
    "/proc/self/status"
)


def normal(path: str, *, cwd: str = "") -> str:
    """The path without `.` and `..`, relative to the root where it is below it.

    A path that climbs out of the root keeps its leading `..`.
    """
    if path.startswith("~"):
        return path
    joined = path if path.startswith("/") or not cwd else posixpath.join(cwd, path)
    # Two slashes at the front mean the same as one everywhere this is used.
    return posixpath.normpath("/" + joined.lstrip("/") if joined.startswith("/") else joined)


def inside(path: str, *, access: str) -> bool:
    """Whether a normal path is the repository's own, or a place that is everybody's."""
    if path.startswith("~"):
        return False
    if path.startswith("/"):
        places = _EVERYBODYS if access in {"write", "delete"} else (*_EVERYBODYS, *_READABLE)
        return path == "/tmp" or path.startswith(places)  # noqa: S108  named to be judged
    return path != ".." and not path.startswith("../")


@functools.lru_cache(maxsize=4096)
def classify(path: str) -> tuple[str, ...]:
    """The classes of a normal path; a pattern has those of what it can match.

    Case does not count: some file systems do not know it.
    """
    folded = path.casefold().strip("/")
    name = folded.rpartition("/")[2]
    parts = folded.split("/")
    classes = {
        "secret": _is_secret(folded, name, parts),
        "process": _is_process(path),
        "ci": parts[0] in _CI_FOLDERS or name in _CI_NAMES,
        "agent_config": bool(set(parts[:-1]) & set(_AGENT_FOLDERS)) or name in _AGENT_NAMES,
        "own": parts[0] == ".journeyman",
        "startup": name in _STARTUP_NAMES or name.endswith(".pth") or _is_program_place(parts),
        "vcs_settings": name in {".gitattributes", ".gitmodules"},
        "hooks": name in _HOOK_NAMES
        or (bool(set(parts[:-1]) & set(_HOOK_FOLDERS)) and ".git" not in parts),
        "build": name in _BUILD_NAMES
        or bool(set(parts[:-1]) & set(_BUILD_FOLDERS))
        or name.endswith((".mk", ".cmake", ".gradle")),
        "dependency": bool(_is_dependency(name)),
        "test": bool(set(parts) & {"test", "tests"}) or name.startswith("test_"),
        "socket": name.endswith(".sock"),
        "device": folded.startswith("dev/")
        and path not in _EVERYBODYS
        and not path.startswith("/dev/fd/"),
    }
    found = [kind for kind, is_one in classes.items() if is_one]
    return (*found, *_git_classes(parts))


def _git_classes(parts: list[str]) -> tuple[str, ...]:
    # Windows and macOS read other spellings as `.git` too; a patch may travel there.
    spelt = [p.replace("\u200c", "").rstrip(". ") for p in parts]
    at = next(
        (i for i, p in enumerate(spelt) if p in {".git", "git~1"} or _is_glob_of(p, ".git")), -1
    )
    if at < 0:
        return ()
    rest = spelt[at + 1 :]
    obeyed = {"hooks", "config", "config.worktree", "modules", "info"}
    return ("vcs", "vcs_hooks") if not rest or rest[0] in obeyed else ("vcs",)


def _is_secret(folded: str, name: str, parts: list[str]) -> bool:
    if _is_public(name):
        return False
    if name in _SECRET_NAMES:
        return True
    if _has_wildcard(name) and any(_is_glob_of(name, secret) for secret in _SECRET_NAMES):
        return True
    if any(f"/{folder}/" in f"/{folded}/" for folder in _SECRET_FOLDERS):
        return True
    if set(parts[:-1]) & _TEST_FOLDERS:
        # Certificates among tests are made for tests; what is in them is masked all the same.
        return False
    return bool(_is_secret_kind(name)) and name not in {"*", ".*"}


_has_wildcard = re.compile(f"[*?\\[{UNKNOWN}]").search


def _is_glob_of(pattern: str, name: str) -> bool:
    """Whether a shell would expand the pattern to that name; an unknown part matches anything."""
    if not _has_wildcard(pattern):
        return False
    loose = pattern.replace(UNKNOWN, "*").replace("[^", "[!")
    said = sum(c.isalnum() for c in loose)
    if name.startswith("."):
        # A wildcard does not match the dot at the front; an unknown part may hold it.
        if not said or (not loose.startswith((".", "[")) and (UNKNOWN not in pattern or said < 3)):
            return False
    elif said * 2 < len(name):
        # `*.json` can be many files; `cred*.json` is meant for one.
        return False
    return fnmatchcase(name, loose)


def takes_hidden(pattern: str) -> bool:
    """Whether a shell would expand the pattern to whatever hidden files there are."""
    name = pattern.rpartition("/")[2].replace("[^", "[!")
    return name.startswith(".") and fnmatchcase(".env", name)


def _is_process(path: str) -> bool:
    parts = path.strip("/").split("/")
    insides = {"environ", "mem", "root", "fd", "cwd", "maps", "cmdline"}
    return len(parts) > 2 and parts[0] == "proc" and parts[2] in insides


def _is_program_place(parts: list[str]) -> bool:
    """Where programs lie that are run by name later: a virtual environment's or the system's."""
    return (
        (any(p in {".venv", "venv"} for p in parts) and "bin" in parts)
        or parts[:2] in (["usr", "bin"], ["usr", "local"], ["etc", "cron.d"], ["etc", "profile.d"])
        or ".git-templates" in parts
    )
