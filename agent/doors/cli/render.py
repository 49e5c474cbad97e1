"""Records as rich renderables: what a terminal shows of a run. Pure; every string is cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, assert_never

from rich.console import RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from agent.doors.clean_text import clean, clean_line
from agent.result import Result
from agent.spending import ModelSpending
from policies.action import (
    ApplyRequest,
    CandidatesRequest,
    Decision,
    EditRequest,
    GitRequest,
    ModelRequest,
    Observation,
    PythonRequest,
    ReadRequest,
    RecallRequest,
    RememberRequest,
    Request,
    RunTestsRequest,
    SearchRequest,
    ShellRequest,
    VerifyRequest,
)
from policies.record import (
    ActionDone,
    ActionJudged,
    EnvironmentReady,
    Evidence,
    ModelChanged,
    Noticed,
    PatchVerified,
    Plan,
    PlanMade,
    Record,
    Said,
    SessionEnded,
    SessionResumed,
    SessionStarted,
    StepTaken,
)

_MARKS = {"pending": "[ ]", "active": "[>]", "done": "[x]", "failed": "[!]", "dropped": "[-]"}
_STATES = {"active": "bold", "done": "green", "failed": "red", "dropped": "dim"}
_DECISIONS = {Decision.ASK: "yellow", Decision.DENY: "red"}
_UNDER_WAY = {
    "tests": "running the tests",
    "candidates": "trying candidates",
    "verify": "verifying in a fresh sandbox",
}
_SHOWN_TESTS = 5


def render(record: Record, shown: Plan | None = None) -> tuple[RenderableType, ...]:  # noqa: C901, PLR0911, PLR0912  one flat line a kind
    """Turn one record into what a terminal shows of it; nothing for inner bookkeeping.

    Args:
        record: What happened.
        shown: The plan as it was last shown: of the same revision only what moved is shown again.
    """
    match record:
        case SessionStarted():
            return (Text(f"Session {clean_line(record.session_id)}", "dim"),)
        case EnvironmentReady():
            return tuple(_environment(record))
        case PlanMade():
            return tuple(_plan(record.plan, shown))
        case StepTaken():
            return ()
        case ActionJudged():
            return tuple(_judged(record))
        case ActionDone():
            return tuple(_done(record.tool, record.observation))
        case Said():
            return tuple(Text(f"     {said}") for said in clean(record.text).splitlines())
        case Noticed():
            return (Text(f"     {clean_line(record.text, limit=400)}", "dim"),)
        case ModelChanged():
            return (Text(f"     {_model_changed(record)}", "yellow"),)
        case PatchVerified():
            return tuple(_evidence(record.evidence))
        case SessionResumed():
            return tuple(_resumed(record))
        case SessionEnded():
            return ()  # shown once, by `summary`, with what only the result knows
        case _:
            assert_never(record)


def under_way(record: Record) -> str | None:
    """What goes on once a record is logged: words for a status; empty for nothing that takes long.

    None: the record ends nothing and begins nothing.
    """
    match record:
        case SessionStarted() | SessionResumed():
            return "preparing the environment"
        case ActionJudged():
            begun = record.verdict.decision == Decision.ALLOW or record.verdict.approved_by
            return _request_under_way(record.action.request) if begun else ""
        case Noticed() | ModelChanged() | Said() | StepTaken() | PlanMade():
            return None
        case EnvironmentReady() | ActionDone() | PatchVerified() | SessionEnded():
            return ""
        case _:
            assert_never(record)


def _request_under_way(request: Request) -> str:
    if isinstance(request, ModelRequest):
        return f"waiting for {clean_line(request.model)}"
    return _UNDER_WAY.get(request.kind, "")


def patch_text(patch: str) -> Text:
    """A patch as a terminal with colours shows it."""
    code = clean(patch).removesuffix("\n")
    text = Syntax("", "diff", theme="ansi_dark", tab_size=8).highlight(code)
    text.right_crop(1)  # a line feed that the highlighter adds
    return text


def summary(result: Result) -> Iterator[Text]:
    """The end of a run: outcome, what was spent, where the log lies, what to do next."""
    good = result.exit_code == 0
    yield Text(
        f"{result.outcome}: {clean_line(result.reason, limit=400)}", "green" if good else "red"
    )
    if result.patch and not good:
        yield Text(
            f"The patch above is not verified; behind it stands: {result.evidence.level}", "yellow"
        )
    if result.confidence is not None:
        yield Text(
            f"Confidence {result.confidence:.2f}, {len(result.alternatives)} alternatives", "dim"
        )
    cost = "cost not known" if result.cost_usd is None else f"{result.cost_usd} USD"
    tokens = result.input_tokens + result.output_tokens
    yield Text(
        f"{result.steps} steps, {result.candidates} candidates, {result.seconds:.1f} s, "
        f"{tokens} tokens, {cost}",
        "dim",
    )
    yield from (Text(f"     {_model_spending(one)}", "dim") for one in result.spending.models)
    yield from (Text(clean_line(note, limit=400), "dim") for note in result.notes)
    if result.log:
        yield Text(f"Log: {clean_line(result.log, limit=400)}", "dim")


def request_line(request: Request) -> str:  # noqa: C901, PLR0911, PLR0912  one flat line a kind
    """One line that says what is asked."""
    match request:
        case ShellRequest():
            return f"$ {clean_line(request.command)}"
        case PythonRequest():
            return f">>> {clean_line(request.code)}"
        case ReadRequest():
            return clean_line(f"{request.path} from line {request.start}")
        case EditRequest():
            return clean_line(f"{request.operation} in {request.path}")
        case SearchRequest():
            return clean_line(f"{request.pattern} below {request.path}")
        case GitRequest():
            return clean_line("git " + " ".join(request.arguments))
        case RunTestsRequest():
            return _names(request.tests) if request.tests else clean_line(request.command or "all")
        case CandidatesRequest():
            return request.operation
        case ModelRequest():
            return clean_line(f"{request.model}, {len(request.messages)} new messages")
        case RecallRequest():
            return clean_line(request.query.partition("\n")[0])
        case RememberRequest():
            return "the verified solution"
        case VerifyRequest():
            return "in a fresh sandbox: the clean base, then the patch"
        case ApplyRequest():
            return f"the patch to {clean_line(request.target)}"
        case _:
            assert_never(request)


def _model_spending(spent: ModelSpending) -> str:
    cached = f" ({spent.cached_tokens} cached)" if spent.cached_tokens else ""
    cost = "cost not known" if spent.cost_usd is None else f"{spent.cost_usd} USD"
    calls = "1 call" if spent.calls == 1 else f"{spent.calls} calls"
    return (
        f"{clean_line(spent.model)}: {calls}, {spent.input_tokens} tokens in{cached}, "
        f"{spent.output_tokens} out, {cost}"
    )


def _model_changed(record: ModelChanged) -> str:
    before, after = clean_line(record.before), clean_line(record.after)
    return f"{after} takes over from {before}: {clean_line(record.reason, limit=400)}"


def _resumed(record: SessionResumed) -> Iterator[Text]:
    yield Text(f"Session {clean_line(record.session_id)} goes on at step {record.step}")
    if record.limits:
        limits = ", ".join(f"{name} {limit}" for name, limit in record.limits.items())
        yield Text(f"     Limits of the whole session: {clean_line(limits)}", "dim")
    yield from (Text(f"     {clean_line(note)}", "yellow") for note in record.notes)


def _environment(record: EnvironmentReady) -> Iterator[Text]:
    command = clean_line(record.test_command)
    yield Text(f"Sandbox {record.sandbox} ({clean_line(record.image)}), tests: {command}", "dim")
    yield from (Text(f"     {clean_line(note, limit=400)}", "dim") for note in record.notes)


def _plan(plan: Plan, shown: Plan | None) -> Iterator[RenderableType]:
    known = set(shown.steps) if shown and shown.revision == plan.revision else set()
    if not known:
        why = f" (revision {plan.revision}: {clean_line(plan.reason)})" if plan.revision else ""
        yield Text(f"Plan{why}", "yellow" if plan.revision else "bold")
    steps = _two_columns()
    for step in plan.steps:
        if step not in known:
            note = f" - {clean_line(step.note)}" if step.note else ""
            style = _STATES.get(step.state, "")
            title = Text(f"{clean_line(step.title)}{note}", style)
            steps.add_row(Text(f"  {_MARKS[step.state]}", style), title)
    if steps.row_count:
        yield steps


def _evidence(evidence: Evidence) -> Iterator[RenderableType]:
    """What stands behind a patch."""
    good = evidence.level != "none" and not evidence.regressions
    yield Text(f"Evidence: {evidence.level}", "green" if good else "yellow")
    rows = _two_columns()
    for label, value, style in _evidence_rows(evidence):
        rows.add_row(Text(f"     {label}", "dim"), Text(value, style))
    if rows.row_count:
        yield rows


def _evidence_rows(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """Label, value and style of each thing that was seen, best first."""
    if evidence.green_after:
        yield "red before, green after", _names(evidence.green_after), "green"
    elif evidence.red_before:
        yield "still red", _names(evidence.red_before), "red"
    if evidence.regressions:
        yield "broken by the patch", _names(evidence.regressions), "red"
    if evidence.others.total:
        yield "others", f"{evidence.others.passed} of {evidence.others.total} pass", ""
    yield from (("check passed", clean_line(check), "") for check in evidence.checks)
    yield from (("but", clean_line(r, limit=400), "yellow") for r in evidence.reservations)


def _two_columns() -> Table:
    """Rows of a mark or label and what it is about, which is folded where a terminal ends."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _judged(record: ActionJudged) -> Iterator[Text]:
    action, verdict = record.action, record.verdict
    yield Text(f"{action.step:>3}  {clean_line(action.tool)}  {request_line(action.request)}")
    if verdict.decision == Decision.ALLOW:
        return
    by = f", yes from {clean_line(verdict.approved_by)}" if verdict.approved_by else ""
    text = clean_line(f"{verdict.reason} {verdict.remedy}", limit=400)
    style = _DECISIONS[verdict.decision]
    yield Text(f"     {verdict.decision} by {clean_line(verdict.rule)}{by}: {text}", style)


def _done(tool: str, observation: Observation) -> Iterator[Text]:
    """Only what a reader would miss: counts, failures, losses; the whole is in the log."""
    if observation.status in {"failed", "unknown"}:
        yield Text(f"     {clean_line(tool)}: {observation.status}", "red")
    elif observation.timed_out:
        yield Text("     ran out of time and was stopped", "yellow")
    tests = observation.data.get("tests")
    if isinstance(tests, list):
        yield from _tests(tests, complete=observation.data.get("complete") is True)
    elif "tried" in observation.data:
        plausible = observation.data.get("plausible")
        found = len(plausible) if isinstance(plausible, list) else 0
        tried = observation.data["tried"]
        yield Text(f"     {tried} candidates tried, {found} plausible", "green" if found else "dim")
    elif observation.exit_code:
        yield Text(f"     exit code {observation.exit_code}", "dim")
    yield from (Text(f"     {clean_line(note, limit=400)}", "dim") for note in observation.notes)


def _tests(tests: list[Any], *, complete: bool) -> Iterator[Text]:
    outcomes = [(t.get("id", "?"), t.get("outcome")) for t in tests if isinstance(t, dict)]
    red = tuple(str(name) for name, outcome in outcomes if outcome in {"failed", "error"})
    passed = sum(outcome == "passed" for _, outcome in outcomes)
    rest = "" if complete else ", the run did not end properly"
    if red:
        yield Text(f"     {passed} pass, {len(red)} fail{rest}: {_names(red)}", "red")
    else:
        yield Text(f"     {passed} pass, none fails{rest}", "green" if complete else "yellow")


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN_TESTS} more" if len(names) > _SHOWN_TESTS else ""
    return ", ".join(clean_line(name) for name in names[:_SHOWN_TESTS]) + more
