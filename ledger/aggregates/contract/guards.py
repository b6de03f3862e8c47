"""What is allowed when, and checks that several deciders share. Refusals come in the order of the interface's list."""

from typing import Any

from msgspec.structs import replace

from ledger.aggregates.contract.evolve import evolve
from ledger.aggregates.contract.schedule import next_close
from ledger.aggregates.contract.state import FIXED_PRICE, Contract, Status
from ledger.aggregates.draft import Draft
from ledger.commands import Command
from ledger.errors import Refused
from ledger.events import ClosingContractEvent
from ledger.rules import Rules

WORK: tuple[Status, ...] = ("active",)
"""New work: only while active."""
REVIEW: tuple[Status, ...] = ("active", "suspended", "completed")
"""Reviews and corrections run on."""
BONUS: tuple[Status, ...] = ("active", "completed")


def require(state: Contract, *allowed: Status) -> None:
    """Raises `contract_suspended` or `contract_not_active` when the contract's status allows no such thing."""
    if state.status in allowed:
        return
    if state.status == "suspended":
        raise Refused(
            "contract_suspended", "a charge keeps failing: the client must give a billing method that works first"
        )
    raise Refused("contract_not_active", f"the contract is {state.status}; this needs it to be {' or '.join(allowed)}")


def require_fixed_price(state: Contract) -> None:
    """Milestones are fixed-price work, and never an employee's (rule 4)."""
    if state.kind not in FIXED_PRICE:
        raise Refused("not_a_fixed_price_contract", f"the contract is {state.kind}: it has no milestones")


def require_no_eor(state: Contract) -> None:
    if state.through_eor:
        raise Refused("paid_through_eor", "everything of this contract is paid through its Employer of Record")


def draft(state: Contract) -> Draft[Contract]:
    """A draft of a contract's events."""
    return Draft(state, evolve)


def own(state: Contract, command: Command) -> dict[str, Any]:
    """What every event of this contract carries."""
    return {
        **command.stamp(),
        "contract_id": state.id,
        "client_id": state.client_id,
        "freelancer_id": state.freelancer_id,
    }


def add_closing(draft: Draft[Contract], event: ClosingContractEvent, rules: Rules) -> None:
    """Adds an event together with the next close that follows from it."""
    after = evolve(draft.state, event)
    draft.add(replace(event, next_close=next_close(after, rules)))
