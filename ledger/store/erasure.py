"""Erasing a party's personal data: the texts in the vault, and the address it was found by (rule 28).

Events stay as they are. They carry the id and hash of what is gone, which can neither be read nor guessed: the salt is gone
too. Kept answers that tell of the party or of its contracts are dropped with their texts: asked for again, they are built from
what is left.
"""

import psycopg


def erase_texts(owner_url: str, party_id: str) -> int:
    """Deletes everything in the vault that belongs to a party, and the way from its address to its id; how many texts."""
    with psycopg.connect(owner_url) as connection:
        erased = connection.execute("DELETE FROM vault WHERE owner = %s", (party_id,)).rowcount
        connection.execute("DELETE FROM identities WHERE id = %s", (party_id,))
        connection.execute(
            "UPDATE idempotency SET status = NULL, headers = NULL, body = NULL WHERE owner = %(party)s"
            " OR position(convert_to(%(party)s, 'UTF8') IN body) > 0"
            " OR EXISTS (SELECT FROM contracts WHERE (client_id = %(party)s OR freelancer_id = %(party)s)"
            " AND position(convert_to(id, 'UTF8') IN body) > 0)",
            {"party": party_id},
        )
    return erased
