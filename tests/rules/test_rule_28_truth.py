"""Rule 28: what every event carries. Rule 30: amounts are integers with an ISO 4217 code."""

import json
from datetime import timedelta, timezone

import msgspec
import pytest
from msgspec.structs import replace

from ledger import events as e
from ledger.codec import decode, encode
from ledger.errors import Invalid
from ledger.money import CURRENCIES
from tests.history import DAY, HOUR, History, sealed, utc
from tests.properties.everything import everything, golden

WORDS = (
    "Clara", "clara@client.example", "Fred", "fred@work.example", "A title", "too little", "found another", "done",
    "I set my own hours", "own tools, several clients", "have a look", "the logo is too small", "well done", "worked",
    "counted again", "thanks", "these hours are too many", "a mistake",
)  # fmt: skip


def test_rule_28_every_event_carries_its_actor_times_command_and_rule_version() -> None:
    for recorded in everything().log:
        event = recorded.event
        role, _, who = event.actor.partition(":")
        assert role in ("client", "freelancer", "operator", "system")
        assert (role == "system") == (who == "")
        assert event.occurred_at <= event.recorded_at
        assert event.command_id.startswith("cmd_")
        assert event.rule_version == e.RULE_VERSION


def test_rule_28_the_cause_of_an_event_is_an_event_before_it() -> None:
    history = everything()
    position = {recorded.id: recorded.position for recorded in history.log}
    for recorded in history.log:
        if recorded.event.cause_id is not None:
            assert position[recorded.event.cause_id] < recorded.position


def test_rule_28_what_happens_by_itself_has_a_cause_and_what_people_do_has_none() -> None:
    for recorded in everything().log:
        assert (recorded.event.actor == "system") == (recorded.event.cause_id is not None), recorded


def test_rule_28_what_follows_in_the_same_transaction_names_the_same_command() -> None:
    history = History()
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    history.approve(contract)
    approved, due = history.last(e.MilestoneApproved), history.last(e.PayoutDue)
    assert due.command_id == approved.command_id
    assert (approved.actor, due.actor) == (f"client:{history.client}", "system")


def test_rule_28_names_addresses_and_free_text_stand_in_no_event() -> None:
    for recorded in everything().log:
        stored = encode(recorded.event).decode()
        assert not [word for word in WORDS if word in stored], stored


def test_rule_28_an_event_points_to_the_vault_by_id_and_hash() -> None:
    history = History()
    contract = history.active("hourly", hourly_rate=6000)
    history.complete(contract)
    reason = history.last(e.ContractCompleted).reason
    assert reason == sealed("done")
    assert set(msgspec.to_builtins(reason)) == {"id", "sha256"}


def test_rule_28_every_vault_reference_of_an_event_can_be_found() -> None:
    found = {one.id for recorded in everything().log for one in e.sealed_in(recorded.event)}
    assert {sealed(word).id for word in WORDS} <= found


def test_rule_28_times_of_events_are_utc() -> None:
    fields = {"client_id": "cli_x", "payout_id": "pay_x", "actor": "system", "command_id": "cmd_x"}
    here = utc("2026-01-05 09:00").astimezone(timezone(timedelta(hours=1)))
    with pytest.raises(Invalid, match=r"occurred_at: must be a time in UTC; recorded_at: must be"):
        e.require_valid(e.PaymentOverdue(**fields, occurred_at=here, recorded_at=here))
    with pytest.raises(Invalid, match="UTC"):
        e.require_valid(e.PaymentOverdue(**fields, occurred_at=here.replace(tzinfo=None), recorded_at=here))


def test_rule_28_replay_reads_deadlines_it_never_computes_them() -> None:
    """A history in which another rule gave other deadlines: the state follows what was written."""
    history = History("2026-01-05 09:00")
    contract = history.active("single_payment", amount=50_000)
    history.submit(contract)
    submitted = history.last(e.MilestoneSubmitted)
    other = replace(submitted, review_deadline=utc("2026-01-06 09:00"), rule_version=0)
    history._record(contract, history.state(contract).version + 1, "evt_other", other)
    history.advance(DAY)
    assert history.milestones(contract) == ["approved"]


def approved(**fields: object) -> e.AdjustmentApproved:
    """An adjustment whose only posting has these fields."""
    event = decode(e.AdjustmentApproved.TOPIC, golden(e.AdjustmentApproved.TOPIC))
    assert isinstance(event, e.AdjustmentApproved)
    return replace(event, postings=(replace(event.postings[0], **fields),))


@pytest.mark.parametrize("amount", [0, -1, 10**15 + 1, 1.0, "1", True, None])
def test_rule_30_an_amount_is_a_whole_number_from_1_to_ten_to_the_fifteen(amount: object) -> None:
    with pytest.raises(Invalid, match=r"postings\.0\.amount"):
        e.require_valid(approved(amount=amount))


@pytest.mark.parametrize("amount", [1, 10**15])
def test_rule_30_the_smallest_and_the_largest_amount_are_possible(amount: int) -> None:
    e.require_valid(approved(amount=amount))


@pytest.mark.parametrize("currency", ["usd", "XXX", "XTS", "XAU", "XDR", "US", "ABC", ""])
def test_rule_30_a_currency_is_money_with_a_minor_unit_in_upper_case(currency: str) -> None:
    with pytest.raises(Invalid, match=r"postings\.0\.currency"):
        e.require_valid(approved(currency=currency))


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY", "KWD", "GBP"])
def test_rule_30_a_currency_has_an_iso_4217_code(currency: str) -> None:
    assert currency in CURRENCIES
    history = History()
    contract = history.active("single_payment", amount=123, currency=currency)
    history.submit(contract)
    history.approve(contract)
    history.advance(4 * DAY + HOUR)
    assert history.balance(currency=currency).available == 123


def test_rule_30_no_floating_point_touches_money() -> None:
    for recorded in everything().log:
        assert not _floats(json.loads(encode(recorded.event))), recorded


def _floats(value: object) -> bool:
    if isinstance(value, dict):
        return any(map(_floats, value.values()))
    return any(map(_floats, value)) if isinstance(value, list) else isinstance(value, float)
