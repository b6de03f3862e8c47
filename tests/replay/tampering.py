"""What tests of `replay verify` share: a report on a copy, and what somebody does who owns the database."""

import psycopg

from ledger.store import chain
from replay.verify.findings import Finding, Report
from replay.verify.live import verify
from tests.replay.conftest import Copy


def report_of(copy: Copy) -> Report:
    with copy.live() as live:
        return verify(live.database, checkpoints=live.checkpoints)


def first_of(copy: Copy) -> Finding:
    report = report_of(copy)
    assert not report.ok
    return report.findings[0]


def position_of(copy: Copy, topic: str) -> int:
    with psycopg.connect(copy.admin_url) as connection:
        row = connection.execute("SELECT min(notification_id) FROM events WHERE topic = %s", (topic,)).fetchone()
    assert row
    return int(row[0])


def rehash(copy: Copy) -> None:
    """Makes the whole chain anew, as somebody would who owns the database."""
    with psycopg.connect(copy.admin_url) as connection:
        connection.execute("SET session_replication_role = replica")
        head = chain.START
        rows = connection.execute(
            "SELECT notification_id, originator_version, originator_id, topic, state FROM events ORDER BY 1"
        ).fetchall()
        for position, version, stream, topic, state in rows:
            head = chain.link(head, position, version, stream, topic, state)
            connection.execute("UPDATE events SET hash = %s WHERE notification_id = %s", (head, position))
        connection.execute("UPDATE log_head SET position = %s, hash = %s", (rows[-1][0], head))
