"""Records as lines of text: what a terminal shows of a run. Pure; every string is cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, TypeAlias, assert_never

from agent.doors.clean_text import clean, clean_line
from agent.result import Result
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

Tone: TypeAlias = Literal["plain", "quiet", "good", "warn", "bad"]


class Line(NamedTuple):
    """One line and how it is meant; a terminal may colour it, a file must not need to."""

    text: str
    tone: Tone = "plain"


_MARKS = {"pending": "[ ]", "active": "[>]", "done": "[x]", "failed": "[!]", "dropped": "[-]"}
_SHOWN_TESTS = 5


def render(record: Record, shown: Plan | None = None) -> tuple[Line, ...]:  # noqa: C901, PLR0911  one flat line a kind
    """Turn one record into what a terminal shows of it; nothing for inner bookkeeping.

    Args:
        record: What happened.
        shown: The plan as it was last shown: of the same revision only what moved is shown again.
    """
    match record:
        case SessionStarted():
            return (Line(f"Session {clean_line(record.session_id)}", "quiet"),)
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
            return tuple(Line(f"     {line}") for line in clean(record.text).splitlines())
        case Noticed():
            return (Line(f"     {clean_line(record.text, limit=400)}", "quiet"),)
        case PatchVerified():
            return tuple(evidence_lines(record.evidence))
        case SessionResumed():
            notes = tuple(Line(f"     {clean_line(n)}", "warn") for n in record.notes)
            return (Line(f"Session {record.session_id} goes on at step {record.step}"), *notes)
        case SessionEnded():
            return ()  # shown once, by `summary`, with what only the result knows
        case _:
            assert_never(record)


def evidence_lines(evidence: Evidence) -> Iterator[Line]:
    """What stands behind a patch."""
    good = evidence.level != "none" and not evidence.regressions
    yield Line(f"Evidence: {evidence.level}", "good" if good else "warn")
    if evidence.green_after:
        yield Line(f"     red before, green after: {_names(evidence.green_after)}", "good")
    elif evidence.red_before:
        yield Line(f"     still red: {_names(evidence.red_before)}", "bad")
    if evidence.regressions:
        yield Line(f"     broken by the patch: {_names(evidence.regressions)}", "bad")
    if evidence.others.total:
        yield Line(f"     others: {evidence.others.passed} of {evidence.others.total} pass")
    yield from (Line(f"     check passed: {clean_line(check)}") for check in evidence.checks)
    yield from (
        Line(f"     but: {clean_line(r, limit=400)}", "warn") for r in evidence.reservations
    )


def summary(result: Result) -> Iterator[Line]:
    """The end of a run: outcome, what was spent, where the log lies, what to do next."""
    good = result.exit_code == 0
    yield Line(
        f"{result.outcome}: {clean_line(result.reason, limit=400)}", "good" if good else "bad"
    )
    if result.patch and not good:
        yield Line(
            f"The patch above is not verified; behind it stands: {result.evidence.level}", "warn"
        )
    if result.confidence is not None:
        yield Line(
            f"Confidence {result.confidence:.2f}, {len(result.alternatives)} alternatives", "quiet"
        )
    cost = "cost not known" if result.cost_usd is None else f"{result.cost_usd} USD"
    tokens = result.input_tokens + result.output_tokens
    yield Line(
        f"{result.steps} steps, {result.candidates} candidates, {result.seconds:.1f} s, "
        f"{tokens} tokens, {cost}",
        "quiet",
    )
    yield from (Line(clean_line(note, limit=400), "quiet") for note in result.notes)
    if result.log:
        yield Line(f"Log: {clean_line(result.log, limit=400)}", "quiet")


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
            return clean_line(request.query)
        case RememberRequest():
            return "the verified solution"
        case VerifyRequest():
            return "in a fresh sandbox: the clean base, then the patch"
        case ApplyRequest():
            return f"the patch to {clean_line(request.target)}"
        case _:
            assert_never(request)


def _environment(record: EnvironmentReady) -> Iterator[Line]:
    command = clean_line(record.test_command)
    yield Line(f"Sandbox {record.sandbox} ({clean_line(record.image)}), tests: {command}", "quiet")
    yield from (Line(f"     {clean_line(note, limit=400)}", "quiet") for note in record.notes)


def _plan(plan: Plan, shown: Plan | None) -> Iterator[Line]:
    known = set(shown.steps) if shown and shown.revision == plan.revision else set()
    if not known:
        why = f" (revision {plan.revision}: {clean_line(plan.reason)})" if plan.revision else ""
        yield Line(f"Plan{why}", "warn" if plan.revision else "plain")
    for step in plan.steps:
        if step not in known:
            note = f" - {clean_line(step.note)}" if step.note else ""
            yield Line(f"  {_MARKS[step.state]} {clean_line(step.title)}{note}")


def _judged(record: ActionJudged) -> Iterator[Line]:
    action, verdict = record.action, record.verdict
    yield Line(f"{action.step:>3}  {clean_line(action.tool)}  {request_line(action.request)}")
    if verdict.decision == Decision.ALLOW:
        return
    by = f", yes from {clean_line(verdict.approved_by)}" if verdict.approved_by else ""
    text = clean_line(f"{verdict.reason} {verdict.remedy}", limit=400)
    tone: Tone = "bad" if verdict.decision == Decision.DENY else "warn"
    yield Line(f"     {verdict.decision} by {clean_line(verdict.rule)}{by}: {text}", tone)


def _done(tool: str, observation: Observation) -> Iterator[Line]:
    """Only what a reader would miss: counts, failures, losses; the whole is in the log."""
    if observation.status in {"failed", "unknown"}:
        yield Line(f"     {clean_line(tool)}: {observation.status}", "bad")
    elif observation.timed_out:
        yield Line("     ran out of time and was stopped", "warn")
    tests = observation.data.get("tests")
    if isinstance(tests, list):
        yield from _tests(tests, complete=observation.data.get("complete") is True)
    elif "tried" in observation.data:
        plausible = observation.data.get("plausible")
        found = len(plausible) if isinstance(plausible, list) else 0
        tried = observation.data["tried"]
        yield Line(
            f"     {tried} candidates tried, {found} plausible", "good" if found else "quiet"
        )
    elif observation.exit_code:
        yield Line(f"     exit code {observation.exit_code}", "quiet")
    yield from (Line(f"     {clean_line(note, limit=400)}", "quiet") for note in observation.notes)


def _tests(tests: list[Any], *, complete: bool) -> Iterator[Line]:
    outcomes = [(t.get("id", "?"), t.get("outcome")) for t in tests if isinstance(t, dict)]
    red = tuple(str(name) for name, outcome in outcomes if outcome in {"failed", "error"})
    passed = sum(outcome == "passed" for _, outcome in outcomes)
    rest = "" if complete else ", the run did not end properly"
    if red:
        yield Line(f"     {passed} pass, {len(red)} fail{rest}: {_names(red)}", "bad")
    else:
        yield Line(f"     {passed} pass, none fails{rest}", "good" if complete else "warn")


def _names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN_TESTS} more" if len(names) > _SHOWN_TESTS else ""
    return ", ".join(clean_line(name) for name in names[:_SHOWN_TESTS]) + more
