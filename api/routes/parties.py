"""Clients, freelancers, their payment methods, and conversions (rules 1, 2, 24, 25)."""

from api import presenters
from api.call import Answer, Call, Calling
from api.problems import invalid
from api.route import new_router
from api.routes.common import CREATED
from api.schemas.answers import ClientOut, ConversionOut, FreelancerOut
from api.schemas.requests import NewConversion, NewParty, PaymentMethod
from ledger import commands as c
from ledger import ids
from ledger.aggregates.client import Client
from ledger.aggregates.freelancer import Freelancer

router = new_router("Parties")


@router.post("/v1/clients", status_code=CREATED, response_model=ClientOut)
def register_client(call: Calling, body: NewParty) -> Answer:
    """Register a client. Refused with `email_taken` when there is one with this address, whatever its case."""
    client_id = call.ledger.vault.identify(ids.CLIENT, body.email)
    name, email = call.seal(body.name, client_id), call.seal(body.email, client_id)
    call.carry_out(c.RegisterClient(**call.stamp(), client_id=client_id, name=name, email=email))
    return _client(call, call.loaded(Client, client_id), CREATED)


@router.get("/v1/clients/{client_id}", response_model=ClientOut)
def get_client(call: Calling, client_id: str) -> Answer:
    """A client."""
    return _client(call, call.read(Client, client_id))


@router.put("/v1/clients/{client_id}/billing-method", response_model=ClientOut)
def set_billing_method(call: Calling, client_id: str, body: PaymentMethod) -> Answer:
    """Set what the client is charged with. Payouts whose charge has failed are attempted at once (rule 24)."""
    call.loaded(Client, client_id)
    call.carry_out(c.SetBillingMethod(**call.stamp(), client_id=client_id, method=call.seal(body.token, client_id)))
    return _client(call, call.loaded(Client, client_id))


@router.post("/v1/freelancers", status_code=CREATED, response_model=FreelancerOut)
def register_freelancer(call: Calling, body: NewParty) -> Answer:
    """Register a freelancer. Offers to this address, made before or after, are theirs (rule 1)."""
    freelancer_id = call.ledger.vault.identify(ids.FREELANCER, body.email)
    name, email = call.seal(body.name, freelancer_id), call.seal(body.email, freelancer_id)
    call.carry_out(c.RegisterFreelancer(**call.stamp(), freelancer_id=freelancer_id, name=name, email=email))
    return _freelancer(call, call.loaded(Freelancer, freelancer_id), CREATED)


@router.get("/v1/freelancers/{freelancer_id}", response_model=FreelancerOut)
def get_freelancer(call: Calling, freelancer_id: str) -> Answer:
    """A freelancer."""
    return _freelancer(call, call.read(Freelancer, freelancer_id))


@router.put("/v1/freelancers/{freelancer_id}/payout-method", response_model=FreelancerOut)
def set_payout_method(call: Calling, freelancer_id: str, body: PaymentMethod) -> Answer:
    """Set where withdrawals go. Accepted contracts that waited for it become active (rule 1)."""
    call.loaded(Freelancer, freelancer_id)
    method = call.seal(body.token, freelancer_id)
    call.carry_out(c.SetPayoutMethod(**call.stamp(), freelancer_id=freelancer_id, method=method))
    return _freelancer(call, call.loaded(Freelancer, freelancer_id))


@router.post("/v1/conversions", status_code=CREATED, response_model=ConversionOut)
def record_conversion(call: Calling, body: NewConversion) -> Answer:
    """Record that a client may hire, off the platform, a freelancer they met on it (rule 2)."""
    client = call.known(Client, body.client_id)
    if client is None:
        raise invalid("body.client_id", "names no client")
    freelancer_id = call.ledger.vault.identify(ids.FREELANCER, body.freelancer_email)
    conversion_id = call.id(ids.CONVERSION)
    command = c.RecordConversion(
        **call.stamp(),
        client_id=client.id,
        conversion_id=conversion_id,
        freelancer_id=freelancer_id,
        freelancer_email=call.seal(body.freelancer_email, freelancer_id),
    )
    call.carry_out(command)
    content = {
        "id": conversion_id,
        "object": "conversion",
        "client_id": client.id,
        "freelancer_id": freelancer_id,
        "freelancer_email": body.freelancer_email,
    }
    return call.answer(content, status=CREATED)


def _client(call: Call, state: Client, status: int = 200) -> Answer:
    content = presenters.client(state, call.texts([state.name, state.email]))
    return call.answer(content, status=status, version=state.version)


def _freelancer(call: Call, state: Freelancer, status: int = 200) -> Answer:
    content = presenters.freelancer(state, call.texts([state.name, state.email]))
    return call.answer(content, status=status, version=state.version)
