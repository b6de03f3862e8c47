"""Settlement reports as Stripe writes them, made of a processor's own books: what the ledger says of itself is not asked.

file.write_bytes(as_csv(simulated(database)))
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from ledger.store.database import Database
from tests.processors.fake_books import Books

Cells = dict[str, str]
COLUMNS = (
    *("balance_transaction_id", "created_utc", "created", "available_on_utc", "available_on", "currency", "gross"),
    *("fee", "net", "reporting_category", "source_id", "description", "customer_facing_amount"),
    *("customer_facing_currency", "charge_id", "payment_intent_id", "payment_method_type", "connected_account_id"),
    *("payment_metadata[payout_id]", "payment_metadata[attempt]", "refund_metadata[refund_id]"),
    "transfer_metadata[withdrawal_id]",
)
DECIMALS = {"JPY": 0, "BHD": 3}


def cells(number: int, at: datetime, category: str, gross: int, currency: str = "USD", **more: str) -> Cells:
    """A row. `gross` is in minor units; the fee is three per cent of what came in."""
    fee = gross * 3 // 100 if category == "charge" else 0
    amounts = {"gross": gross, "fee": fee, "net": gross - fee}
    when = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return {
        "balance_transaction_id": f"txn_{number:06}",
        "created_utc": when,
        "created": when,
        "currency": currency.lower(),
        "reporting_category": category,
        **{name: decimal(amount, currency) for name, amount in amounts.items()},
        **{_COLUMN.get(name, name): text for name, text in more.items()},
    }


_COLUMN = {
    "payout_id": "payment_metadata[payout_id]",
    "attempt": "payment_metadata[attempt]",
    "refund_id": "refund_metadata[refund_id]",
    "withdrawal_id": "transfer_metadata[withdrawal_id]",
}


def decimal(amount: int, currency: str) -> str:
    """Of minor units, digit by digit: another way than the ledger's."""
    decimals = DECIMALS.get(currency, 2)
    digits = str(abs(amount)).zfill(decimals + 1)
    shown = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    return f"-{shown}" if amount < 0 else shown


def as_csv(rows: Iterable[Cells], columns: Iterable[str] = COLUMNS, delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(columns), restval="", extrasaction="ignore", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def simulated(database: Database) -> list[Cells]:
    """What the sandbox's processor moved, by its own table. It knows no chargebacks."""
    rows: list[Cells] = []
    for one in database.fetch("SELECT * FROM simulated_operations ORDER BY at, key"):
        about = (one["at"], one["amount"], one["currency"])
        for category, sign, names in _simulated(one):
            at, amount, currency = about
            rows.append(cells(len(rows) + 1, at, category, sign * amount, currency, **names))
    return rows


def _simulated(one: dict[str, Any]) -> Iterator[tuple[str, int, dict[str, str]]]:
    subject, key = one["subject"], one["key"]
    match one["kind"], one["outcome"]:
        case "charge", "paid":
            attempt = key.rpartition(":")[2]
            yield "charge", 1, {"source_id": f"ch_{key}", "payout_id": subject, "attempt": attempt}
        case "refund", _:
            yield "refund", -1, {"source_id": f"re_{key}", "refund_id": key, "payout_id": subject}
        case "transfer", outcome:
            yield "transfer", -1, {"source_id": f"tr_{key}", "withdrawal_id": subject}
            if outcome == "failed":
                yield "transfer_reversal", 1, {"source_id": f"trr_{key}", "withdrawal_id": subject}


def at_stripe(books: Books) -> list[Cells]:
    """What the fake Stripe moved, by its books."""
    found: list[tuple[int, str, int, dict[str, str]]] = []
    for one in books.payments.values():
        if one["status"] == "succeeded":
            charge = one["latest_charge"]
            found.append(
                (charge["created"], "charge", charge["amount"], {**_paid(books, one["id"]), "source_id": charge["id"]})
            )
    for one in books.refunds.values():
        names = {"source_id": one["id"], "refund_id": one["metadata"].get("refund_id", "")}
        found.append((one["created"], "refund", -one["amount"], {**_paid(books, one["payment_intent"]), **names}))
    for one in books.disputes.values():
        for moved in one["balance_transactions"]:
            category = "dispute" if moved["amount"] < 0 else "dispute_reversal"
            names = {**_paid(books, one["payment_intent"]), "source_id": one["id"]}
            found.append((moved["created"], category, moved["amount"], names))
    for one in books.transfers.values():
        names = {"withdrawal_id": one["metadata"]["withdrawal_id"]}
        found.append((one["created"], "transfer", -one["amount"], {**names, "source_id": one["id"]}))
        found += [
            (back["created"], "transfer_reversal", back["amount"], {**names, "source_id": back["id"]})
            for back in one["reversals"]["data"]
        ]
    return [
        cells(number, datetime.fromtimestamp(at, UTC), category, gross, **names)
        for number, (at, category, gross, names) in enumerate(sorted(found, key=lambda one: one[0]), 1)
    ]


def _paid(books: Books, payment: str) -> dict[str, str]:
    one = books.payments[payment]
    written = {"payout_id": one["metadata"]["payout_id"], "attempt": one["metadata"]["attempt"]}
    return {"payment_intent_id": payment, "charge_id": one["latest_charge"]["id"], **written}
