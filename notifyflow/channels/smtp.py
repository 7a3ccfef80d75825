"""Mail over SMTP. Until the message's last line a failure is definite; after it, a missing reply is an unknown outcome.

SMTP has no receipts: an accepted mail stays SENT.
"""

import contextlib
import re
import smtplib
import socket
import ssl
import time
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any
from urllib.parse import unquote, urlsplit

from notifyflow.channels.base import Accepted, Provider
from notifyflow.channels.mail import MailWriter
from notifyflow.channels.smtp_codes import find
from notifyflow.channels.tables import Row, Verdict
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import ProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings

_PORTS = {"smtp": 587, "smtps": 465}
_ENHANCED = re.compile(rb"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_FAREWELL_S = 1.0


class _Stage(Enum):
    """The stage of a session, which decides the meaning of a refusal and of a missing reply."""

    INTRODUCTION = auto()  # before the recipient is named, every refusal concerns us
    RECIPIENT = auto()
    MESSAGE = auto()  # without a reply, the server may have the message


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """The server that takes our mail.

    Attributes:
        is_tls: Whether TLS begins with the connection (``smtps``); otherwise STARTTLS follows if the server offers it.
        user: The user to authenticate as; empty without.
        is_trusted: Whether ``trusted_endpoints`` names it: then a password may travel without TLS.
    """

    host: str
    port: int
    is_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)
    is_trusted: bool = False

    @classmethod
    def parse(cls, url: str, *, trusted_endpoints: tuple[str, ...] = ()) -> "SmtpServer":
        """Read ``smtp://user:password@host:port`` or ``smtps://…``; special characters in user and password are percent-encoded.

        Raises:
            ValueError: With the fault as a sentence, without the URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            raise ValueError("is not an smtp:// or smtps:// URL") from None
        if not parts.hostname:
            raise ValueError("names no host")
        return cls(
            host=parts.hostname,
            port=port,
            is_tls=parts.scheme == "smtps",
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            is_trusted=f"{parts.hostname}:{port}" in trusted_endpoints,
        )


class Smtp(Provider):
    """Sends each mail over its own connection."""

    name = "smtp"
    setting_prefixes = ("SMTP_", "MAIL_")

    def __init__(self, settings: Settings, server: SmtpServer, writer: MailWriter) -> None:
        self._server = server
        self._writer = writer
        self._connect_s = settings.connect_timeout_s
        self._total_s = settings.connect_timeout_s + settings.read_timeout_s
        self._ca_bundle = str(settings.ca_bundle) if settings.ca_bundle else None

    def try_login(self) -> str:
        """Greet, encrypt and authenticate as before a mail; see ``LogsIn``."""
        try:
            with contextlib.closing(self._connect()) as session:
                self._introduce(session)
                session.leave()
        except smtplib.SMTPResponseException as error:
            raise _refusal(error, _Stage.INTRODUCTION) from error
        except OSError as error:
            raise _failure(error, _Stage.INTRODUCTION) from error
        return "logged in" if self._server.user else "connected; no user is set to log in as"

    def send(self, message: OutboundMessage) -> Accepted:
        """Hand one mail in; see ``Provider.send``."""
        mail = self._writer.write(message)
        stage = _Stage.INTRODUCTION
        try:
            with contextlib.closing(self._connect()) as session:
                self._introduce(session)
                _expect(session.mail(self._writer.sender.addr_spec), 250)
                stage = _Stage.RECIPIENT
                _expect(session.rcpt(message.address), 250, 251)
                stage = _Stage.MESSAGE
                _expect(session.data(mail), 250)
                session.leave()
        except smtplib.SMTPResponseException as error:
            raise _refusal(error, stage) from error
        except OSError as error:
            raise _failure(error, stage) from error
        return Accepted(provider_ref=f"{message.attempt_id}@{self._writer.sender.domain}")

    def _connect(self) -> "_SmtpSession":
        until = time.monotonic() + self._total_s
        server = self._server
        if server.is_tls:
            return _TlsSession(server.host, server.port, timeout=self._connect_s, until=until, context=self._context())
        return _SmtpSession(server.host, server.port, timeout=self._connect_s, until=until)

    def _introduce(self, session: "_SmtpSession") -> None:
        server = self._server
        is_encrypted = server.is_tls
        session.ehlo_or_helo_if_needed()
        if not is_encrypted and session.has_extn("starttls"):
            _expect(session.starttls(context=self._context()), 220)
            session.ehlo_or_helo_if_needed()
            is_encrypted = True
        if not server.user:
            return
        if not (is_encrypted or server.is_trusted):
            raise smtplib.SMTPNotSupportedError("the server offers no STARTTLS, and a password does not travel without")
        session.login(server.user, server.password)

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._ca_bundle)


class _SmtpSession(smtplib.SMTP):
    """An SMTP session with a deadline for all its replies together."""

    sock: socket.socket | None

    def __init__(self, host: str, port: int, *, timeout: float, until: float, **options: Any) -> None:
        self.until = until
        super().__init__(host, port, local_hostname=socket.gethostname(), timeout=timeout, **options)

    def getreply(self) -> tuple[int, bytes]:
        """Wait for a reply for the rest of the time."""
        left_s = self.until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the SMTP session took too long")
        if self.sock is not None:
            self.sock.settimeout(left_s)
        try:
            return super().getreply()
        except smtplib.SMTPResponseException:  # smtplib raises this for an overlong line; it is no reply of the server
            return -1, b""

    def leave(self) -> None:
        """Say goodbye; the server's response does not matter."""
        with contextlib.suppress(OSError):
            self.until = time.monotonic() + _FAREWELL_S
            self.quit()


class _TlsSession(_SmtpSession, smtplib.SMTP_SSL):
    """A session over TLS from the start."""


def _expect(reply: tuple[int, bytes], *codes: int) -> None:
    if reply[0] not in codes:
        raise smtplib.SMTPResponseException(*reply)


def _refusal(error: smtplib.SMTPResponseException, stage: _Stage) -> ProviderError:
    """Return the error for a reply that refuses."""
    code, text = error.smtp_code, error.smtp_error
    enhanced = _ENHANCED.match(text if isinstance(text, bytes) else text.encode())
    enhanced_code = enhanced[1].decode() if enhanced else ""
    row = find(code, enhanced_code) or _gibberish(stage)
    is_introduction = stage is _Stage.INTRODUCTION
    if row.verdict is Verdict.PERMANENT and is_introduction:
        return RefusedUsError("the server refuses us before it was told whom the mail is for", code=enhanced_code or str(code))
    row = replace(row, is_general=is_introduction, is_about_content=row.is_about_content and stage is _Stage.MESSAGE)
    return row.error(code=f"{code} {enhanced_code}" if enhanced_code else str(code), is_unhealthy=is_introduction)


def _gibberish(stage: _Stage) -> Row:
    verdict = Verdict.UNKNOWN if stage is _Stage.MESSAGE else Verdict.TEMPORARY
    return Row("", verdict, "the server answered in a way that SMTP does not have", "RFC 5321 §4.2")


def _failure(error: OSError, stage: _Stage) -> ProviderError:
    """Return the error for a broken session."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return RefusedUsError("the server's certificate is not one that we trust", code="tls")
    if isinstance(error, smtplib.SMTPException) and not isinstance(error, smtplib.SMTPServerDisconnected):
        return RefusedUsError("the server does not offer what our settings need (STARTTLS, AUTH)", code="not_supported")
    if stage is _Stage.MESSAGE:
        return UnknownOutcomeError("the server fell silent after it was given the message", code="connection_lost")
    return TemporaryProviderError("the server could not be reached", code="no_connection", is_unhealthy=True)
