"""All projections, in the order in which they are shown."""

from ledger.projections.balances import Balances
from ledger.projections.deadlines import Deadlines
from ledger.projections.history import History
from ledger.projections.rows import Projection
from ledger.projections.statements import Statements
from ledger.projections.states import Contracts, Payouts

PROJECTIONS: tuple[Projection, ...] = (
    Balances(),
    Statements(),
    Contracts(),
    Payouts(),
    Deadlines(),
    History(),
)
