"""`builtin`: repair by search, with no model. The same protocol as a chat model.

Localise, try the likely single edits, then the wider ones, then pairs; compare what the patches
that pass do; put the chosen one in; claim to be done. A claim that verification contradicts takes
the patch out again and goes on with the next kind of patch. What was tried is said at the end.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from agent.proposers.proposer import Done, Proposal, Situation, ToolCall
from agent.proposers.search_calls import (
    Mind,
    answer,
    counted,
    cpu,
    failing,
    give_up,
    refusal,
    say,
    search_call,
    show,
)
from agent.repair import budget, choice, groups, order, stages

NAME = "builtin"


class SearchProposer:
    """Decides what the search does next; keeps nothing of its own between calls."""

    @property
    def name(self) -> str:
        """As the user names it."""
        return NAME

    def plan(self, situation: Situation) -> Proposal:
        """The stages of the search."""
        kept = stages.first()
        text = f"{len(failing(situation))} failing tests; searching for a patch without a model."
        return Proposal(mind={"plan": kept}, plan=stages.plan_of(kept), text=text)

    def propose(self, situation: Situation) -> Proposal:
        """The next step of the search."""
        if why := refusal(situation):
            return Proposal(mind=situation.mind, gives_up=why)
        mind = {"plan": stages.first(), "stage": "start", **situation.mind}
        if (
            situation.news
        ):  # a sandbox that was lost explains what fails next; others bound how often
            mind["failures"] = 0
        steps = {
            "start": _localise,
            "localising": _localised,
            "trying": _tried,
            "pairing": _paired,
            "comparing": _compared,
            "applying": _applied,
            "claimed": _contradicted,
            "undone": _exhausted,
        }
        return steps[mind["stage"]](situation, mind)


def _lost(situation: Situation, mind: Mind, done: Done | None) -> Proposal:
    """The sandbox could not answer: number the candidates once more, or say why not."""
    failures = mind.get("failures", 0) + 1
    why = done.text if done else "nothing came back"
    if failures > 2 or (done is not None and done.observation.status == "denied"):
        return give_up(mind, f"the search could not go on: {why.splitlines()[0]}")
    kept = stages.anew(mind["plan"], "the search had to be started anew")
    return _localise(situation, {**mind, "plan": kept, "failures": failures})


def _localise(situation: Situation, mind: Mind) -> Proposal:
    options = {"costs": order.COSTS, "limit": budget.SINGLES}
    call = search_call(
        situation,
        mind,
        operation="localise",
        cpu_s=cpu(situation, budget.LOCALISE_S),
        options=options,
    )
    text = "Running the tests with coverage to see which lines the failing ones run."
    return say({**mind, "stage": "localising"}, text, calls=(call,))


def _localised(situation: Situation, mind: Mind) -> Proposal:
    done, data = answer(situation)
    if "columns" not in data:
        return _lost(situation, mind, done)
    red = [str(test) for test in data["red"]]
    if not red and "groups" in mind:
        done_by_others = groups.mended(mind["groups"], None)
        return _next_group(situation, {**mind, "groups": done_by_others})
    if not red:
        return give_up(
            show(mind, reproduce=("failed", "they do not fail when run one by one")),
            "the named tests do not fail when they are run one by one, so that there is nothing "
            "to search against",
        )
    rows = order.rows_of(data)
    top = data["lines"][0] if data["lines"] else None
    place = f"{top['path']}:{top['line']} first" if top else "no line of the project"
    tests = "suspect the same function" if "groups" in mind else "fail here too"
    mind = show(
        mind,
        reproduce=("done", f"{len(red)} of {len(failing(situation))} {tests}"),
        localise=("done", f"{place}; {len(rows)} single edits"),
    )
    mind |= {
        "red": red,
        "queue": order.ordered(rows, situation.recalled),
        "paired": _paired_ids(rows, situation),
        "lines": len({(row.path, row.line) for row in rows}),
        "plausible": [],
        "tried": mind.get("tried", 0),
        "apart": data["groups"],
        "part": "likely",
        "stage": "trying",
    }
    if not rows:
        return _nothing(situation, mind, "no failing test runs a line of the project's own code")
    where = counted(mind["lines"], "line", "lines")
    text = f"{len(rows)} single edits on {where}; most suspicious: {place}."
    known = order.remembered(rows, situation.recalled)[: budget.REMEMBERED.candidates]
    if known:
        rest = [number for number in mind["queue"] if number not in set(known)]
        mind |= {"queue": [*known, *rest], "part": "likely", "known": len(known)}
        text += f" {len(known)} of them are what mended a similar failure: they go first."
        return _try(situation, mind, budget.Share(len(known), budget.REMEMBERED.cpu_s), text)
    return _try(situation, mind, budget.LIKELY, text)


def _paired_ids(rows: list[order.Row], situation: Situation) -> list[int]:
    cheap = {row.id for row in rows if row.operator in order.PAIRED and not row.slow}
    ranked = [number for number in order.ordered(rows, situation.recalled) if number in cheap]
    return ranked[: budget.PAIRED_SINGLES]


def _try(situation: Situation, mind: Mind, share: budget.Share, text: str) -> Proposal:
    batch = mind["queue"][: share.candidates]
    mind = show(mind, **{mind["part"]: ("active", "")})
    mind |= {"queue": mind["queue"][share.candidates :], "stage": "trying"}
    call = search_call(
        situation, mind, ids=[[number] for number in batch], cpu_s=cpu(situation, share.cpu_s)
    )
    return say(mind, text, calls=(call,))


def _tried(situation: Situation, mind: Mind) -> Proposal:
    done, data = answer(situation)
    if "plausible" not in data:
        return _lost(situation, mind, done)
    mind = _gathered(mind, data)
    tried, found = int(data["tried"]), len(mind["plausible"])
    part, more = mind["part"], bool(mind["queue"]) and not data.get("left")
    note = f"{mind['tried']} tried, {found} pass"
    mind = show(mind, **{part: ("done" if found else "failed", note)})
    if mind.pop("known", 0):
        if found:
            return replace(_compare(situation, mind), candidates=tried)
        proposal = _try(situation, mind, budget.LIKELY, "What is remembered does not help.")
        return replace(proposal, candidates=tried)
    if more and not (found and part == "wider"):
        share = budget.RIVALS if found else budget.WIDER
        text = f"{_pass(found)}; looking for rivals." if found else f"Nothing among {tried}."
        if part == "likely" and not found:
            mind["plan"] = stages.revised(mind["plan"], "no likely edit passes")
        proposal = _try(situation, {**mind, "part": "wider"}, share, text)
    elif found:
        proposal = _compare(situation, mind)
    elif len(mind["apart"]) > 1 and "groups" not in mind:
        proposal = _one_group_at_a_time(situation, mind)
    else:
        proposal = _pairs(situation, mind, f"no single edit passes ({mind['tried']} tried)")
    return replace(proposal, candidates=tried)


def _one_group_at_a_time(situation: Situation, mind: Mind) -> Proposal:
    """No single edit turns all tests green, and they suspect different functions."""
    separate = groups.of(mind["apart"])
    reason = (
        f"no single edit turns all {len(mind['red'])} failing tests green; they suspect "
        f"{len(separate['todo'])} functions: one after the other"
    )
    return _next_group(situation, {**mind, "groups": separate}, reason)


def _next_group(situation: Situation, mind: Mind, reason: str = "") -> Proposal:
    """Search for the next group of failing tests; at the end claim, or say what is left."""
    left = mind["groups"]
    if left["todo"]:
        plan = stages.anew(mind["plan"], reason or "the next function")
        return _localise(situation, {**mind, "plan": plan, "red": left["todo"][0]})
    if left["mended"] and not left["waiting"]:
        return _claim(mind)
    tests = [test for group in left["waiting"] for test in group]
    said = f"for {', '.join(tests[:5])}: {reason or 'no edit turns them green'}"
    if left["mended"]:
        said += f"; the patch holds {groups.told(left)}"
    return give_up({**mind, "clusters": []}, said)


def _gathered(mind: Mind, data: dict[str, Any]) -> Mind:
    kept = [
        {key: row[key] for key in ("ids", "operator", "changes", "diff")}
        for row in data["plausible"]
    ]
    plausible = [*mind["plausible"], *kept][: budget.COMPARED]
    return {**mind, "plausible": plausible, "tried": mind["tried"] + int(data["tried"])}


def _pairs(situation: Situation, mind: Mind, reason: str) -> Proposal:
    ids = mind["paired"]
    if len(ids) < 2:
        return _nothing_passes(situation, mind)
    mind = show(mind, pairs=("active", ""))
    mind = {**mind, "plan": stages.revised(mind["plan"], reason), "stage": "pairing"}
    share = budget.PAIRS
    options = {"pairs": True, "within": budget.PAIRS_WITHIN, "most": share.candidates}
    call = search_call(
        situation,
        mind,
        ids=[[number] for number in ids],
        cpu_s=cpu(situation, share.cpu_s),
        options=options,
    )
    return say(mind, "Trying two edits at a time.", calls=(call,))


def _paired(situation: Situation, mind: Mind) -> Proposal:
    done, data = answer(situation)
    if "plausible" not in data:
        return _lost(situation, mind, done)
    tried = int(data["tried"])
    mind = _gathered(mind, data)
    found = len(data["plausible"])
    note = f"{tried} pairs tried, {found} pass"
    mind = {**show(mind, pairs=("done" if found else "failed", note)), "paired": []}
    if mind["plausible"]:
        return replace(_compare(situation, mind), candidates=tried)
    return replace(_nothing_passes(situation, mind), candidates=tried)


def _nothing_passes(situation: Situation, mind: Mind) -> Proposal:
    reason = (
        f"none of {mind['tried']} edits, single and in pairs, on {mind['lines']} lines that the "
        "failing tests run turns them green and keeps the others so"
    )
    return _nothing(situation, show(mind, choose=("dropped", "nothing passes")), reason)


def _nothing(situation: Situation, mind: Mind, reason: str) -> Proposal:
    """The end of the search for these tests; others may be left."""
    if "groups" not in mind:
        return give_up(mind, reason)
    return _next_group(situation, {**mind, "groups": groups.passed_over(mind["groups"])}, reason)


def _pass(number: int) -> str:
    return counted(number, "patch passes", "patches pass")


def _compare(situation: Situation, mind: Mind) -> Proposal:
    mind = show(mind, choose=("active", ""))
    ids = [row["ids"] for row in mind["plausible"]]
    call = search_call(
        situation,
        mind,
        operation="behaviours",
        ids=ids,
        cpu_s=cpu(situation, budget.BEHAVIOURS_S),
    )
    text = f"{_pass(len(ids))}; comparing what they do."
    return say({**mind, "stage": "comparing"}, text, calls=(call,))


def _compared(situation: Situation, mind: Mind) -> Proposal:
    done, data = answer(situation)
    if "candidates" not in data:
        return _lost(situation, mind, done)
    plausible = mind["plausible"]
    patches = [(row["operator"], _size(row)) for row in plausible]
    found = choice.clusters(patches, data["candidates"])
    if found[0].held < int(data["examples"]) and mind["paired"]:
        reason = "no patch that passes holds all examples in the docstrings"
        return _pairs(situation, mind, reason)
    mended = int(data["unheld"]) if found[0].held == int(data["examples"]) else 0
    facts = {
        "red": len(mind["red"]) + mended,
        "seeds": int(data["seeds"]),
        "inputs": int(data["inputs"]),
    }
    clusters = [
        {
            **{key: plausible[c.members[0]][key] for key in ("operator", "changes", "diff")},
            "confidence": round(choice.confidence(c, patches, **facts), 3),
            "members": len(c.members),
        }
        for c in found[: budget.CLUSTERS]
    ]
    made = counted(len(plausible), "patch", "patches")
    note = f"{made}, {counted(len(found), 'behaviour', 'behaviours')} on {data['inputs']} inputs"
    mind = show(mind, choose=("done", note), wider=_open(mind, "wider"), pairs=_open(mind, "pairs"))
    done_with: Mind = {"queue": [], "paired": [], "plausible": []}
    return _apply({**mind, **done_with, "clusters": clusters}, "")


def _size(row: Mind) -> int:
    return sum(len(change["new"]) for change in row["changes"])


def _open(mind: Mind, name: str) -> tuple[str, str]:
    """A stage that was not needed is dropped; any other stays as it is."""
    state, note = mind["plan"]["states"][name]
    return ("dropped", "not needed") if state == "pending" else (state, note)


def _apply(mind: Mind, text: str) -> Proposal:
    chosen = mind["clusters"][0]
    key = stages.current(mind["plan"], "apply")
    mind = show(mind, **{key: ("active", chosen["operator"])})
    calls = [
        ToolCall(
            "edit",
            {"operation": "replace", "path": c["path"], "old": c["old"], "new": c["new"]},
        )
        for c in chosen["changes"]
    ]
    calls.append(ToolCall("run_tests", {"tests": mind["red"]}))
    said = (
        text
        or f"Chosen ({chosen['confidence']:.0%} sure), an edit of the kind `{chosen['operator']}`."
    )
    return say({**mind, "stage": "applying"}, f"{said}\n{chosen['diff']}", calls=tuple(calls))


def _applied(situation: Situation, mind: Mind) -> Proposal:
    edits = [done for done in situation.last if done.call.name == "edit"]
    put_in = [done for done in edits if done.observation.exit_code == 0]
    if len(put_in) < len(edits) or any(d.observation.status != "done" for d in situation.last):
        return _next(mind, "the patch could not be put in", edits=put_in)
    tests = situation.last[-1].observation.data.get("tests")
    red = set(mind["red"])
    passed = {
        t["id"]
        for t in (tests if isinstance(tests, list) else [])
        if isinstance(t, dict) and t.get("outcome") == "passed"
    }
    if not red <= passed:
        return _next(mind, "in a new process the tests do not pass with it", edits=put_in)
    if "groups" in mind:
        mind = {**mind, "groups": groups.mended(mind["groups"], mind["clusters"][0])}
        return _next_group(situation, mind)
    return _claim(mind)


def _claim(mind: Mind) -> Proposal:
    chosen = mind["clusters"][0]
    change = chosen["changes"][0]
    edit = {"operator": chosen["operator"], "old": change["old"], "new": change["new"]}
    sure = chosen["confidence"]
    tried, others = counted(mind["tried"], "candidate", "candidates"), chosen["members"] - 1
    same = f"; {counted(others, 'other does', 'others do')} the same as this one" if others else ""
    notes = [f"{tried} tried{same}."]
    if "groups" in mind:
        sure = groups.confidence(mind["groups"])
        notes = [f"{mind['tried']} candidates tried; {groups.told(mind['groups'])}."]
    if sure < choice.CONFIDENT:
        notes.append(f"A proposal: the confidence is {sure:.0%}, below {choice.CONFIDENT:.0%}.")
    return say(
        {**mind, "stage": "claimed", "edit": edit},
        "The failing tests pass in a new process.",
        claims_done=True,
        confidence=sure,
        alternatives=tuple(cluster["diff"] for cluster in mind["clusters"][1:6]),
        notes=tuple(notes),
    )


def _contradicted(situation: Situation, mind: Mind) -> Proposal:
    """Verification did not agree: take the patch out and go on with the next kind of patch."""
    if "groups" in mind:
        mind = {**mind, "groups": groups.reopened(mind["groups"], mind["red"])}
    return _next(mind, situation.replan or "verification did not agree", edits=None)


def _next(mind: Mind, reason: str, *, edits: list[Done] | None) -> Proposal:
    """Undo the edits (None: those of the chosen patch), and put in the next cluster's patch."""
    chosen, *rest = mind["clusters"]
    undo = chosen["changes"] if edits is None else [done.call.arguments for done in edits]
    back = tuple(
        ToolCall(
            "edit",
            {"operation": "replace", "path": c["path"], "old": c["new"], "new": c["old"]},
        )
        for c in undo
    )
    key = stages.current(mind["plan"], "apply")
    kept = stages.revised(stages.moved(mind["plan"], **{key: ("failed", reason)}), reason)
    if not rest:
        mind = {**mind, "plan": kept, "clusters": [], "stage": "undone", "last": reason}
        return say(mind, f"Not that one ({reason.rstrip('.')}).", calls=back)
    mind = {**mind, "plan": stages.again(kept, "apply"), "clusters": rest}
    proposal = _apply(mind, f"Not that one ({reason.rstrip('.')}); the next:")
    return replace(proposal, calls=(*back, *proposal.calls))


def _exhausted(situation: Situation, mind: Mind) -> Proposal:
    reason = str(mind["last"]).rstrip(".")
    reason = f"every patch that passed in the search was contradicted: {reason}"
    return _nothing(situation, mind, reason)
