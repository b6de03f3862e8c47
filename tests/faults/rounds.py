"""How often an attack is repeated: the first number by default, as in CI; the second by `make soak`, which sets LEDGER_SOAK=1."""

import os
from random import Random

SOAK = os.environ.get("LEDGER_SOAK") == "1"


def rounds(*, ci: int, soak: int) -> int:
    return soak if SOAK else ci


def chance(*name: object) -> Random:
    """Randomness that is the same in every run, of a test and its round."""
    return Random(" ".join(map(str, name)))
