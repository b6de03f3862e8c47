"""The bodies of answers, as the OpenAPI document states them. Times are RFC 3339 in UTC; texts that were erased are null."""

from datetime import datetime
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ledger.store.keys import Role


class Shape(BaseModel):
    """What every answer is: closed, so that a test finds a field that is not stated here."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


T = TypeVar("T")


class Page(Shape, Generic[T]):
    """`next_cursor` is the `cursor` of the next page."""

    data: list[T]
    has_more: bool
    next_cursor: str | None


class Problem(BaseModel):
    """A refusal (RFC 9457). `code` is stable; `errors` says what is wrong with a request that is not valid."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list["Fault"] | None = None


class Fault(Shape):
    field: str
    message: str
    type: str


class MoneyOf(Shape):
    """Minor units; negative where more was taken back than was there."""

    amount: int
    currency: str


# Parties and keys


class ClientOut(Shape):
    id: str
    object: Literal["client"]
    version: int
    name: str | None
    email: str | None
    has_billing_method: bool
    erased_at: datetime | None
    overdue_payout_ids: list[str] = Field(description="Payouts whose charge has failed and not yet succeeded.")


class FreelancerOut(Shape):
    id: str
    object: Literal["freelancer"]
    version: int
    name: str | None
    email: str | None
    has_payout_method: bool
    erased_at: datetime | None


class ApiKeyOut(Shape):
    id: str
    object: Literal["api_key"]
    role: Role
    party_id: str | None
    person: str | None
    prefix: str
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewApiKeyOut(ApiKeyOut):
    """`key` is shown this once."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=False)

    key: str | None = Field(None, description="Shown once; absent when the answer is repeated.")


class ConversionOut(Shape):
    id: str
    object: Literal["conversion"]
    client_id: str
    freelancer_id: str
    freelancer_email: str | None


# The system


class ProjectionOut(Shape):
    name: str
    position: int
    lag: int
    error: str | None


class HealthOut(Shape):
    object: Literal["health"]
    status: Literal["ok"]
    position: int
    head: int
    projections: list[ProjectionOut]


class TestClockOut(Shape):
    __test__ = False
    object: Literal["test_clock"]
    now: datetime
