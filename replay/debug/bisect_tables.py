"""What a bisection found, as people read it."""

from replay.debug.bisect import Bisection
from replay.output import row, show, table
from replay.rules import SENTENCES
from replay.values import at_times, instant, side, word


def show_bisection(found: Bisection) -> None:
    where = f" of {found.subject}" if found.subject else ""
    times = at_times(found.as_of, found.known_at)
    if found.first is None:
        if found.good == found.bad:
            show(f"{found.check}: there is no event to ask it of.")
            return
        show(f"{found.check}: holds after every event{where} from position {found.good + 1} to {found.bad}{times}.")
        return
    one, currency = found.first, f", in {found.currency}" if found.currency else ""
    show(
        f"{found.check}: false for the first time after position {one.position}{currency}{times}",
        "",
        one.what,
        f"  {one.type}, event {one.event_id}",
        f"  true at {instant(one.occurred_at)}, recorded at {instant(one.recorded_at)}, by {one.actor}",
        f"  command {one.command_id}, caused by {one.cause_id or 'nothing in the log'}",
        *(f"  rule {number}: {SENTENCES[number]}" for number in one.rules),
        *map(side, one.entries),
    )
    made = table("of the condition", "before", "after", right=["before", "after"])
    for term in found.values:
        row(made, term.term, word(term.before), word(term.after))
    show(made)
