"""Settings: where each comes from, which source wins, and what a project may say.

Strictest first: managed file (the administrator's) > flags > `JOURNEYMAN_*` > project file > user
file > defaults; a managed limit is a ceiling as well. A project's file comes with foreign code: it
may name its environment and a model and nothing else, and is used only once a person has said yes
to that very content.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from agent.task import Limits

MANAGED_FILE = Path("/etc/journeyman/config.toml")
PROJECT_FILE = Path(".journeyman/config.toml")
_LARGEST_FILE = 64 * 1024

Trust: TypeAlias = Callable[[Path, str], bool]
"""Asked once for each content of a project's file, with its path and text: may it be used?"""


class SettingsError(Exception):
    """A setting cannot be used.

    Args:
        happened: What is wrong, in which source, as one sentence without a full stop.
        remedy: What the reader does next.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


class Untrusted(SettingsError):
    """A project's file has not been agreed to."""


class Settings(BaseModel):
    """What a session rests on beside its task.

    Attributes:
        home: The state folder, mode 0700.
        model: A model's name, `builtin`, or empty: `builtin` where it can work.
        fallbacks: Models that take over, in this order, where one cannot be had.
        base_url: For `openai-compatible/…`.
        sandbox: Which kind of sandbox.
        environment: The project's `[environment]`, fields of `EnvironmentSettings`.
        limits: What a session may spend.
        mode: Which kind of door asks; rules may differ by it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    model: str = ""
    fallbacks: tuple[str, ...] = ()
    base_url: str = ""
    sandbox: Literal["docker", "bubblewrap"] = "docker"
    environment: dict[str, Any] = Field(default_factory=dict)
    limits: Limits = Limits()
    mode: Literal["terminal", "ci", "benchmark"] = "terminal"


_TEXT: TypeAdapter[Any] = TypeAdapter(str)
_TEXTS: TypeAdapter[Any] = TypeAdapter(tuple[str, ...])
_GENERAL: dict[str, TypeAdapter[Any]] = {
    "model.name": _TEXT,
    "model.fallbacks": _TEXTS,
    "model.base_url": _TEXT,
    "sandbox.kind": TypeAdapter(Literal["docker", "bubblewrap"]),
    "limits.steps": TypeAdapter(int),
    "limits.seconds": TypeAdapter(FiniteFloat),
    "limits.tokens": TypeAdapter(int),
    "limits.cost_usd": TypeAdapter(Decimal),
    "mode": TypeAdapter(Literal["terminal", "ci", "benchmark"]),
}
_PROJECT: dict[str, TypeAdapter[Any]] = {
    "model.name": _TEXT,
    "environment.image": _TEXT,
    "environment.dockerfile": _TEXT,
    "environment.packages": _TEXTS,
    "environment.setup": _TEXTS,
    "environment.test": _TEXT,
    "environment.python": _TEXT,
    "environment.junit": _TEXT,
    "environment.checks": _TEXTS,
}
_VARIABLES = {
    "JOURNEYMAN_MODEL": "model.name",
    "JOURNEYMAN_FALLBACKS": "model.fallbacks",
    "JOURNEYMAN_BASE_URL": "model.base_url",
    "JOURNEYMAN_SANDBOX": "sandbox.kind",
    "JOURNEYMAN_MAX_STEPS": "limits.steps",
    "JOURNEYMAN_TIMEOUT": "limits.seconds",
    "JOURNEYMAN_MAX_TOKENS": "limits.tokens",
    "JOURNEYMAN_MAX_COST": "limits.cost_usd",
    "JOURNEYMAN_MODE": "mode",
}


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that holds everything at rest, made with mode 0700.

    Raises:
        SettingsError: It cannot be made, or is somebody else's.
    """
    named = environ.get("JOURNEYMAN_HOME", "")
    home = Path(named).expanduser() if named else platformdirs.user_state_path("journeyman")
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if home.stat().st_uid != os.geteuid():
            raise SettingsError(
                f"the state folder {home} belongs to another user",
                remedy="name one of your own in JOURNEYMAN_HOME",
            )
        home.chmod(0o700)
    except OSError as error:
        raise SettingsError(
            f"the state folder {home} cannot be used ({error.strerror})",
            remedy="name another in JOURNEYMAN_HOME",
        ) from error
    return home.resolve()


def _never(_file: Path, _text: str) -> bool:
    return False


def load(
    repo: Path | None = None,
    flags: Mapping[str, Any] = {},
    *,
    trust: Trust = _never,
    environ: Mapping[str, str] = os.environ,
    managed_file: Path = MANAGED_FILE,
) -> Settings:
    """Read every source and let the strictest win.

    Args:
        repo: The project whose file counts; None: no project file.
        flags: By dotted key such as `limits.steps`; a None value was not given.
        trust: Asked when the project's file is new to this user.
        environ: The process's variables.
        managed_file: The administrator's file.

    Raises:
        SettingsError: A source cannot be read, or a value does not fit; says which.
        Untrusted: The project's file was not agreed to.
    """
    home = state_folder(environ)
    user_file = platformdirs.user_config_path("journeyman") / "config.toml"
    managed = _managed(managed_file)
    given = {key: value for key, value in flags.items() if value is not None}
    named: dict[str, Any] = {
        key: environ[name] for name, key in _VARIABLES.items() if environ.get(name)
    }
    if fallbacks := named.get("model.fallbacks"):
        named["model.fallbacks"] = [one.strip() for one in fallbacks.split(",") if one.strip()]
    merged: dict[str, Any] = {}
    for values in (
        _checked(_read(user_file), _GENERAL, f"the user's file {user_file}"),
        _project(repo, home, trust) if repo else {},
        _checked(named, _GENERAL, "the environment (JOURNEYMAN_*)"),
        _checked(given, _GENERAL, "the command line"),
    ):
        merged |= values
    if "model.name" in managed:
        merged.pop("model.fallbacks", None)  # no way past the model that the administrator names
    for key, value in managed.items():
        ceiling = key.startswith("limits.") and key in merged
        merged[key] = min(merged[key], value) if ceiling else value
    return _settings(home, merged)


def is_trusted(home: Path, text: str) -> bool:
    """Whether a person has said yes to a project file with this very content."""
    return _fingerprint(text) in _trusted(home)


def trust_text(home: Path, text: str) -> None:
    """Remember that a person said yes to this content."""
    folder = home / "trusted"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / _fingerprint(text)).touch(mode=0o600)


def project_text(values: Mapping[str, Any]) -> str:
    """The text of a project file, from dotted keys; empty values are left out."""
    lines: list[str] = []
    section = ""
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        if value in ("", ()):
            continue
        if table != section:
            lines += [""] if lines else []
            lines.append(f"[{table}]")
            section = table
        lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return "[" + ", ".join(_toml(item) for item in value) + "]"


def _settings(home: Path, values: Mapping[str, Any]) -> Settings:
    table: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        table.setdefault(section, {})[name] = value
    model = table.get("model", {})
    try:
        return Settings(
            home=home,
            model=model.get("name", ""),
            fallbacks=model.get("fallbacks", ()),
            base_url=model.get("base_url", ""),
            sandbox=table.get("sandbox", {}).get("kind", "docker"),
            environment=table.get("environment", {}),
            limits=Limits(**table.get("limits", {})),
            mode=table.get("", {}).get("mode", "terminal"),
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = f"limits.{first['loc'][-1]}"
        raise SettingsError(
            f"{key} = {first['input']} does not fit ({first['msg']})",
            remedy=f"give {key} another value where it is set (a flag, JOURNEYMAN_*, or a file)",
        ) from error


def _managed(file: Path) -> dict[str, Any]:
    source = f"the managed file {file}"
    for place in (file, file.parent):
        try:
            found = place.stat()
        except FileNotFoundError:
            continue
        if found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o022:
            raise SettingsError(
                f"{place} is not the administrator's alone, so {source} cannot be relied on",
                remedy=f"as root: chown root {place}; chmod go-w {place}; or remove it",
            )
    return _checked(_read(file), _GENERAL, source)


def _project(repo: Path, home: Path, trust: Trust) -> dict[str, Any]:
    file = repo / PROJECT_FILE
    text = _text(file)
    if text is None:
        return {}
    values = _checked(_parse(text, file), _PROJECT, f"the project's file {file}")
    if not is_trusted(home, text):
        if not trust(file, text):
            raise Untrusted(
                f"the project's file {file} is new to you: it says how code is set up and run",
                remedy=f"read it, then agree to it once: journeyman init --repo {repo} --yes",
            )
        trust_text(home, text)
    return values


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _trusted(home: Path) -> frozenset[str]:
    folder = home / "trusted"
    return frozenset(p.name for p in folder.iterdir()) if folder.is_dir() else frozenset()


def _text(file: Path) -> str | None:
    """Text of a settings file; None where there is none."""
    try:
        if not file.exists():
            return None
        if not file.is_file() or file.stat().st_size > _LARGEST_FILE:
            raise SettingsError(
                f"{file} is no settings file (not a plain file, or over 64 KiB)",
                remedy="remove it, or write one with journeyman init",
            )
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(
            f"{file} cannot be read ({why})", remedy="mend its permissions or its text"
        ) from error


def _read(file: Path) -> dict[str, Any]:
    text = _text(file)
    return {} if text is None else _parse(text, file)


def _parse(text: str, file: Path) -> dict[str, Any]:
    """Values by dotted key; tables are one deep."""
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:  # of one nested without end
        raise SettingsError(f"{file} is not TOML: {error}", remedy="mend that line") from error
    values: dict[str, Any] = {}
    for key, value in tables.items():
        if isinstance(value, dict):
            values |= {f"{key}.{name}": inner for name, inner in value.items()}
        else:
            values[key] = value
    return values


def _checked(
    values: Mapping[str, Any], known: Mapping[str, TypeAdapter[Any]], source: str
) -> dict[str, Any]:
    """`values` with their types, or an error that names source, key and what to do."""
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise SettingsError(
                f"{source} sets `{key}`, which may not be set there",
                remedy=f"remove it; what may be set: {', '.join(known)}",
            )
        try:
            checked[key] = known[key].validate_python(value)
        except ValidationError as error:
            raise SettingsError(
                f"{source} sets `{key}` to {value!r}: {error.errors()[0]['msg']}",
                remedy=f"give `{key}` a value of the right kind, or remove it",
            ) from error
    return checked
