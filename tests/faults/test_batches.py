"""Many commands in one transaction: what the earlier ones change, the later ones of the batch know."""

from typing import Any

from ledger import commands as c
from ledger.bootstrap import Ledger
from ledger.commands import SYSTEM
from ledger.service import Receipt
from tests.play import DAY, DECLINES, HOUR, OPERATOR, Play


def test_in_one_batch_a_fifth_failure_suspends_a_contract_and_a_payment_of_another_of_its_payouts_is_recorded(
    ledger: Ledger,
) -> None:
    """The payment asks whether the contract can resume, and so reads payouts that nothing asked for before the failure."""
    play = Play(ledger, card=DECLINES)
    contract = play.active("milestone", milestones=(100, 200, 300))
    for number in (1, 2, 3):
        play.activate(contract, number)
        play.submit(contract, number)
        play.approve(contract, number)
        play.advance(DAY * 3 + HOUR if number == 1 else HOUR)
    failing, paid, third = play.payout_ids(contract)
    assert (play.payout(failing).failures, play.payout(paid).failures) == (4, 1)
    assert play.payout(third).status == "charge_failed", "and it is not in the batch"
    play.up = False
    for payout in (failing, paid):
        play.run(c.RequestCharge, OPERATOR, payout_id=payout, because="operator")

    def answer(payout: str, **outcome: Any) -> c.RecordCharge:
        origin = {"command_id": play.mint("cmd"), "actor": SYSTEM, "now": play.now}
        return c.RecordCharge(**origin, payout_id=payout, attempt=play.payout(payout).failures + 1, **outcome)

    batch = [answer(failing, failure="card_declined"), answer(paid, reference="ch_1")]
    receipts = ledger.service.handle_all(batch)
    assert all(isinstance(one, Receipt) and one.events for one in receipts)
    assert play.payouts(contract) == [
        "milestone charge_failed 100",
        "milestone pending 200",
        "milestone charge_failed 300",
    ]
    assert play.contract(contract).status == "suspended"
