"""What events are called and which rules they come from: no event is left out."""

import pytest

from ledger.events import EVENTS, Sealed, sealed_in
from ledger.projections import PROJECTIONS
from replay import words
from replay.live import Live
from replay.rules import RULES_OF, SENTENCES, rules_of
from replay.texts import details, references
from replay.values import instant, money, parse_instant

UNTOLD = {"client.erased.v1", "freelancer.erased.v1", "contract.milestone_request_declined.v1"}
"""What does not happen in the story."""


def test_every_topic_comes_from_a_rule() -> None:
    assert set(RULES_OF) == set(EVENTS)


def test_every_topic_has_a_sentence() -> None:
    assert set(EVENTS) == words.TOPICS


def test_there_is_a_sentence_for_each_of_the_thirty_rules() -> None:
    assert sorted(SENTENCES) == list(range(1, 31))


def test_every_event_of_the_story_is_told_with_its_rules(live: Live) -> None:
    told = set()
    for stored in live.log.read_all():
        assert words.sentence(stored.event)
        assert all(number in SENTENCES for number in rules_of(stored.event))
        assert rules_of(stored.event)
        told.add(stored.topic)
    assert set(EVENTS) - told == UNTOLD


def test_references_are_all_that_an_event_points_to(live: Live) -> None:
    for stored in live.log.read_all():
        assert references(stored.event) == sealed_in(stored.event)


def test_tokens_of_payment_methods_are_withheld(live: Live) -> None:
    for stored in live.log.read_all():
        shown = details(stored.event, {sealed.id: "secret" for sealed in references(stored.event)})
        if isinstance(getattr(stored.event, "method", None), Sealed):
            assert shown["method"]["text"] is None
            assert shown["method"]["withheld"]


def test_the_key_of_a_table_is_its_first_columns() -> None:
    for projection in PROJECTIONS:
        for table in projection.tables:
            assert tuple(table.columns)[: len(table.key)] == table.key


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (123_450, "USD", "1,234.50 USD"),
        (-5, "EUR", "-0.05 EUR"),
        (1_000_000, "JPY", "1,000,000 JPY"),
        (1_234, "KWD", "1.234 KWD"),
        (0, "USD", "0.00 USD"),
        (10**20, "USD", "1,000,000,000,000,000,000.00 USD"),
        (7, "???", "7 ???"),
    ],
)
def test_amounts_have_the_decimals_of_their_currency(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-09T12:00:00Z", "2026-01-09T12:00:00Z"),
        ("2026-01-09t12:00:00.5z", "2026-01-09T12:00:00.500000Z"),
        ("2026-01-09T14:00:00+02:00", "2026-01-09T12:00:00Z"),
    ],
)
def test_times_are_rfc_3339(text: str, utc: str) -> None:
    assert instant(parse_instant(text)) == utc


@pytest.mark.parametrize(
    "text",
    ["2026-01-09", "2026-01-09T12:00:00", "2026-13-01T00:00:00Z", "20260109T120000Z", "", "0001-01-01T00:00:00+01:00"],
)
def test_a_time_without_a_zone_or_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="2026-01-09T12:00:00Z"):
        parse_instant(text)
