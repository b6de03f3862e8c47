"""The client: who is charged, with what, and which payouts they owe (rules 2, 24)."""

from datetime import datetime

import msgspec

from ledger import commands as c
from ledger import events as e
from ledger.aggregates.steps import Changes, Steps, follow
from ledger.commands import Command
from ledger.errors import NotFound, Refused
from ledger.events import Event


class Conversion(msgspec.Struct, frozen=True):
    id: str
    freelancer_id: str


class Client(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    version: int
    name: str
    email: str
    method: str | None = None
    """The vault id of the billing method's token; another method is another id."""
    method_sha256: str | None = None
    overdue: tuple[str, ...] = ()
    """Payouts whose charge has failed and not yet succeeded, oldest first."""
    conversions: tuple[Conversion, ...] = ()
    erased_at: datetime | None = None


def evolve(state: Client | None, event: Event) -> Client:
    if isinstance(event, e.ClientRegistered):
        return Client(id=event.client_id, version=1, name=event.name.id, email=event.email.id)
    return follow(state, event, _STEPS, "client")


def _method(_: Client, event: e.BillingMethodSet) -> Changes:
    return {"method": event.method.id, "method_sha256": event.method.sha256}


def _erased(_: Client, event: e.ClientErased) -> Changes:
    return {"method": None, "method_sha256": None, "erased_at": event.occurred_at}


def _converted(state: Client, event: e.ConversionRecorded) -> Changes:
    return {"conversions": (*state.conversions, Conversion(event.conversion_id, event.freelancer_id))}


def _overdue(state: Client, event: e.PaymentOverdue) -> Changes:
    return {"overdue": (*state.overdue, event.payout_id)}


def _settled(state: Client, event: e.PaymentSettled) -> Changes:
    return {"overdue": tuple(one for one in state.overdue if one != event.payout_id)}


_STEPS: Steps = {
    e.BillingMethodSet: _method,
    e.ClientErased: _erased,
    e.ConversionRecorded: _converted,
    e.PaymentOverdue: _overdue,
    e.PaymentSettled: _settled,
}


def decide(state: Client | None, command: Command) -> list[Event]:
    """Refuses with `email_taken`; NotFound before the client is registered."""
    if isinstance(command, c.RegisterClient):
        if state is not None:
            raise Refused("email_taken", "a client with this e-mail address is registered already: use its account")
        stamp = command.stamp()
        return [e.ClientRegistered(**stamp, client_id=command.client_id, name=command.name, email=command.email)]
    if state is None:
        raise NotFound(f"client {command.stream}")
    own = {**command.stamp(), "client_id": state.id}
    match command:
        case c.SetBillingMethod():
            return [e.BillingMethodSet(**own, method=command.method, overdue=state.overdue)]
        case c.RecordConversion():
            return [
                e.ConversionRecorded(
                    **own,
                    conversion_id=command.conversion_id,
                    freelancer_id=command.freelancer_id,
                    freelancer_email=command.freelancer_email,
                )
            ]
        case c.EraseClient():
            return [] if state.erased_at else [e.ClientErased(**own)]
        case c.NotePaymentOverdue():
            known = command.payout_id in state.overdue
            return [] if known else [e.PaymentOverdue(**own, payout_id=command.payout_id)]
        case c.NotePaymentSettled():
            known = command.payout_id in state.overdue
            return [e.PaymentSettled(**own, payout_id=command.payout_id)] if known else []
    raise TypeError(f"a client does not decide {type(command).__name__}")


def has_conversion(state: Client, conversion_id: str | None, freelancer_id: str) -> bool:
    """Whether an operator recorded this conversion for this freelancer (rule 2)."""
    return any(known.id == conversion_id and known.freelancer_id == freelancer_id for known in state.conversions)
