"""The real deciders against the model: random contracts, times, cards, commands, and a worker that comes and goes.

After every step the refusals, statuses, payouts and balances of both agree, and every invariant of the domain page holds.
"""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests import model as m
from tests.side_by_side import CURRENCIES, SideBySide, Terms

OUTCOMES = (*["independent_contractor"] * 10, "employee", None)
OFFERS = st.tuples(
    st.sampled_from(["single_payment", "milestone", "hourly", "hourly", "fixed_rate"]),
    st.sampled_from([1, 2]),
    st.sampled_from(CURRENCIES),
    st.sampled_from(OUTCOMES),
    st.sampled_from([None, 900]),
    st.sampled_from([*[True] * 9, False]),
)
MILESTONE_COMMANDS = ("activate", "submit", "approve", "request_changes", "approve_request", "decline_request")
HOW_MUCH = st.sampled_from(["one", "half", "all", "more"])
SMALL = st.integers(0, 7)


class Ledgers(SideBySide, RuleBasedStateMachine):
    """`real` and `model` are told the same; a contract is named by its number in the order of offers."""

    @initialize(
        start=st.sampled_from([0, m.NOON - 1, m.NOON, m.NOON + 1, 2 * m.DAY + 9 * m.HOUR, m.WEEK - 1]),
        card=st.sampled_from(["pays", "pays", "pays", "declines", "declines finally", "silent", None]),
        bank=st.sampled_from([*["pays"] * 6, "fails", None]),
        first=OFFERS,
        second=OFFERS,
    )
    def begin(self, start: int, card: str | None, bank: str | None, first: Terms, second: Terms) -> None:
        self.start(start, card, bank)
        self.offer(first)
        self.offer(second)

    # Time and the outside world

    @rule(nth=st.sampled_from([0, 0, 1, 2, 3]), off=st.sampled_from([-1, 0, 0, 0, 1]))
    def advance_to_where_something_happens(self, nth: int, off: int) -> None:
        ahead = sorted({t for t in self.model.instants() if t > self.model.now})
        self.advance(max(self.model.now, ahead[min(nth, len(ahead) - 1)] + off))

    @rule(
        hours=st.sampled_from([0, 0, 0, 1, 24, 24, 96, 168, 200]),
        monday=st.sampled_from([-1, 0, 1, m.NOON - 1, m.NOON, m.NOON, m.NOON, m.NOON + 1, 3 * m.DAY]),
    )
    def advance_some_hours_or_to_the_next_week(self, hours: int, monday: int) -> None:
        week = self.model.now // m.WEEK + 1
        self.advance(self.model.now + hours * m.HOUR if hours else max(self.model.now, week * m.WEEK + monday))

    @rule(
        what=st.sampled_from(
            ["worker goes", "worker comes", "worker comes", "new card", "new card", "card changes", "card changes"]
        ),
        number=SMALL,
        does=st.sampled_from(["pays", "pays", "declines", "declines", "declines finally", "silent"]),
    )
    def the_outside_world(self, what: str, number: int, does: str) -> None:
        if what == "new card":
            self.new_card(does)
        elif what == "card changes" and self.cards:
            self.card_does(number % len(self.cards), does)
        else:
            self.worker(up=what != "worker goes")

    # The freelancer

    @rule(
        what=st.sampled_from(["withdraw", "withdraw", "withdraw", "withdraw", "adjust", "new bank"]),
        how=HOW_MUCH,
        currency=st.sampled_from(CURRENCIES),
        days=st.integers(0, 3),
    )
    def the_freelancer(self, what: str, how: str, currency: str, days: int) -> None:
        amount = self.amount_of(how, self.model.balance("freelancer", currency)[1])
        if what == "withdraw":
            self.both(self.model.withdraw(amount, currency), lambda: self.real.withdraw(amount, currency))
        elif what == "adjust":
            self.adjust(-300 if how == "more" else 50, currency, self.model.now - days * m.DAY)
        else:
            self.model.payout_method("fails" if how == "one" else "pays")
            self.real.payout_method("fails" if how == "one" else "pays")

    # Contracts

    @rule(
        number=SMALL,
        what=st.sampled_from(
            ["offer", "offer", "offer", "accepted", "declined", "withdrawn", "complete", *["employ"] * 5]
        ),
        step=st.sampled_from(
            ["questionnaire", "recommendation", "decision", "employer", "payroll", "payroll", "payroll"]
        ),
        terms=OFFERS,
    )
    def the_contract(self, number: int, what: str, step: str, terms: Terms) -> None:
        contract, modelled = self.contract(number)
        if what == "complete":
            self.both(self.model.complete(modelled), lambda: self.real.complete(contract))
        elif what == "employ":
            special = [n for n, one in enumerate(self.model.contracts) if one.outcome != "independent_contractor"]
            self.classify_and_employ(special[number % len(special)] if special and number < 6 else number, step)
        elif what == "offer":
            if len(self.ids) < 4:
                self.offer(terms)
        else:
            self.answer(number, what)

    # Work

    @rule(number=SMALL, twist=SMALL)
    def the_next_thing_to_do(self, number: int, twist: int) -> None:
        """Work as it usually goes: activate, submit, approve; log time; now and then a bonus."""
        _, modelled = self.contract(number)
        if modelled.kind == "hourly":
            self.log_time(number, 0, 60 + twist)
        elif not modelled.milestones:
            self.bonus(number, 500)
        else:
            statuses = [one.status for one in modelled.milestones]
            nth, status = next(
                ((n, s) for n, s in enumerate(statuses) if s not in ("approved", "gone")), (0, "approved")
            )
            todo = {"requested": "approve_request", "planned": "activate", "active": "submit", "submitted": "approve"}
            self.milestone(number, nth, "request_changes" if not twist else todo.get(status, "approve"))

    @rule(
        number=SMALL,
        which=SMALL,
        what=st.sampled_from(["log", "log", "correct", "correct", "bonus", *["milestone"] * 5]),
        back=st.sampled_from([0, 0, 0, 0, 1, 2, 7, -1]),
        minutes=st.sampled_from([None, 1, 7, 61, 480, 721, 1440]),
        act=st.sampled_from(["add", "request", *MILESTONE_COMMANDS]),
    )
    def whatever_comes_to_mind(
        self, number: int, which: int, what: str, back: int, minutes: int | None, act: str
    ) -> None:
        hourly = [n for n, one in enumerate(self.model.contracts) if one.kind == "hourly"]
        in_parts = [n for n, one in enumerate(self.model.contracts) if one.milestones]
        if what == "log":
            self.log_time(hourly[number % len(hourly)] if hourly and which else number, back, minutes or 60)
        elif what == "correct":
            self.correct_time(which, minutes)
        elif what == "bonus":
            self.bonus(number, 11)
        elif act in ("add", "request"):
            self.add_milestone(in_parts[number % len(in_parts)] if in_parts and which else number, act)
        elif in_parts:
            n = in_parts[number % len(in_parts)]
            kept = [nth for nth, one in enumerate(self.model.contracts[n].milestones) if one.status != "gone"]
            self.milestone(n, kept[which % len(kept)], act)

    # Payouts

    @precondition(SideBySide.any_payout)
    @rule(number=SMALL, what=st.sampled_from(["object", "object", "object", "withdraw", "none", "one", "half", "all"]))
    def objections(self, number: int, what: str) -> None:
        """Raise one; withdraw it; or settle it for none, one, half or all of the money."""
        if what == "object":
            payout, modelled = self.payout(number, lambda one: one.review_until and self.model.now < one.review_until)
            self.both(self.model.object(modelled), lambda: self.real.object(payout))
            return
        payout, modelled = self.payout(number, lambda one: one.objection == "open")
        if what == "withdraw":
            self.both(self.model.withdraw_objection(modelled), lambda: self.real.withdraw_objection(payout))
        else:
            amount = 0 if what == "none" else self.amount_of(what, modelled.held)
            self.both(self.model.reduce(modelled, amount), lambda: self.real.reduce(payout, amount))

    @precondition(SideBySide.any_payout)
    @rule(
        number=SMALL,
        what=st.sampled_from(["refund", "chargeback", "chargeback", "reinstate", "reinstate", "retry"]),
        how=HOW_MUCH,
    )
    def the_operator(self, number: int, what: str, how: str) -> None:
        if what == "retry":
            payout, modelled = self.payout(number, lambda one: one.status == "charge_failed")
            self.both(self.model.retry(modelled), lambda: self.real.retry_charge(payout))
        elif what == "reinstate":
            payout, modelled = self.payout(number, lambda one: one.reversals)
            if modelled.reversals:
                nth = number % len(modelled.reversals)
                expected = self.model.reinstate(modelled, modelled.reversals[nth])
                self.both(expected, lambda: self.real.reinstate(payout, self.reversals[payout][nth]))
        else:
            payout, modelled = self.payout(number, lambda one: one.held)
            amount = self.amount_of(how, modelled.held)
            mine = self.reversals.setdefault(payout, [])
            expected = self.model.reverse(modelled, amount, what)
            self.both(expected, lambda: mine.append(self.real.reverse(payout, amount, what)))

    # What must hold

    @invariant()
    def both_agree(self) -> None:
        if self.real.up:
            self.check_both_agree()

    @invariant()
    def the_domain_pages_last_section_holds(self) -> None:
        self.checks.check()

    def teardown(self) -> None:
        if not hasattr(self, "real"):
            return
        self.worker(up=True)
        self.both_agree()
        self.checks.check()
        self.check_as_of()
        self.check_replay()


Ledgers.TestCase.settings = settings(
    max_examples=400,
    stateful_step_count=50,
    deadline=None,
    derandomize=True,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLedgers = Ledgers.TestCase
