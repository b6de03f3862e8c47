"""The vault of rule 28: texts stand outside the events, which carry their id and SHA-256(salt, text)."""

from hashlib import sha256
from typing import Any

import psycopg
import pytest

from ledger import commands as c
from ledger.bootstrap import Ledger
from ledger.events import sealed_in
from ledger.store.vault import Vault, digest
from tests.databases import Server
from tests.play import Play
from tests.processes import all_at_once, other_processes, together


def registered(ledger: Ledger, name: str = "Ada Lovelace", email: str = "ada@work.example") -> tuple[str, Any, Any]:
    """A freelancer whose name and address are in the vault; her id, and both secrets."""
    freelancer = ledger.vault.identify("fre", email)
    name_, email_ = (ledger.vault.seal(text, freelancer) for text in (name, email))
    words = {"freelancer_id": freelancer, "name": name_.sealed, "email": email_.sealed}
    command = c.RegisterFreelancer(command_id="cmd_ada", actor="operator:x", now=ledger.clock.now(), **words)
    ledger.service.handle(command, (name_, email_))
    return freelancer, name_, email_


def erase(ledger: Ledger, server: Server, *ids: str) -> None:
    """As the owner of the database does: the application may not."""
    assert ledger.settings.database_url is not None
    with psycopg.connect(server.owner_url_of(ledger.settings.database_url.get_secret_value())) as owner:
        owner.execute("DELETE FROM vault WHERE id = ANY(%s)", (list(ids),))


def test_a_text_is_revealed_by_its_id(ledger: Ledger) -> None:
    _, name, email = registered(ledger)
    revealed = ledger.vault.reveal([name.sealed.id, email.sealed.id, None, "vlt_unknown", name.sealed.id])
    assert revealed == {name.sealed.id: "Ada Lovelace", email.sealed.id: "ada@work.example"}
    assert ledger.vault.reveal([]) == ledger.vault.reveal([None]) == {}


@pytest.mark.parametrize(
    "text", ["", "  spaces  ", "Zoë 🦆 Łódź", "line\nline", "'; DROP TABLE vault; --", "x" * 10_000]
)
def test_every_text_comes_back_as_it_was(ledger: Ledger, text: str) -> None:
    _, name, _ = registered(ledger, name=text)
    assert ledger.vault.reveal([name.sealed.id]) == {name.sealed.id: text}
    assert sha256(name.salt + text.encode()).hexdigest() == name.sealed.sha256


def test_a_sealed_text_is_stored_with_its_event_or_not_at_all(ledger: Ledger) -> None:
    _, name, email = registered(ledger)
    unused = ledger.vault.seal("never sent", "fre_x")
    assert ledger.vault.reveal([unused.sealed.id]) == {}
    registered_again = c.RegisterFreelancer(
        command_id="cmd_other",
        actor="operator:x",
        now=ledger.clock.now(),
        freelancer_id=name.owner,
        name=unused.sealed,
        email=email.sealed,
    )
    with pytest.raises(Exception, match="email_taken"):
        ledger.service.handle(registered_again, [unused])
    assert ledger.vault.reveal([unused.sealed.id]) == {}


def test_the_sha256_of_salt_and_text_is_that_of_the_event(past: Ledger) -> None:
    """Of every text in a long history; and every text that an event points to is there."""
    stored = {row["id"]: row for row in past.database.fetch("SELECT id, salt, text FROM vault")}
    seals = [seal for one in past.log.read_all() for seal in sealed_in(one.event)]
    assert len(seals) > 100
    for seal in seals:
        row = stored[seal.id]
        assert digest(bytes(row["salt"]), row["text"]) == seal.sha256
        assert sha256(bytes(row["salt"]) + row["text"].encode()).hexdigest() == seal.sha256
    assert {seal.id for seal in seals} == set(stored)


def test_two_seals_of_one_text_have_nothing_in_common(ledger: Ledger) -> None:
    one, other = (ledger.vault.seal("the same", "fre_x") for _ in range(2))
    assert one.sealed.id != other.sealed.id
    assert one.sealed.sha256 != other.sealed.sha256
    assert one.salt != other.salt


def test_no_text_stands_in_an_event_or_in_a_projection(ledger: Ledger) -> None:
    play = Play(ledger)
    contract = play.active("hourly", hourly_rate=6_000)
    play.log_time(contract, 60)
    play.bonus(contract, 5)
    texts = {row["text"].encode() for row in ledger.database.fetch("SELECT text FROM vault")}
    assert len(texts) > 5
    for stored in ledger.log.read_all():
        assert not [text for text in texts if text in stored.state], stored
    for row in ledger.database.fetch("SELECT state::text AS state FROM contracts"):
        assert not [text for text in texts if text in row["state"].encode()]


def test_an_erased_text_is_absent_and_history_is_whole(ledger: Ledger, server: Server) -> None:
    _, name, email = registered(ledger)
    before = list(ledger.log.read_all())
    erase(ledger, server, name.sealed.id)
    assert ledger.vault.reveal([name.sealed.id, email.sealed.id]) == {email.sealed.id: "ada@work.example"}
    assert list(ledger.log.read_all()) == before


def test_the_application_cannot_change_a_text(ledger: Ledger) -> None:
    registered(ledger)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ledger.database.execute("UPDATE vault SET text = 'somebody else'")


# Identities


def test_an_address_names_one_account_whatever_its_case_and_the_space_around_it(ledger: Ledger) -> None:
    names = ("Ada@Work.Example", "ada@work.example", " ADA@WORK.EXAMPLE ", "\tada@WORK.example\n")
    assert len({ledger.vault.identify("fre", name) for name in names}) == 1
    sharp, plain = (
        {ledger.vault.identify("fre", name) for name in names}
        for names in (("straße@x", "STRAßE@X"), ("strasse@x", "STRASSE@x"))
    )
    assert (len(sharp), len(plain), sharp & plain) == (1, 1, set()), "these are two mailboxes, of two people"


def test_an_address_names_another_account_for_a_client_than_for_a_freelancer(ledger: Ledger) -> None:
    ids = [ledger.vault.identify(kind, "ada@work.example") for kind in ("cli", "fre", "eor")]
    assert [one.partition("_")[0] for one in ids] == ["cli", "fre", "eor"]
    assert len({one.partition("_")[2] for one in ids}) == 3


def test_different_addresses_name_different_accounts(ledger: Ledger) -> None:
    assert len({ledger.vault.identify("fre", f"{name}@work.example") for name in ("ada", "bob", "ad a", "")}) == 4


def test_a_name_of_any_length_has_an_id(ledger: Ledger) -> None:
    """Other text has up to 10,000 characters, an index's row less."""
    long = "é" * 10_000
    assert ledger.vault.identify("eor", long) == ledger.vault.identify("eor", long.upper())
    assert ledger.vault.identify("eor", long) != ledger.vault.identify("eor", long[:-1])


def test_eight_threads_that_mention_an_address_first_at_once_get_one_id(ledger: Ledger) -> None:
    for number in range(10):
        email = f"new{number}@work.example"
        spellings = [email, email.upper(), email.title(), f" {email}"] * 2
        ids = together(*[lambda spelling=spelling: ledger.vault.identify("fre", spelling) for spelling in spellings])
        assert len(set(ids)) == 1, ids
        assert isinstance(ids[0], str)


def test_processes_that_mention_an_address_first_at_once_get_one_id(ledger: Ledger) -> None:
    code = "answer = [ledger.vault.identify('fre', f'{number}@work.example') for number in range(50)]"
    with other_processes(ledger.settings, 2) as others:
        one, other = all_at_once(others, code)
    assert one == other
    assert len(set(one)) == 50
    assert [Vault(ledger.database).identify("fre", f"{number}@WORK.example") for number in range(50)] == one
