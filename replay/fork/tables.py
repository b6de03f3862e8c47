"""What would have been, as people read it: old and new side by side."""

from datetime import datetime

from replay.fork.forking import Refusal
from replay.fork.sides import Ask, Captured, PayoutSide
from replay.fork.what_if import WhatIf
from replay.output import row, show, table
from replay.values import instant, money

_NONE = "-"


def show_what_if(found: WhatIf) -> None:
    whose = f" of what hangs together with {found.subject}" if found.subject else ""
    settings = ", ".join(f"{name} = {value}" for name, value in found.settings.items()) or "the rules as they are"
    expected = f" and {found.expected} that would follow by themselves, both shown as old" if found.expected else ""
    show(
        f"A fork of history{whose} by {instant(found.until)}: {found.edits} edit(s), {settings}",
        f"{found.events - found.expected} events in history{expected}, {found.new_events} in the fork; nothing was written or"
        " sent",
    )
    if found.differs_at is not None:
        show(
            f"NOTE: with nothing edited this history does not come again from {found.differs_at} on: it was made by other"
            " code, or put together by hand. What differs below need not be the edits' doing."
        )
    if found.partial:
        show(
            "NOTE: this source holds a part of what its parties did: a withdrawal that is left out may have been covered by"
            " money that is not known here, and no balance is whole."
        )
    _show_payouts(found)
    _show_accounts(found)
    _show_captured(found.captured)
    _show_refused(found.refused)


def _show_payouts(found: WhatIf) -> None:
    if not found.payouts:
        show(f"Payouts: none changes ({found.unchanged_payouts} stay as they are)")
        return
    made = table("payout", "of", "", "status", "amount", "charged at", "available on", "released at", right=["amount"])
    for one in found.payouts:
        if not one.changed:
            row(made, one.payout_id, one.source, "same", *_side(one.old))
            continue
        row(made, one.payout_id, one.source, "old", *_side(one.old))
        row(made, None, None, "new", *_side(one.new))
    show(f"Payouts ({found.unchanged_payouts} stay as they are)", made)


def _side(side: PayoutSide | None) -> tuple[str, ...]:
    if side is None:
        return ("none", *[_NONE] * 4)
    times = (side.charged_at, side.available_on, side.released_at)
    return (side.status.replace("_", " "), money(side.amount, side.currency), *map(_at, times))


def _at(at: datetime | None) -> str:
    return _NONE if at is None else instant(at)


def _show_accounts(found: WhatIf) -> None:
    if not found.accounts:
        show("Accounts: none changes")
        return
    made = table("account", "old", "new", "difference", right=["old", "new", "difference"])
    for one in found.accounts:
        sides = (_NONE if amount is None else money(amount, one.currency) for amount in (one.old, one.new))
        difference = money(one.difference, one.currency)
        row(made, one.account, *sides, difference if one.difference < 0 else f"+{difference}")
    show("Accounts", made)


def _show_captured(captured: tuple[Captured, ...]) -> None:
    if not captured:
        show("Charges, withdrawals and refunds: as they were")
        return
    made = table("what", "key", "", "amount", "asked at", "answer", "true at", right=["amount"])
    for one in captured:
        row(made, one.kind, one.key, "old", *_ask(one.old, assumed=False))
        row(made, None, None, "new", *_ask(one.new, assumed=one.assumed))
    show("Charges, withdrawals and refunds: captured, not sent", made)


def _ask(ask: Ask | None, *, assumed: bool) -> tuple[str, ...]:
    if ask is None:
        return ("none", *[_NONE] * 3)
    answer = f"{ask.outcome} (assumed)" if assumed else ask.outcome
    return (money(ask.amount, ask.currency), instant(ask.at), answer, _at(ask.ended_at))


def _show_refused(refused: tuple[Refusal, ...]) -> None:
    if not refused:
        show("Nothing would have been refused.")
        return
    made = table("event", "command", "at", "would have been refused")
    for one in refused:
        row(made, one.event_id or _NONE, f"{one.command} {one.subject}", one.at, f"{one.code}: {one.detail}")
    show("Left out", made)
