"""The user's package index settings, as a build container may have them.

Read from pip's own configuration files and variables and from npm's, as data. Only what means the
same inside a container is taken: addresses that are http(s), trusted hosts, time-outs, proxies
and the certificates to trust. Folders of this machine (`find-links`, a `file:` index, constraint
files) are left out and said. Passwords in addresses reach a build only as variables of one `exec`
(never of the container), and `mask` takes them out of everything that is shown or kept.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

CA_FILE = "/tmp/ca-bundle.pem"  # noqa: S108  a path inside a build container, removed before commit

_ADDRESSES = ("index-url", "extra-index-url")
_PLAIN = ("trusted-host", "timeout", "default-timeout", "retries")
_LOCAL = ("find-links", "constraint", "requirement", "no-index", "client-cert")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
_CA_USERS = (
    "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """What a build container is given to reach the package indexes of the user.

    Attributes:
        variables: For the processes of the build; may hold passwords.
        certificates: A PEM bundle to trust; empty where the host has none.
        secrets: User names with passwords, and passwords, that must not be seen.
        left_out: Settings that were not taken, one sentence each.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    certificates: bytes = b""
    secrets: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def mask(self, text: str) -> str:
        """`text` without the passwords of these settings."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def read(
    environment: Mapping[str, str] | None = None, files: Sequence[Path] | None = None
) -> IndexSettings:
    """Read the settings of this user.

    Args:
        environment: Variables; the process's own by default.
        files: pip's and npm's configuration files, weakest first; their usual places by default.
    """
    environment = os.environ if environment is None else environment
    pip, npm = _from_files(_usual_files(environment) if files is None else files)
    pip |= _from_variables(environment)
    variables, left_out = _pip_variables(pip)
    registry = _first(environment, "NPM_CONFIG_REGISTRY", "npm_config_registry") or npm
    if registry.startswith(("http://", "https://")):
        variables["NPM_CONFIG_REGISTRY"] = registry
    for name in _PROXIES:
        value = _first(environment, name, name.lower())
        if value:
            variables[name] = variables[name.lower()] = value
    certificates = _certificates(pip, environment)
    if certificates:
        variables |= dict.fromkeys(_CA_USERS, CA_FILE)
    return IndexSettings(variables, certificates, _secrets(variables.values()), tuple(left_out))


def _usual_files(environment: Mapping[str, str]) -> list[Path]:
    home = Path(environment.get("HOME") or Path.home())
    config = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    shared = (environment.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return [home / ".npmrc"]
    return [
        *(Path(folder) / "pip/pip.conf" for folder in reversed(shared)),
        Path("/etc/pip.conf"),
        home / ".pip/pip.conf",
        config / "pip/pip.conf",
        home / "Library/Application Support/pip/pip.conf",
        Path(sys.prefix) / "pip.conf",
        *([Path(named)] if named else []),
        home / ".npmrc",
    ]


def _from_files(files: Sequence[Path]) -> tuple[dict[str, str], str]:
    """Pip's options by name (`[install]` over `[global]`) and npm's registry."""
    options: dict[str, str] = {}
    registry = ""
    for file in files:
        try:
            text = file.read_text("utf-8", errors="replace")
        except OSError:
            continue
        if file.name.endswith("npmrc"):
            lines = (line.partition("=") for line in text.splitlines())
            registry = next((v.strip() for k, _, v in lines if k.strip() == "registry"), registry)
            continue
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for section in ("global", "download", "install"):
            if parser.has_section(section):
                options |= {k.replace("_", "-"): v for k, v in parser.items(section)}
    return options, registry


def _from_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name[4:].lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.startswith("PIP_") and value
    }


def _pip_variables(pip: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    variables = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_CACHE_DIR": "1", "PIP_NO_INPUT": "1"}
    left_out = [
        f"pip's {name} is left out: it means something on this machine only"
        for name in _LOCAL
        if pip.get(name)
    ]
    for name in _ADDRESSES:
        addresses = pip.get(name, "").split()
        usable = [a for a in addresses if a.startswith(("http://", "https://"))]
        if len(usable) < len(addresses):
            left_out.append(f"pip's {name} is taken without its entries that are not http(s)")
        if usable:
            variables["PIP_" + name.upper().replace("-", "_")] = " ".join(usable)
    for name in _PLAIN:
        if pip.get(name):
            variables["PIP_" + name.upper().replace("-", "_")] = " ".join(pip[name].split())
    if pip.get("proxy"):
        variables["PIP_PROXY"] = pip["proxy"]
    return variables, left_out


def _certificates(pip: Mapping[str, str], environment: Mapping[str, str]) -> bytes:
    """The bundle that the user's own tools trust, npm's extra certificates included."""
    bundle = pip.get("cert") or _first(environment, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    files = [bundle or "/etc/ssl/certs/ca-certificates.crt", environment.get("NODE_EXTRA_CA_CERTS")]
    parts: list[bytes] = []
    for file in dict.fromkeys(name for name in files if name):
        try:
            parts.append(Path(file).read_bytes())
        except OSError:
            continue
    return b"\n".join(dict.fromkeys(parts))


def _first(environment: Mapping[str, str], *names: str) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def _secrets(values: Iterable[str]) -> tuple[str, ...]:
    """What stands before the @ of every address, and the passwords in it, longest first."""
    found: set[str] = set()
    for address in (word for value in values for word in value.split()):
        parts = urlsplit(address) if "@" in address and "://" in address else None
        if parts is None:
            continue
        found.add(parts.netloc.rpartition("@")[0])
        if parts.password:
            found |= {parts.password, unquote(parts.password)}
    return tuple(sorted(found, key=len, reverse=True))
