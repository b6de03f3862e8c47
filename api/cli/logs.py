"""How the processes of the ledger log."""

import io
import sys
from contextlib import suppress


class _Unfailing(io.TextIOBase):
    """Standard error; a line that it cannot take is lost: a full disk under the log must end no request and no worker."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def configure_logging() -> None:
    """JSON lines on standard error. Tracebacks show code, never values."""
    import structlog

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(_Unfailing()),  # type: ignore[arg-type]  # all it needs is write, flush
    )
