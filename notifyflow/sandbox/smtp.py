"""A mail server, aiosmtpd, that accepts mail for any address and reacts as the script says.

A recipient refused with a status is refused at RCPT; everything else happens after the mail's last dot (RFC 5321, §4.2.5: only
the reply to that dot says who is responsible).
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from notifyflow.sandbox import mail
from notifyflow.sandbox.inbox import Inbox, Mail, Message
from notifyflow.sandbox.script import Kind, Reaction
from notifyflow.sandbox.stand_in import Providers, new_reference

Play = Callable[[str, str], Reaction]


class MailServer:
    """The hooks of aiosmtpd's server; their names and results are its own.

    Attributes:
        name: As of a ``StandIn``.
        providers: As of a ``StandIn``.
    """

    name = "smtp"
    providers: ClassVar[Providers] = {"email": {"smtp": ("SMTP_URL", "MAIL_FROM")}}

    def __init__(self, inbox: Inbox, play: Play, *, login: tuple[str, str] | None, tls: ssl.SSLContext | None) -> None:
        """Set where mail goes, what to do with it, whom to let in (all, without a login), and the certificate for STARTTLS."""
        self._inbox = inbox
        self._play = play
        self._login = login
        self._tls = tls

    def addresses(self, url: str, person: int) -> Mapping[str, str]:
        """Return a mail address; see ``StandIn.addresses``."""
        del url
        return {"email": f"person-{person}@sandbox.example"}

    def protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol of a connection."""
        return _Connection(
            self,
            hostname="sandbox.invalid",
            ident="notifyflow sandbox",
            tls_context=self._tls,
            require_starttls=self._tls is not None,
            authenticator=self._check if self._login else None,
            auth_require_tls=self._tls is not None,
            enable_SMTPUTF8=True,
        )

    def _check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: object) -> AuthResult:
        del server, session, envelope, mechanism
        is_known = isinstance(auth_data, LoginPassword) and self._login == (auth_data.login.decode(), auth_data.password.decode())
        return AuthResult(success=is_known, handled=is_known)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept a sender who has logged in; aiosmtpd's own switch for that warns where there is no TLS."""
        del server
        if self._login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        del server, session, options
        reaction = self._play("email", address)
        if reaction.kind is Kind.STATUS and not reaction.is_accepted:
            self._inbox.add(_message(address, reaction, Mail(sender=envelope.mail_from or "", subject="", text="")))
            return f"{reaction.code} {reaction.code[0]}.0.0 Refused by the script"
        envelope.rcpt_tos.append(address)
        _reactions(envelope).append(reaction)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Accept or refuse a mail as the script says for its last recipient."""
        del session
        parsed = mail.parse(envelope.original_content or b"")
        reactions = _reactions(envelope)
        for to, reaction in zip(envelope.rcpt_tos, reactions, strict=True):
            self._inbox.add(replace(_message(to, reaction, mail.read(parsed)), attempt_id=mail.attempt_id(parsed)))
        return await _answer(server, reactions[-1])


class _Envelope(Envelope):
    """An envelope with a reaction for each of its recipients."""

    def __init__(self) -> None:
        super().__init__()
        self.reactions: list[Reaction] = []


def _reactions(envelope: Envelope) -> list[Reaction]:
    assert isinstance(envelope, _Envelope)  # noqa: S101 - made below
    return envelope.reactions


class _Connection(SMTP):
    """A connection that ends when the client leaves, whatever it waits for."""

    def _create_envelope(self) -> Envelope:
        return _Envelope()

    def eof_received(self) -> bool:
        super().eof_received()
        return False


def _message(to: str, reaction: Reaction, content: Mail) -> Message:
    return Message(
        channel="email",
        provider="smtp",
        to=to,
        reference=new_reference(),
        reaction=reaction.words,
        is_accepted=reaction.is_accepted,
        status="sent" if reaction.is_accepted else "refused",
        content=content,
    )


async def _answer(server: SMTP, reaction: Reaction) -> str:
    await asyncio.sleep(reaction.delay_s)
    match reaction.kind:
        case Kind.HANG:
            await asyncio.Event().wait()
        case Kind.CUT:
            if isinstance(server.transport, asyncio.WriteTransport):
                server.transport.abort()
        case Kind.GARBAGE:
            return "<<< garbage >>>"
        case Kind.STATUS:
            return f"{reaction.code} {reaction.code[0]}.0.0 Refused by the script"
        case Kind.CODE:
            return f"554 5.0.0 {reaction.code}"
    return "250 2.0.0 OK"
