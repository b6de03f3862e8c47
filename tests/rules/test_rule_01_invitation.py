"""Rule 1: the offer and its answer. Rule 2: only relationships that began outside the platform."""

from ledger import events as e
from tests.history import DAY, History, refused, utc


def test_rule_01_an_offered_contract_is_invited_and_an_invitation_is_sent() -> None:
    history = History()
    contract = history.offer("single_payment", amount=50_000)
    assert history.status(contract) == "invited"
    (sent,) = history.events(e.NotificationSent)
    offered = history.log[-2]
    assert (sent.kind, sent.about) == ("invitation", offered.id)
    assert isinstance(offered.event, e.ContractOffered)


def test_rule_01_the_invitation_is_sent_once_however_often_the_worker_looks() -> None:
    history = History()
    contract = history.offer("single_payment", amount=50_000)
    history.advance(30 * DAY)
    assert len(history.events(e.NotificationSent, of=contract)) == 1


def test_rule_01_accepted_with_a_payout_method_on_file_it_is_active_at_once() -> None:
    history = History(bank="pays")
    contract = history.offer("single_payment", amount=50_000)
    history.accept(contract)
    assert history.status(contract) == "active"
    assert history.last(e.ContractActivated).occurred_at == history.now


def test_rule_01_accepted_without_a_payout_method_it_is_accepted_until_there_is_one() -> None:
    history = History(bank=None)
    contract = history.offer("single_payment", amount=50_000)
    history.accept(contract)
    assert history.status(contract) == "accepted"
    history.advance(3 * DAY)
    assert history.status(contract) == "accepted"
    history.payout_method()
    assert history.status(contract) == "active"
    assert history.last(e.ContractActivated).occurred_at == utc("2026-01-08 09:00")


def test_rule_01_a_payout_method_activates_every_contract_that_waited_for_it_and_no_other() -> None:
    history = History(bank=None)
    first, second, unanswered = (history.offer("hourly", hourly_rate=100) for _ in range(3))
    history.accept(first)
    history.accept(second)
    history.payout_method()
    history.payout_method()  # another one changes nothing
    assert [history.status(one) for one in (first, second, unanswered)] == ["active", "active", "invited"]
    assert len(history.events(e.ContractActivated)) == 2


def test_rule_01_a_declined_offer_is_declined_for_good() -> None:
    history = History()
    contract = history.offer("hourly", hourly_rate=100)
    history.decline(contract)
    assert history.status(contract) == "declined"
    with refused("already_decided"):
        history.accept(contract)
    with refused("already_decided"):
        history.decline(contract)


def test_rule_01_the_client_may_withdraw_an_offer_that_is_not_yet_accepted() -> None:
    history = History()
    contract = history.offer("hourly", hourly_rate=100)
    history.withdraw_offer(contract)
    assert history.status(contract) == "withdrawn"
    with refused("already_decided"):
        history.accept(contract)


def test_rule_01_an_accepted_offer_can_no_longer_be_withdrawn_even_before_it_is_active() -> None:
    history = History(bank=None)
    contract = history.active("hourly", hourly_rate=100)
    with refused("already_decided"):
        history.withdraw_offer(contract)
    assert history.status(contract) == "accepted"


def test_rule_02_an_off_platform_offer_needs_no_conversion() -> None:
    history = History()
    contract = history.offer("hourly", hourly_rate=100, sourcing="off_platform")
    assert history.status(contract) == "invited"


def test_rule_02_a_marketplace_offer_without_a_conversion_is_refused() -> None:
    history = History()
    with refused("conversion_required"):
        history.offer("hourly", hourly_rate=100, sourcing="marketplace")


def test_rule_02_a_marketplace_offer_must_name_the_recorded_conversion() -> None:
    history = History()
    conversion = history.record_conversion()
    with refused("conversion_required"):
        history.offer("hourly", hourly_rate=100, sourcing="marketplace")
    with refused("conversion_required"):
        history.offer("hourly", hourly_rate=100, sourcing="marketplace", conversion_id="cnv_another")
    contract = history.offer("hourly", hourly_rate=100, sourcing="marketplace", conversion_id=conversion)
    assert history.status(contract) == "invited"


def test_rule_02_a_conversion_of_another_freelancer_does_not_match() -> None:
    history = History()
    conversion = history.record_conversion(freelancer=history.register_freelancer("Frida"))
    with refused("conversion_required"):
        history.offer("hourly", hourly_rate=100, sourcing="marketplace", conversion_id=conversion)


def test_rule_02_a_conversion_of_another_client_does_not_match() -> None:
    history = History()
    conversion = history.record_conversion(client=history.register_client("Carl"))
    with refused("conversion_required"):
        history.offer("hourly", hourly_rate=100, sourcing="marketplace", conversion_id=conversion)
