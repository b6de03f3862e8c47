"""What the worker does in a pass: in the order of the rules, in few transactions, and whatever breaks stops nothing else."""

from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from ledger import commands as c
from ledger import events as e
from ledger.bootstrap import Ledger
from ledger.errors import Corrupt, Invalid
from ledger.policies.deadlines import LAPSE
from ledger.worker import ASK_AGAIN_AFTER
from tests.databases import Server
from tests.play import DAY, DECLINES, HOUR, MICROSECOND, PAYS, WEEK, Play, utc
from tests.processes import in_time

MANY = 1_000


# The order


@pytest.mark.parametrize("late", [False, True])
def test_what_is_due_at_one_instant_happens_in_the_order_closes_lapses_retries_releases(
    ledger: Ledger, late: bool
) -> None:
    """Everything falls on Monday 12:00: a close, the end of a review, the retry of Sunday's failure, Thursday's release."""
    play = Play(ledger)
    declined = play.register_client("Carl", DECLINES)
    hourly = play.active("hourly", hourly_rate=6_000)
    play.log_time(hourly, 60)
    lapsing, failing, released = (
        play.active("single_payment", amount=100, client=who) for who in (play.client, declined, play.client)
    )
    play.advance("2026-01-05 12:00")
    play.submit(lapsing)
    play.advance("2026-01-08 12:00")
    play.submit(released)
    play.approve(released)
    play.advance("2026-01-11 12:00")
    play.submit(failing)
    play.approve(failing)
    play.up = not late
    play.advance("2026-01-12 12:00" if not late else "2026-01-12 12:01")
    play.worker_returns()
    order = [stored.topic for stored in play.events()]
    closed, lapsed = order.index(e.CycleClosed.TOPIC), len(order) - 1 - order[::-1].index(e.MilestoneApproved.TOPIC)
    retried = next(n for n, stored in enumerate(play.events()) if getattr(stored.event, "attempt", 0) == 2)
    assert closed < lapsed < retried < order.index(e.PayoutReleased.TOPIC)
    assert play.payouts(hourly) == ["timesheet pending 6000"]
    assert play.payouts(lapsing) == ["milestone pending 100"]
    assert play.payouts(failing) == ["milestone charge_failed 100"]
    assert play.payouts(released) == ["milestone released 100"]


def test_the_clock_stops_at_every_instant_at_which_something_is_due(ledger: Ledger) -> None:
    play = Play(ledger, card=DECLINES)
    contract = play.active("single_payment", amount=100)
    play.submit(contract)
    play.advance("2026-02-01 00:00")
    failed = [one.event for one in play.events() if isinstance(one.event, e.ChargeFailed)]
    assert [event.recorded_at for event in failed] == [utc("2026-01-12 09:00") + n * DAY for n in range(10)]
    assert play.now == utc("2026-02-01 00:00")


def test_the_clock_never_goes_back(ledger: Ledger) -> None:
    play = Play(ledger)
    play.advance(DAY)
    assert ledger.worker.advance(utc("2026-01-05 10:00")) == utc("2026-01-06 09:00")


# Many


def test_a_thousand_hourly_contracts_are_billed_at_one_close_in_one_drain(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(ledger, up=False)
    others = [play.register_freelancer(f"Freelancer {number}", None) for number in range(3)]

    def command(of: Callable[..., c.Command], /, **fields: Any) -> c.Command:
        return of(command_id=play.mint("cmd"), actor="x", now=play.now, **fields)

    words = play.text("words")
    ids = [play.mint("con") for _ in range(MANY)]
    people = [play.freelancer, *others]
    for freelancer in others:
        play.bank("ba_test", freelancer)
    terms = {"freelancer_email": words.sealed, "title": words.sealed, "cadence": "weekly", "currency": "USD"}
    offers = [
        command(
            c.OfferContract,
            contract_id=contract,
            client_id=play.client,
            freelancer_id=people[number % 4],
            kind="hourly",
            hourly_rate=6_000 + number,
            **terms,
        )
        for number, contract in enumerate(ids)
    ]
    entry = {"date": play.now.date(), "minutes": 60}
    ledger.service.handle_all(offers)
    ledger.service.handle_all([command(c.AcceptOffer, contract_id=contract) for contract in ids])
    ledger.service.handle_all(
        [command(c.LogTime, contract_id=contract, entry_id=play.mint("tim"), **entry) for contract in ids]
    )
    play.worker_returns()
    play.up = False
    play.advance("2026-01-12 12:00")
    append, sizes = ledger.log.append, list[int]()

    def append_and_count(events: Any, **known: Any) -> int:
        sizes.append(len(events))
        return append(events, **known)

    monkeypatch.setattr(ledger.log, "append", append_and_count)
    head = ledger.log.head()
    in_time(ledger.worker.drain)
    topics = play.topics(after=head)
    for cls in (e.TimesheetLocked, e.CycleClosed, e.PayoutDue, e.ChargeRequested, e.PayoutCharged):
        assert topics.count(cls.TOPIC) == MANY
    assert len(sizes) <= 10, "one by one is too many transactions"
    owed = [sum(6_000 + number for number in range(MANY) if number % 4 == own) for own in range(4)]
    assert [play.balance(who)[0] for who in people] == owed
    assert ledger.agenda.backlog(play.now) == 0
    (charges,) = ledger.database.fetch("SELECT count(*) AS n, count(DISTINCT subject) AS of FROM simulated_operations")
    assert charges == {"n": MANY, "of": MANY}


# What breaks


def spoil(ledger: Ledger, server: Server, stream: str) -> Callable[[], None]:
    """Makes the stream unreadable, as only the owner of the database can; answers what mends it."""
    assert ledger.settings.database_url is not None
    owner_url = server.owner_url_of(ledger.settings.database_url.get_secret_value())

    def set_topic(topic: str, was: str) -> None:
        with psycopg.connect(owner_url) as owner:
            owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
            owner.execute(
                "UPDATE events SET topic = %s WHERE originator_id = %s AND originator_version = 1 AND topic = %s",
                (topic, stream, was),
            )
            owner.execute("ALTER TABLE events ENABLE TRIGGER ALL")

    found = ledger.log.find(stream, 1)
    assert found is not None
    set_topic("of.yesterday.v0", found.topic)
    return lambda: set_topic(found.topic, "of.yesterday.v0")


def test_a_due_command_that_breaks_does_not_stop_the_others(ledger: Ledger, server: Server) -> None:
    play = Play(ledger)
    contracts = [play.active("single_payment", amount=100) for _ in range(5)]
    for contract in contracts:
        play.submit(contract)
    mend = spoil(ledger, server, contracts[2])
    in_time(lambda: play.advance(WEEK))
    whole = [contract for contract in contracts if contract != contracts[2]]
    assert [play.payouts(contract) for contract in whole] == [["milestone pending 100"]] * 4
    with pytest.raises(Corrupt):
        play.payouts(contracts[2])
    play.advance(HOUR)
    mend()
    in_time(lambda: play.advance(HOUR))
    assert play.payouts(contracts[2]) == ["milestone pending 100"]
    (approved,) = [
        one.event for one in play.events() if one.stream == contracts[2] and one.topic == e.MilestoneApproved.TOPIC
    ]
    assert approved.occurred_at == utc("2026-01-12 09:00")


def test_what_is_due_and_comes_to_an_event_that_cannot_be_is_logged_and_left(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A currency that is no more: nothing of it moves, everything else does, and the log says so."""
    play = Play(ledger)
    dollars, euros = (play.active("single_payment", amount=100, currency=currency) for currency in ("USD", "EUR"))
    for contract in (dollars, euros):
        play.submit(contract)
    monkeypatch.setattr("ledger.money.CURRENCIES", frozenset({"EUR"}))
    with capture_logs() as lines:
        in_time(lambda: play.advance(WEEK))
    assert play.payouts(euros) == ["milestone pending 100"]
    assert play.payouts(dollars) == []
    assert {line["event"] for line in lines if "currency" in line.get("error", "")} == {
        "a due command cannot be decided"
    }
    with pytest.raises(Invalid, match="currency"):
        play.request_changes(dollars)  # what was due before it is decided first (rule 29), or nothing is
    monkeypatch.undo()
    in_time(lambda: play.advance(HOUR))
    assert play.payouts(dollars) == ["milestone pending 100"]


def test_a_question_that_cannot_be_asked_does_not_stop_the_others(ledger: Ledger, server: Server) -> None:
    """A payout that cannot be read, among others that are to be charged."""
    play = Play(ledger, up=False)
    contracts = [play.active("single_payment", amount=100) for _ in range(3)]
    for contract in contracts:
        play.submit(contract)
        play.approve(contract)
    ledger.views.catch_up()
    (payout,) = play.payout_ids(contracts[1])
    ledger.service.handle_all(
        [
            c.RequestCharge(command_id=play.mint("cmd"), actor="system", now=play.now, payout_id=one)
            for contract in contracts
            for one in play.payout_ids(contract)
        ]
    )
    ledger.views.catch_up()
    mend = spoil(ledger, server, payout)
    in_time(play.worker_returns)
    assert [play.payouts(contract) for contract in (contracts[0], contracts[2])] == [["milestone pending 100"]] * 2
    mend()
    in_time(lambda: play.advance(HOUR))
    assert play.payouts(contracts[1]) == ["milestone pending 100"]


def test_a_projection_of_the_deadlines_that_stands_still_makes_nothing_happen_twice(ledger: Ledger) -> None:
    """What was done is still due as far as the table says: doing it again changes nothing, and the pass ends."""
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=100)
    play.submit(contract)
    play.approve(contract)
    ledger.views.catch_up()
    ledger.database.execute("UPDATE projections SET error = 'stopped by the test' WHERE name = 'deadlines'")
    in_time(ledger.worker.drain)
    in_time(ledger.worker.drain)
    topics = play.topics()
    assert topics.count(e.ChargeRequested.TOPIC) == 1
    assert topics.count(e.NotificationSent.TOPIC) == 1
    ledger.views.prepare()
    in_time(ledger.worker.drain)
    assert play.payouts(contract) == ["milestone pending 100"]
    assert play.topics().count(e.NotificationSent.TOPIC) == 1


def test_a_deadline_that_is_no_more_does_nothing(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=100)
    play.submit(contract)
    ledger.views.catch_up()
    play.request_changes(contract)
    play.advance(WEEK)
    ledger.database.execute("UPDATE projections SET error = 'stopped by the test' WHERE name = 'deadlines'")
    assert [row["kind"] for row in ledger.database.fetch("SELECT kind FROM deadlines WHERE kind = %s", (LAPSE,))]
    in_time(ledger.worker.drain)
    assert e.MilestoneApproved.TOPIC not in play.topics()


# Mail


def outbox(ledger: Ledger) -> list[Message]:
    folder: Path = ledger.settings.data_dir / "outbox"
    return [message_from_bytes(file.read_bytes()) for file in sorted(folder.glob("*.eml"))] if folder.exists() else []


def test_an_invitation_is_in_the_outbox_once(ledger: Ledger) -> None:
    play = Play(ledger)
    contract = play.offer("single_payment", amount=100)
    for _ in range(3):
        ledger.worker.drain()
    play.advance(DAY)
    (message,) = outbox(ledger)
    assert message["To"] == "fred@work.example"
    assert message["Subject"] == "You are invited to the contract: A title"
    assert contract in message.get_payload(decode=True).decode()  # type: ignore[union-attr]
    noted = [one.event for one in play.events() if isinstance(one.event, e.NotificationSent)]
    assert [(event.kind, event.about) for event in noted] == [("invitation", f"evt_{contract}_1")]


def test_a_pay_schedule_is_in_the_outbox_once_each_time_it_is_set(ledger: Ledger) -> None:
    play = Play(ledger)
    contract = play.active("hourly", hourly_rate=6_000, outcome="employee")
    for schedule in ("monthly", "semimonthly"):
        play.employer_of_record(contract, schedule)
        ledger.worker.drain()
    texts = [message.get_payload(decode=True).decode() for message in outbox(ledger)]  # type: ignore[union-attr]
    assert len(texts) == 3
    assert sum("pay schedule is monthly" in text for text in texts) == 1
    assert sum("pay schedule is semimonthly" in text for text in texts) == 1
    noted = [one.event.kind for one in play.events() if isinstance(one.event, e.NotificationSent)]
    assert noted == ["invitation", "eor_pay_schedule", "eor_pay_schedule"]


def test_a_schedule_that_changes_before_the_mail_went_out_is_told_as_it_is_then(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("hourly", hourly_rate=6_000, outcome="employee")
    play.employer_of_record(contract, "monthly")
    play.employer_of_record(contract, "semimonthly")
    play.worker_returns()
    texts = [message.get_payload(decode=True).decode() for message in outbox(ledger)]  # type: ignore[union-attr]
    assert len(texts) == 2
    assert sum("pay schedule is semimonthly" in text for text in texts) == 1


def test_an_address_that_was_erased_gets_no_mail(ledger: Ledger, server: Server) -> None:
    play = Play(ledger, up=False)
    contract = play.offer("single_payment", amount=100)
    assert ledger.settings.database_url is not None
    with psycopg.connect(server.owner_url_of(ledger.settings.database_url.get_secret_value())) as owner:
        owner.execute("DELETE FROM vault WHERE id = %s", (play.contract(contract).freelancer_email,))
    play.worker_returns()
    assert outbox(ledger) == []
    assert play.topics().count(e.NotificationSent.TOPIC) == 1


def test_a_mail_system_that_is_down_is_asked_again_and_holds_up_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(ledger)
    down = True
    mailer: Any = ledger.outside._mailer
    send = mailer.send

    def send_if_up(message: Any) -> None:
        if down:
            raise ConnectionRefusedError("no mail today")
        send(message)

    monkeypatch.setattr(mailer, "send", send_if_up)
    contract = play.active("single_payment", amount=100)
    play.submit(contract)
    play.approve(contract)
    assert play.payouts(contract) == ["milestone pending 100"]
    assert outbox(ledger) == []
    down = False
    play.advance(ASK_AGAIN_AFTER - MICROSECOND)
    assert outbox(ledger) == []
    play.advance(MICROSECOND)
    assert len(outbox(ledger)) == 1


def test_an_address_that_no_mail_goes_to_holds_up_nothing(ledger: Ledger) -> None:
    play = Play(ledger)
    fits = ("fred@wörk.example", "frédéric@work.example")
    for address in (*fits, "no address", "a\nb@work.example", "", "a@[x", "a,b@evil.example"):
        play.run(
            c.OfferContract,
            f"client:{play.client}",
            contract_id=play.mint("con"),
            client_id=play.client,
            freelancer_id=play.freelancer,
            freelancer_email=play.text(address),
            title=play.text("A title"),
            kind="hourly",
            hourly_rate=1,
            cadence="weekly",
            currency="USD",
        )
    contract = play.active("single_payment", amount=100)
    play.submit(contract)
    play.approve(contract)
    play.advance(timedelta(minutes=1))
    assert play.payouts(contract) == ["milestone pending 100"]
    assert len(outbox(ledger)) == len(fits) + 1
    assert "fred@work.example" in [message["To"] for message in outbox(ledger)]


def test_a_new_card_pays_at_once_what_had_failed(ledger: Ledger) -> None:
    play = Play(ledger, card=DECLINES)
    contract = play.active("single_payment", amount=100)
    play.submit(contract)
    play.approve(contract)
    play.advance(HOUR)
    play.card(PAYS)
    assert play.payouts(contract) == ["milestone pending 100"]
    assert play.payout(play.payout_ids(contract)[0]).charged_at == utc("2026-01-05 10:00")
