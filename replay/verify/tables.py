"""A verification as people read it."""

from collections.abc import Sequence

from replay.output import row, show, table
from replay.values import money
from replay.verify.findings import Finding, Report

SHOWN = 20
"""How many findings are shown to people; programs get them all."""

_OK = {
    "live": "OK: the log is intact, every invariant holds, and every projection is what the log gives.",
    "archive": "OK: the archive's files are whole, their columns say what their events say, the log in them is intact, and"
    " every invariant holds.",
    "case": "OK: the case is what was signed, its events stand in the chain, and every invariant of its payouts holds.",
}
_OK_PART = "OK: the chain of what was looked at is intact."
_OK_UNPROVED = (
    "OK: the case is what was signed, and every invariant of its payouts holds; that {} of its {} events stand in the chain is"
    " the signer's word."
)


def show_report(report: Report) -> None:
    """Counts, totals, projections; then that all is well, or what is not, the first divergence first."""
    since = f" after position {report.after}" if report.after else ""
    show(f"The log: {report.events} events{since} on {report.streams} streams, up to position {report.position}")
    if report.source == "case":
        show(f"Proof: up to {report.checkpoints} signed checkpoint(s)")
    else:
        show(f"Chain head: {report.head_hash}, {report.checkpoints} signed checkpoint(s) agree")
    if report.source != "live":
        show(f"Signed by: {report.public_key or 'nobody'}")
    if texts := _texts(report):
        show(f"Texts: {texts}")
    if report.totals or not report.not_verified:
        _show_books(report)
    for one in report.not_verified:
        show(f"Not looked at: {one}.")
    if report.ok:
        show(_all_well(report))
    else:
        _show_findings(report.finding_count, report.findings)
        if report.tampering is not None:
            show(f"What was done: {report.tampering.what}.")


def _all_well(report: Report) -> str:
    if report.source == "live" and report.not_verified:
        return _OK_PART
    unproved = report.events - (report.proved or 0)
    if report.source == "case" and unproved:
        return _OK_UNPROVED.format(unproved, report.events)
    return _OK[report.source]


def _texts(report: Report) -> str:
    """What is known of them; nothing where they were not looked at."""
    counts = {
        "intact": report.texts_intact,
        "redacted": report.texts_redacted,
        "withheld": report.texts_withheld,
        "not here": report.texts_unavailable,
        "erased": report.texts_erased,
    }
    is_known = not report.texts_unavailable and (any(counts.values()) or not report.not_verified)
    always = ("intact", "erased") if is_known else ()
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count or what in always)


def _show_books(report: Report) -> None:
    show(f"Books: {report.accounts} accounts, {report.payouts} payouts, {report.freelancers} freelancers")
    totals = table("currency", "debits", "credits", right=["debits", "credits"])
    for one in report.totals:
        row(totals, one.currency, money(one.debits, one.currency), money(one.credits, one.currency))
    show(totals)
    if report.projections:
        counts = table("projection refolded", "up to position", "rows", right=["up to position", "rows"])
        for projection in report.projections:
            row(counts, projection.name, projection.position, projection.rows)
        show(counts)


def _show_findings(count: int, findings: Sequence[Finding]) -> None:
    show(f"NOT OK: {count} divergence(s). The first:", *(f"  {line}" for line in _described(findings[0])))
    if count > 1:
        made = table("#", "event", "check", "about", "what", "minor units", right=["#", "minor units"])
        for one in findings[1:SHOWN]:
            about = " ".join(filter(None, (one.projection, one.key or one.account, one.column)))
            row(made, one.position, one.event_id, one.check, about, one.what, one.minor_units)
        show(made)
    if count > SHOWN:
        show(f"{count - SHOWN} more; --json names the first {len(findings)}.")


def _described(one: Finding) -> list[str]:
    where = "" if one.position is None else f" at position {one.position}"
    event = f", event {one.event_id}" if one.event_id else ""
    lines = [f"{one.check}{where}{event}: {one.what}"]
    if one.projection:
        lines.append(" ".join(filter(None, (f"projection {one.projection}", one.key, one.column))))
    if one.column:
        lines.append(f"live: {one.live}    refolded: {one.refolded}")
    elif one.live or one.refolded:
        lines.append(f"live: {one.live}" if one.live else f"refolded: {one.refolded}")
    if one.account:
        lines.append(f"account: {one.account}")
    if one.minor_units is not None:
        lines.append(f"difference: {one.minor_units} minor units")
    return lines
