"""Money: whole minor units with an ISO 4217 code (rule 30). No float, no Decimal, no rounding but the one in `price_of`."""

from typing import Annotated

from iso4217 import Currency as Iso4217
from pydantic import AfterValidator, Field

MAX_AMOUNT = 10**15
MAX_HOURLY_RATE = 10**9

CURRENCIES = frozenset(currency.code for currency in Iso4217 if currency.exponent is not None)
"""Codes of money with a minor unit: XXX, XTS, XAU and their like have none."""


def known_currency(code: str) -> str:
    """The code itself; raises ValueError when ISO 4217 has no such money."""
    if code not in CURRENCIES:
        raise ValueError("must be the upper-case ISO 4217 code of money with a minor unit, such as USD")
    return code


Amount = Annotated[int, Field(strict=True, gt=0, le=MAX_AMOUNT)]
"""Minor units, 1 to 10^15."""

AmountOrZero = Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT)]
"""Minor units, 0 to 10^15."""

HourlyRate = Annotated[int, Field(strict=True, gt=0, le=MAX_HOURLY_RATE)]
"""Minor units for an hour, 1 to 10^9."""

Currency = Annotated[str, AfterValidator(known_currency)]
"""An upper-case ISO 4217 code."""


def price_of(minutes: int, hourly_rate: int) -> int:
    """Minor units for `minutes` at `hourly_rate`, rounded half up, once per timesheet (rule 15)."""
    return (minutes * hourly_rate + 30) // 60
