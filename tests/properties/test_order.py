"""The order of unrelated events does not matter: any log with each stream in its order folds to the same."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.aggregates import State, evolve
from ledger.policies.deadlines import changes
from ledger.postings import entries
from tests.history import History, Recorded
from tests.properties.everything import everything

Folded = tuple[dict[str, State], dict[tuple[str, str], int], dict[tuple[str, str, str], object]]

HISTORY = everything()


def fold(log: list[Recorded]) -> Folded:
    """States, balances and deadlines from zero."""
    states: dict[str, State] = {}
    accounts: dict[tuple[str, str], int] = {}
    deadlines: dict[tuple[str, str, str], object] = {}
    for one in log:
        states[one.stream] = evolve(one.stream, states.get(one.stream), one.event)
        for entry in entries(one.event):
            key = entry.account, entry.currency
            accounts[key] = accounts.get(key, 0) + entry.credit
        for kind, item, at in changes(one.event):
            deadlines[one.stream, kind, item] = at
    return states, accounts, {key: at for key, at in deadlines.items() if at is not None}


def streams(history: History) -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = {}
    for one in history.log:
        found.setdefault(one.stream, []).append(one)
    return found


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.permutations([one.stream for one in HISTORY.log]))
def test_any_order_that_keeps_each_streams_own_folds_to_the_same(order: list[str]) -> None:
    upcoming = {stream: iter(events) for stream, events in streams(HISTORY).items()}
    shuffled = [next(upcoming[stream]) for stream in order]
    assert fold(shuffled) == fold(HISTORY.log)


def test_folding_from_zero_gives_what_the_history_has_come_to() -> None:
    states, accounts, deadlines = fold(HISTORY.log)
    assert states == HISTORY.states
    assert accounts == HISTORY.accounts
    assert deadlines == {(stream, kind, item): d.at for (kind, stream, item), (_, d) in HISTORY.deadlines.items()}
