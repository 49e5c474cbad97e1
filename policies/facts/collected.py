"""Where the extractors put what they find, whichever kind of text it is found in."""

from __future__ import annotations

from dataclasses import dataclass, field

from policies.facts import paths
from policies.facts.paths import UNKNOWN
from policies.facts.vocabulary import CodeFact, CommandFact, GitFact, PathFact, PythonFact
from policies.facts.words import Word

DEEPEST = 8
"""Texts of commands within texts of commands that are looked through."""


MOST_STEPS = 100_000
"""Pieces of syntax that are looked at; loops within loops can ask for more than there is time."""


class TooMuch(ValueError):
    """A text that would take too long to look through."""


class TooDeep(ValueError):
    """Commands within commands, deeper than is looked through."""


@dataclass
class Collected:
    """Facts as they come, in order."""

    commands: list[CommandFact] = field(default_factory=list)
    paths: list[PathFact] = field(default_factory=list)
    git: list[GitFact] = field(default_factory=list)
    code: list[CodeFact] = field(default_factory=list)
    python: list[PythonFact] = field(default_factory=list)
    uncertain: dict[str, None] = field(default_factory=dict)
    steps: int = 0

    def step(self) -> None:
        """One more piece of syntax is looked at.

        Raises:
            TooMuch: There were too many.
        """
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooMuch(f"more than {MOST_STEPS:,} steps to look through")

    def doubt(self, reason: str) -> None:
        """Something could not be made out."""
        self.uncertain[reason] = None

    def path(self, word: Word, access: str, *, cwd: str | None = "", below: bool = False) -> None:
        """A path that is named; `cwd` None: relative to a folder that is not known."""
        if not word.text:
            return
        text = paths.normal(word.text, cwd=cwd or "")
        relative = not text.startswith(("/", "~"))
        certain = word.known and (cwd is not None or not relative)
        if not certain:
            self.doubt("unknown-path" if UNKNOWN in word.text else "unknown-folder")
        fact = PathFact(
            text=text,
            access=access,
            inside=paths.inside(text, access=access) or (word.harmless and UNKNOWN in text[:1]),
            classes=_classes(word, text, access),
            certain=certain,
            below=below,
        )
        if fact not in self.paths[-50:]:
            self.paths.append(fact)


def _classes(word: Word, text: str, access: str) -> tuple[str, ...]:
    """The classes of a place; who shows all hidden files shows the secret ones among them."""
    classes = paths.classify(text)
    if access == "read" and word.pattern and paths.takes_hidden(text) and "secret" not in classes:
        return ("secret", *classes)
    return classes
