"""Finding out how it came to this: `replay step`, `diff` and `bisect`."""

import sys
from typing import Annotated

import typer

from ledger import ids
from replay import output
from replay.cli.common import (
    DIVERGENCE,
    UNUSABLE,
    AsCsv,
    AsJson,
    AsOf,
    From,
    KnownAt,
    app,
    fail,
    fail_unknown,
    require_kind,
    require_one_format,
    source,
)
from replay.debug.bisect import Bisection, NotGood, NothingCounts, bisect_ledger, bisect_subject
from replay.debug.bisect_tables import show_bisection
from replay.debug.condition_values import ConditionError, Vocabulary
from replay.debug.conditions import Condition, parse
from replay.debug.diff import Point, parse_point
from replay.debug.diff import diff as diff_of
from replay.debug.diff_tables import ACCOUNT_COLUMNS, EVENT_COLUMNS, account_rows, event_rows, show_difference
from replay.debug.ledger_scope import LEDGER
from replay.debug.scopes import STEP
from replay.debug.step_tables import STEP_COLUMNS, show_timeline, step_rows
from replay.debug.stepping import first_where, index_at
from replay.debug.timeline import SUBJECTS as TIMELINES
from replay.debug.timeline import Timeline, as_document, timeline
from replay.history import SUBJECTS
from replay.values import plain


def _condition(text: str, vocabulary: Vocabulary) -> Condition:
    try:
        return parse(text, vocabulary)
    except ConditionError as error:
        fail(str(error), UNUSABLE)


@app.command(
    short_help="A time-travel debugger",
    epilog="Example: replay step pay_k2v7q4mzt5xw3n6j2aq4 --until 'available < 0'",
)
def step(
    subject: Annotated[str, typer.Argument(metavar="CONTRACT|PAYOUT", help="The id of one of them.")],
    until: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Stop at the first step at which this holds: pending(USD) > 0."),
    ] = None,
    at: Annotated[
        int | None, typer.Option(metavar="POSITION", min=0, help="Begin at the step at or just before this position.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Steps forward and back through what happened: the event, state and balances before and after, what caused it.

    In a terminal, a debugger (? shows its keys); elsewhere, or with --json or --csv, the steps themselves.
    """
    require_one_format(as_json, as_csv)
    require_kind(subject, ids.CONTRACT, ids.PAYOUT)
    condition = None if until is None else _condition(until, STEP)
    with source(where) as opened:
        found = timeline(opened, subject, as_of=as_of, known_at=known_at)
        head = opened.log.head()
    if found is None:
        fail_unknown("history of", subject)
    if not found.steps:
        fail_unknown("history of", subject, as_of, known_at)
    _require_positions(head, at)
    start = 0 if at is None else max(index_at(found, at), 0)
    stop = _stop(found, condition, start)
    if not (as_json or as_csv) and sys.stdin.isatty() and sys.stdout.isatty():
        _debug(found, start, condition, stop)
    else:
        _write(found, start, stop, as_json, as_csv)


def _stop(found: Timeline, condition: Condition | None, start: int) -> int | None:
    try:
        return None if condition is None else first_where(found, condition, start)
    except ConditionError as error:
        fail(str(error), UNUSABLE)


def _write(found: Timeline, start: int, stop: int | None, as_json: bool, as_csv: bool) -> None:
    steps = found.steps[start : None if stop is None else stop + 1]
    if as_json:
        stopped = None if stop is None else found.steps[stop].event.position
        output.write(output.as_json({**as_document(found, steps), "stopped_at": stopped}))
    elif as_csv:
        output.write(output.as_csv(STEP_COLUMNS, step_rows(steps)))
    else:
        show_timeline(found, steps)


def _debug(found: Timeline, start: int, condition: Condition | None, stop: int | None) -> None:
    from replay.debug.step_app import StepApp  # a terminal interface takes as long to import as all else here together

    StepApp(found, start if stop is None else stop, condition, stop is not None).run()


def _point(text: str) -> Point:
    try:
        return parse_point(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


_POINT = "A position, an RFC 3339 time that things occurred by, or known:TIME, that they were recorded by."


@app.command(
    short_help="What changed between two points",
    epilog="Example: replay diff known:2026-02-01T00:00:00Z known:2026-03-01T00:00:00Z --as-of 2026-01-31T23:59:59Z --events",
)
def diff(
    a: Annotated[Point, typer.Argument(metavar="A", parser=_point, help=_POINT)],
    b: Annotated[Point, typer.Argument(metavar="B", parser=_point, help="Another.")],
    subject: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only what events of this contract, payout, freelancer or client moved."),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Only this account (fre_…:available), or all of its owner (fre_…)."),
    ] = None,
    events: Annotated[bool, typer.Option("--events", help="The events that made the difference as well.")] = False,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """What changed between two positions or two times, per account, and which events made the difference.

    What was corrected in a closed month: two known times, and its end as --as-of. What was written late: known:T and T.
    """
    require_one_format(as_json, as_csv)
    if subject is not None:
        require_kind(subject, *SUBJECTS)
    with source(where) as opened, output.progress("Reading the log") as further:
        _require_positions(opened.log.head(), a.position, b.position)
        found = diff_of(
            opened, a, b, subject=subject, account=account, as_of=as_of, known_at=known_at, on_events=further
        )
    if found is None:
        what = "history of" if account is None else "account"
        fail_unknown(what, account or subject or "")
    if as_json:
        document = plain(found)
        output.write(
            output.as_json(document if events else {key: document[key] for key in document if key != "events"})
        )
    elif as_csv and events:
        output.write(output.as_csv(EVENT_COLUMNS, event_rows(found)))
    elif as_csv:
        output.write(output.as_csv(ACCOUNT_COLUMNS, account_rows(found)))
    else:
        show_difference(found, events)


def _require_positions(head: int, *positions: int | None) -> None:
    for position in positions:
        if position is not None and position > head:
            fail(f"the log ends at position {head}: there is no {position}, give one up to there", UNUSABLE)


@app.command(
    short_help="The first event that broke it",
    epilog='Example: replay bisect --check \'balance("fre_k2v7q4mzt5xw3n6j2aq4:available", "USD") >= 0\'',
)
def bisect(
    check: Annotated[
        str,
        typer.Option(metavar="CONDITION", help="What should hold: debits == credits, or with --of: available >= 0."),
    ],
    of: Annotated[
        str | None,
        typer.Option(metavar="FREELANCER|CONTRACT|PAYOUT", help="Ask it of one of them, not of the whole ledger."),
    ] = None,
    good: Annotated[int, typer.Option(metavar="POSITION", min=0, help="Where it still held; checked.")] = 0,
    bad: Annotated[int | None, typer.Option(metavar="POSITION", min=1, help="How far to look.")] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    where: From = None,
    as_json: AsJson = False,
) -> None:
    """The first event after which a condition is false, even where it becomes true again.

    Exit status: 0 when it holds throughout, 1 when it was broken.
    """
    if of is not None:
        require_kind(of, *TIMELINES)
    condition = _condition(check, LEDGER if of is None else STEP)
    with source(where) as opened, output.progress("Folding the log") as further:
        head = opened.log.head()
        _require_positions(head, good, bad)
        if good >= (head if bad is None else bad) > 0:
            fail("--good is not before what is looked at: give an earlier one, or a later --bad", UNUSABLE)
        try:
            if of is None:
                found: Bisection | None = bisect_ledger(
                    opened, condition, good=good, bad=bad, as_of=as_of, known_at=known_at, on_events=further
                )
            else:
                found = bisect_subject(opened, of, condition, good=good, bad=bad, as_of=as_of, known_at=known_at)
        except (ConditionError, NothingCounts, NotGood) as error:
            fail(str(error), UNUSABLE)
    if found is None:
        fail_unknown("history of", of or "")
    if as_json:
        output.write(output.as_json(found))
    else:
        show_bisection(found)
    if not found.holds:
        raise typer.Exit(DIVERGENCE)
