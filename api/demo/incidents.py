"""What happens on contracts of the demo beside their ordinary course: objections, corrections, cards that fail, reversals."""

from collections.abc import Callable, Generator
from datetime import datetime

from api.demo.market import CARD, DECLINING_CARD, END, Deal, Json, Story
from ledger.calendar import WEEK, week_of
from ledger.clock import DAY
from ledger.postings import PLATFORM

CYCLES = ("timesheet", "fixed_rate")
Awaited = Generator[datetime, None, Json]
"""A story that ends with a payout."""


def _payout(deal: Deal, status: str) -> Awaited:
    """The latest payout of that status, waiting until there is one."""
    while True:
        payout = deal.payout(status)
        if payout is not None:
            return payout
        yield deal.market.later(1, 11)


def _under_review(deal: Deal) -> Awaited:
    """The payout of a cycle that closed the day before, waiting until there is one."""
    while True:
        yield deal.market.next_week(1, 11)
        payout = deal.payout("pending")
        if payout is not None and payout["source"]["type"] in CYCLES and payout["objection"] is None:
            return payout


# Time and cycles


def corrects(deal: Deal) -> Story:
    """On two Monday mornings the freelancer looks through last week's time: an entry is shortened, another removed."""
    for amends in (True, False):
        yield deal.market.next_week(0, 9)
        while not deal.entries or deal.entries[-1]["date"] < f"{week_of(deal.market.now) - WEEK:%Y-%m-%d}":
            yield deal.market.next_week(0, 9)
        entry = deal.entries.pop()
        path = f"{deal.path}/time-entries/{entry['id']}"
        if amends:
            shorter = {"minutes": entry["minutes"] - 30, "memo": "Half an hour of it was a break"}
            deal.market.api.call("PATCH", path, deal.freelancer.key, shorter)
        else:
            deal.market.api.call("DELETE", path, deal.freelancer.key)


def objection_withdrawn(deal: Deal) -> Story:
    """The client objects on Tuesday and withdraws that on Thursday."""
    payout = yield from _under_review(deal)
    _object(deal, payout, "Is Thursday not in there twice?")
    yield deal.market.later(2, 14)
    deal.market.api.post(f"/v1/payouts/{payout['id']}/objections/withdraw", deal.client.key)


def objection_reduced(deal: Deal) -> Story:
    """The client objects; they agree outside the ledger, and the freelancer settles it for a fifth less."""
    payout = yield from _under_review(deal)
    _object(deal, payout, "We had agreed on less this time.")
    yield deal.market.later(1, 14)
    less = {"amount": payout["amount"] * 4 // 5}
    deal.market.api.post(f"/v1/payouts/{payout['id']}/reduce", deal.freelancer.key, less)


def objection_open(deal: Deal) -> Story:
    """On the last day, two hours after the close, the client objects: so one payout stays pending."""
    yield END - END.hour * (DAY / 24) + 14 * (DAY / 24)
    payout = deal.payout("pending")
    if payout is not None:
        _object(deal, payout, "Please say what the review on Wednesday was for.")


def _object(deal: Deal, payout: Json, reason: str) -> None:
    deal.market.api.post(f"/v1/payouts/{payout['id']}/objections", deal.client.key, {"reason": reason})


# Money


def bonus(deal: Deal) -> Story:
    """A thank-you in the third week, charged at the next close (rule 20)."""
    yield deal.market.later(15, 14)
    deal.as_client("bonuses", {"amount": deal.job.price, "note": "Thank you for the quick help!"})


def card_recovers(deal: Deal) -> Story:
    """From the fifth week the client's card declines. An operator tries once more, then the client gives another."""
    yield deal.market.next_week(0, 9) + 3 * WEEK
    deal.market.bill(deal.client, DECLINING_CARD)
    failed = yield from _payout(deal, "charge_failed")
    yield deal.market.later(1, 14)
    deal.market.api.post(f"/v1/payouts/{failed['id']}/retry-charge", deal.market.operators.first)
    yield deal.market.later(1, 9)
    deal.market.bill(deal.client, CARD)


def card_suspends(deal: Deal) -> Story:
    """The client's card declines from the start. The fifth failure suspends the contract until there is another card."""
    deal.market.bill(deal.client, DECLINING_CARD)
    while deal.state()["status"] != "suspended":
        yield deal.market.later(1, 11)
    yield deal.market.later(2, 14)
    deal.market.bill(deal.client, CARD)


def refund(deal: Deal) -> Story:
    """A quarter of a released payout goes back to the client."""
    yield from _reverse(deal, "refund", 4)


def chargeback(deal: Deal) -> Story:
    """The client's bank takes a released payout back: what is available may fall below zero."""
    yield from _reverse(deal, "chargeback", 1)


def chargeback_won(deal: Deal) -> Story:
    """A chargeback again, but ten days later it is won, and the money comes back to where it was taken from."""
    payout, reversal = yield from _reverse(deal, "chargeback", 1)
    yield deal.market.later(10, 14)
    path = f"/v1/payouts/{payout['id']}/reversals/{reversal['id']}/reinstate"
    deal.market.api.post(path, deal.market.operators.first)


def _reverse(deal: Deal, reason: str, parts: int) -> Generator[datetime, None, tuple[Json, Json]]:
    """A part of the latest released payout, some days after its release."""
    yield from _payout(deal, "released")
    yield deal.market.later(5, 14)
    payout = yield from _payout(deal, "released")
    taken = {"amount": payout["amount"] // parts, "reason": reason}
    path = f"/v1/payouts/{payout['id']}/reversals"
    return payout, deal.market.api.post(path, deal.market.operators.first, taken)


def adjustment(deal: Deal) -> Story:
    """The platform makes good what a bank kept of a payment: one operator proposes, another approves (rule 27)."""
    market = deal.market
    payout = yield from _payout(deal, "released")
    yield market.later(3, 11)
    path = f"/v1/events?payout_id={payout['id']}&type=payout.released.v1"
    (released,) = market.api.get(path, market.operators.first)["data"]
    moved = {"amount": 1_500, "currency": payout["currency"]}
    proposal = {
        "reason": "The freelancer's bank kept 15.00 of this payment; the platform makes it good.",
        "corrects_event_id": released["id"],
        "postings": [
            {"account": PLATFORM, "direction": "debit", **moved},
            {"account": f"{payout['freelancer_id']}:available", "direction": "credit", **moved},
        ],
    }
    proposed = market.api.post("/v1/adjustments", market.operators.first, proposal)
    yield market.later(0, 14)
    market.api.post(f"/v1/adjustments/{proposed['id']}/approve", market.operators.second)


INCIDENTS: dict[str, Callable[[Deal], Story]] = {
    "corrects": corrects,
    "objection_withdrawn": objection_withdrawn,
    "objection_reduced": objection_reduced,
    "objection_open": objection_open,
    "bonus": bonus,
    "card_recovers": card_recovers,
    "card_suspends": card_suspends,
    "refund": refund,
    "chargeback": chargeback,
    "chargeback_won": chargeback_won,
    "adjustment": adjustment,
}
"""By the twist that they play; the other twists belong to a contract's own story."""
