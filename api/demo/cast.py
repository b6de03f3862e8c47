"""Who plays in the demo: the clients, the freelancers, and the contracts between them with what happens on each."""

from typing import Literal, NamedTuple

from ledger.calendar import Cadence
from ledger.events import Kind

Twist = Literal[
    # of the offer
    "declined", "offer_withdrawn", "service", "employee", "conversion",
    # of milestones
    "silent", "changes", "requests", "request_declined", "adds",
    # of time and cycles
    "corrects", "objection_withdrawn", "objection_reduced", "objection_open",
    # of money
    "bonus", "card_recovers", "card_suspends", "refund", "chargeback", "chargeback_won", "adjustment",
]  # fmt: skip
"""What happens on a contract beside its ordinary course."""

QUARTER_WEEKS = 13


class Job(NamedTuple):
    """A contract to be offered in week `week` of the quarter, and worked on for `weeks` weeks.

    `price` is in minor units: of an hour, of a cycle, of the single payment, or of the smallest milestone.
    `client` and `freelancer` are rows of the lists below.
    """

    title: str
    client: int
    freelancer: int
    kind: Kind
    cadence: Cadence
    currency: str
    price: int
    week: int = 0
    weeks: int = QUARTER_WEEKS
    twists: tuple[Twist, ...] = ()
    weekly_limit_minutes: int | None = None


CLIENTS = (
    "Northwind", "Kestrel Analytics", "Atelier Moreau", "Tanaka Works", "Lumen Health", "Polar Freight",
    "Quarry Games", "Vesper Labs", "Harbour Museum", "Blue Fern Bakery", "Sundial Media", "Oak and Iron",
)  # fmt: skip

FREELANCERS = (
    "Ada Byron", "Mateo Ruiz", "Yuki Sato", "Clara Weiss", "Femi Adeyemi", "Liam Byrne", "Noor Haddad", "Sofia Rossi",
    "Arjun Mehta", "Elena Petrova", "Ingrid Dahl", "Grace Kim", "Oskar Nilsson", "Leila Farahani", "Marie Lefort",
)  # fmt: skip

SETS_PAYOUT_METHOD_LATE = 3
"""This freelancer accepts before there is a payout method: the contract waits for it."""
GIVES_A_CLOSED_ACCOUNT = 1
"""This freelancer's first withdrawal fails."""

JOBS = (
    Job("Backend of the shop", 0, 0, "hourly", "weekly", "USD", 9_500,
        twists=("corrects", "bonus", "objection_withdrawn", "objection_open"), weekly_limit_minutes=2_400),
    Job("Forecast model", 1, 1, "milestone", "weekly", "USD", 120_000, twists=("silent", "changes", "requests")),
    Job("Newsletter, every fortnight", 2, 0, "fixed_rate", "biweekly", "EUR", 85_000, twists=("bonus",)),
    Job("Translation of the handbook", 3, 2, "single_payment", "weekly", "JPY", 180_000, twists=("silent",)),
    Job("Patient portal", 4, 3, "hourly", "biweekly", "EUR", 8_200, twists=("card_recovers", "objection_reduced")),
    Job("Route planner", 5, 4, "milestone", "biweekly", "USD", 90_000, twists=("card_suspends",)),
    Job("Trailer music", 6, 5, "single_payment", "weekly", "USD", 240_000, twists=("chargeback_won",)),
    Job("Research assistant", 7, 6, "hourly", "weekly", "USD", 6_000, twists=("employee",)),
    Job("Exhibition texts", 8, 7, "milestone", "weekly", "EUR", 60_000, 1, twists=("request_declined", "adds")),
    Job("Photographs of bread", 9, 8, "single_payment", "weekly", "USD", 75_000, 1, twists=("declined",)),
    Job("Podcast editing", 10, 9, "hourly", "weekly", "USD", 5_500, 1, twists=("chargeback",),
        weekly_limit_minutes=1_200),
    Job("Met on the platform: a game level", 6, 10, "milestone", "weekly", "USD", 80_000, 1, twists=("conversion",)),
    Job("Advice on controls", 7, 11, "fixed_rate", "weekly", "USD", 50_000, 1, twists=("service",)),
    Job("A logo that was drawn in house", 11, 12, "single_payment", "weekly", "EUR", 40_000, 1,
        twists=("offer_withdrawn",)),
    Job("Stock taking app", 11, 12, "hourly", "biweekly", "EUR", 7_000, 1, twists=("adjustment",)),
    Job("Menu cards", 9, 13, "single_payment", "weekly", "USD", 64_000, 2, twists=("refund",)),
    Job("Monthly column", 10, 14, "fixed_rate", "biweekly", "EUR", 45_000, 2, 8),
    Job("Data cleaning", 1, 8, "hourly", "weekly", "USD", 4_800, 2, 6, twists=("corrects",)),
    Job("Payment pages", 0, 2, "milestone", "weekly", "JPY", 150_000, 2, twists=("changes",)),
    Job("Accessibility review", 4, 9, "single_payment", "biweekly", "EUR", 130_000, 2, twists=("silent",)),
    Job("Warehouse dashboards", 3, 10, "hourly", "weekly", "JPY", 7_500, 2, twists=("objection_reduced",)),
    Job("Character sketches", 6, 13, "milestone", "weekly", "USD", 35_000, 3, twists=("adds", "silent")),
    Job("Support on call", 7, 12, "fixed_rate", "weekly", "USD", 30_000, 3, 7, twists=("bonus",)),
    Job("Opening speech", 8, 14, "single_payment", "weekly", "EUR", 28_000, 3),
    Job("Catalogue of drawings", 8, 7, "hourly", "weekly", "EUR", 5_200, 3, 8, twists=("objection_withdrawn",)),
    Job("Mobile client", 0, 4, "hourly", "weekly", "USD", 10_500, 3, twists=("corrects",), weekly_limit_minutes=1_800),
    Job("Price experiment", 1, 5, "milestone", "weekly", "USD", 70_000, 4, twists=("changes", "requests")),
    Job("Recipe videos", 9, 13, "fixed_rate", "weekly", "USD", 42_000, 4, 6),
    Job("Security review", 7, 11, "single_payment", "weekly", "USD", 310_000, 4, twists=("changes",)),
    Job("Sound design", 10, 5, "hourly", "biweekly", "USD", 6_400, 4, 7, twists=("bonus",)),
    Job("Chairs, drawn for print", 11, 14, "milestone", "biweekly", "EUR", 52_000, 4, twists=("silent",)),
    Job("Factory tour script", 3, 2, "single_payment", "weekly", "JPY", 95_000, 5),
    Job("Campaign of the season", 2, 7, "milestone", "weekly", "EUR", 66_000, 5, twists=("requests",)),
    Job("Clinic statistics", 4, 8, "hourly", "weekly", "EUR", 6_900, 5, 6),
    Job("Level design", 6, 10, "hourly", "weekly", "USD", 7_700, 5, twists=("refund",)),
    Job("Bookkeeping", 9, 6, "fixed_rate", "biweekly", "USD", 36_000, 6),
    Job("Interviews", 10, 9, "milestone", "weekly", "USD", 48_000, 6, twists=("request_declined",)),
    Job("Shop window", 2, 14, "single_payment", "weekly", "EUR", 88_000, 7, twists=("changes", "silent")),
    Job("Migration of the archive", 8, 1, "hourly", "weekly", "EUR", 8_800, 7, twists=("bonus",)),
    Job("Quarterly report", 1, 3, "single_payment", "weekly", "USD", 99_000, 9),
)  # fmt: skip
