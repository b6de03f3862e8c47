"""Minor units as decimals in major units and back, exactly: by whole numbers alone (rule 30)."""

import re
from functools import cache
from typing import Literal

from iso4217 import Currency

from ledger.money import CURRENCIES

_DECIMAL = re.compile(r"(-?)(\d{1,30})(?:([.,])(\d{1,30}))?", re.ASCII)


@cache
def exponent(currency: str) -> int:
    """How many decimals the currency has: 0 for JPY, 2 for USD, 3 for BHD. Raises ValueError for what is no money."""
    found = Currency(currency).exponent if currency in CURRENCIES else None
    if found is None:
        raise ValueError(f"{currency!r} is no ISO 4217 code of money with a minor unit")
    return found


def major(amount: int, currency: str, thousands: Literal["", ","] = "") -> str:
    """`-1234.50` for -123450 minor units of USD: a point, all of the currency's decimals, and `thousands` between thousands."""
    decimals = exponent(currency)
    whole, part = divmod(abs(amount), 10**decimals)
    point = f".{part:0{decimals}d}" if decimals else ""
    return f"{'-' if amount < 0 else ''}{whole:{thousands}}{point}"


def minor(text: str, currency: str) -> int:
    """Minor units of a decimal in major units, with a point or a comma before its decimals. Raises ValueError.

    Nothing is rounded. `1,000` is no amount of JPY: with a comma it might be a thousand as well as one.
    """
    found = _DECIMAL.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no decimal number such as -1234.50")
    sign, whole, mark, part = found[1], found[2], found[3], found[4] or ""
    decimals = exponent(currency)
    kept = part.rstrip("0") if mark == "." else part
    if len(kept) > decimals:
        raise ValueError(f"{text!r} has more decimals than {currency}, which has {decimals}")
    amount = int(whole + kept.ljust(decimals, "0"))
    return -amount if sign else amount
