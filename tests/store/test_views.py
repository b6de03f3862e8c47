"""The projections: what is live is what folding the log from zero gives, however it was cut into batches and by whom."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from ledger import postings
from ledger.bootstrap import Ledger
from ledger.processors.protocol import Outcome, Request
from ledger.projections import PROJECTIONS
from ledger.projections.balances import Balances
from ledger.projections.rows import Key, Record, Row, Rows, Table, key_getter
from ledger.store import views
from ledger.store.views import Views, _unwanted, record_of, selected, wanted
from ledger.upcasters import UPCASTERS
from tests.databases import Server
from tests.play import DAY, HOUR, Play, utc
from tests.processes import all_at_once, other_processes, together

TABLES = [table for projection in PROJECTIONS for table in projection.tables]


def live(ledger: Ledger) -> dict[str, str]:
    """Every projected table, as bytes in a fixed order."""
    with ledger.database.connection() as connection:
        return {table.name: _dumped(table, _stored(table, connection)) for table in TABLES}


def _stored(table: Table, connection: psycopg.Connection[Any]) -> dict[Key, Row]:
    found = connection.execute(f"SELECT {selected(table)} FROM {table.name} t".encode()).fetchall()
    key_of = key_getter(table)
    return {key_of(row): views.load(table, row) for row in found}


def refolded(ledger: Ledger, until: int | None = None) -> dict[str, str]:
    """The same, from the log alone: folded in memory, in one piece."""
    records = [record_of(stored) for stored in ledger.log.read_all(until=until)]
    folded = {projection.name: Rows(projection.tables) for projection in PROJECTIONS}
    for projection in PROJECTIONS:
        projection.fold(folded[projection.name], wanted(projection, records))
    return {
        table.name: _dumped(table, folded[projection.name].rows[table.name])
        for projection in PROJECTIONS
        for table in projection.tables
    }


def _dumped(table: Any, rows: dict[Any, Any]) -> str:
    return views.dump(table, [rows[key] for key in sorted(rows)])


def from_zero(ledger: Ledger) -> None:
    for table in TABLES:
        ledger.database.execute(f"DELETE FROM {table.name}")
    ledger.database.execute("UPDATE projections SET position = 0")


# From zero


def test_folding_the_log_from_zero_gives_the_live_tables_byte_for_byte(past: Ledger) -> None:
    assert past.log.head() > 500
    assert refolded(past) == live(past)
    assert refolded(past) == refolded(past)


@pytest.mark.parametrize(("size", "until"), [(1, 300), (7, None), (5_000, None)])
def test_batches_of_any_size_give_the_same_rows(
    past: Ledger, monkeypatch: pytest.MonkeyPatch, size: int, until: int | None
) -> None:
    expected = refolded(past, until)
    from_zero(past)
    monkeypatch.setattr(views, "BATCH", size)
    sizes: list[int] = []
    past.views.catch_up(until, on_batch=sizes.append)
    assert max(sizes) <= size
    assert sum(sizes) == (past.log.head() if until is None else until)
    assert live(past) == expected
    assert refolded(past, until) == expected


def test_the_same_batch_projected_twice_changes_nothing(past: Ledger) -> None:
    from_zero(past)
    past.views.catch_up(until=200)
    batch, later = (past.views._read(after, after + 100, frozenset()) for after in (200, 250))
    past.views._apply(list(PROJECTIONS), 200, batch)
    once = live(past), past.reader.health()
    past.views._apply(list(PROJECTIONS), 200, batch)
    past.views._apply(list(PROJECTIONS[:2]), 200, batch)
    past.views._apply(list(PROJECTIONS), 250, later)
    assert (live(past), past.reader.health()) == once
    assert past.reader.position() == 300


def test_projections_that_stand_at_different_positions_come_together(past: Ledger) -> None:
    from_zero(past)
    for number, projection in enumerate(PROJECTIONS):
        Views(past.log, [projection]).catch_up(until=100 * number)
    past.views.catch_up()
    assert live(past) == refolded(past)
    assert {one.lag for one in past.reader.health()} == {0}


def test_catch_up_loops_at_once_in_threads_and_processes_give_the_same_rows(
    past: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_zero(past)
    monkeypatch.setattr(views, "BATCH", 20)
    with other_processes(past.settings, 2) as others:
        code = "from ledger.store import views; views.BATCH = 13; ledger.views.catch_up()"
        answers = together(Views(past.log).catch_up, Views(past.log).catch_up, lambda: all_at_once(others, code))
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert live(past) == refolded(past)


def test_projecting_while_others_append_ends_at_the_same_rows(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "BATCH", 5)
    writing = True

    def write(name: str) -> None:
        play = Play(ledger, name, up=False)
        for _ in range(8):
            contract = play.active("single_payment", amount=100)
            play.submit(contract)
            play.approve(contract)

    def write_both() -> None:
        nonlocal writing
        try:
            assert together(lambda: write("one"), lambda: write("two")) == [None, None]
        finally:
            writing = False

    def project() -> None:
        while writing:
            Views(ledger.log).catch_up()

    assert together(write_both, project, project) == [None, None, None]
    ledger.views.catch_up()
    assert live(ledger) == refolded(ledger)


# Poison


class Stumbles(Balances):
    """The balances, but that one event is too much for them."""

    def __init__(self, position: int) -> None:
        self.position = position

    def fold(self, rows: Rows, records: list[Record]) -> None:
        if any(record.position == self.position for record in records):
            raise ZeroDivisionError("this event cannot be folded")
        super().fold(rows, records)


def with_stumbling_balances(ledger: Ledger) -> tuple[Views, int]:
    """Views that stop at an event of the middle of the history that moves money; and its position."""
    moving = [one.position for one in ledger.log.read_all() if one.topic in postings.TOPICS]
    poison = moving[len(moving) // 2]
    others = [projection for projection in PROJECTIONS if projection.name != "balances"]
    return Views(ledger.log, [Stumbles(poison), *others]), poison


def test_an_event_that_breaks_one_projection_stops_that_one_only(past: Ledger) -> None:
    from_zero(past)
    stumbling, poison = with_stumbling_balances(past)
    stumbling.catch_up()
    health = {one.name: one for one in past.reader.health()}
    stopped = health.pop("balances")
    event = next(one for one in past.log.read(poison - 1, 1))
    assert stopped.error is not None
    assert event.id in stopped.error
    assert "ZeroDivisionError" in stopped.error
    assert {(one.lag, one.error) for one in health.values()} == {(0, None)}
    rows = past.database.fetch("SELECT error_position FROM projections WHERE name = 'balances'")
    assert rows[0]["error_position"] == poison


def test_an_event_that_breaks_a_projection_is_not_skipped(past: Ledger) -> None:
    from_zero(past)
    stumbling, poison = with_stumbling_balances(past)
    for _ in range(3):
        stumbling.catch_up()
        past.views.catch_up()  # somebody else who could fold it: the projection stands still until it is prepared anew
    position = next(one.position for one in past.reader.health() if one.name == "balances")
    assert position == poison - 1
    assert live(past)["balances"] == refolded(past, poison - 1)["balances"]
    assert live(past)["statement_lines"] == refolded(past)["statement_lines"]


def test_prepared_anew_with_the_cause_still_there_it_stops_there_again(past: Ledger) -> None:
    from_zero(past)
    stumbling, poison = with_stumbling_balances(past)
    stumbling.catch_up()
    before = live(past), past.reader.health()
    stumbling.prepare()
    stumbling.catch_up()
    assert (live(past), past.reader.health()) == before
    assert before[1][0].position == poison - 1


def test_prepared_anew_without_the_cause_it_goes_on(past: Ledger) -> None:
    from_zero(past)
    stumbling, _ = with_stumbling_balances(past)
    stumbling.catch_up()
    past.views.prepare()
    past.views.catch_up()
    assert {(one.lag, one.error) for one in past.reader.health()} == {(0, None)}
    assert live(past) == refolded(past)


def test_stored_bytes_that_are_no_event_stop_the_projections_made_of_it_until_they_are_mended(
    past: Ledger, server: Server
) -> None:
    """Nothing but the owner of the database can bring that about, having switched the triggers off."""
    from_zero(past)
    _, poison = with_stumbling_balances(past)
    (whole,) = past.log.read(poison - 1, 1)
    stopped = {one.name for one in PROJECTIONS if one.topics is None or whole.topic in one.topics}
    assert {"balances", "statements", "history"} <= stopped
    assert past.settings.database_url is not None
    with psycopg.connect(server.owner_url_of(past.settings.database_url.get_secret_value()), autocommit=True) as owner:
        owner.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        spoil = "UPDATE events SET state = %s WHERE notification_id = %s"
        owner.execute(spoil, (whole.state[:-1], poison))
        for _ in range(2):
            past.views.catch_up()
            for one in past.reader.health():
                assert one.position == (poison - 1 if one.name in stopped else past.log.head())
                assert (whole.id in (one.error or "")) == (one.name in stopped)
        assert live(past)["balances"] == refolded(past, poison - 1)["balances"]
        owner.execute(spoil, (whole.state, poison))
    past.views.prepare()
    past.views.catch_up()
    assert {(one.lag, one.error) for one in past.reader.health()} == {(0, None)}
    assert live(past) == refolded(past)


def test_a_database_that_is_away_is_no_poison(past: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from_zero(past)

    def away(*_: object) -> None:
        raise psycopg.OperationalError("the server closed the connection")

    monkeypatch.setattr(views, "fold_into", away)
    with pytest.raises(psycopg.OperationalError):
        past.views.catch_up()
    monkeypatch.undo()
    assert {one.error for one in past.reader.health()} == {None}
    past.views.catch_up()
    assert live(past) == refolded(past)


# Late news


def running(ledger: Ledger, freelancer: str) -> None:
    """The running balances of a statement are the sums of its lines up to each, in the order (occurred_at, position)."""
    lines = ledger.reader.lines(freelancer, limit=10_000)[::-1]
    assert [(one.occurred_at, one.position) for one in lines] == sorted(
        (one.occurred_at, one.position) for one in lines
    )
    totals: dict[str, list[int]] = {}
    for line in lines:
        sums = totals.setdefault(line.currency, [0, 0, 0])
        for number, change in enumerate((line.pending_change, line.available_change, line.in_transit_change)):
            sums[number] += change
        assert [line.pending, line.available, line.in_transit] == sums, line


def test_an_adjustment_as_of_an_earlier_instant_moves_every_running_balance_after_it(ledger: Ledger) -> None:
    play = Play(ledger)
    for number in range(3):
        contract = play.active("single_payment", amount=1_000 * (number + 1))
        play.submit(contract)
        play.approve(contract)
        play.advance(DAY)
    play.advance(7 * DAY)
    play.adjust("platform:adjustments", f"{play.freelancer}:available", 7, stated_at=utc("2026-01-10 00:00"))
    lines = ledger.reader.lines(play.freelancer, limit=100)[::-1]
    assert [(line.type, line.available) for line in lines] == [
        ("charge", 0),
        ("charge", 0),
        ("charge", 0),
        ("release", 1_000),
        ("adjustment", 1_007),
        ("release", 3_007),
        ("release", 6_007),
    ]
    running(ledger, play.freelancer)
    assert ledger.reader.balance(play.freelancer, as_of=utc("2026-01-09 23:00")).available == {"USD": 1_000}
    assert ledger.reader.balance(play.freelancer, as_of=utc("2026-01-10 00:00")).available == {"USD": 1_007}
    before_it_was_known = play.now - timedelta(microseconds=1)
    assert ledger.reader.balance(play.freelancer, known_at=before_it_was_known).available == {"USD": 6_000}
    assert live(ledger) == refolded(ledger)


def test_a_charge_whose_time_the_processor_says_late_stands_where_it_occurred(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(ledger)
    processor = ledger.outside.processor
    assert processor is not None
    charge = processor.charge

    def charge_with_an_older_clock(request: Request) -> Outcome:
        outcome = charge(request)
        return Outcome(at=outcome.at - request.amount * HOUR, reference=outcome.reference)

    monkeypatch.setattr(processor, "charge", charge_with_an_older_clock)
    for amount in (1, 5, 3, 5):
        contract = play.active("single_payment", amount=amount)
        play.submit(contract)
        play.approve(contract)
    charges = [line for line in ledger.reader.lines(play.freelancer, limit=100)[::-1] if line.type == "charge"]
    assert [(line.pending_change, line.pending) for line in charges] == [(5, 5), (5, 10), (3, 13), (1, 14)]
    assert charges[0].position < charges[1].position
    running(ledger, play.freelancer)
    play.advance(5 * DAY)
    running(ledger, play.freelancer)
    released = [line for line in ledger.reader.lines(play.freelancer, limit=100)[::-1] if line.type == "release"]
    assert [line.occurred_at - utc("2026-01-09 09:00") for line in released] == [-5 * HOUR, -5 * HOUR, -3 * HOUR, -HOUR]
    assert live(ledger) == refolded(ledger)


def test_every_statement_of_a_long_history_adds_up(past: Ledger) -> None:
    for freelancer in freelancers(past):
        running(past, freelancer)


def freelancers(ledger: Ledger) -> list[str]:
    return sorted({one.stream for one in ledger.log.read_all() if one.stream.startswith("fre_")})


def test_catching_up_goes_no_further_than_it_is_told(past: Ledger) -> None:
    from_zero(past)
    past.views.catch_up(until=123)
    assert {one.position for one in past.reader.health()} == {123}
    assert live(past) == refolded(past, 123)


def test_a_projection_of_another_version_of_the_program_is_left_alone(past: Ledger) -> None:
    past.database.execute("INSERT INTO projections (name, position) VALUES ('of_tomorrow', 3)")
    past.views.catch_up()
    assert [one.position for one in past.reader.health() if one.name == "of_tomorrow"] == [3]


def test_an_older_version_of_an_event_reaches_the_projections_of_its_newest_topic(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = Play(ledger)
    contract = play.active("single_payment", amount=50_000)
    play.submit(contract)
    play.approve(contract)
    (charged,) = [stored for stored in play.events() if stored.topic == "payout.charged.v1"]
    older = charged._replace(topic="payout.charged.v0")
    monkeypatch.setitem(UPCASTERS, "payout.charged.v0", lambda payload: ("payout.charged.v1", payload))
    assert record_of(older)._replace(topic="") == record_of(charged)._replace(topic="")
    assert record_of(older).topic == "payout.charged.v1"
    money_only = [one for one in PROJECTIONS if one.name == "balances"]
    assert "payout.charged.v0" not in _unwanted(money_only)
    assert "contract.offered.v1" in _unwanted(money_only)
