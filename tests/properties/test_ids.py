"""Ids say what they name; an event's says where it stands."""

import pytest

from ledger.ids import event_id, place_of
from tests.properties.everything import everything


def test_an_events_id_names_its_place() -> None:
    for one in everything().log:
        assert place_of(event_id(one.stream, one.version)) == (one.stream, one.version)
    assert place_of("evt_con_aaaaaaaaaaaaaaaaaaaa_12") == ("con_aaaaaaaaaaaaaaaaaaaa", 12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evt_1",
        "evt__1",
        "evt_con_a",
        "evt_con_a_",
        "evt_con_a_0",
        "evt_con_a_-1",
        "evt_con_a_01",
        "evt_con_a_\u0661",
        "evt_con_a_99999999999",
        "evt_con_a_1\n",
        "evt_con_\x00_1",
        "evt_CON_a_1",
        "con_a_1",
        " evt_con_a_1",
    ],
)
def test_what_is_no_events_id_names_no_place(text: str) -> None:
    with pytest.raises(ValueError, match="is no id of an event: one is evt_, a stream's id, _ and a version"):
        place_of(text)
