"""A case as people read it: what it is, what it proves, what happened, and what it comes to."""

from collections.abc import Sequence

from replay.case.opening import Opening
from replay.history import History
from replay.output import row, show, table
from replay.tables import show_history
from replay.values import money


def show_opening(found: Opening) -> None:
    show(*_lines(found), "")
    show_history(History("history", found.contract_id, found.position, found.events))
    _show_payouts(found)
    _show_accounts(found)
    show(verdict(found))


def _lines(found: Opening) -> list[str]:
    times = [f"as of {found.as_of}" if found.as_of else "", f"as known at {found.known_at}" if found.known_at else ""]
    narrowed = "".join(f", {one}" for one in times if one)
    pinned = "the key that was asked for" if found.pinned else "not compared with a key of yours: give it with --key"
    texts = ", ".join(f"{count} {status}" for status, count in found.texts.items()) or "none"
    return [
        f"Case of {found.contract_id}, read up to position {found.position}{narrowed}",
        f"Signed by {found.fingerprint} ({pinned})",
        f"Written by {found.written_by}; replayed by {found.replayed_by}",
        f"Proof: {_proof(found)}",
        f"Texts: {texts}",
    ]


def _proof(found: Opening) -> str:
    count, proved = len(found.events), found.proved
    where = f"{proved} of {count} events stand in the log as it was signed at {len(found.checkpoints)} checkpoint(s)"
    if proved == count:
        return where
    return f"{where}; the others are linked, and rest on the signature of this file"


def _show_payouts(found: Opening) -> None:
    amounts = ("amount", "charged", "pending", "released", "returned", "reversed")
    made = table("payout", "for", "status", "available on", *amounts, right=amounts)
    for one in found.payouts:
        sums = (
            one.amount,
            one.charged,
            one.pending,
            one.released,
            one.returned,
            one.reversed_before + one.reversed_after,
        )
        shown = (money(amount, one.currency) for amount in sums)
        row(made, one.id, one.source.type, one.status.replace("_", " "), one.available_on or "-", *shown)
    show("Payouts", made) if found.payouts else show("No payouts.\n")


def _show_accounts(found: Opening) -> None:
    amounts = ("debits", "credits", "balance")
    made = table("account", "currency", *amounts, right=amounts)
    for one in found.accounts:
        row(
            made,
            one.account,
            one.currency,
            *(money(sum_, one.currency) for sum_ in (one.debits, one.credits, one.balance)),
        )
    what = "Accounts: what the events of this case moved (a party's balance may hold other contracts' money too)"
    show(what, made) if found.accounts else show("No money was moved.\n")


def verdict(found: Opening) -> str:
    """One line: whether the present code makes the same of it."""
    if found.ok:
        return f"OK: the file is as it was signed, and gives the recorded result ({found.result_sha256[:16]}) again."
    return f"NOT OK: the file is as it was signed, but the present code no longer gives its result: {found.difference}."


def show_replays(rows: Sequence[tuple[str, str, str]]) -> None:
    """Of many files: the file, its contract, what became of it."""
    made = table("file", "contract", "result")
    for one in rows:
        row(made, *one)
    show(made)
