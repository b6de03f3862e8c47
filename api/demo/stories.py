"""What both sides of a contract do in the demo, from the offer to completion, by kind of contract."""

from typing import Any, assert_never

from api.demo.cast import Job
from api.demo.incidents import INCIDENTS
from api.demo.market import START, Deal, Json, Market, Story, freelancer_email
from ledger.calendar import WEEK

STEADINESS = 0.7
"""How likely somebody works on a working day."""
PROMPTNESS = 0.85
"""How likely a client answers a submission at all."""
QUARTER_HOURS = (8, 32)
"""How long a day's work is."""
MEMOS = ("Planning", "Building", "Review with the client", "Corrections", "Testing", "Writing it down")
PARTS = (("Draft", 1), ("Main part", 2), ("Hand-over", 1))
"""The milestones of a contract, and how many times the price each is worth."""


def all_stories(market: Market, jobs: tuple[Job, ...]) -> None:
    """Plans every contract's story, to begin in its week."""
    for job in jobs:
        market.plan(_contract(market, job), START + job.week * WEEK)


def _contract(market: Market, job: Job) -> Story:
    yield market.now if job.week == 0 else market.later(market.random.randrange(3), 9)
    deal = _offer(market, job)
    yield market.later(market.random.randint(0, 2), 11)
    if "declined" in job.twists:
        deal.as_freelancer("decline", {"reason": "I have no time for it before May."})
        return
    if "offer_withdrawn" in job.twists:
        deal.as_client("withdraw-offer", {"reason": "We draw it ourselves after all."})
        return
    deal.as_freelancer("accept")
    yield from _classified(deal)
    while deal.state()["status"] == "accepted":  # until there is a payout method
        yield market.later(1, 11)
    for twist in job.twists:
        if twist in INCIDENTS:
            market.plan(INCIDENTS[twist](deal))
    yield from _work(deal)


def _work(deal: Deal) -> Story:
    kind = deal.job.kind
    if "employee" in deal.job.twists:
        yield from _payrolls(deal)
    elif kind == "hourly":
        yield from _hours(deal)
    elif kind == "fixed_rate":
        yield from _cycles(deal)
    elif kind == "milestone":
        yield from _milestones(deal)
    elif kind == "single_payment":
        yield from _single_payment(deal)
    else:
        assert_never(kind)


# The offer


def _offer(market: Market, job: Job) -> Deal:
    client, email = market.client(job.client), freelancer_email(job.freelancer)
    body: Json = {"freelancer_email": email, "title": job.title, "kind": job.kind}
    body |= {"cadence": job.cadence, "currency": job.currency} | _price(job)
    if "employee" in job.twists:
        body["classification"] = {"by": "client_decision", "outcome": "employee"}
    if "service" in job.twists:
        body["classification"] = {"by": "service"}
    if "conversion" in job.twists:
        met = {"client_id": client.id, "freelancer_email": email}
        conversion = market.api.post("/v1/conversions", market.operators.first, met)
        body |= {"sourcing": "marketplace", "conversion_id": conversion["id"]}
    return Deal(market, job, client, market.api.post("/v1/contracts", client.key, body)["id"])


def _price(job: Job) -> dict[str, Any]:
    match job.kind:
        case "single_payment":
            return {"amount": job.price}
        case "milestone":
            return {"milestones": [{"description": part, "amount": times * job.price} for part, times in PARTS]}
        case "hourly":
            limit = job.weekly_limit_minutes
            return {"hourly_rate": job.price} | ({"weekly_limit_minutes": limit} if limit else {})
        case "fixed_rate":
            return {"rate": job.price}


def _classified(deal: Deal) -> Story:
    """What an accepted contract needs before it is active (rules 3 and 4)."""
    market = deal.market
    if "service" in deal.job.twists:
        answers = {"other_clients": "four this year", "own_equipment": "yes", "sets_own_hours": "yes"}
        deal.as_freelancer("classification/questionnaire", {"answers": answers})
        yield market.later(1, 14)
        reasons = "Works for several clients, with equipment and hours of their own."
        deal.as_operator("classification/recommendation", {"outcome": "independent_contractor", "reasons": reasons})
        yield market.later(1, 9)
        deal.as_client("classification/decision", {"outcome": "independent_contractor"})
    if "employee" in deal.job.twists:
        yield market.later(1, 14)
        _assign_employer(deal, "monthly")


def _assign_employer(deal: Deal, pay_schedule: str) -> None:
    path, key = f"{deal.path}/employer-of-record", deal.market.operators.first
    deal.market.api.call("PUT", path, key, {"name": "Fairpay Employment", "pay_schedule": pay_schedule})


# The work


def _hours(deal: Deal) -> Story:
    """Time is logged on most working days, at their end."""
    market, random = deal.market, deal.market.random
    low, high = QUARTER_HOURS
    if deal.job.weekly_limit_minutes is not None:
        high = min(high, deal.job.weekly_limit_minutes // 5 // 15)
    while True:
        yield market.later(0, 17)
        if market.now >= deal.ends:
            break
        if random.random() < STEADINESS:
            worked: Json = {"date": f"{market.now:%Y-%m-%d}", "minutes": 15 * random.randint(low, high)}
            deal.entries.append(deal.as_freelancer("time-entries", worked | {"memo": random.choice(MEMOS)}))
    deal.as_freelancer("complete", {"reason": "All is done."})


def _cycles(deal: Deal) -> Story:
    """A fixed rate needs nothing but time."""
    yield max(deal.ends, deal.market.later(0, 17))
    deal.as_client("complete", {"reason": "The season is over."})


def _payrolls(deal: Deal) -> Story:
    """The Employer of Record runs the payroll of each month, and changes its schedule once (rule 4)."""
    for month, last in (("2026-01", 30), ("2026-02", 27), ("2026-03", 31)):
        while f"{deal.market.now:%Y-%m-%d}" < f"{month}-{last}":
            yield deal.market.later(1, 14)
        period = {"period_start": f"{month}-01", "period_end": f"{month}-{last}"}
        deal.as_operator("eor-payrolls", {"amount": 40 * deal.job.price} | period)
    _assign_employer(deal, "semimonthly")


def _single_payment(deal: Deal) -> Story:
    market = deal.market
    yield market.later(market.random.randint(4, 15), 14)
    yield from _submitted_and_reviewed(deal, "active", deal.job.twists)
    yield market.later(2, 14)
    deal.as_client("complete", {"reason": "Thank you, that was all."})


def _milestones(deal: Deal) -> Story:
    """One after another: activated, worked on, submitted, reviewed. The twists come with the first."""
    market, random = deal.market, deal.market.random
    twists: tuple[str, ...] = deal.job.twists
    while True:
        yield market.later(random.randint(1, 2), 9)
        yield from _while_suspended(deal)
        planned = deal.milestone("planned")
        if planned is None:
            break
        deal.as_client(f"milestones/{planned['id']}/activate")
        yield market.later(random.randint(3, 9), 14)
        yield from _while_suspended(deal)
        yield from _submitted_and_reviewed(deal, "active", twists)
        yield from _more_milestones(deal, twists)
        twists = ()
    deal.as_client("complete", {"reason": "All milestones are reached."})


def _while_suspended(deal: Deal) -> Story:
    while deal.state()["status"] == "suspended":
        yield deal.market.later(1, 9)


def _submitted_and_reviewed(deal: Deal, status: str, twists: tuple[str, ...]) -> Story:
    """A submission, and the client's answer or silence (rules 10 to 12)."""
    market, random = deal.market, deal.market.random
    milestone = deal.milestone(status)
    if milestone is None:
        raise LookupError(f"the contract {deal.job.title!r} has no milestone that is {status}")
    path = f"milestones/{milestone['id']}"
    submitted = deal.as_freelancer(f"{path}/submit", {"message": "Here it is."})
    if "changes" in twists:
        yield market.later(random.randint(1, 3), 11)
        deal.as_client(f"{path}/request-changes", {"message": "Nearly: the second half needs another look."})
        yield market.later(random.randint(1, 4), 14)
        submitted = deal.as_freelancer(f"{path}/submit", {"message": "Done again, with the second half rewritten."})
    if "silent" in twists or random.random() >= PROMPTNESS:
        yield market.later(8 if deal.job.cadence == "weekly" else 15, 9)
    else:
        yield market.later(random.randint(1, 3), 11)
        deal.as_client(f"{path}/approve", {"message": f"Approved, well before {submitted['review_deadline'][:10]}."})


def _more_milestones(deal: Deal, twists: tuple[str, ...]) -> Story:
    """Milestones that were not in the offer (rule 8)."""
    more: Json = {"description": "An extra that came up on the way", "amount": deal.job.price}
    if "adds" in twists:
        deal.as_client("milestones", more)
    if "requests" in twists or "request_declined" in twists:
        asked = deal.as_freelancer("milestones", more)
        yield deal.market.later(1, 11)
        answer = "approve-request" if "requests" in twists else "decline-request"
        deal.as_client(f"milestones/{asked['id']}/{answer}")
