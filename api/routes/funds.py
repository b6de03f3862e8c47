"""A freelancer's money: balances, statements, earnings, withdrawals (rules 21 to 25)."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query

from api import money_presenters, presenters
from api.call import Answer, Call, Calling
from api.fields import Instant
from api.pagination import DEFAULT_LIMIT, Cursor, CursorText, Limit, decode, decode_one, never_answered, page
from api.presenters import Json
from api.problems import invalid
from api.query import Position
from api.route import new_router
from api.routes.common import CREATED, require_past
from api.schemas.answers import Page
from api.schemas.funds import BalanceOut, EarningsOut, Statement, WithdrawalOut
from api.schemas.requests import NewWithdrawal
from ledger import commands as c
from ledger import ids
from ledger.aggregates.freelancer import Freelancer, withdrawal_of
from ledger.store.funds import Line

router = new_router("Funds")
ONE = "/v1/freelancers/{freelancer_id}"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@router.get(f"{ONE}/balance", response_model=BalanceOut)
def get_balance(
    call: Calling,
    freelancer_id: str,
    as_of: Instant | None = None,
    known_at: Instant | None = None,
    at_position: Position | None = None,
) -> Answer:
    """The balance now; after all that occurred by `as_of`; as known at `known_at`; or at a log position."""
    call.read(Freelancer, freelancer_id)
    now = require_past(call, as_of=as_of, known_at=known_at)
    if at_position is not None:
        if as_of or known_at:
            raise invalid("query.at_position", "excludes as_of and known_at")
        if at_position > call.ledger.reader.head():
            raise invalid("query.at_position", "is beyond the end of the log")
        call.await_position(at_position)
    view = call.ledger.reader.balance(freelancer_id, as_of=as_of, known_at=known_at, at_position=at_position)
    content = {
        "object": "balance",
        "freelancer_id": freelancer_id,
        "position": view.position,
        "as_of": as_of or known_at or now,
        **money_presenters.buckets(view),
    }
    return call.answer(content)


@router.get(f"{ONE}/balance-transactions", response_model=Statement)
def list_balance_transactions(
    call: Calling,
    freelancer_id: str,
    since: Annotated[Instant | None, Query(alias="from")] = None,
    until: Annotated[Instant | None, Query(alias="to")] = None,
    known_at: Instant | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText | None = None,
) -> Answer:
    """Statement lines with running balances, newest first; `from` and `to` (not included) add opening and closing ones.

    `known_at`: the statement as it would have been written then.
    """
    call.read(Freelancer, freelancer_id)
    require_past(call, known_at=known_at)
    if since and until and until < since:
        raise invalid("query.to", "must not be before from")
    reader = call.ledger.reader
    before = _before(decode(cursor, parts=3))
    lines = reader.lines(freelancer_id, since=since, until=until, known_at=known_at, before=before, limit=limit + 1)
    shown, more = page([(_cursor(line), line) for line in lines], limit)
    stated = since is not None or until is not None
    content = {
        "data": [money_presenters.line(line) for line in shown],
        **more,
        "opening": _totals(call, freelancer_id, since, known_at, opening=True) if stated else None,
        "closing": _totals(call, freelancer_id, until, known_at, opening=False) if stated else None,
    }
    return call.answer(content)


def _cursor(line: Line) -> Cursor:
    """One event may have a line in each of several currencies: only with the currency is a line's place its own."""
    return (
        (line.occurred_at - EPOCH) // MICROSECOND,
        line.position,
        int.from_bytes(line.currency.encode("ascii"), "big"),
    )


def _before(cursor: Cursor | None) -> tuple[datetime, int, str] | None:
    if cursor is None:
        return None
    try:
        occurred_at, currency = EPOCH + cursor[0] * MICROSECOND, cursor[2].to_bytes(3, "big")
    except OverflowError:
        raise never_answered() from None
    if not (currency.isalpha() and currency.isupper()):
        raise never_answered()
    return occurred_at, cursor[1], currency.decode("ascii")


def _totals(call: Call, freelancer_id: str, at: datetime | None, known_at: datetime | None, *, opening: bool) -> Json:
    """The balances just before an instant. Without one: nothing at the beginning, everything at the end."""
    if at is None and opening:
        return {"at": None, "pending": [], "available": [], "in_transit": []}
    return {"at": at, **money_presenters.buckets(call.ledger.reader.before(freelancer_id, at, known_at))}


@router.get(f"{ONE}/earnings", response_model=EarningsOut)
def get_earnings(call: Calling, freelancer_id: str) -> Answer:
    """Earned so far: in all, by contract (active and archived), by the month of the release."""
    call.read(Freelancer, freelancer_id)
    reader = call.ledger.reader
    earnings = reader.earnings(freelancer_id)
    contracts = {identifier: reader.contract(identifier) for identifier in earnings.by_contract}
    texts = call.texts([state.title for state in contracts.values() if state])
    by_contract = [
        {
            "contract_id": identifier,
            "title": presenters.text_of(texts, state.title) if state else None,
            "status": state.status if state else None,
            "archived": state is not None and state.status == "completed",
            "earned": money_presenters.amounts(earnings.by_contract[identifier]),
        }
        for identifier, state in contracts.items()
    ]
    months = sorted(earnings.by_month.items())
    content = {
        "object": "earnings",
        "freelancer_id": freelancer_id,
        "total": money_presenters.amounts(earnings.total),
        "by_contract": by_contract,
        "by_month": [{"month": month, "earned": money_presenters.amounts(totals)} for month, totals in months],
    }
    return call.answer(content)


@router.get(f"{ONE}/withdrawals", response_model=Page[WithdrawalOut])
def list_withdrawals(
    call: Calling, freelancer_id: str, limit: Limit = DEFAULT_LIMIT, cursor: CursorText | None = None
) -> Answer:
    """The freelancer's withdrawals, newest first."""
    state = call.read(Freelancer, freelancer_id)
    before = decode_one(cursor)
    numbered = [
        ((number,), one) for number, one in enumerate(state.withdrawals, 1) if before is None or number < before
    ]
    shown, more = page(numbered[::-1][: limit + 1], limit)
    return call.answer({"data": [money_presenters.withdrawal(state, one) for one in shown], **more})


@router.post(f"{ONE}/withdrawals", status_code=CREATED, response_model=WithdrawalOut)
def withdraw(call: Calling, freelancer_id: str, body: NewWithdrawal) -> Answer:
    """Transfer available money out: it leaves at once and is in transit until it is paid, or fails and comes back."""
    call.loaded(Freelancer, freelancer_id)
    withdrawal_id = call.id(ids.WITHDRAWAL)
    command = c.RequestWithdrawal(
        **call.stamp(),
        freelancer_id=freelancer_id,
        withdrawal_id=withdrawal_id,
        amount=body.amount,
        currency=body.currency,
    )
    call.carry_out(command)
    state = call.loaded(Freelancer, freelancer_id)
    content = money_presenters.withdrawal(state, withdrawal_of(state, withdrawal_id))
    return call.answer(content, status=CREATED, version=state.version)
