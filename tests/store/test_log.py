"""The log: one order, no gaps, a chain over the stored bytes, and conflicts that write nothing."""

import gc
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import psycopg
import pytest
from eventsourcing.persistence import IntegrityError
from msgspec.structs import replace

from ledger import commands as c
from ledger import events as e
from ledger.bootstrap import Ledger
from ledger.errors import Corrupt, Refused
from ledger.policies.unit import NewEvent
from ledger.settings import Settings
from ledger.store.log import LedgerLog
from ledger.store.vault import Secret, digest
from tests.databases import Server
from tests.play import Play
from tests.processes import all_at_once, in_time, other_processes, together

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
STAMP = {"actor": "system", "occurred_at": NOON, "recorded_at": NOON, "command_id": "cmd_1"}
SEALED = e.Sealed(id="vlt_1", sha256="0" * 64)
APPENDS_OF_EACH = 60


def registered(client: str) -> NewEvent:
    return NewEvent(client, 1, e.ClientRegistered(**STAMP, client_id=client, name=SEALED, email=SEALED))


def overdue(client: str, version: int) -> NewEvent:
    """Any event that may follow on the first one."""
    return NewEvent(client, version, e.PaymentOverdue(**STAMP, client_id=client, payout_id=f"pay_{version}"))


def append(log: LedgerLog, *events: NewEvent, **known: Any) -> int:
    """As somebody does who has just loaded the streams."""
    expect = {new.stream: new.version - 1 for new in reversed(events)}
    return log.append(events, **{"head": log.head(), "expect": expect, **known})


def positions(log: LedgerLog) -> list[int]:
    return [stored.position for stored in log.read_all()]


# Appending


def test_five_thousand_events_are_appended_at_once(ledger: Ledger) -> None:
    events = [registered(f"cli_{number}") for number in range(5_000)]
    assert in_time(lambda: append(ledger.log, *events)) == 5_000
    assert positions(ledger.log) == list(range(1, 5_001))
    assert [stored.stream for stored in ledger.log.read_all()] == [new.stream for new in events]


def test_positions_are_dense_over_appends_of_all_sizes(ledger: Ledger) -> None:
    appended = 0
    for size in (1, 3, 1, 10, 2):
        new = [registered(f"cli_{number}") for number in range(appended, appended + size)]
        appended += size
        assert append(ledger.log, *new) == appended
    assert positions(ledger.log) == list(range(1, appended + 1))
    assert ledger.log.head() == appended


def test_what_was_appended_is_read_back_as_it_was(ledger: Ledger) -> None:
    events = [registered("cli_a"), overdue("cli_a", 2), registered("cli_b")]
    append(ledger.log, *events)
    assert [(stored.stream, stored.version, stored.event) for stored in ledger.log.read_all()] == events
    found = ledger.log.find("cli_a", 2)
    assert found is not None
    assert (found.position, found.id, found.event) == (2, "evt_cli_a_2", events[1].event)
    assert ledger.log.find("cli_a", 3) is None


def test_the_chain_recomputed_by_hand_from_the_stored_bytes_is_that_of_the_rows_and_of_the_head(ledger: Ledger) -> None:
    play = Play(ledger)
    play.submit(play.active("single_payment", amount=50_000))
    play.advance("2026-01-20 09:00")
    rows = ledger.database.fetch(
        "SELECT notification_id, originator_id, originator_version, topic, state, hash FROM events ORDER BY 1"
    )
    assert len(rows) > 10

    def sized(data: bytes) -> bytes:
        return struct.pack(">Q", len(data)) + data

    head = b"\0" * 32
    for row in rows:
        leaf = b"\x00" + struct.pack(">QQ", row["notification_id"], row["originator_version"])
        leaf += sized(row["originator_id"].encode()) + sized(row["topic"].encode()) + sized(bytes(row["state"]))
        head = sha256(b"\x01" + head + sha256(leaf).digest()).digest()
        assert bytes(row["hash"]) == head, f"position {row['notification_id']}"
    (kept,) = ledger.database.fetch("SELECT position, hash FROM log_head")
    assert (kept["position"], bytes(kept["hash"])) == (len(rows), head)


def test_a_log_that_is_let_go_leaves_the_database_open(ledger: Ledger) -> None:
    """The library closes what it is given when it is garbage collected; ours is shared."""
    other = LedgerLog(ledger.database)
    assert other.head() == 0
    del other
    gc.collect()
    assert ledger.log.head() == 0


# Conflicts


def written(ledger: Ledger) -> list[Any]:
    """Everything that an append may write."""
    tables = ("events", "commands", "vault")
    counts = [ledger.database.fetch(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in tables]
    return [*counts, ledger.database.fetch("SELECT position, hash FROM log_head")]


def secret(text: str) -> Secret:
    return Secret(e.Sealed(id=f"vlt_{text}", sha256=digest(b"salt", text)), "cli_a", b"salt", text)


def test_a_gap_in_versions_is_refused(ledger: Ledger) -> None:
    append(ledger.log, registered("cli_a"))
    before = written(ledger)
    for versions in ((3,), (2, 4), (1,), (2, 2)):
        with pytest.raises(Corrupt, match="does not follow"):
            append(ledger.log, *(overdue("cli_a", version) for version in versions), expect={"cli_a": 1})
        assert written(ledger) == before


def test_a_conflict_writes_nothing(ledger: Ledger) -> None:
    head = ledger.log.head()
    append(ledger.log, registered("cli_a"))
    before = written(ledger)
    with pytest.raises(IntegrityError):
        append(
            ledger.log,
            registered("cli_b"),
            registered("cli_a"),
            head=head,
            secrets=[secret("never")],
            command_id="cmd_never",
        )
    assert written(ledger) == before


def test_a_command_id_that_is_taken_writes_nothing(ledger: Ledger) -> None:
    append(ledger.log, registered("cli_a"), command_id="cmd_1")
    before = written(ledger)
    with pytest.raises(IntegrityError):
        append(ledger.log, registered("cli_b"), secrets=[secret("never")], command_id="cmd_1")
    assert written(ledger) == before
    assert ledger.log.handled("cmd_1") == 1
    assert ledger.log.handled("cmd_2") is None


def test_a_stream_that_was_only_read_and_has_changed_since_is_a_conflict(ledger: Ledger) -> None:
    append(ledger.log, registered("cli_read"))
    head, expect = ledger.log.head(), {"cli_read": 1, "cli_new": 0}
    append(ledger.log, overdue("cli_read", 2))
    before = written(ledger)
    with pytest.raises(IntegrityError, match="cli_read was loaded at version 1 and is at 2"):
        append(ledger.log, registered("cli_new"), head=head, expect=expect)
    assert written(ledger) == before


def test_a_stream_that_was_read_while_it_was_empty_and_has_begun_since_is_a_conflict(ledger: Ledger) -> None:
    head, expect = ledger.log.head(), {"cli_read": 0, "cli_new": 0}
    append(ledger.log, registered("cli_read"))
    with pytest.raises(IntegrityError):
        append(ledger.log, registered("cli_new"), head=head, expect=expect)


def test_what_others_append_to_other_streams_is_no_conflict(ledger: Ledger) -> None:
    append(ledger.log, registered("cli_read"))
    head = ledger.log.head()
    append(ledger.log, registered("cli_other"))
    assert append(ledger.log, registered("cli_new"), head=head, expect={"cli_read": 1, "cli_new": 0}) == 3


def test_a_state_with_a_gap_before_it_is_not_loaded(ledger: Ledger) -> None:
    append(ledger.log, registered("cli_a"))
    append(ledger.log, overdue("cli_a", 3), expect={"cli_a": 2})
    with pytest.raises(Corrupt, match="gap"):
        ledger.log.load(["cli_a"])


def test_a_decision_is_taken_anew_when_what_it_read_has_changed(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Acceptance reads whether the freelancer has a payout method: here it is set right after that was read."""
    play = Play(ledger, bank=None, up=False)
    contract = play.offer("single_payment", amount=50_000)
    load, tokens = ledger.log.load, ["ba_test"]

    def load_while_it_is_set(streams: Any) -> Any:
        states = load(streams)
        if play.freelancer in states and tokens:
            play.ledger = Ledger(ledger.settings, ledger.database)
            play.bank(tokens.pop())
            play.ledger = ledger
        return states

    monkeypatch.setattr(ledger.log, "load", load_while_it_is_set)
    play.accept(contract)
    assert not tokens
    assert play.topics().count(e.OfferAccepted.TOPIC) == 1
    assert play.contract(contract).payout_method_on_file
    assert play.contract(contract).status == "active"


# Immutability


CHANGES = [
    "UPDATE events SET topic = 'contract.offered.v1'",
    "UPDATE events SET state = state WHERE notification_id = 1",
    "DELETE FROM events",
    "DELETE FROM events WHERE notification_id = 1",
    "TRUNCATE events",
    "TRUNCATE events CASCADE",
    "INSERT INTO events SELECT * FROM events ON CONFLICT (notification_id) DO UPDATE SET topic = ''",
    "MERGE INTO events USING log_head ON true WHEN MATCHED THEN DELETE",
]
WAYS_ROUND = [
    "ALTER TABLE events DISABLE TRIGGER ALL",
    "DROP TRIGGER events_are_immutable ON events",
    "DROP TABLE events",
    "SET session_replication_role = replica",
]


def test_the_application_cannot_change_remove_or_truncate_events(ledger: Ledger) -> None:
    append(ledger.log, registered("cli_a"), registered("cli_b"))
    before = list(ledger.log.read_all())
    for statement in CHANGES + WAYS_ROUND:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ledger.database.execute(statement)
        assert list(ledger.log.read_all()) == before, statement


def test_not_even_the_owner_changes_an_event_by_mistake(ledger: Ledger, server: Server, database_url: str) -> None:
    append(ledger.log, registered("cli_a"), registered("cli_b"))
    before = list(ledger.log.read_all())
    with psycopg.connect(server.owner_url_of(database_url), autocommit=True) as connection:
        for statement in CHANGES:
            with pytest.raises(psycopg.errors.RestrictViolation, match="events are never changed or removed"):
                connection.execute(statement.encode())
            assert list(ledger.log.read_all()) == before, statement


def test_the_application_cannot_forget_what_was_done(ledger: Ledger) -> None:
    for table in ("commands", "log_head", "vault", "identities", "migrations"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ledger.database.execute(f"DELETE FROM {table}")


# Retries


def register(play: Play, name: str) -> tuple[c.RegisterClient, list[Secret]]:
    words = [play.text(name), play.text(f"{name}@client.example")]
    identity = {"client_id": f"cli_{name}", "name": words[0].sealed, "email": words[1].sealed}
    return c.RegisterClient(command_id=f"cmd_{name}", actor="operator:x", now=play.now, **identity), words


def test_a_retry_after_a_lost_acknowledgement_has_one_effect(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    play = Play(ledger)
    command, words = register(play, "dora")
    append_to_log = ledger.log.append

    def append_and_lose_the_answer(*args: Any, **kwargs: Any) -> int:
        append_to_log(*args, **kwargs)
        raise psycopg.OperationalError("the connection is gone")

    monkeypatch.setattr(ledger.log, "append", append_and_lose_the_answer)
    with pytest.raises(psycopg.OperationalError):
        ledger.service.handle(command, words)
    monkeypatch.undo()
    head = ledger.log.head()
    again = ledger.service.handle(command, words)
    assert (again.position, again.events, again.replayed) == (head, (), True)
    assert ledger.log.head() == head
    assert [stored.stream for stored in ledger.log.read_all()].count("cli_dora") == 1


def test_a_conflict_with_oneself_is_a_success(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt was written although its answer was lost on the way: the second finds its own command."""
    play = Play(ledger)
    command, words = register(play, "dora")
    append_to_log = ledger.log.append

    def append_twice(*args: Any, **kwargs: Any) -> int:
        append_to_log(*args, **kwargs)
        return append_to_log(*args, **kwargs)

    monkeypatch.setattr(ledger.log, "append", append_twice)
    receipt = ledger.service.handle(command, words)
    assert receipt.replayed
    assert receipt.position == ledger.log.head()
    assert [stored.stream for stored in ledger.log.read_all()].count("cli_dora") == 1


def test_one_command_sent_by_eight_threads_at_once_has_one_effect_and_eight_receipts(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=50_000)
    play.submit(contract)
    approve = c.ApproveMilestone(
        command_id="cmd_once",
        actor=f"client:{play.client}",
        now=play.now,
        contract_id=contract,
        milestone_id=play.milestone(contract),
    )
    receipts = together(*[lambda: ledger.service.handle(approve)] * 8)
    assert [type(receipt).__name__ for receipt in receipts] == ["Receipt"] * 8
    assert len({receipt.position for receipt in receipts}) == 1
    assert sum(not receipt.replayed for receipt in receipts) == 1
    assert play.topics().count(e.MilestoneApproved.TOPIC) == 1


def test_a_refused_command_can_be_sent_again_when_it_has_become_possible(ledger: Ledger) -> None:
    play = Play(ledger, up=False)
    contract = play.active("single_payment", amount=50_000)
    approve = c.ApproveMilestone(
        command_id="cmd_again",
        actor=f"client:{play.client}",
        now=play.now,
        contract_id=contract,
        milestone_id=play.milestone(contract),
    )
    with pytest.raises(Refused):
        ledger.service.handle(approve)
    play.submit(contract)
    assert not ledger.service.handle(replace(approve, now=play.now)).replayed


# Many at once


def appender(log: LedgerLog, stream: str) -> Callable[[], None]:
    def run() -> None:
        append(log, registered(stream))
        for version in range(2, APPENDS_OF_EACH + 1):
            append(log, overdue(stream, version))

    return run


IN_A_PROCESS = """
import os
from tests.store.test_log import appender
appender(ledger.log, f"cli_process{os.getpid()}")()
"""


def test_two_threads_and_two_processes_append_at_once_and_readers_never_miss_an_event(
    ledger: Ledger, settings: Settings
) -> None:
    with other_processes(settings, 2) as others:
        total = 4 * APPENDS_OF_EACH

        def tail() -> list[int]:
            seen: list[int] = []
            while len(seen) < total:
                seen += [stored.position for stored in ledger.log.read(len(seen), 50)]
                assert seen == list(range(1, len(seen) + 1)), "a reader was shown a position before an earlier one"
            return seen

        answers = together(
            appender(ledger.log, "cli_thread1"),
            appender(ledger.log, "cli_thread2"),
            tail,
            tail,
            lambda: all_at_once(others, IN_A_PROCESS),
        )
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert positions(ledger.log) == list(range(1, total + 1))
    found = list(ledger.log.read_all())
    streams = {stored.stream for stored in found}
    assert len(streams) == 4
    for stream in streams:
        assert [stored.version for stored in found if stored.stream == stream] == list(range(1, APPENDS_OF_EACH + 1))
