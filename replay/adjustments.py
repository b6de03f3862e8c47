"""Adjustments among other events: what they belong to is said by their postings and the event they correct (rule 27)."""

from collections.abc import Collection
from typing import Any

from ledger import events as e

TOPICS = (e.AdjustmentProposed.TOPIC, e.AdjustmentApproved.TOPIC)


def posts_to(event: Any, owners: Collection[str]) -> bool:
    """Whether the adjustment is, or would be, posted to an account of one of these."""
    return any(posting.account.partition(":")[0] in owners for posting in event.postings)
