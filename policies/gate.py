"""The gate: one verdict on every act, and no way to be let through by a fault.

    facts -> every rule of the stage -> strictest decision (deny > ask > allow) + all obligations

`Gate.judge` never raises. What goes wrong in it, in the facts, in a detector or in the engine is a
deny, and so is an act that takes too long to judge.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from policies import facts
from policies.action import (
    Action,
    CandidatesRequest,
    Decision,
    EditRequest,
    Obligations,
    Request,
    Verdict,
)
from policies.conditions import bind, evaluate
from policies.facts.circumstances import Circumstances
from policies.facts.vocabulary import Facts
from policies.masks import ALL_KINDS, Masks
from policies.packs import Pack, Rule, refuse_doubles
from policies.stages import stages_of
from policies.texts import NotText, visible

__all__ = ["Circumstances", "Gate"]

LONGEST_S = 1.0
"""Seconds of processor time that a judgement may take."""
_STRICTNESS = {Decision.ALLOW: 0, Decision.ASK: 1, Decision.DENY: 2}


class Gate:
    """Judges the acts of one session.

    Args:
        packs: Their rules are all asked; none can weaken another.
        circumstances: What is so for the whole session.
        masks: The session's masks: reasons are masked with them, for they quote what was asked.

    Raises:
        PackError: Two packs hold a rule of the same id.
    """

    def __init__(self, packs: Sequence[Pack], circumstances: Circumstances, masks: Masks) -> None:
        refuse_doubles(packs)
        self._rules = tuple(rule for pack in packs for rule in pack.rules)
        self._circumstances = circumstances
        self._masks = masks

    def judge(self, action: Action) -> Verdict:
        """The verdict on an act, with the rule it rests on, the reason and the way out."""
        began = time.thread_time()
        try:
            verdict = self._judge(action)
        except NotText as error:
            return Verdict(
                decision=Decision.DENY,
                rule="gate.not-text",
                reason=f"The text holds {error}, where different programs stop at different places.",
                remedy="Write it without that character.",
            )
        except Exception as error:  # noqa: BLE001  whatever broke, the act must not pass
            return _fault(f"{type(error).__name__}: {error}")
        spent = time.thread_time() - began
        if spent > LONGEST_S:
            return _fault(f"judging it took {spent:.1f} s, more than {LONGEST_S:.0f} s")
        return verdict

    def _judge(self, action: Action) -> Verdict:
        if lost := self._lost_masks(action.request):
            return Verdict(
                decision=Decision.DENY,
                rule="gate.unknown-mask",
                reason=f"The new text holds {lost}, and what it stands for is not known here.",
                remedy="Read these lines again, then edit them.",
            )
        known = facts.of(action, self._circumstances)
        stages, bound = stages_of(known), bind(known)
        hit = [r for r in self._rules if r.stage in stages and evaluate(r.condition, bound)]
        obligations = _united([rule.obligations for rule in hit])
        # The user's own word needs no question; what denies stands above it.
        if _is_users_word(action, self._circumstances):
            hit = [rule for rule in hit if rule.decision is not Decision.ASK]
        if not hit:
            return _allowed(known, obligations)
        strictest = max(hit, key=lambda rule: _STRICTNESS[rule.decision])
        if strictest.decision is Decision.ALLOW:
            return _allowed(known, obligations)
        return Verdict(
            decision=strictest.decision,
            rule=strictest.id,
            reason=self._masks.mask(_reason(strictest, hit, known), ALL_KINDS),
            remedy=strictest.fix,
            obligations=obligations,
        )

    def _lost_masks(self, request: Request) -> str:
        """A mask that would be written into a file as it is; empty where there is none."""
        if isinstance(request, EditRequest):
            changes = [(request.old, request.new)]
        elif isinstance(request, CandidatesRequest):
            changes = [(c.old, c.new) for edits in request.candidates for c in edits]
        else:
            changes = []
        lost = (t for old, new in changes for t in self._masks.unknown(new) if t not in old)
        return next(lost, "")


def _is_users_word(action: Action, circumstances: Circumstances) -> bool:
    """Whether all that the act runs was said by the user."""
    commands = facts.commands_of(action.request)
    return bool(commands) and all(command in circumstances.user_commands for command in commands)


def _united(obligations: list[Obligations]) -> Obligations:
    return Obligations(
        mask=frozenset[str]().union(*(o.mask for o in obligations)),
        snapshot_first=any(o.snapshot_first for o in obligations),
        second_person=any(o.second_person for o in obligations),
    )


def _allowed(known: Facts, obligations: Obligations) -> Verdict:
    contained = known.action.contained
    return Verdict(
        decision=Decision.ALLOW,
        rule="gate.contained" if contained else "gate.nothing-against",
        reason="It stays in the sandbox." if contained else "No rule has anything against it.",
        obligations=obligations,
    )


def _reason(rule: Rule, hit: list[Rule], known: Facts) -> str:
    """Why, about what, and which other rules say so too."""
    about = "; ".join(_about(rule, known))
    others = [r.id for r in hit if r is not rule and r.decision is not Decision.ALLOW]
    return " ".join(
        [
            f"{rule.title}{f' ({visible(about)})' if about else ''}.",
            rule.why,
            *([f"Also against it: {', '.join(others)}."] if others else []),
        ]
    )


def _about(rule: Rule, known: Facts) -> list[str]:
    """What the rule saw, by the facts that its condition speaks of; at most three of a kind."""
    seen: list[str] = []
    if "uncertain" in rule.condition.text:
        seen += list(known.action.uncertain[:3])
    if "paths" in rule.condition.text:
        seen += [f"{p.access} {p.text}"[:120] for p in known.paths if p.classes or not p.inside][:3]
    if "commands" in rule.condition.text:
        seen += [c.program[:60] for c in known.commands if "everyday" not in c.classes][:3]
    if "found" in rule.condition.text:
        seen += sorted({f.kind for f in known.found if not f.published})[:3]
    if "patch" in rule.condition.text:
        seen += [f.path[:120] for f in known.patch if f.classes or f.escapes or f.symlink][:3]
    return seen


def _fault(what: str) -> Verdict:
    return Verdict(
        decision=Decision.DENY,
        rule="gate.error",
        reason=f"It could not be judged: {visible(what)[:300]}.",
        remedy="Ask for it in a simpler way, in smaller pieces.",
    )
