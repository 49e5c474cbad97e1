"""The loader: a rule that does not do what it says never judges anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from policies.conditions import (
    ConditionError,
    EngineError,
    bind,
    compile_condition,
    evaluate,
)
from policies.facts import Facts
from policies.facts.vocabulary import ActionFact, CommandFact, FoundFact, PathFact
from policies.packs import PackError, builtin, load

FACTS = Facts(
    action=ActionFact(kind="shell", uncertain=("a",)),
    commands=(CommandFact(program="ls", arguments=("-l", "x")),),
    paths=(PathFact(text=".env", access="read", classes=("secret",)),),
    found=(FoundFact(kind="pan", confidence=0.9),),
)


def rule(**changes: Any) -> dict[str, Any]:
    return {
        "id": "mine.no-env",
        "controls": ["X/1"],
        "title": "A title",
        "why": "A reason.",
        "stage": "any",
        "when": 'paths.exists(p, "secret" in p.classes)',
        "effect": "deny",
        "fix": "A remedy.",
        "examples": {"deny": ["shell: cat .env"], "allow": ["shell: cat a"]},
        **changes,
    }


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in rule().items() if key != name}


def written(tmp_path: Path, *rules: dict[str, Any], **changes: Any) -> Path:
    path = tmp_path / "mine.yaml"
    text = {"pack": "mine", "version": "1.0.0", "rules": list(rules), **changes}
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return path


def test_a_pack_is_loaded_with_its_name_version_and_the_hash_of_its_text(tmp_path: Path) -> None:
    path = written(tmp_path, rule())
    pack = load(path)
    assert (pack.name, pack.version) == ("mine", "1.0.0")
    assert pack.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [r.id for r in pack.rules] == ["mine.no-env"]
    assert pack.rules[0].fix == "A remedy."


def test_the_baseline_has_between_15_and_25_rules_and_all_its_examples_hold() -> None:
    pack = builtin("baseline")
    assert pack.name == "baseline"
    assert 15 <= len(pack.rules) <= 25
    assert all(r.controls for r in pack.rules)


def test_a_built_in_pack_that_is_not_there_is_refused() -> None:
    with pytest.raises(PackError, match="no built-in pack") as caught:
        builtin("../baseline")
    assert "baseline" in caught.value.remedy


WRONG = {
    "example that is not hit": (rule(examples={"deny": ["shell: cat a"], "allow": ["shell: ls"]}), "opposite"),
    "example that is hit": (rule(examples={"deny": ["shell: cat .env"], "allow": ["shell: cat .env"]}), "opposite"),
    "example that is no act": (rule(examples={"deny": ["cat .env"], "allow": ["shell: ls"]}), "stands for no act"),
    "example of an unknown kind": (
        rule(examples={"deny": ["write .env: {{pann}}"], "allow": ["shell: ls"]}), "names no kind"),
    "no example for its effect": (rule(examples={"allow": ["shell: ls"]}), "none for deny"),
    "no example for allow": (rule(examples={"deny": ["shell: cat .env"]}), "none for allow"),
    "an example for another effect": (
        rule(examples={"deny": ["shell: cat .env"], "allow": ["shell: ls"], "ask": ["shell: ls"]}), "only deny"),
    "misspelt field": (rule(when='paths.exists(p, "secret" in p.clases)'), "undefined field"),
    "misspelt list": (rule(when='pathes.exists(p, "secret" in p.classes)'), "undeclared reference"),
    "misspelt function": (rule(when='paths.exist(p, "secret" in p.classes)'), "undeclared reference"),
    "wrong type": (rule(when="paths.exists(p, p.text == 1)"), "no matching overload"),
    "no yes or no": (rule(when="size(paths)"), "not true or false"),
    "bad syntax": (rule(when="paths.exists(p,"), "Syntax error"),
    "bad pattern": (rule(when='paths.exists(p, p.text.matches("("))'), "pattern"),
    "pattern that re2 lacks": (rule(when='paths.exists(p, p.text.matches("(?!a)"))'), "pattern"),
    "pattern that is no literal": (rule(when="paths.exists(p, p.text.matches(p.access))"), "written out"),
    "bad pattern over a list": (rule(when='paths.exists(p, p.classes.anyMatch("["))'), "pattern"),
    "condition that fails on an example": (rule(when='paths[1].text == "x"'), "index"),
    "unknown key": (rule(whem="x"), "whem"),
    "unknown effect": (rule(effect="warn"), "effect"),
    "unknown stage": (rule(stage="before_lunch"), "stage"),
    "unknown kind to mask": (
        rule(effect="mask", mask=["pann"], examples={"mask": ["shell: cat .env"], "allow": ["shell: ls"]}), "pann"),
    "mask without kinds": (rule(effect="mask", examples={"mask": ["shell: cat .env"], "allow": ["shell: ls"]}), "mask"),
    "kinds without mask": (rule(mask=["secrets"]), "mask"),
    "second person for a deny": (rule(second_person=True), "second person"),
    "id without a pack's name": (rule(id="env"), "id"),
    "title of nothing": (rule(title=""), "title"),
    **{f"no {name}": (without(name), name) for name in ("id", "title", "why", "stage", "when", "effect", "fix", "examples", "controls")},
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_rule_is_refused_by_name(tmp_path: Path, wrong: dict[str, Any], said: str) -> None:
    path = written(tmp_path, rule(id="mine.right"), wrong)
    with pytest.raises(PackError) as caught:
        load(path)
    assert said.casefold() in str(caught.value).casefold()
    assert "mine.yaml" in str(caught.value)
    assert wrong.get("id", "(no id)") in str(caught.value)
    assert "mine.yaml" in caught.value.remedy


def test_two_rules_with_the_same_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="two rules have this id"):
        load(written(tmp_path, rule(), rule()))


WRONG_FILES: dict[str, Callable[[str], str]] = {
    "no yaml": lambda text: text + "\n  - ]",
    "a key twice": lambda text: text + "\nversion: 1.0.1\n",
    "a key twice in a rule": lambda text: text.replace("  title:", "  effect: ask\n  title:"),
    "a list": lambda _: "[1]",
    "nothing": lambda _: "",
    "an object of Python": lambda text: text.replace("1.0.0", "!!python/object/apply:os.getcwd []"),
    "unknown key": lambda text: text + "\non_error: allow\n",
    "no rules": lambda _: "pack: mine\nversion: 1.0.0\nrules: []\n",
    "no version": lambda text: text.replace("version: 1.0.0", ""),
    "a version that is none": lambda text: text.replace("1.0.0", "one"),
    "a loop": lambda _: "rules: &r [*r]\npack: mine\nversion: 1.0.0\n",
}


@pytest.mark.parametrize("spoil", WRONG_FILES.values(), ids=WRONG_FILES.keys())
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, spoil: Callable[[str], str]) -> None:
    path = written(tmp_path, rule())
    path.write_text(spoil(path.read_text("utf-8")), encoding="utf-8")
    with pytest.raises(PackError, match=r"mine\.yaml"):
        load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="No such file"):
        load(tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("size(paths) == 1", True),
        ('commands.exists(c, c.arguments.anyMatch("^-[a-z]$"))', True),
        ('commands.exists(c, c.arguments.anyMatch("^y"))', False),
        ('commands.exists(c, c.program.matches("^l."))', True),
        ("found.exists(f, f.confidence >= 0.8 && !f.published)", True),
        ('python.parsed && model.name == ""', True),
        ('"a" in action.uncertain', True),
        ("git.exists(g, g.force_push)", False),
    ],
)
def test_a_condition_says_yes_or_no(condition: str, holds: bool) -> None:
    assert evaluate(compile_condition(condition), bind(FACTS)) is holds


@pytest.mark.parametrize(
    "condition",
    ['paths[7].text == "x"', "1 / size(git) == 1", "commands.all(c, paths[7].inside)"],
)
def test_a_condition_without_an_answer_raises(condition: str) -> None:
    compiled = compile_condition(condition)
    with pytest.raises(EngineError):
        evaluate(compiled, bind(FACTS))


def test_a_text_is_not_cut_short_on_its_way_to_the_engine() -> None:
    facts = Facts(action=ActionFact(kind="shell\0x"))
    assert not evaluate(compile_condition('action.kind == "shell"'), bind(facts))
    with pytest.raises(EngineError, match="cannot be told"):
        bind(Facts(action=ActionFact(kind="\ud800")))


def test_a_loop_that_is_too_long_for_the_engine_raises() -> None:
    paths = tuple(PathFact(text=str(n)) for n in range(200))
    condition = compile_condition("paths.all(p, paths.all(q, q.text != p.access))")
    with pytest.raises(EngineError, match="budget"):
        evaluate(condition, bind(Facts(action=ActionFact(), paths=paths)))


def test_brackets_deeper_than_the_engine_reads_are_refused_at_load() -> None:
    with pytest.raises(ConditionError):
        compile_condition("(" * 200 + "true" + ")" * 200)
