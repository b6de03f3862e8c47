"""A balance at a past instant is read from an index: as many lines as there are currencies, however many lines there are."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from ledger.bootstrap import Ledger
from tests.databases import Server
from tests.play import utc

OTHERS, LINES_OF_ONE = 4_000, 3_000
ONE = "fre_one"
START = utc("2026-01-05 00:00")
CURRENCIES = ("EUR", "JPY", "USD")
AT_MOST = len(CURRENCIES) + 1
"""One look-up more finds no further currency; before PostgreSQL 18 what a look-up reads on average is rounded."""


@pytest.fixture
def crowded(ledger: Ledger, server: Server) -> Ledger:
    """Thousands of freelancers with a few lines each, and one with thousands in each of three currencies."""
    insert = (
        "INSERT INTO statement_lines SELECT {who}, {currency}, %s::timestamptz + n * interval '1 minute', n,"
        " %s::timestamptz + n * interval '1 minute', 'charge', 'pay_x', 1, 0, 0, {pending}, 0, 0"
    )
    some = insert.format(who="'fre_' || f", currency="'USD'", pending="n") + (
        " FROM generate_series(1, %s) AS f CROSS JOIN generate_series(1, 5) AS n"
    )
    many = insert.format(who="'fre_one'", currency="c", pending="n") + (
        " FROM generate_series(1, %s) AS n CROSS JOIN unnest(%s::text[]) AS c"
    )
    assert ledger.settings.database_url is not None
    url = server.owner_url_of(ledger.settings.database_url.get_secret_value())
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(some.encode(), (START, START, OTHERS))
        owner.execute(many.encode(), (START, START, LINES_OF_ONE, list(CURRENCIES)))
        owner.execute("VACUUM ANALYZE statement_lines")
    return ledger


def plans(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, ask: Any) -> list[dict[str, Any]]:
    """How PostgreSQL answers what is asked: each of its queries, run and explained."""
    asked: list[tuple[str, Any]] = []
    fetch = ledger.database.fetch

    def listening(query: str, values: Any = None) -> Any:
        asked.append((query, values))
        return fetch(query, values)

    with monkeypatch.context() as patch:
        patch.setattr(ledger.database, "fetch", listening)
        ask()
    found = [fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", values) for query, values in asked]
    return [rows[0]["QUERY PLAN"][0]["Plan"] for rows in found]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def of_statements(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [node for plan in found for node in nodes(plan) if node.get("Relation Name") == "statement_lines"]


def read(node: dict[str, Any]) -> float:
    """The rows that a scan looked at."""
    ignored = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + ignored) * node["Actual Loops"])


INSTANTS = [START, START + timedelta(minutes=7), START + timedelta(minutes=LINES_OF_ONE // 2), utc("2030-01-01 00:00")]


@pytest.mark.parametrize("as_of", INSTANTS)
@pytest.mark.parametrize("freelancer", [ONE, "fre_7", "fre_nobody"])
def test_it_is_read_from_the_index_and_a_line_for_each_currency(
    crowded: Ledger, monkeypatch: pytest.MonkeyPatch, freelancer: str, as_of: datetime
) -> None:
    for ask in (
        lambda: crowded.reader.balance(freelancer, as_of=as_of),
        lambda: crowded.reader.before(freelancer, as_of),
        lambda: crowded.reader.before(freelancer, None),
    ):
        scans = of_statements(plans(crowded, monkeypatch, ask))
        assert scans
        for scan in scans:
            assert scan["Node Type"] in ("Index Scan", "Index Only Scan")
            assert scan["Index Name"] == "statement_lines_pkey"
            assert "freelancer_id" in scan["Index Cond"]
            assert read(scan) <= AT_MOST


def test_what_was_known_then_is_summed_over_the_freelancers_own_lines(
    crowded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for times in ({"known_at": INSTANTS[1]}, {"at_position": 3}, {"as_of": INSTANTS[1], "known_at": INSTANTS[2]}):
        found = plans(crowded, monkeypatch, lambda times=times: crowded.reader.balance("fre_7", **times))
        assert not [node for node in of_statements(found) if node["Node Type"] == "Seq Scan"]
        assert sum(read(node) for node in of_statements(found)) <= 5


def test_it_is_right_at_every_instant_and_in_every_currency(crowded: Ledger) -> None:
    for minutes in (0, 1, 2, LINES_OF_ONE - 1, LINES_OF_ONE, LINES_OF_ONE + 1):
        instant = START + timedelta(minutes=minutes)
        expected = dict.fromkeys(CURRENCIES, min(minutes, LINES_OF_ONE)) if minutes else {}
        assert crowded.reader.balance(ONE, as_of=instant).pending == expected
        just_before = dict.fromkeys(CURRENCIES, min(minutes - 1, LINES_OF_ONE)) if minutes > 1 else {}
        assert crowded.reader.before(ONE, instant).pending == just_before
    assert crowded.reader.before(ONE, None).pending == dict.fromkeys(CURRENCIES, LINES_OF_ONE)
