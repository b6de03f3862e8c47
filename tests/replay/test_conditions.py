"""The language of conditions: what it says, and what it answers to texts that say nothing."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.aggregates.payout import Payout
from ledger.store.reader import view_of
from replay.debug.condition_values import ConditionError, Scope, Vocabulary
from replay.debug.conditions import LONGEST, parse
from replay.debug.fields import names_of
from replay.debug.ledger_scope import LEDGER, Books
from replay.debug.scopes import STEP, count, currency_of, scope_at
from replay.debug.timeline import timeline
from tests.properties.everything import everything
from tests.replay.made import payouts, source_of

NOON = datetime(2026, 1, 9, 12, tzinfo=UTC)
WORDS = Vocabulary(
    names={
        **dict.fromkeys(("available", "status", "event", "occurred_at", "open", "missing")),
        "payout": names_of(Payout),
    },
    functions={"pending": (0, 1), "count": (1, 1)},
)
SCOPE = Scope(
    values={
        "available": -5,
        "status": "released",
        "event": "payout.charged.v1",
        "occurred_at": NOON,
        "open": True,
        "payout": {"attempt": 3, "objection": None, "reversals": ({"amount": 3}, {"amount": 4})},
    },
    functions={"pending": lambda of=None: {"USD": 1_500}.get(currency_of(of, "EUR"), 0), "count": count},
)


def holds(text: str) -> bool:
    return parse(text, WORDS).holds(SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "available < 0",
        "available <= -5 and available >= -5",
        "-10 < available < 0",
        "not available > 0",
        "available + 5 == 0",
        "2 * available - 1 == -11",
        'pending(USD) > 1000 and status == "released"',
        "pending('USD') == 1500",
        "pending() == 0",
        "status in ('due', 'released')",
        'status not in ["due"]',
        "payout.attempt >= 3",
        "count(payout.reversals) == 2",
        'event == "payout.charged.v1"',
        "occurred_at > 2026-01-09T11:59:59.999999Z",
        "occurred_at == 2026-01-09T13:00:00+01:00",
        'occurred_at < "2026-01-09T12:00:01Z"',
        '"é" != status and occurred_at == 2026-01-09T12:00:00Z',
        "open",
        "open == true",
        "\n available\t<\n0 ",
        "(available < 0) or (available > 1_000_000)",
    ],
)
def test_what_is_so_holds(text: str) -> None:
    assert holds(text) is True
    assert holds(f"not ({text.strip()})") is False


@pytest.mark.parametrize(
    "text",
    [
        *("missing < 0", "missing >= 0", "missing == 0", "missing != 0", "missing", "missing + 1 > 0"),
        *("missing in (0, 1)", "missing not in (0, 1)", "missing == missing", "open and missing > 0"),
        *("0 < missing < 9", "missing > 0 or not open"),
    ],
)
def test_what_is_said_of_something_that_is_not_there_is_neither_true_nor_false(text: str) -> None:
    for written in (text, f"not ({text})"):
        condition = parse(written, WORDS)
        assert not condition.holds(SCOPE)
        assert not condition.fails(SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        *("missing == null", "payout.objection.status == None", "null == missing", "payout.attempt != null"),
        *("missing in (0, null)", "open or missing > 0", "not (missing > 0 and not open)"),
    ],
)
def test_whether_something_is_there_can_be_asked(text: str) -> None:
    assert holds(text) is True
    assert parse(f"not ({text})", WORDS).fails(SCOPE)


def test_or_and_and_stop_where_the_answer_is_known() -> None:
    assert holds("available < 0 or status > 3") is True
    assert holds("available > 0 and status > 3") is False


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 0, "it is empty"),
        ("   ", 0, "it is empty"),
        ("available <", None, "this is no condition"),
        ("availble < 0", 1, "there is no 'availble' (did you mean available?); there are available, status"),
        ("0 > availble", 5, "there is no 'availble'"),
        ('"ééé" == status and foo', 21, "there is no 'foo'"),
        ("payout.objection.stat == 1", 1, "payout.objection has no field 'stat' (did you mean status?)"),
        ("payout == 3", 1, "payout has fields: name one of"),
        ("available", 1, "available is a number: compare it with something"),
        ("open and status", 10, "status is a text: compare it with something"),
        ("available < 1.5", 13, "write 1250 for 12.50"),
        ("available < '1'", 13, "a number is compared with a text"),
        ("open < true", 8, "neither more nor less"),
        ("status + 'x' == 'y'", 10, "have no sum"),
        ("available is 3", 14, "compare by =="),
        ("status in 'released'", 11, "comes a list"),
        ("occurred_at > 2026-13-09T12:00:00Z", 15, "is no instant of the calendar"),
        ("occurred_at > 2026-01-09", 15, "write it as 2026-01-09T12:00:00Z"),
        ("occurred_at > '2026-01-09T12:00:00'", 15, "with its zone"),
        ("occurred_at > 3", 15, "a time is compared with a number"),
        ("pending(usd) > 0", 9, "there is no 'usd'"),
        ("pending(USD, EUR) > 0", 1, "takes 0 to 1 argument"),
        ("pending(currency=USD) > 0", 1, "is no call of"),
        ("__import__('os')", 1, "is no call of pending(…), count(…)"),
        ("available.__class__ == 1", 1, "available has no field '__class__'"),
        ("(lambda: 1)()", 1, "is no call of"),
        ("[one for one in status]", 1, "is nothing that a condition is made of"),
        ("available ** 9 > 0", 1, "is nothing that a condition is made of"),
        ("f'{available}' == ''", 1, "is nothing that a condition is made of"),
        ("(available := 3) > 0", 2, "is nothing that a condition is made of"),
        ("not " * 60 + "open", None, "levels deep"),
        ("x" * (LONGEST + 1), 0, "longer than"),
    ],
)
def test_what_is_no_condition_is_said_with_the_place_and_what_to_write(text: str, at: int | None, says: str) -> None:
    with pytest.raises(ConditionError, match=re.escape(says)) as error:
        holds(text)
    assert at in (None, error.value.at)
    assert (f"at character {error.value.at} " in str(error.value)) == bool(error.value.at)


def real() -> list[tuple[Vocabulary, Scope]]:
    """A payout's last step, and the ledger's books, of a history with everything in it."""
    history = everything()
    source = source_of(history)
    found = timeline(source, payouts(history)[0].id)
    assert found is not None
    books = Books(ranked=True)
    for stored in source.log.events:
        books.post(view_of(stored).entries)
    last = view_of(source.log.events[-1])
    return [(STEP, scope_at(found, found.steps[-1])), (LEDGER, books.scope(last, "USD"))]


REAL = real()
WORDS_OF_BOTH = [*dict.fromkeys([*STEP.names, *STEP.functions, *LEDGER.names, *LEDGER.functions])]
SIGNS = "()[]{}<>=!+-*/.,:;'\"\\#@%~^&|0123456789 \n\t_éx"
PYTHON = ("and", "or", "not", "in", "is", "if", "else", "lambda", "None", "True", "==", "1e9", "\x00")
OWN = (".attempt", ".reversals", "USD", "null", "true", "2026-01-09T12:00:00Z", '"available"', '"processor"')
PIECES = st.sampled_from([*SIGNS, *PYTHON, *OWN, *WORDS_OF_BOTH, *(f"{name}(" for name in WORDS_OF_BOTH)])
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(PIECES, max_size=25).map("".join),
    st.lists(PIECES, max_size=25).map(" ".join),
    st.builds("{} {} {}".format, PIECES, st.sampled_from(["==", "<", "in", "and"]), PIECES),
)


@settings(max_examples=600, deadline=None)
@given(TEXTS)
@example("-" * 900 + "1")
@example("(" * 900)
@example("available" + ".payout" * 100)
@example("9" * 999 + " > position")
@example("9*" * 400 + "9 > position")
@example("\ud800")
@example("pending(payout.reversals) == 0")
@example("balance(payout.reversals) == balance(3)")
@example("balance(contract.milestones, contract.milestones) == 0")
@example("lowest(3) == 0 or debits(3) == 0")
@example("count(3) == rule(null)")
@example("position in ((((1,),),),)")
def test_any_text_is_a_condition_or_one_documented_error(text: str) -> None:
    for vocabulary, scope in REAL:
        try:
            condition = parse(text, vocabulary)
            answer, values = condition.holds(scope), condition.values(scope)
        except ConditionError as error:
            where = error.at
        else:
            where = 0
            assert isinstance(answer, bool)
            assert len(values) == len(condition.terms)
        assert 0 <= where <= len(text)


def test_the_terms_are_named_as_they_were_written() -> None:
    condition = parse("  payout.attempt>2 and pending( USD )>0 or payout.attempt == 1", WORDS)
    assert condition.terms == ("payout.attempt", "pending( USD )")
    assert condition.values(SCOPE) == (3, 1_500)
    assert condition.roots == {"payout", "pending"}
