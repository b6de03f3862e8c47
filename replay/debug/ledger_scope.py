"""The whole ledger's accounts as they run, event by event, and what a condition can ask of them."""

from collections import defaultdict
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Any

from ledger import postings
from ledger.postings import Entry
from ledger.store.reader import EventView
from replay.debug.condition_values import ConditionError, Scope, Vocabulary
from replay.debug.scopes import EVENT, currency_of, event_values
from replay.rules import rules_of

LEDGER = Vocabulary(
    names=dict.fromkeys(("debits", "credits", "currency", *EVENT)),
    functions={"balance": (1, 2), "debits": (0, 1), "credits": (0, 1), "lowest": (1, 2), "rule": (1, 1)},
)
"""Amounts without a currency are asked for in each currency, one after the other: `debits == credits` means in every one."""

KINDS = tuple(sorted({side.rest.removeprefix(":") for rule in postings.RULES for side in rule.accounts if side.field}))
"""The kinds of accounts that parties have: available, in_transit, pending, returned."""

MONEY = frozenset({"debits", "credits", "balance", "lowest", "currency"})
"""Names of what only changes when money moves."""


_Key = tuple[str, str]


class Books:
    """Balances in minor units, by currency and account. `ranked`: whether the lowest of many is asked for."""

    def __init__(self, *, ranked: bool) -> None:
        self.debits: dict[str, int] = defaultdict(int)
        self.credits: dict[str, int] = defaultdict(int)
        self.balances: dict[_Key, int] = {}
        self.asked: set[str] = set()
        """The accounts that were asked for by name."""
        self._ranks: dict[tuple[str, str], list[tuple[int, str]]] | None = defaultdict(list) if ranked else None

    def post(self, entries: Iterable[Entry]) -> list[_Key]:
        """Posts them, and answers the accounts that there were not before."""
        made = []
        for account, currency, credit, _ in entries:
            key = currency, account
            if key not in self.balances:
                made.append(key)
            self._move(key, credit, 1)
        return made

    def take_back(self, entries: Iterable[Entry], made: Iterable[_Key]) -> None:
        """As if they had not been posted; `made` is what posting them answered."""
        for account, currency, credit, _ in entries:
            self._move((currency, account), credit, -1)
        for key in made:
            del self.balances[key]

    def _move(self, key: _Key, credit: int, sign: int) -> None:
        currency, account = key
        side = self.credits if credit > 0 else self.debits
        side[currency] += sign * abs(credit)
        self.balances[key] = self.balances.get(key, 0) + sign * credit
        if self._ranks is not None:
            heappush(self._ranks[currency, account.rpartition(":")[2]], (self.balances[key], account))

    def currencies(self) -> list[str | None]:
        """All that money was ever in; none of them where there was none yet."""
        return [*sorted(self.debits.keys() | self.credits.keys())] or [None]

    def never_posted(self) -> list[str]:
        """Accounts that were asked for, and do not exist."""
        known = {account for _, account in self.balances}
        return sorted(self.asked - known)

    def scope(self, view: EventView | None, currency: str | None) -> Scope:
        """After an event (None: before the first). `currency`: of amounts that name none."""

        def side(amounts: dict[str, int], of: Any = None) -> int:
            return amounts.get(currency_of(of, currency), 0)

        stamp: dict[str, Any] = {}
        if view is not None:
            stamp = event_values(view.position, view.id, view.stream, view.version, view.topic, view.event)
        rules = () if view is None else rules_of(view.event)
        return Scope(
            values={**stamp, "currency": currency, "debits": side(self.debits), "credits": side(self.credits)},
            functions={
                "balance": lambda account, of=None: self._balance(account, currency_of(of, currency)),
                "debits": lambda of=None: side(self.debits, of),
                "credits": lambda of=None: side(self.credits, of),
                "lowest": lambda bucket, of=None: self._lowest(bucket, currency_of(of, currency)),
                "rule": lambda number: number in rules,
            },
        )

    def _balance(self, account: Any, currency: str) -> int:
        if not isinstance(account, str):
            raise ConditionError('balance(…) takes an account, as balance("processor", "USD")')
        self.asked.add(account)
        return self.balances.get((currency, account), 0)

    def _lowest(self, bucket: Any, currency: str) -> int:
        """Of all accounts of a kind; 0 where there is none yet, as every account begins with that."""
        if bucket not in KINDS:
            raise ConditionError(f"lowest(…) takes a kind of account, one of {', '.join(map(repr, KINDS))}")
        ranks = (self._ranks or {}).get((currency, bucket), [])
        while ranks and self.balances.get((currency, ranks[0][1])) != ranks[0][0]:
            heappop(ranks)
        return ranks[0][0] if ranks else 0
