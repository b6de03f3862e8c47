"""Messages: plain, addressed as the vault says, once for each identifier."""

import smtplib
import socket
import ssl
import time
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from ledger.processors.mail import AWAY_SECONDS, FolderMailer, NotAnAddress, SmtpMailer, compose
from tests.play import utc
from tests.processors.fake_mail import certificate, mail_server

AT = utc("2026-01-05 09:00")


def test_a_message_says_who_it_is_for_and_what_and_when() -> None:
    message = compose("evt_con_1_1", "fred@work.example", "You are invited", "Come in.\n", AT)
    read = message_from_bytes(bytes(message), policy=policy.default)
    assert read["To"] == "fred@work.example"
    assert read["Subject"] == "You are invited"
    assert read["Message-ID"] == "<evt_con_1_1@ledger.invalid>"
    assert read["Date"].datetime == AT
    assert read.get_content() == "Come in.\n"


@pytest.mark.parametrize(
    "title", ["two\nlines", "Bcc: all\r\nBcc: everyone@x", "  spaces\t", "Übersetzung 🦆", "x" * 200]
)
def test_a_title_cannot_add_a_header(title: str) -> None:
    message = compose("evt_1", "fred@work.example", f"Invited: {title}", f"“{title}”\n", AT)
    read = message_from_bytes(bytes(message), policy=policy.default)
    assert sorted(read.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
    )
    assert read["Subject"].split() == f"Invited: {title}".split()


LONG = '"' + "é,<" * 70 + '"@b.c'
"""The library reads it and cannot write it."""


@pytest.mark.parametrize(
    "address", ["a@b", "o'neil+x@sub.work.example", '"a,b"@c.d', "a@[192.0.2.1]", "frédéric@wörk.example"]
)
def test_a_message_goes_to_exactly_the_address_that_was_given(address: str) -> None:
    message = compose("evt_1", address, "Subject", "Text\n", AT)
    assert [one.addr_spec for one in message["To"].addresses] == [address]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@[x",
        "a,b@evil.example",
        "a@b.c,",
        "ada<a@evil.example>",
        "a\nb@c.d",
        "\udc80@b.c",
        "a@b..c",
        LONG,
    ],
)
def test_what_is_not_one_address_is_an_error_that_does_not_repeat_it(address: str) -> None:
    with pytest.raises(NotAnAddress) as refused:
        compose("evt_1", address, "Subject", "Text\n", AT)
    assert str(refused.value) == "the recipient is not one e-mail address: no mail can go there"


def test_a_message_that_is_sent_twice_is_in_the_folder_once(tmp_path: Path) -> None:
    mailer = FolderMailer(tmp_path / "made" / "when needed")
    for number in (1, 1, 2):
        mailer.send(compose(f"evt_{number}", "fred@work.example", "Subject", "Text\n", AT))
    files = sorted((tmp_path / "made" / "when needed").iterdir())
    assert [file.name for file in files] == ["evt_1.eml", "evt_2.eml"]


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is an address of this machine: its servers are reached under any."""
    here = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _, *more, **named: here("127.0.0.1", *more, **named))


def trust(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operator does for an authority of their own."""
    monkeypatch.setenv("SSL_CERT_FILE", str(file))


def invite(url: str, recipient: str = "fred@work.example") -> None:
    SmtpMailer(url).send(compose("evt_1", recipient, "Subject", "Text\n", AT))


def test_a_message_goes_to_the_mail_server() -> None:
    with mail_server() as smtp:
        invite(f"smtp://127.0.0.1:{smtp.port}")
    (received,) = smtp.received
    assert b"To: fred@work.example" in received
    assert b"Message-ID: <evt_1@ledger.invalid>" in received


def test_a_mail_server_that_is_down_is_an_error_that_means_ask_again() -> None:
    with mail_server() as smtp:
        pass
    assert issubclass(ConnectionRefusedError, OSError)
    with pytest.raises(ConnectionRefusedError):
        invite(f"smtp://127.0.0.1:{smtp.port}")


def test_a_mail_server_that_is_away_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message that waited for it would hold up what else is due."""
    message = compose("evt_1", "fred@work.example", "Subject", "Text\n", AT)
    with mail_server() as smtp:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{smtp.port}")
        with monkeypatch.context() as away:
            away.setattr("smtplib.SMTP.connect", lambda *_: (421, b"away"))
            with pytest.raises(smtplib.SMTPConnectError):
                mailer.send(message)
        with pytest.raises(OSError, match="not asked again so soon"):
            mailer.send(message)
        assert smtp.received == []
        now = time.monotonic()
        monkeypatch.setattr("ledger.processors.mail.time.monotonic", lambda: now + AWAY_SECONDS)
        mailer.send(message)
    assert len(smtp.received) == 1


def test_what_the_server_says_of_a_recipient_stays_out_of_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: smtplib.SMTP, *_: object) -> None:
        raise smtplib.SMTPRecipientsRefused({"fred@work.example": (550, b"no fred@work.example here")})

    monkeypatch.setattr("smtplib.SMTP.send_message", refuses)
    with mail_server() as smtp, pytest.raises(OSError, match="SMTPRecipientsRefused") as refused:
        invite(f"smtp://127.0.0.1:{smtp.port}")
    assert "fred" not in repr(refused.value)
    assert refused.value.__suppress_context__


# TLS. `smtps` has it from the start, `smtp` by STARTTLS.


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_the_password_and_the_message_go_through_tls(
    scheme: str, anywhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path / "mail.pem", "mail.example")
    trust(tmp_path / "mail.pem", monkeypatch)
    with mail_server(tls, at_once=scheme == "smtps") as smtp:
        invite(f"{scheme}://ledger:p%40ss@mail.example:{smtp.port}")
    assert smtp.logins == [("ledger", "p@ss", True)]
    assert len(smtp.received) == 1


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
@pytest.mark.parametrize("which", ["trusted by nobody", "of another host"])
def test_a_mail_server_that_cannot_prove_who_it_is_gets_neither_the_password_nor_the_message(
    scheme: str, which: str, anywhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path / "mail.pem", "mail.example" if which == "trusted by nobody" else "another.example")
    if which == "of another host":
        trust(tmp_path / "mail.pem", monkeypatch)
    with mail_server(tls, at_once=scheme == "smtps") as smtp:
        for user in ("", "ledger:secret@"):
            with pytest.raises(ssl.SSLCertVerificationError) as refused:
                invite(f"{scheme}://{user}mail.example:{smtp.port}")
            assert isinstance(refused.value, OSError), "it is asked again"
    assert (smtp.logins, smtp.received) == ([], [])


def test_a_password_is_not_sent_in_plain_text(anywhere: None) -> None:
    with mail_server() as smtp, pytest.raises(OSError, match="offers no STARTTLS") as refused:
        invite(f"smtp://ledger:secret@mail.example:{smtp.port}")
    assert (smtp.logins, smtp.received) == ([], [])
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_a_relay_on_this_machine_needs_no_tls(host: str, anywhere: None) -> None:
    with mail_server() as smtp:
        invite(f"smtp://ledger:secret@{host}:{smtp.port}")
    assert smtp.logins == [("ledger", "secret", False)]
    assert len(smtp.received) == 1


def test_a_mail_server_that_asks_for_no_password_needs_no_tls(anywhere: None) -> None:
    with mail_server() as smtp:
        invite(f"smtp://mail.example:{smtp.port}")
    assert len(smtp.received) == 1
