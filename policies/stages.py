"""When a rule is asked: an act can be at several stages at once."""

from __future__ import annotations

from policies.facts.vocabulary import Facts

_EXECUTES = frozenset({"shell", "python", "git", "tests", "candidates", "verify"})


def stages_of(facts: Facts) -> frozenset[str]:
    """The stages of an act, by its kind and by what it does.

    `before_write` is every act that writes a file, by whatever tool.
    """
    stages = {"any"}
    kind = facts.action.kind
    if kind in _EXECUTES:
        stages.add("before_exec")
    if kind in {"edit", "candidates", "apply"} or any(p.access == "write" for p in facts.paths):
        stages.add("before_write")
    if kind in {"model", "remember", "apply"}:
        stages.add(f"before_{kind}")
    return frozenset(stages)
