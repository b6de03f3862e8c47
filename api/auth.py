"""Who may do what: the one table from route to roles, and the one function from object to owner.

No or a bad key is 401; a role without the right is 403; another party's object is 404, as if it were not there.
"""

import hmac
from typing import NamedTuple

from api.problems import ApiProblem
from ledger.aggregates import State
from ledger.aggregates.adjustment import Adjustment
from ledger.aggregates.client import Client
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer
from ledger.aggregates.payout import Payout
from ledger.clock import Clock
from ledger.store.keys import Keys, Role, digest

BOOTSTRAP_PERSON = "per_bootstrap"
"""Who holds LEDGER_OPERATOR_KEY."""

C, F, A, O = "client", "freelancer", "auditor", "operator"  # noqa: E741
ALL = frozenset((C, F, A, O))

OPEN = frozenset(("/v1/health", "/metrics", "/openapi.json", "/docs", "/v1/processor/stripe"))
"""Paths that need no key. The processor's webhooks are let in by their signature."""

_CONTRACT, _PAYOUT, _FREELANCER = (
    "/v1/contracts/{contract_id}",
    "/v1/payouts/{payout_id}",
    "/v1/freelancers/{freelancer_id}",
)
_MILESTONE, _ENTRY = f"{_CONTRACT}/milestones/{{milestone_id}}", f"{_CONTRACT}/time-entries/{{entry_id}}"

RIGHTS: dict[tuple[str, str], frozenset[str]] = {
    ("POST", "/v1/clients"): frozenset((O,)),
    ("GET", "/v1/clients/{client_id}"): frozenset((C, A, O)),
    ("PUT", "/v1/clients/{client_id}/billing-method"): frozenset((C,)),
    ("POST", "/v1/freelancers"): frozenset((O,)),
    ("GET", _FREELANCER): frozenset((F, A, O)),
    ("PUT", f"{_FREELANCER}/payout-method"): frozenset((F,)),
    ("GET", f"{_FREELANCER}/balance"): frozenset((F, A, O)),
    ("GET", f"{_FREELANCER}/balance-transactions"): frozenset((F, A, O)),
    ("GET", f"{_FREELANCER}/earnings"): frozenset((F, A, O)),
    ("GET", f"{_FREELANCER}/withdrawals"): frozenset((F, A, O)),
    ("POST", f"{_FREELANCER}/withdrawals"): frozenset((F,)),
    ("POST", "/v1/api-keys"): frozenset((O,)),
    ("GET", "/v1/api-keys"): frozenset((A, O)),
    ("DELETE", "/v1/api-keys/{key_id}"): frozenset((O,)),
    ("POST", "/v1/conversions"): frozenset((O,)),
    ("POST", "/v1/contracts"): frozenset((C,)),
    ("GET", "/v1/contracts"): ALL,
    ("GET", _CONTRACT): ALL,
    ("POST", f"{_CONTRACT}/accept"): frozenset((F,)),
    ("POST", f"{_CONTRACT}/decline"): frozenset((F,)),
    ("POST", f"{_CONTRACT}/withdraw-offer"): frozenset((C,)),
    ("POST", f"{_CONTRACT}/complete"): frozenset((C, F)),
    ("POST", f"{_CONTRACT}/classification/questionnaire"): frozenset((F,)),
    ("POST", f"{_CONTRACT}/classification/recommendation"): frozenset((O,)),
    ("POST", f"{_CONTRACT}/classification/decision"): frozenset((C,)),
    ("PUT", f"{_CONTRACT}/employer-of-record"): frozenset((O,)),
    ("POST", f"{_CONTRACT}/eor-payrolls"): frozenset((O,)),
    ("POST", f"{_CONTRACT}/milestones"): frozenset((C, F)),
    ("POST", f"{_MILESTONE}/approve-request"): frozenset((C,)),
    ("POST", f"{_MILESTONE}/decline-request"): frozenset((C,)),
    ("POST", f"{_MILESTONE}/activate"): frozenset((C,)),
    ("POST", f"{_MILESTONE}/submit"): frozenset((F,)),
    ("POST", f"{_MILESTONE}/approve"): frozenset((C,)),
    ("POST", f"{_MILESTONE}/request-changes"): frozenset((C,)),
    ("POST", f"{_CONTRACT}/time-entries"): frozenset((F,)),
    ("PATCH", _ENTRY): frozenset((F,)),
    ("DELETE", _ENTRY): frozenset((F,)),
    ("POST", f"{_CONTRACT}/bonuses"): frozenset((C,)),
    ("GET", "/v1/payouts"): ALL,
    ("GET", _PAYOUT): ALL,
    ("GET", f"{_PAYOUT}/explain"): ALL,
    ("POST", f"{_PAYOUT}/objections"): frozenset((C,)),
    ("POST", f"{_PAYOUT}/objections/withdraw"): frozenset((C,)),
    ("POST", f"{_PAYOUT}/reduce"): frozenset((F,)),
    ("POST", f"{_PAYOUT}/retry-charge"): frozenset((O,)),
    ("POST", f"{_PAYOUT}/reversals"): frozenset((O,)),
    ("POST", f"{_PAYOUT}/reversals/{{reversal_id}}/reinstate"): frozenset((O,)),
    ("GET", "/v1/events"): ALL,
    ("POST", "/v1/adjustments"): frozenset((O,)),
    ("GET", "/v1/adjustments/{adjustment_id}"): frozenset((A, O)),
    ("POST", "/v1/adjustments/{adjustment_id}/approve"): frozenset((O,)),
    ("GET", "/v1/audit/trial-balance"): frozenset((A, O)),
    ("GET", "/v1/audit/integrity"): frozenset((A, O)),
    ("GET", "/v1/audit/checkpoints"): frozenset((A, O)),
    ("GET", "/v1/audit/contracts/{contract_id}/history"): frozenset((A, O)),
    ("GET", "/v1/test-clock"): frozenset((O,)),
    ("POST", "/v1/test-clock/advance"): frozenset((O,)),
}
"""Which roles a route is for. Every route that needs a key has a row."""


class Principal(NamedTuple):
    """Whose key a request came with. `party_id` is the client or freelancer; `person` the operator or auditor."""

    role: Role
    party_id: str | None
    person: str | None

    @property
    def owner(self) -> str:
        """The party or person: idempotency keys are theirs."""
        return self.party_id or self.person or ""

    @property
    def actor(self) -> str:
        """As events name who acted."""
        return f"{self.role}:{self.owner}"


class Authenticator:
    """From the Authorization header to a principal."""

    def __init__(self, keys: Keys, clock: Clock, operator_key: str | None) -> None:
        self._keys, self._clock = keys, clock
        self._bootstrap = digest(operator_key) if operator_key else None

    def principal(self, authorization: str | None) -> Principal:
        """Raises 401 `unauthenticated`."""
        scheme, _, text = (authorization or "").partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not text:
            raise unauthenticated("send your API key as `Authorization: Bearer KEY`")
        if self._bootstrap is not None and hmac.compare_digest(digest(text), self._bootstrap):
            return Principal("operator", None, BOOTSTRAP_PERSON)
        key = self._keys.find(text, self._clock.now())
        if key is None:
            raise unauthenticated("the API key is unknown or was revoked: ask an operator for another")
        return Principal(key.role, key.party_id, key.person)


def unauthenticated(detail: str) -> ApiProblem:
    return ApiProblem(401, "unauthenticated", detail, headers={"WWW-Authenticate": "Bearer"})


def require_right(principal: Principal, method: str, template: str) -> None:
    """Raises 403 `forbidden` when the route is not for the principal's role."""
    roles = RIGHTS[method, template]
    if principal.role not in roles:
        who = " or ".join(sorted(roles))
        raise ApiProblem(403, "forbidden", f"this is for the role {who}; the key is of the role {principal.role}")


def may_see(principal: Principal, state: State) -> bool:
    """Whether an object is the principal's own; operators and auditors see everything."""
    if principal.role in (A, O):
        return True
    match state:
        case Contract() | Payout():
            own = state.client_id if principal.role == C else state.freelancer_id
        case Client() | Freelancer() | Adjustment():
            own = state.id
    return own == principal.party_id
