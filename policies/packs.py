"""Packs: rules in YAML, each with its reason, its remedy and its own examples.

    pack: baseline
    version: 1.0.0
    rules:
    - id: baseline.secret-files
      controls: [...]            # what it is evidence for
      title: ...                 # what a person reads first
      why: ...
      stage: any                 # when it is asked; see STAGES
      when: 'paths.exists(p, "secret" in p.classes && p.access == "read")'
      effect: deny               # deny, ask or mask
      fix: ...                   # what to do instead
      examples:                  # acts that it must hit, and acts that it must leave alone
        deny:  ['shell: cat .env']
        allow: ['shell: cat .env.example']

Loading a pack compiles every condition and runs every example, so that a rule which does not do
what it says never judges anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from policies.action import Decision, Obligations
from policies.conditions import Condition, ConditionError, EngineError, compile_condition
from policies.detectors import ALL_KINDS, PERSONAL, SECRETS
from policies.examples import ExampleError, hits

Stage = Literal[
    "any", "before_exec", "before_write", "before_model", "before_remember", "before_apply"
]
GROUPS = {"secrets": SECRETS, "personal": PERSONAL}
"""Names that stand for several kinds in a rule's `mask`."""


class PackError(Exception):
    """A pack that cannot be used.

    Args:
        happened: Which file and rule, and what is wrong with it.
        remedy: What to do about it.
    """

    def __init__(self, happened: str, *, remedy: str) -> None:
        super().__init__(happened)
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be asked.

    Attributes:
        id: Unique among all packs of a session.
        controls: What it is evidence for.
        title: The rule in one sentence.
        why: Its reason.
        stage: When it is asked.
        condition: Holds where the rule has something to say.
        decision: What it says then.
        obligations: What must be done then.
        fix: What to do instead.
    """

    id: str
    controls: tuple[str, ...]
    title: str
    why: str
    stage: Stage
    condition: Condition
    decision: Decision
    obligations: Obligations
    fix: str


@dataclass(frozen=True, slots=True)
class Pack:
    """A loaded pack.

    Attributes:
        name: As in the file.
        version: As in the file.
        sha256: Of the file's bytes, in hex.
        rules: In the order of the file.
    """

    name: str
    version: str
    sha256: str
    rules: tuple[Rule, ...]


class _RuleText(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: str = Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")
    controls: list[str]
    title: str = Field(min_length=1)
    why: str = Field(min_length=1)
    stage: Stage
    when: str = Field(min_length=1)
    effect: Literal["deny", "ask", "mask"]
    mask: list[str] = Field(default_factory=list)
    second_person: bool = False
    fix: str = Field(min_length=1)
    examples: dict[Literal["deny", "ask", "mask", "allow"], list[str]]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        unknown = set(self.mask) - set(GROUPS) - ALL_KINDS
        if unknown:
            raise ValueError(f"mask: {sorted(unknown)} are no kinds of finding")
        if (self.effect == "mask") != bool(self.mask):
            raise ValueError("`mask` lists kinds where the effect is mask, and only there")
        if self.second_person and self.effect != "ask":
            raise ValueError("a second person can only be asked where the effect is ask")
        for side in (self.effect, "allow"):
            if not self.examples.get(side):
                raise ValueError(f"examples: there is none for {side}")
        if set(self.examples) != {self.effect, "allow"}:
            raise ValueError(f"examples: only {self.effect} and allow belong here")
        return self


class _PackText(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    pack: str = Field(pattern=r"^[a-z0-9-]+$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    rules: list[dict[str, Any]] = Field(min_length=1)


def builtin(name: str) -> Pack:
    """A pack that is shipped with the program.

    Raises:
        PackError: There is none of that name.
    """
    folder = Path(__file__).parent / "packs"
    there = sorted(p.stem for p in folder.glob("*.yaml"))
    if name not in there:
        raise PackError(f"there is no built-in pack {name!r}", remedy=f"choose of {there}")
    return load(folder / f"{name}.yaml")


def load(path: Path) -> Pack:
    """Load a pack, compile its conditions and run its examples.

    Raises:
        PackError: Something in it is not as it should be; names file, rule and what to do.
    """
    try:
        data = path.read_bytes()
        text = _PackText.model_validate(yaml.load(data, Loader=_OneKeyOnce))  # noqa: S506  a SafeLoader
    except OSError as error:
        raise PackError(f"{path}: {error.strerror}", remedy="give the path of a pack") from error
    except (yaml.YAMLError, ValidationError, RecursionError) as error:
        raise _bad(path, "", _in_short(error)) from error
    rules = tuple(_rule(path, raw) for raw in text.rules)
    ids = [rule.id for rule in rules]
    for rule_id in ids:
        if ids.count(rule_id) > 1:
            raise _bad(path, rule_id, "two rules have this id")
    return Pack(text.pack, text.version, hashlib.sha256(data).hexdigest(), rules)


def refuse_doubles(packs: Sequence[Pack]) -> None:
    """Refuse packs that hold a rule of the same id: one could weaken the other unseen.

    Raises:
        PackError: Two do.
    """
    owner: dict[str, str] = {}
    for pack in packs:
        for rule in pack.rules:
            if rule.id in owner:
                raise PackError(
                    f"the packs {owner[rule.id]} and {pack.name} both have a rule {rule.id}",
                    remedy="give the rule of your own pack another id",
                )
            owner[rule.id] = pack.name


class _OneKeyOnce(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping: of two rules' texts one would be lost."""


def _mapping(loader: _OneKeyOnce, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise yaml.YAMLError(f"{key!r} stands twice, line {node.start_mark.line + 1}")
    return loader.construct_mapping(node, deep=True)


_OneKeyOnce.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _rule(path: Path, raw: dict[str, Any]) -> Rule:
    name = str(raw.get("id", "(no id)"))
    try:
        text = _RuleText.model_validate(raw)
        condition = compile_condition(text.when)
    except (ValidationError, ConditionError) as error:
        raise _bad(path, name, _in_short(error)) from error
    for side, examples in text.examples.items():
        for example in examples:
            _run_example(path, text, condition, example, expected=side != "allow")
    masked = frozenset[str]().union(*(GROUPS.get(kind, {kind}) for kind in text.mask))
    return Rule(
        id=text.id,
        controls=tuple(text.controls),
        title=text.title,
        why=text.why,
        stage=text.stage,
        condition=condition,
        decision=Decision.ALLOW if text.effect == "mask" else Decision(text.effect),
        obligations=Obligations(mask=masked, second_person=text.second_person),
        fix=text.fix,
    )


def _run_example(
    path: Path, text: _RuleText, condition: Condition, example: str, *, expected: bool
) -> None:
    try:
        hit = hits(condition, text.stage, example)
    except (ExampleError, EngineError) as error:
        raise _bad(path, text.id, f"example {example!r}: {error}") from error
    if hit != expected:
        does = "hits it" if hit else "does not hit it"
        raise _bad(path, text.id, f"example {example!r} stands for the opposite: the rule {does}")


def _bad(path: Path, rule: str, what: str) -> PackError:
    where = f"{path}: rule {rule}" if rule else str(path)
    return PackError(f"{where}: {what}", remedy=f"mend {path.name}, or leave the pack out")


def _in_short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(str(part) for part in e['loc']) or 'it'}: {e['msg']}"
            for e in error.errors()
        )
    return " ".join(str(error).split())
