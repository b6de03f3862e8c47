"""The numbers of the rules belong to their version: events name it, so another number is another version (rule 28)."""

from datetime import timedelta

from ledger.events import RULE_VERSION
from ledger.rules import RULES, Rules
from tests.history import DAY, HOUR, WEEK, History, utc

VERSIONS = {
    1: Rules(
        version=1,
        review_weekly=WEEK,
        review_biweekly=2 * WEEK,
        close_after_cycle=12 * HOUR,
        cycle_review=4 * DAY,
        hold=4 * DAY,
        retry_after=24 * HOUR,
        scheduled_attempts=10,
        suspending_failure=5,
    )
}
"""As they were published; a new version is added, none is changed."""


def test_the_ledger_runs_under_the_newest_version() -> None:
    assert RULE_VERSION == RULES.version == max(VERSIONS)
    assert VERSIONS[RULES.version] == RULES


def test_every_event_names_it() -> None:
    assert {one.event.rule_version for one in History().log} == {RULES.version}


def test_a_grant_at_the_close_itself_waits_for_the_next_one() -> None:
    monday = utc("2026-01-05 00:00")
    close = RULES.close_of(monday + WEEK)
    assert close == utc("2026-01-12 12:00") == RULES.lock_of(monday)
    assert RULES.next_cycle_close(monday, "weekly", close - timedelta(microseconds=1)) == close
    assert RULES.next_cycle_close(monday, "weekly", close) == close + WEEK
