"""Somebody who owns the database changes the log: it is found, its place is named, and what was done to it."""

from pathlib import Path
from random import Random

import psycopg
import pytest

from ledger.store import chain
from ledger.store.checkpoints import FILE, Checkpoints
from ledger.store.clocks import SystemClock
from ledger.store.log import Stored
from replay.verify.checks import tampering
from replay.verify.checks.chain import ChainCheck
from replay.verify.checks.checkpoints import CheckpointCheck
from replay.verify.checks.tampering import Tampering
from replay.verify.findings import Findings
from replay.verify.live import verify
from tests.faults.rounds import chance, rounds
from tests.replay.conftest import Copy
from tests.replay.tampering import rehash

SWAP = (
    "UPDATE events SET notification_id = -1 WHERE notification_id = %(a)s",
    "UPDATE events SET notification_id = %(a)s WHERE notification_id = %(b)s",
    "UPDATE events SET notification_id = %(b)s WHERE notification_id = -1",
)
MOVE_UP = (
    "UPDATE events SET notification_id = -notification_id WHERE notification_id > %(a)s",
    "UPDATE events SET notification_id = -notification_id - 1 WHERE notification_id < 0",
)
MOVE_DOWN = (
    "UPDATE events SET notification_id = -notification_id WHERE notification_id >= %(a)s",
    "UPDATE events SET notification_id = -notification_id + 1 WHERE notification_id < 0",
)
INSERT = (
    "INSERT INTO events SELECT %(a)s, originator_id, 900, topic, state, hash FROM events WHERE notification_id = %(b)s",
)
EDIT = ("UPDATE events SET state = state || convert_to(' ', 'UTF8') WHERE notification_id = %(a)s",)
DELETE = ("DELETE FROM events WHERE notification_id = %(a)s",)


def done_to(copy: Copy) -> Tampering | None:
    with copy.live() as live:
        return verify(live.database, checkpoints=live.checkpoints).tampering


def money_event(copy: Copy) -> int:
    query = "SELECT min(notification_id) FROM events WHERE topic = 'payout.charged.v1'"
    with psycopg.connect(copy.admin_url) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return int(row[0])


def test_nothing_was_done_to_an_untouched_log(copy: Copy) -> None:
    assert done_to(copy) is None


@pytest.mark.parametrize(
    ("kind", "statements"),
    [
        ("edited", EDIT),
        ("deleted", DELETE),
        ("deleted", (*DELETE, *MOVE_UP)),
        ("inserted", (*MOVE_DOWN, *INSERT)),
        ("swapped", SWAP),
    ],
    ids=["edited", "deleted", "deleted and closed up", "inserted", "swapped"],
)
def test_what_was_done_to_one_event_is_named_with_its_position(
    copy: Copy, kind: str, statements: tuple[str, ...]
) -> None:
    position = money_event(copy)
    copy.tamper(*statements, a=position, b=position + 7)
    done = done_to(copy)
    assert done is not None
    assert (done.kind, done.position) == (kind, position)


def test_a_cut_tail_is_named_although_the_head_row_was_cut_too(copy: Copy) -> None:
    head = signed(copy)
    with psycopg.connect(copy.admin_url) as connection:
        row = connection.execute("SELECT hash FROM events WHERE notification_id = %s", (head - 3,)).fetchone()
    assert row
    copy.tamper(
        "DELETE FROM events WHERE notification_id > %(a)s", "DELETE FROM commands WHERE position > %(a)s", a=head - 3
    )
    copy.tamper("UPDATE log_head SET position = %(a)s, hash = %(h)s", a=head - 3, h=row[0])
    done = done_to(copy)
    assert done is not None
    assert (done.kind, done.position) == ("tail_cut", head - 2)


def test_a_log_that_was_wholly_hashed_anew_is_not_the_one_that_was_signed(copy: Copy) -> None:
    signed(copy)
    copy.tamper(*EDIT, a=money_event(copy))
    rehash(copy)
    done = done_to(copy)
    assert done is not None
    assert done.kind == "rehashed"


def signed(copy: Copy) -> int:
    """Signs the log as it is, as the worker does, before anybody touches it; answers its last position."""
    with copy.live() as live:
        checkpoint = live.checkpoints.write(live.log, live.clock)
    assert checkpoint is not None
    return checkpoint.position


# The same on made-up logs, many times


def made_log(random: Random, length: int) -> list[Stored]:
    rows, head = [], chain.START
    versions: dict[str, int] = {}
    for position in range(1, length + 1):
        stream = f"pay_{random.randrange(5)}"
        versions[stream] = versions.get(stream, 0) + 1
        state = f'{{"n":{random.randrange(10**9)}}}'.encode()
        head = chain.link(head, position, versions[stream], stream, "payout.due.v1", state)
        rows.append(Stored(position, stream, versions[stream], "payout.due.v1", state, head))
    return rows


def moved(rows: list[Stored], by: int) -> list[Stored]:
    return [row._replace(position=row.position + by) for row in rows]


def tampered(random: Random, rows: list[Stored], kind: str, at: int) -> list[Stored]:
    """The rows after one of the ways; `at` is an index, not the last."""
    row = rows[at]
    if kind == "edited":
        return [*rows[:at], row._replace(state=row.state + b" "), *rows[at + 1 :]]
    if kind == "deleted":
        return [*rows[:at], *rows[at + 1 :]]
    if kind == "closed up":
        return [*rows[:at], *moved(rows[at + 1 :], -1)]
    if kind == "inserted":
        return [*rows[:at], row._replace(state=b"{}"), *moved(rows[at:], 1)]
    other = random.randrange(at + 1, len(rows))
    changed = list(rows)
    keeps_hashes = random.random() < 0.5
    for here, there in ((at, other), (other, at)):
        hash_ = rows[here].hash if keeps_hashes else rows[there].hash
        changed[here] = rows[there]._replace(position=rows[here].position, hash=hash_)
    return changed


def diagnosed(rows: list[Stored]) -> Tampering | None:
    check = ChainCheck(Findings())
    for row in rows:
        check.take(row)
    if check.broken_at is None:
        return None
    at = check.broken_at
    return tampering.at_break(at, check.intact_hash, iter([row for row in rows if row.position >= at]))


@pytest.mark.parametrize("kind", ["edited", "deleted", "closed up", "inserted", "swapped"])
def test_every_tampering_is_found_where_it_was_done(kind: str) -> None:
    for number in range(rounds(ci=200, soak=5_000)):
        random = chance("tampering", kind, number)
        rows = made_log(random, random.randrange(4, 30))
        assert diagnosed(rows) is None
        at = random.randrange(len(rows) - 2)
        done = diagnosed(tampered(random, rows, kind, at))
        assert done is not None
        assert done.position == at + 1, (kind, number, done)
        assert done.kind == {"closed up": "deleted"}.get(kind, kind), (kind, number, done)


class AtRest:
    """A log as a checkpoint is made of it."""

    def __init__(self, last: Stored) -> None:
        self._last = last

    def head_hash(self) -> tuple[int, bytes]:
        return self._last.position, self._last.hash


def against_what_was_signed(signed: Checkpoints, rows: list[Stored]) -> CheckpointCheck:
    check = CheckpointCheck(signed, Findings())
    for row in rows:
        check.take(row.position, row.hash)
    return check


def hashed_anew(rows: list[Stored], at: int) -> list[Stored]:
    """One event is another, and every hash from there on is right again."""
    head, anew = rows[at - 1].hash if at else chain.START, rows[:at]
    for row in [rows[at]._replace(state=b"{}"), *rows[at + 1 :]]:
        head = chain.link(head, row.position, row.version, row.stream, row.topic, row.state)
        anew.append(row._replace(hash=head))
    return anew


def test_every_cut_tail_and_every_log_hashed_anew_is_found_by_what_was_signed(tmp_path: Path) -> None:
    """The chain itself is intact in both."""
    signed = Checkpoints(tmp_path)
    for number in range(rounds(ci=200, soak=5_000)):
        random = chance("signed", number)
        rows = made_log(random, random.randrange(4, 30))
        known = random.randrange(1, len(rows))
        (tmp_path / FILE).unlink(missing_ok=True)
        assert signed.write(AtRest(rows[known]), SystemClock()) is not None  # type: ignore[arg-type]
        untouched = against_what_was_signed(signed, rows)
        assert (untouched.agreed, untouched.disagreed_at, untouched.positions()) == (1, None, [])
        cut = rows[: random.randrange(known + 1)]
        assert diagnosed(cut) is None
        assert against_what_was_signed(signed, cut).positions() == [known + 1]
        anew = hashed_anew(rows, random.randrange(known + 1))
        assert diagnosed(anew) is None
        assert against_what_was_signed(signed, anew).disagreed_at == known + 1
