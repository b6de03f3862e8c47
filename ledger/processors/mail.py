"""E-mail: handed to an SMTP server, or kept as files where there is none."""

import smtplib
import ssl
import time
from contextlib import ExitStack
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ledger.errors import LedgerError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TIMEOUT_SECONDS = 10
AWAY_SECONDS = 20


class NotAnAddress(LedgerError):
    """Nothing can be sent to this recipient, whom it does not name."""


class Mailer(Protocol):
    """Sends one message; raises OSError when it cannot, and then is asked again."""

    def send(self, message: EmailMessage) -> None: ...


def is_address(text: str) -> bool:
    """Whether a message to this text goes to exactly one address: the text itself, letter for letter."""
    if '"' in text and not text.isascii():
        return False  # the library reads such a one, and fails to write it when it is long
    trial = EmailMessage()
    try:
        trial["To"] = text
        parsed = [one.addr_spec for one in trial["To"].addresses if one.domain]
    except Exception:  # noqa: BLE001 - the library raises whatever it stumbles over: AttributeError on `a@[x`
        return False
    sent = [address for _, address in getaddresses([trial["To"]])]  # smtplib reads it by this, another parser
    return parsed == sent == [text]


def compose(identifier: str, recipient: str, subject: str, text: str, at: datetime) -> EmailMessage:
    """A plain message. The same identifier gives the same Message-ID, by which a mail system drops a second copy.

    Raises NotAnAddress.
    """
    if not is_address(recipient):
        raise NotAnAddress("the recipient is not one e-mail address: no mail can go there")
    message = EmailMessage()
    message["From"] = "Ledger <no-reply@ledger.invalid>"
    message["To"] = recipient
    message["Subject"] = " ".join(subject.split())
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{identifier}@ledger.invalid>"
    message.set_content(text)
    return message


class FolderMailer:
    """Keeps each message as a file, named by its Message-ID: sent twice, it is there once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        (self._folder / f"{name}.eml").write_bytes(bytes(message))


class SmtpMailer:
    """`smtps://user:password@host:port` for TLS from the start, or `smtp://…`: by STARTTLS, where the server offers it.

    A server whose certificate does not prove that it is that host gets nothing. One that is away is left alone for
    `AWAY_SECONDS`: however many messages wait for it, what else is due waits for one of them at most.
    """

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._host = self._url.hostname or "localhost"
        self._tls = ssl.create_default_context()  # without one smtplib believes any certificate
        self._away_until = 0.0

    def send(self, message: EmailMessage) -> None:
        with self._ready() as server:
            try:
                server.send_message(message)
            except smtplib.SMTPException as error:  # whose words repeat the recipient's address
                code = getattr(error, "smtp_code", "")
                raise OSError(f"{self._host} did not take the message: {type(error).__name__} {code}".strip()) from None

    def _ready(self) -> smtplib.SMTP:
        if time.monotonic() < self._away_until:
            raise OSError(f"{self._host} was away a moment ago, and is not asked again so soon")
        try:
            with ExitStack() as until_ready:
                server = until_ready.enter_context(self._connect())
                if self._url.scheme != "smtps" and self._host not in LOOPBACK:
                    self._encrypt(server)
                if self._url.username:
                    server.login(unquote(self._url.username), unquote(self._url.password or ""))
                until_ready.pop_all()
                return server
        except OSError:
            self._away_until = time.monotonic() + AWAY_SECONDS
            raise

    def _connect(self) -> smtplib.SMTP:
        where = self._host, self._url.port or 0
        if self._url.scheme == "smtps":
            return smtplib.SMTP_SSL(*where, timeout=TIMEOUT_SECONDS, context=self._tls)
        return smtplib.SMTP(*where, timeout=TIMEOUT_SECONDS)

    def _encrypt(self, server: smtplib.SMTP) -> None:
        """A relay on this machine needs no TLS; to any other a password goes by TLS only."""
        server.ehlo_or_helo_if_needed()
        if server.has_extn("starttls"):
            server.starttls(context=self._tls)
        elif self._url.username:
            raise smtplib.SMTPNotSupportedError(
                f"{self._host} offers no STARTTLS, and a password does not go there in plain text: use smtps://"
            )
