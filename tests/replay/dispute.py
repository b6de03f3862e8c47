"""The dispute of docs/replay.md: a week of work, a card that was declined, an objection, and a worker that came back late."""

from collections.abc import Callable
from typing import Any

from ledger.bootstrap import Ledger
from ledger.commands import Command
from ledger.ids import derive
from ledger.service import Receipt
from ledger.store.checkpoints import Checkpoints
from ledger.store.vault import Secret
from tests.replay.story import Story, contract, cycle_payout

NORTHWIND, ADA = derive("cli", "Northwind"), derive("fre", "Ada Byron")
CONTRACT, PAYOUT = contract("Website"), cycle_payout("Website", "2026-01-05")
BEGIN = "2026-01-05 09:00"
"""A Monday."""


ACTORS = {"client:x": f"client:{NORTHWIND}", "freelancer:x": f"freelancer:{ADA}"}


class _Dispute(Story):
    """Told with who did what."""

    def send(self, command: Callable[..., Command], actor: str, /, *secrets: Secret, **fields: Any) -> Receipt:
        return super().send(command, ACTORS.get(actor, actor), *secrets, **fields)


def tell(ledger: Ledger) -> None:
    """From Monday 2026-01-05 09:00 to Monday 2026-01-19 10:00, when Ada complains; on the 14th the log's head is signed."""
    story = _Dispute(ledger)
    story.client("Northwind", "pm_card_chargeDeclined")
    story.freelancer("Ada Byron")
    story.active("Website", NORTHWIND, ADA, "hourly", hourly_rate=5_000, weekly_limit_minutes=2_400)
    for number, day in enumerate(("2026-01-05", "2026-01-06", "2026-01-07"), 1):
        story.on(f"{day} 18:00")
        story.log_time(CONTRACT, f"day {number}", day, 400)
    story.on("2026-01-12 12:00")  # the close: 20 hours at 50.00; the card is declined
    story.on("2026-01-13 11:00")
    story.card(NORTHWIND, "pm_card_visa")  # tried at once
    story.on("2026-01-13 15:00")
    story.object(PAYOUT, "two of the hours on Wednesday were a repair of Tuesday's work")
    story.on("2026-01-14 10:00")
    story.reduce(PAYOUT, 90_000)
    assert Checkpoints(ledger.settings.checkpoints).write(ledger.log, ledger.clock)
    story.late("2026-01-18 10:00")  # nobody works on Saturday; what was due then is recorded on Sunday
    story.on("2026-01-19 09:30")
    story.withdraw(ADA, 90_000)
    story.on("2026-01-19 10:00")
    ledger.views.catch_up()
