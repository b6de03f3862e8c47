"""Every event class has a golden: what was stored once loads for ever."""

import json

import pytest
from msgspec.structs import fields, replace

from ledger.codec import decode, encode
from ledger.errors import Corrupt, Invalid
from ledger.events import EVENTS, Event, require_valid
from tests.properties.everything import GOLDENS, everything, golden

TOPICS = sorted(EVENTS)


def test_every_event_class_has_a_golden_and_every_golden_an_event_class() -> None:
    assert sorted(path.stem for path in GOLDENS.glob("*.json")) == TOPICS


@pytest.mark.parametrize("topic", TOPICS)
def test_a_golden_is_read_as_an_event_that_could_be_decided_today(topic: str) -> None:
    event = decode(topic, golden(topic))
    assert type(event) is EVENTS[topic]
    require_valid(event)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_golden_encodes_again_to_the_same_bytes(topic: str) -> None:
    assert encode(decode(topic, golden(topic))) == golden(topic)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_field_that_is_absent_has_its_default_or_the_event_is_corrupt(topic: str) -> None:
    full = json.loads(golden(topic))
    for field in fields(EVENTS[topic]):
        stored = json.dumps({key: value for key, value in full.items() if key != field.name}).encode()
        if field.required:
            with pytest.raises(Corrupt, match=field.name):
                decode(topic, stored)
        else:
            assert decode(topic, stored) == replace(decode(topic, golden(topic)), **{field.name: field.default})


@pytest.mark.parametrize("topic", TOPICS)
def test_an_amount_that_the_rules_no_longer_allow_is_still_read(topic: str) -> None:
    full = json.loads(golden(topic))
    if "amount" in full:
        stored = json.dumps({**full, "amount": 10**16}).encode()
        event = decode(topic, stored)
        assert encode(event) == stored.replace(b", ", b",").replace(b": ", b":")
        with pytest.raises(Invalid, match="amount"):
            require_valid(event)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_field_that_is_not_ours_is_corrupt(topic: str) -> None:
    stored = json.dumps({**json.loads(golden(topic)), "surprise": 1}).encode()
    with pytest.raises(Corrupt, match="surprise"):
        decode(topic, stored)


@pytest.mark.parametrize(
    ("topic", "stored"),
    [
        ("client.unheard_of.v1", b"{}"),
        ("os.system", b"{}"),
        ("client.payment_overdue.v2", golden("client.payment_overdue.v1")),
        ("client.payment_overdue.v1", b"not json"),
        ("client.payment_overdue.v1", b"[]"),
        ("client.payment_overdue.v1", golden("client.payment_overdue.v1").replace(b"2026-01", b"2026-13")),
        ("client.payment_overdue.v1", b'{"actor": NaN}'),
        ("payout.reversed.v1", golden("payout.reversed.v1").replace(b'"chargeback"', b'"second thoughts"')),
    ],
)
def test_what_is_not_ours_is_corrupt(topic: str, stored: bytes) -> None:
    with pytest.raises(Corrupt):
        decode(topic, stored)


def test_a_whole_history_survives_storage() -> None:
    for recorded in everything().log:
        stored = encode(recorded.event)
        event: Event = decode(recorded.event.TOPIC, stored)
        assert event == recorded.event
        assert encode(event) == stored


def test_the_same_history_gives_the_same_bytes_twice() -> None:
    first, second = ([encode(recorded.event) for recorded in everything().log] for _ in range(2))
    assert first == second
