"""One request, as the endpoints see it: who calls, under which command, and the ways to the ledger.

A write loads its object from the log itself, so that it never meets a stale one; a read uses the projections, and first
waits until they hold what the caller wrote before.
"""

from collections.abc import Mapping
from datetime import date, datetime
from json import dumps as plain_dumps
from typing import Annotated, Any, NamedTuple, TypeVar

import orjson
from anyio import from_thread
from fastapi import Depends, Request
from starlette.responses import Response

from api.auth import Authenticator, Principal, may_see
from api.fields import is_id
from api.metrics import Metrics
from api.position_watch import PositionWatch
from api.problems import ApiProblem, missing, unavailable
from api.waiting_room import WaitingRoom
from ledger import ids
from ledger.aggregates.adjustment import Adjustment
from ledger.aggregates.client import Client
from ledger.aggregates.contract import Contract
from ledger.aggregates.freelancer import Freelancer
from ledger.aggregates.payout import Payout
from ledger.bootstrap import Ledger
from ledger.commands import Command
from ledger.events import Sealed
from ledger.service import Receipt
from ledger.store.idempotency import Idempotency
from ledger.store.keys import Keys
from ledger.store.own_writes import OwnWrites
from ledger.store.vault import Secret
from replay.verify.integrity import IntegrityWatch

S = TypeVar("S", Client, Freelancer, Contract, Payout, Adjustment)


class Desk(NamedTuple):
    """What all requests of one application share."""

    ledger: Ledger
    keys: Keys
    idempotency: Idempotency
    authenticator: Authenticator
    metrics: Metrics
    own_writes: OwnWrites
    integrity: IntegrityWatch
    webhooks: WaitingRoom
    projected: PositionWatch


class Answer(Response):
    """A JSON answer. `kept` is what an idempotent replay shows instead, where that differs: a secret is shown once."""

    media_type = "application/json"

    def __init__(
        self, content: Any, status: int = 200, headers: Mapping[str, str] | None = None, kept: Any = None
    ) -> None:
        self.kept = None if kept is None else dump(kept)
        super().__init__(None if status == 204 else content, status, headers)

    def render(self, content: Any) -> bytes:
        return b"" if content is None else dump(content)


def dump(content: Any) -> bytes:
    """JSON with times in UTC with Z. Whole numbers of any size stay whole numbers."""
    try:
        return orjson.dumps(content, option=orjson.OPT_UTC_Z)
    except TypeError:  # a total beyond 64 bits, which orjson does not write
        return plain_dumps(content, default=_time, separators=(",", ":"), ensure_ascii=False).encode()


def _time(value: Any) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"{type(value).__name__} is no JSON")


def behind(position: int) -> ApiProblem:
    """503 `projection_behind`, with Retry-After."""
    return unavailable("projection_behind", f"the projections have not reached position {position} yet: ask again")


class Call:
    """One authenticated request. `command_id` and `expected_version` are a write's."""

    def __init__(
        self, desk: Desk, principal: Principal, *, command_id: str = "", expected_version: int | None = None
    ) -> None:
        self.desk, self.ledger, self.principal = desk, desk.ledger, principal
        self.command_id, self._expected_version = command_id, expected_version
        self.position = 0
        self._secrets: list[Secret] = []

    # Commands

    def seal(self, text: str, owner: str) -> Sealed:
        """A text of `owner` for the vault: stored with the command that is carried out next."""
        secret = self.ledger.vault.seal(text, owner)
        self._secrets.append(secret)
        return secret.sealed

    def seal_optional(self, text: str | None, owner: str) -> Sealed | None:
        return None if text is None else self.seal(text, owner)

    def id(self, prefix: str, *parts: str) -> str:
        """The id of what this command makes."""
        return ids.derive(prefix, self.command_id, *parts)

    def stamp(self) -> dict[str, Any]:
        """What every command from outside carries."""
        return {
            "command_id": self.command_id,
            "actor": self.principal.actor,
            "now": self.ledger.clock.now(),
            "expected_version": self._expected_version,
        }

    def carry_out(self, command: Command) -> Receipt:
        """Decides and appends it. Raises what the ledger refuses it with."""
        receipt = self.ledger.service.handle(command, secrets=self._secrets)
        self.reached(self.ledger.settle(receipt.position))
        return receipt

    def reached(self, position: int) -> None:
        """The log position that this write's answer covers; its owner's reads wait for it from now on."""
        self.position = position
        self.desk.own_writes.note(self.principal.owner, position)

    # Objects

    def known(self, kind: type[S], stream: str) -> S | None:
        """An object that a body names, as the log has it; whose it is does not matter here."""
        state = self.ledger.log.load([stream])[stream] if is_id(stream, _KINDS[kind][0]) else None
        return state if isinstance(state, kind) else None

    def loaded(self, kind: type[S], stream: str) -> S:
        """An object as the log has it, for a write. Raises 404 when there is none that the caller may see."""
        return self._visible(kind, self.known(kind, stream))

    def read(self, kind: type[S], stream: str) -> S:
        """An object as the projections have it. Raises 404 when there is none that the caller may see."""
        prefix, name = _KINDS[kind]
        state: S | None = getattr(self.ledger.reader, name)(stream) if is_id(stream, prefix) else None
        return self._visible(kind, state)

    def _visible(self, kind: type[S], state: S | None) -> S:
        if state is None or not may_see(self.principal, state):
            raise missing(_KINDS[kind][1])
        return state

    def own_parties(self) -> dict[str, str | None]:
        """What narrows a list to the caller's own: nothing for operators and auditors."""
        bound = {"client": "client_id", "freelancer": "freelancer_id"}.get(self.principal.role)
        return {bound: self.principal.party_id} if bound else {}

    def await_position(self, position: int) -> None:
        """Waits until the projections have reached it, in the thread of an endpoint. Raises 503 `projection_behind`."""
        if from_thread.run(self.desk.projected.reached, position) is None:
            raise behind(position)

    # Answers

    def texts(self, wanted: list[str | None]) -> dict[str, str]:
        """Texts of the vault by their ids; erased ones are absent."""
        return self.ledger.vault.reveal([one for one in wanted if one])

    def answer(self, content: Any, *, status: int = 200, version: int | None = None, kept: Any = None) -> Answer:
        """The answer, with the log position it covers and the version of its object."""
        headers = {"Ledger-Position": str(self.position)}
        if version is not None:
            headers["ETag"] = f'"{version}"'
        return Answer(content, status, headers, kept)


_KINDS: dict[type, tuple[str, str]] = {
    Client: (ids.CLIENT, "client"),
    Freelancer: (ids.FREELANCER, "freelancer"),
    Contract: (ids.CONTRACT, "contract"),
    Payout: (ids.PAYOUT, "payout"),
    Adjustment: (ids.ADJUSTMENT, "adjustment"),
}


async def _call_of(request: Request) -> Call:
    call: Call = request.state.call
    return call


async def _desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


Calling = Annotated[Call, Depends(_call_of)]
"""How an endpoint that needs a key takes its request."""
AtDesk = Annotated[Desk, Depends(_desk_of)]
"""How an open endpoint reaches the ledger."""
