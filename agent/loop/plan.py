"""Plans as values: advance a step, revise after a contradiction, say how far they are."""

from __future__ import annotations

from policies.record import Plan, PlanStep, StepState


def first(*titles: str) -> Plan:
    """A plan whose first step is active."""
    return activate_next(Plan(steps=tuple(PlanStep(title=title) for title in titles)))


def activate_next(plan: Plan) -> Plan:
    """The first pending step becomes active, unless one is active already."""
    if any(step.state == "active" for step in plan.steps):
        return plan
    for index, step in enumerate(plan.steps):
        if step.state == "pending":
            return _with_step(plan, index, step.model_copy(update={"state": "active"}))
    return plan


def finish_active(plan: Plan, state: StepState = "done", note: str = "") -> Plan:
    """The active step gets its end state; the next pending one becomes active."""
    for index, step in enumerate(plan.steps):
        if step.state == "active":
            ended = step.model_copy(update={"state": state, "note": note or step.note})
            return activate_next(_with_step(plan, index, ended))
    return activate_next(plan)


def finish_all(plan: Plan, note: str = "") -> Plan:
    """Every step that is still open is done: what a verified patch means for a plan."""
    steps = tuple(
        step.model_copy(update={"state": "done", "note": step.note or note})
        if step.state in ("active", "pending")
        else step
        for step in plan.steps
    )
    return plan.model_copy(update={"steps": steps})


def revise(plan: Plan, reason: str) -> Plan:
    """The plan after a contradiction, for a proposer that does not rewrite it itself.

    What was active has failed with the reason as its note, and the same step is to be done anew.
    """
    active = next((step for step in plan.steps if step.state == "active"), None)
    failed = finish_active(plan, "failed", reason)
    title = active.title if active else "Try another way"
    steps = tuple(
        step.model_copy(update={"state": "pending"}) if step.state == "active" else step
        for step in failed.steps
    )
    at = next((i for i, step in enumerate(steps) if step.state == "pending"), len(steps))
    again = PlanStep(title=f"Again: {title.removeprefix('Again: ')}", state="active")
    return Plan(steps=(*steps[:at], again, *steps[at:]), revision=plan.revision + 1, reason=reason)


def _with_step(plan: Plan, index: int, step: PlanStep) -> Plan:
    steps = (*plan.steps[:index], step, *plan.steps[index + 1 :])
    return plan.model_copy(update={"steps": steps})
