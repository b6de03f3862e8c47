"""Settings, from the environment and `.env`. Each is `LEDGER_` and its name in capitals."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _in_utc(instant: datetime) -> datetime:
    if instant.utcoffset() is None:
        raise ValueError("must say its zone, as in 2026-01-05T09:00:00Z")
    return instant.astimezone(UTC)


class Settings(BaseSettings):
    """Raises pydantic.ValidationError, naming the variable, when one makes no sense."""

    model_config = SettingsConfigDict(env_prefix="LEDGER_", env_file=".env", extra="ignore")

    database_url: SecretStr | None = None
    """Your own PostgreSQL; none: the embedded one."""
    owner_url: SecretStr | None = None
    """The same database as its owner, to migrate, erase and rebuild; none: `database_url` does it all."""
    data_dir: Path = Path(".ledger")
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    operator_key: SecretStr | None = None
    sandbox: bool = False
    clock_start: Annotated[datetime, AfterValidator(_in_utc)] | None = None
    checkpoint_dir: Path | None = None
    """Where signed checkpoints of the log and their key are kept, outside the database; none: under the data directory."""
    rate_limit: int = Field(default=500, ge=1)
    """Requests a second that are answered for one party or person, by each process."""
    smtp_url: SecretStr | None = None
    """`smtps://user:password@host:port`, or `smtp://…` with STARTTLS; none: kept in `outbox` under the data directory."""
    stripe_secret_key: SecretStr | None = None
    """With one, charges, refunds and withdrawals go through that Stripe account; the sandbox never does."""
    stripe_webhook_secret: SecretStr | None = None
    """The signing secret of the webhook endpoint at Stripe; several, of several endpoints or while one is changed, by commas."""
    stripe_api_base: str | None = None
    """Another address than Stripe's own, for tests."""

    @property
    def checkpoints(self) -> Path:
        """The folder of the signed checkpoints."""
        return self.checkpoint_dir or self.data_dir / "checkpoints"
