"""A repository's own files as data: text, TOML and INI, and the values in their tables."""

from __future__ import annotations

import configparser
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LARGEST = 2_000_000


def read_text(repo: Path, name: str) -> str:
    """A file of the repository as text; empty when it is not there, leads outside, or is huge."""
    path = repo / name
    try:
        if not path.resolve().is_relative_to(repo.resolve()) or not path.is_file():
            return ""
        if path.stat().st_size > _LARGEST:
            return ""
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def read_toml(repo: Path, name: str) -> dict[str, Any]:
    """A TOML file of the repository; empty when it is missing or broken."""
    try:
        return tomllib.loads(read_text(repo, name))
    except (tomllib.TOMLDecodeError, RecursionError):  # of one that is nested without end
        return {}


def read_ini(repo: Path, name: str) -> dict[str, dict[str, str]]:
    """An INI file of the repository by section; empty when it is missing or broken."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(read_text(repo, name))
    except configparser.Error:
        return {}
    return {section: dict(parser.items(section)) for section in parser.sections()}


def table(data: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """A table within tables; empty where one of the keys leads to none."""
    for key in keys:
        data = data.get(key) or {}
        if not isinstance(data, dict):
            return {}
    return dict(data)


def strings(value: Any) -> list[str]:
    """The strings of a list, or the lines of one string; nothing of anything else."""
    if isinstance(value, str):
        return lines(value)
    return [v for v in value if isinstance(v, str)] if isinstance(value, (list, tuple)) else []


def lines(text: str) -> list[str]:
    """Lines without comments, blank ones left out."""
    bare = (line.split(" #")[0].strip() for line in text.splitlines())
    return [line for line in bare if line and not line.startswith("#")]
