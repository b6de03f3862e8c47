"""E-mail: handed to an SMTP server, or kept as files where there is none."""

import smtplib
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit


class Mailer(Protocol):
    """Sends one message; raises OSError when it cannot, and then is asked again."""

    def send(self, message: EmailMessage) -> None: ...


def compose(identifier: str, recipient: str, subject: str, text: str, at: datetime) -> EmailMessage:
    """A plain message. The same identifier gives the same Message-ID, by which a mail system drops a second copy."""
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
    """`smtp://user:password@host:port`, or `smtps://…` for TLS from the start."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)

    def send(self, message: EmailMessage) -> None:
        kind = smtplib.SMTP_SSL if self._url.scheme == "smtps" else smtplib.SMTP
        with kind(self._url.hostname or "localhost", self._url.port or 0, timeout=10) as server:
            if self._url.username:
                server.login(unquote(self._url.username), unquote(self._url.password or ""))
            server.send_message(message)
