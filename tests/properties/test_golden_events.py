"""Every event class has a golden: what was stored once loads for ever, and the fast way of reading it agrees with pydantic."""

import json

import pytest
from pydantic import ValidationError

from ledger.codec import decode, decode_payload, encode
from ledger.errors import Corrupt
from ledger.events import EVENTS, Event
from tests.properties.everything import GOLDENS, everything, golden

TOPICS = sorted(EVENTS)


def test_every_event_class_has_a_golden_and_every_golden_an_event_class() -> None:
    assert sorted(path.stem for path in GOLDENS.glob("*.json")) == TOPICS


@pytest.mark.parametrize("topic", TOPICS)
def test_a_golden_decodes_as_pydantic_reads_it(topic: str) -> None:
    ours, theirs = decode(topic, golden(topic)), EVENTS[topic].model_validate_json(golden(topic))
    assert type(ours) is type(theirs) is EVENTS[topic]
    assert ours == theirs
    assert [type(value) for value in vars(ours).values()] == [type(value) for value in vars(theirs).values()]
    assert ours.model_dump() == theirs.model_dump()


@pytest.mark.parametrize("topic", TOPICS)
def test_a_golden_encodes_again_to_the_same_bytes(topic: str) -> None:
    assert encode(decode(topic, golden(topic))) == golden(topic)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_payload_that_hot_folds_read_is_the_goldens_json(topic: str) -> None:
    assert decode_payload(topic, golden(topic)) == (topic, json.loads(golden(topic)))


@pytest.mark.parametrize("topic", TOPICS)
def test_a_field_that_is_absent_has_its_default_in_both(topic: str) -> None:
    full = json.loads(golden(topic))
    for name, field in EVENTS[topic].model_fields.items():
        stored = json.dumps({key: value for key, value in full.items() if key != name}).encode()
        if field.is_required():
            with pytest.raises(Corrupt, match=name):
                decode(topic, stored)
            with pytest.raises(ValidationError):
                EVENTS[topic].model_validate_json(stored)
        else:
            assert decode(topic, stored) == EVENTS[topic].model_validate_json(stored)


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
    ],
)
def test_what_is_not_ours_is_corrupt(topic: str, stored: bytes) -> None:
    with pytest.raises(Corrupt):
        decode(topic, stored)


def test_a_whole_history_survives_storage() -> None:
    for recorded in everything().log:
        stored = encode(recorded.event)
        event: Event = decode(recorded.event.TOPIC, stored)
        assert event == recorded.event == type(event).model_validate_json(stored)
        assert encode(event) == stored


def test_the_same_history_gives_the_same_bytes_twice() -> None:
    first, second = ([encode(recorded.event) for recorded in everything().log] for _ in range(2))
    assert first == second
