"""Old versions of events load for ever: a made-up event that has changed twice since."""

import json

import pytest
from msgspec.structs import replace

from ledger.codec import decode
from ledger.errors import Corrupt
from ledger.events import EVENTS
from ledger.upcasters import UPCASTERS, Payload, upcast
from tests.properties.everything import golden

NOW = "freelancer.withdrawal_failed.v1"
BEFORE = "freelancer.withdrawal_failed.v0"
LONG_BEFORE = "freelancer.transfer_bounced.v3"


def _renamed(payload: Payload) -> tuple[str, Payload]:
    """In the beginning the event had another name, and a withdrawal was a transfer."""
    return BEFORE, {"withdrawal_id": payload.pop("transfer_id"), **payload}


def _told_why(payload: Payload) -> tuple[str, Payload]:
    """Then it did not say why the transfer had failed."""
    return NOW, {**payload, "failure": "unknown"}


MADE_UP = {LONG_BEFORE: _renamed, BEFORE: _told_why}


def stored_long_before() -> bytes:
    payload = json.loads(golden(NOW))
    del payload["failure"]
    payload["transfer_id"] = payload.pop("withdrawal_id")
    return json.dumps(payload).encode()


def test_an_event_of_long_before_is_read_as_its_newest_version() -> None:
    event = decode(LONG_BEFORE, stored_long_before(), MADE_UP)
    newest = decode(NOW, golden(NOW))
    assert event == replace(newest, failure="unknown")


def test_an_event_that_is_up_to_date_goes_through_no_upcaster() -> None:
    assert decode(NOW, golden(NOW), MADE_UP) == decode(NOW, golden(NOW))


def test_without_its_upcaster_an_old_event_is_corrupt() -> None:
    with pytest.raises(Corrupt):
        decode(LONG_BEFORE, stored_long_before(), {LONG_BEFORE: _renamed})
    with pytest.raises(Corrupt):
        decode(LONG_BEFORE, stored_long_before())


def test_upcasters_that_go_in_a_circle_are_found_out() -> None:
    circle = {BEFORE: lambda payload: (LONG_BEFORE, payload), LONG_BEFORE: lambda payload: (BEFORE, payload)}
    with pytest.raises(Corrupt, match="circle"):
        upcast(BEFORE, {}, circle)


def test_no_upcaster_stands_before_a_present_event_and_each_leads_to_one() -> None:
    assert not UPCASTERS.keys() & EVENTS.keys()
    for topic in UPCASTERS:
        assert topic.rpartition(".v")[2].isdigit()
