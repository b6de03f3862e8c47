"""Why a command is refused. Each refusal has a stable code and says what was tried, what stood against it, what to do."""


class LedgerError(Exception):
    """What every error of the ledger is."""


class Refused(LedgerError):
    """The state of things forbids the command: 409 with one of the codes of the interface. Nothing was changed."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(f"{code}: {detail}")


class NotFound(LedgerError):
    """There is no such object, or none that the caller may know of: 404."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"there is no {what}")


class VersionConflict(LedgerError):
    """The object has changed since the version that the caller named: 412. Read it again and decide again."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        super().__init__(f"{stream} is at version {actual}, not {expected}: read it again, then send the command again")


class Invalid(LedgerError):
    """A decision came to an event with fields that it cannot have: which, and why. Nothing was decided; this code is wrong."""


class Contention(LedgerError):
    """Others kept writing to the same objects: nothing was written; 503, send the command again."""


class Corrupt(LedgerError):
    """The log holds something that this code cannot be right about: a gap, an unknown topic, a broken invariant."""
