"""One history in which every kind of event happens, and its golden files: one event of each class as it is stored.

Ids and times are fixed, so that it comes out the same each time. A golden is written once and never changed, as stored events
are not: `python -m tests.properties.everything` writes those that are missing.
"""

from pathlib import Path

from ledger.codec import encode
from ledger.events import EVENTS, Event
from ledger.postings import PLATFORM
from tests.history import DAY, HOUR, History

GOLDENS = Path(__file__).parents[1] / "golden" / "events"


def everything() -> History:
    history = History("2026-01-05 09:00", card="declines", bank=None)
    _offers(history)
    _employee(history)
    milestones, hourly = _work(history)
    _charges(history, milestones)
    _reviews(history, hourly)
    _funds(history, milestones)
    return history


def _offers(history: History) -> None:
    history.decline(history.offer("single_payment", amount=4000, currency="EUR"))
    history.withdraw_offer(history.offer("fixed_rate", rate=90_000))
    conversion = history.record_conversion()
    history.offer("fixed_rate", rate=90_000, cadence="biweekly", sourcing="marketplace", conversion_id=conversion)
    waits = history.active("fixed_rate", rate=90_000, currency="JPY")
    history.payout_method("pays")
    history.complete(waits, by="freelancer")


def _employee(history: History) -> None:
    contract = history.active("hourly", hourly_rate=6000, classification_by="service", outcome=None, currency="CHF")
    history.answer_questionnaire(contract)
    history.recommend(contract, "employee")
    history.decide_classification(contract, "employee")
    history.employer_of_record(contract)
    history.payroll(contract, 300_000)


def _work(history: History) -> tuple[str, str]:
    """A milestone that is approved and cannot be charged, and a week of hours."""
    milestones = history.active("milestone", milestones=(50_000, 20_000))
    history.decline_request(milestones, history.add_milestone(milestones, 700, by="freelancer"))
    history.approve_request(milestones, history.add_milestone(milestones, 800, by="freelancer"))
    history.activate(milestones)
    history.submit(milestones)
    history.request_changes(milestones)
    history.submit(milestones)
    hourly = history.active("hourly", hourly_rate=3333, weekly_limit_minutes=2400)
    history.log_time(hourly, 95)
    history.correct_time(hourly, history.log_time(hourly, 60), 480)
    history.remove_time(hourly, history.log_time(hourly, 30))
    history.bonus(hourly, 700)
    history.approve(milestones)
    return milestones, hourly


def _charges(history: History, milestones: str) -> None:
    history.advance("2026-01-09 10:00")
    assert history.status(milestones) == "suspended"
    history.billing_method("pays")
    assert history.status(milestones) == "active"


def _reviews(history: History, hourly: str) -> None:
    history.advance("2026-01-12 13:00")
    payout = history.payout(hourly)
    history.object(payout)
    history.withdraw_objection(payout)
    history.object(payout)
    history.reverse(payout, 1000, "refund")
    history.reduce(payout, 20_000)
    chargeback = history.reverse(payout, 5000, "chargeback")
    history.advance(HOUR)
    history.reinstate(payout, chargeback)


def _funds(history: History, milestones: str) -> None:
    history.advance("2026-01-13 10:00")
    payout = history.payout(milestones)
    history.reinstate(payout, history.reverse(payout, 10_000, "chargeback"))
    history.withdraw(30_000)
    history.payout_method("fails")
    history.withdraw(10_000)
    sides = (PLATFORM, "debit", 500), (f"{history.freelancer}:available", "credit", 500)
    history.approve_adjustment(history.propose_adjustment(*sides, stated_at="2026-01-11 00:00"))
    history.advance(10 * DAY)
    history.erase(history.client)
    history.erase(history.freelancer)


def of_each_class(history: History) -> dict[str, Event]:
    """By topic, the event that says the most: the first of the longest."""
    said: dict[str, Event] = {}
    for recorded in history.log:
        known = said.get(recorded.event.TOPIC)
        if known is None or len(encode(recorded.event)) > len(encode(known)):
            said[recorded.event.TOPIC] = recorded.event
    return said


def golden(topic: str) -> bytes:
    return (GOLDENS / f"{topic}.json").read_bytes().removesuffix(b"\n")


def write_missing() -> None:
    for topic, event in of_each_class(everything()).items():
        path = GOLDENS / f"{topic}.json"
        if topic in EVENTS and not path.exists():
            path.write_bytes(encode(event) + b"\n")


if __name__ == "__main__":
    write_missing()
