"""A small mail server on the loopback interface, with TLS from the start, on STARTTLS, or not at all.

It takes every login and every message, and writes down which of them came in plain text.
"""

import base64
import ipaddress
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


class Login(NamedTuple):
    """A user and a password as they arrived."""

    user: str
    password: str
    encrypted: bool


class MailServer(socketserver.TCPServer):
    """`tls`: its certificate; with `at_once` a client has to begin with TLS, otherwise STARTTLS is offered."""

    def __init__(self, tls: ssl.SSLContext | None, at_once: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.tls, self.at_once = tls, at_once
        self.received: list[bytes] = []
        self.logins: list[Login] = []

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """A client that turns away from the certificate is what some tests are about."""


class _Conversation(socketserver.StreamRequestHandler):
    """Just enough SMTP to take a login and a message in."""

    server: MailServer

    def setup(self) -> None:
        if self.server.at_once:
            self._encrypt()
        super().setup()

    def _encrypt(self) -> None:
        assert self.server.tls is not None
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)

    def handle(self) -> None:
        self._say(b"220 test")
        while line := self.rfile.readline():
            match line.split()[0].upper():
                case b"EHLO":
                    self._say(b"250-test", *self._offers(), b"250 AUTH PLAIN")
                case b"STARTTLS":
                    self._say(b"220 begin")
                    self._encrypt()
                    super().setup()
                case b"AUTH":
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    self.server.logins.append(Login(user, password, self._encrypted))
                    self._say(b"235 welcome")
                case b"DATA":
                    self._say(b"354 go on")
                    text = b""
                    while not text.endswith(b"\r\n.\r\n"):
                        text += self.rfile.readline()
                    self.server.received.append(text)
                    self._say(b"250 ok")
                case b"QUIT":
                    self._say(b"221 bye")
                    return
                case _:
                    self._say(b"250 ok")

    def finish(self) -> None:
        super().finish()
        self.request.close()

    @property
    def _encrypted(self) -> bool:
        return isinstance(self.request, ssl.SSLSocket)

    def _offers(self) -> list[bytes]:
        return [b"250-STARTTLS"] if self.server.tls and not self._encrypted else []

    def _say(self, *lines: bytes) -> None:
        self.wfile.write(b"\r\n".join(lines) + b"\r\n")


@contextmanager
def mail_server(tls: ssl.SSLContext | None = None, *, at_once: bool = False) -> Iterator[MailServer]:
    with MailServer(tls, at_once) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def certificate(file: Path, host: str) -> ssl.SSLContext:
    """A server's context with a certificate for `host` that it signed itself; written to `file`, for whoever trusts it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    uses = dict.fromkeys(
        ("key_encipherment", "content_commitment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=False, decipher_only=False, **uses),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    file.write_bytes(signed.public_bytes(Encoding.PEM))
    secret = file.with_suffix(".key")
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, secret)
    return context


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
