"""The contract: from the offer to its completion, and the work in between (rules 1 to 20)."""

from ledger.aggregates.contract.decider import decide, reads
from ledger.aggregates.contract.evolve import evolve
from ledger.aggregates.contract.state import Contract

__all__ = ["Contract", "decide", "evolve", "reads"]
