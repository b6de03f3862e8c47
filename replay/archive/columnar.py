"""The fold of the log as Ibis expressions: events joined with the posting rules, summed by account.

The same expressions run on DuckDB and on a Spark cluster. `ledger.postings.RULES` is made a table, a row for each side of a rule,
and the expressions are derived from what stands in it: nothing here knows which event moves what.

Sums are decimals, wide enough for more amounts than can be kept, so that none overflows and none is ever a float.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import ibis
import pyarrow as pa
from ibis import _
from ibis.expr.types import Table

from ledger import postings
from ledger.events import AdjustmentApproved
from ledger.postings import Rule
from replay.archive.columns import SCHEMA

EVENTS = ibis.table(ibis.Schema.from_pyarrow(SCHEMA), name="events")
"""The rows of an archive; an engine gives this name to the files."""
_AMOUNT, _SUM = "decimal(18, 0)", "decimal(38, 0)"
"""Wide enough for every amount (at most 10^15), and for the sum of more events than can be kept."""


def rules_table(rules: Sequence[Rule] = postings.RULES) -> Table:
    """The posting rules, a row for each side of each.

    Its account is the value of the event's field `owner` (or nothing) with `bucket` after it; it moves what stands in the field
    `moves`, if the field `when_field` (where there is one) holds `when_value`.
    """
    rows = []
    for rule in rules:
        field, value = rule.when or ("", "")
        for side, account in zip(("debit", "credit"), rule.accounts, strict=True):
            rows.append((rule.topic, field, value, account.field or "", account.rest, side, rule.amount))
    names = ("rule_topic", "when_field", "when_value", "owner", "bucket", "side", "moves")
    return ibis.memtable(pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))))


@cache
def accounts(
    *, as_of: datetime | None = None, known_at: datetime | None = None, rules: tuple[Rule, ...] = postings.RULES
) -> Table:
    """`account`, `currency`, `debits` and `credits` of every account that was posted to, over `EVENTS`.

    `as_of` T counts what occurred at or before T, `known_at` T what was recorded at or before T.
    """
    events = EVENTS
    if as_of is not None:
        events = events.filter(_.occurred_at <= _instant(as_of))
    if known_at is not None:
        events = events.filter(_.recorded_at <= _instant(known_at))
    sides = ibis.union(_by_rule(events, rules), _stated(events))
    none = ibis.literal(0).cast(_SUM)
    sums = sides.group_by("account", "currency").agg(
        debits=_.amount.sum(where=_.side == "debit").cast(_SUM).coalesce(none),
        credits=_.amount.sum(where=_.side == "credit").cast(_SUM).coalesce(none),
    )
    return sums.filter((_.debits > 0) | (_.credits > 0))


def _instant(at: datetime) -> Any:
    """Written with its zone, so that no engine reads it in one of its own."""
    return ibis.literal(at.isoformat()).cast("timestamp('UTC')")


def _by_rule(events: Table, rules: Sequence[Rule]) -> Table:
    """The sides of the postings that the rules make."""
    table = rules_table(rules)
    owners = sorted({side.field for rule in rules for side in rule.accounts if side.field is not None})
    conditions = sorted({rule.when[0] for rule in rules if rule.when})
    amounts = sorted({rule.amount for rule in rules})
    moving = events.filter(_.type.isin(sorted({rule.topic for rule in rules})))
    joined = moving.join(table, moving.type == table.rule_topic)
    sides = joined.select(
        account=ibis.ifelse(joined.owner == "", joined.bucket, _named(joined, "owner", owners).concat(joined.bucket)),
        currency=_[postings.CURRENCY],
        side=_.side,
        amount=_named(joined, "moves", amounts).cast(_AMOUNT),
        # selected and then filtered it is compiled in half the time of a filter that works it out
        applies=(_.when_field == "") | (_named(joined, "when_field", conditions) == _.when_value),
    )
    return sides.filter(_.applies).drop("applies")


def _named(joined: Table, name: str, fields: Sequence[str]) -> Any:
    """The value of that field of the events which a column of the rules names; null where it names none."""
    named = joined[name]
    return ibis.cases(*((named == field, joined[field]) for field in fields))


def _stated(events: Table) -> Table:
    """The sides of the postings that approved adjustments state themselves."""
    stated = events.filter(_.type == AdjustmentApproved.TOPIC).select(posting=_.postings.unnest())
    return stated.select(
        account=_.posting.account,
        currency=_.posting.currency,
        side=_.posting.direction,
        amount=_.posting.amount.cast(_AMOUNT),
    )
