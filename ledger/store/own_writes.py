"""How far each party or person has written: nobody is shown less than they were told that they wrote."""

from typing import NamedTuple

from ledger.store.database import Database


class Standing(NamedTuple):
    """Log positions: of an owner's last write, and of the projection that is furthest behind."""

    written: int
    projected: int


class OwnWrites:
    """One row for each owner of keys. It is in the database because the next read may be sent to another process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, owner: str, position: int) -> None:
        """Before the write is answered. It waits for no disk: at worst, right after PostgreSQL has crashed, a read does not wait,
        and says by its position how far it sees."""
        self._database.execute(
            "INSERT INTO own_writes (owner, position) SELECT %s, %s FROM set_config('synchronous_commit', 'off', true)"
            " ON CONFLICT (owner) DO UPDATE SET position = greatest(own_writes.position, excluded.position)",
            (owner, position),
        )

    def standing(self, owner: str) -> Standing:
        """How far an owner's read must see, and how far it would."""
        (row,) = self._database.fetch(
            "SELECT coalesce((SELECT position FROM own_writes WHERE owner = %s), 0) AS written,"
            " coalesce((SELECT min(position) FROM projections), 0) AS projected",
            (owner,),
        )
        return Standing(**row)
