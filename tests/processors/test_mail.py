"""Messages: plain, addressed as the vault says, once for each identifier."""

import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from ledger.processors.mail import FolderMailer, SmtpMailer, compose
from tests.play import utc

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


def test_a_message_that_is_sent_twice_is_in_the_folder_once(tmp_path: Path) -> None:
    mailer = FolderMailer(tmp_path / "made" / "when needed")
    for number in (1, 1, 2):
        mailer.send(compose(f"evt_{number}", "fred@work.example", "Subject", "Text\n", AT))
    files = sorted((tmp_path / "made" / "when needed").iterdir())
    assert [file.name for file in files] == ["evt_1.eml", "evt_2.eml"]


class _Conversation(socketserver.StreamRequestHandler):
    """Just enough SMTP to take one message in."""

    def handle(self) -> None:
        received: list[bytes] = self.server.received  # type: ignore[attr-defined]
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline():
            word = line[:4].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += self.rfile.readline()
                received.append(text)
            if word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def smtp() -> Iterator[socketserver.TCPServer]:
    with socketserver.TCPServer(("127.0.0.1", 0), _Conversation) as server:
        server.received = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def test_a_message_goes_to_the_mail_server(smtp: socketserver.TCPServer) -> None:
    mailer = SmtpMailer(f"smtp://127.0.0.1:{smtp.server_address[1]}")
    mailer.send(compose("evt_1", "fred@work.example", "Subject", "Text\n", AT))
    (received,) = smtp.received  # type: ignore[attr-defined]
    assert b"To: fred@work.example" in received
    assert b"Message-ID: <evt_1@ledger.invalid>" in received


def test_a_mail_server_that_is_down_is_an_error_that_means_ask_again(smtp: socketserver.TCPServer) -> None:
    smtp.shutdown()
    smtp.server_close()
    assert issubclass(ConnectionRefusedError, OSError)
    with pytest.raises(ConnectionRefusedError):
        SmtpMailer(f"smtp://127.0.0.1:{smtp.server_address[1]}").send(compose("evt_1", "a@b", "Subject", "Text\n", AT))
