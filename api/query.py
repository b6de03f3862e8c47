"""What the text of a query parameter or a header may say, where it is a number or a truth. Nothing else is guessed at."""

import re
from typing import Annotated, Any

from fastapi import Query
from pydantic import BeforeValidator

MAX_WHOLE = 2**63 - 1
_WHOLE = re.compile(r"[0-9]{1,19}")


def whole(value: Any) -> Any:
    """A whole number as a query writes it. Raises ValueError."""
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value) or int(value) > MAX_WHOLE:
            raise ValueError("must be a whole number")
        return int(value)
    return value


def _truth(value: Any) -> Any:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise ValueError("must be true or false")
        return value == "true"
    return value


Truth = Annotated[bool, BeforeValidator(_truth)]
Position = Annotated[int, BeforeValidator(whole), Query(ge=0, le=MAX_WHOLE)]
"""A position in the log."""
