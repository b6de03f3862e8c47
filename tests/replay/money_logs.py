"""Logs in memory: of any events, and of money that hypothesis moves about as no ledger would, up to the largest amounts."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from ledger import events as e
from ledger.codec import encode
from ledger.ids import derive
from ledger.money import MAX_AMOUNT
from ledger.store import chain
from ledger.store.log import Stored

START = datetime(2026, 1, 30, tzinfo=UTC)
MICROSECOND, DAY = timedelta(microseconds=1), timedelta(days=1)
FREELANCERS = (derive("fre", "one"), derive("fre", "two"))
CLIENT, PAYROLLS, CONTRACT = derive("cli", "one"), derive("eor", "one"), derive("con", "one")
CURRENCIES = ("JPY", "USD", "BHD", "CLF")
"""With no, two, three and four decimals."""


class EventsLog:
    """A log that is only in memory, each event on a stream of its own: `str_1` and on."""

    def __init__(self, events: Iterable[e.Event]) -> None:
        self._stored: list[Stored] = []
        head = chain.START
        for position, event in enumerate(events, 1):
            stream, state = f"str_{position}", encode(event)
            head = chain.link(head, position, 1, stream, event.TOPIC, state)
            self._stored.append(Stored(position, stream, 1, event.TOPIC, state, head))

    def head(self) -> int:
        return len(self._stored)

    def read_all(self, *, after: int = 0, until: int | None = None) -> Iterator[Stored]:
        yield from self._stored[after:until]

    def find(self, stream: str, version: int) -> Stored | None:
        return next((one for one in self._stored if (one.stream, one.version) == (stream, version)), None)


amounts = st.one_of(st.integers(1, MAX_AMOUNT), st.sampled_from((1, 9, 99, 100, 1_000, 10**14 + 1, MAX_AMOUNT)))
instants = st.builds(
    lambda days, micro: START + days * DAY + micro * MICROSECOND,
    st.integers(0, 65),
    st.one_of(st.integers(0, DAY // MICROSECOND - 1), st.sampled_from((0, DAY // MICROSECOND - 1))),
)


@st.composite
def moved(draw: st.DrawFn) -> e.Event:
    """An event that moves money, of any kind."""
    at = draw(instants)
    stamp: dict[str, Any] = {
        "actor": "system",
        "occurred_at": at,
        "recorded_at": at + draw(st.integers(0, 40)) * DAY,
        "command_id": "cmd_1",
    }
    currency, amount, other = draw(st.sampled_from(CURRENCIES)), draw(amounts), draw(amounts)
    freelancer = draw(st.sampled_from(FREELANCERS))
    number = str(draw(st.integers(1, 3)))
    payout: dict[str, Any] = {
        "payout_id": derive("pay", number),
        "contract_id": CONTRACT,
        "client_id": CLIENT,
        "freelancer_id": freelancer,
        "payee": draw(st.sampled_from((freelancer, PAYROLLS))),
        "currency": currency,
    }
    waits: dict[str, Any] = {"release_at": None, "next_release_at": None}
    withdrawal = {"freelancer_id": freelancer, "withdrawal_id": derive("wdr", number), "currency": currency}
    reversal = {"reversal_id": derive("rev", number), **waits}
    match draw(st.integers(0, 8)):
        case 0:
            return e.PayoutCharged(
                **stamp, **payout, **waits, attempt=1, amount=amount, reference="ch_1", hold_until=at + 4 * DAY
            )
        case 1:
            return e.PayoutReleased(**stamp, **payout, amount=amount)
        case 2:
            return e.PayoutReduced(**stamp, **payout, **waits, refund_id="red_1", amount=other, returned=amount)
        case 3:
            taken = {"from_pending": amount, "from_available": draw(st.sampled_from((0, other)))}
            reason = draw(st.sampled_from(("refund", "chargeback")))
            return e.PayoutReversed(**stamp, **payout, **reversal, **taken, reason=reason, ends_objection=False)
        case 4:
            return e.ReversalReinstated(**stamp, **payout, **reversal, to_pending=0, to_available=amount)
        case 5:
            return e.RefundPaid(**stamp, **payout, refund_id="red_1", amount=amount, reference="re_1")
        case 6:
            kind: Any = draw(st.sampled_from((e.WithdrawalPaid, e.WithdrawalFailed)))
            failure = {"failure": 'a "bank"; said | no, [2026-01-01]\n'} if kind is e.WithdrawalFailed else {}
            return kind(**stamp, **withdrawal, **failure, amount=amount)  # type: ignore[no-any-return]
        case 7:
            method = e.Sealed(id="vlt_1", sha256="0" * 64)
            return e.WithdrawalRequested(**stamp, **withdrawal, amount=amount, method=method)
    return e.AdjustmentApproved(**stamp, adjustment_id="adj_1", person="per_1", postings=draw(_adjusted(freelancer)))


@st.composite
def _adjusted(draw: st.DrawFn, freelancer: str) -> tuple[e.Posting, ...]:
    """Balanced postings, in several currencies."""
    accounts = (f"{freelancer}:available", f"{CLIENT}:returned", "processor", "platform:adjustments")
    postings = []
    for currency in draw(st.lists(st.sampled_from(CURRENCIES), min_size=1, max_size=3, unique=True)):
        debit, credit = draw(st.permutations(accounts))[:2]
        amount = draw(amounts)
        postings.append(e.Posting(account=debit, direction="debit", amount=amount, currency=currency))
        postings.append(e.Posting(account=credit, direction="credit", amount=amount, currency=currency))
    return tuple(postings)


logs = st.lists(moved(), max_size=12).map(EventsLog)
