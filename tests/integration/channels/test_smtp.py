"""Mail over SMTP, against a real scripted server."""

import email
import email.policy
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifyflow.channels.email import EmailChannel
from notifyflow.channels.smtp_codes import SMTP
from notifyflow.errors import (
    PermanentProviderError,
    ProviderError,
    RefusedUsError,
    TemporaryProviderError,
    UnknownOutcomeError,
)
from notifyflow.settings import Settings
from notifyflow.testing.channel_contract import ATTEMPT, ERRORS, a_message
from notifyflow.testing.scripted_http import CUT, HANG
from tests.integration.channels.scripted import SmtpScript, smtp_server
from tests.servers.ports import reserve_port


@pytest.fixture(scope="module")
def server() -> Iterator[SmtpScript]:
    with smtp_server() as script:
        yield script


@pytest.fixture(scope="module")
def encrypting(certificate: ssl.SSLContext) -> Iterator[SmtpScript]:
    with smtp_server(certificate) as script:
        script.extensions = ("STARTTLS", "AUTH PLAIN")
        yield script


def send(port: int, *, url: str = "smtp://localhost:{port}", **more: str) -> None:
    values = {"SMTP_URL": url.format(port=port), "MAIL_FROM": "notifyflow <pager@example.com>", **more}
    channel = EmailChannel.from_settings(Settings.from_variables({f"NOTIFYFLOW_{name}": text for name, text in values.items()}))
    assert not channel.faults
    channel.providers[0].send(a_message("ada@example.com"))


def refused(port: int, **more: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        send(port, **more)
    return caught.value


def test_an_accepted_mail_is_in_text_and_html_and_names_our_attempt(server: SmtpScript) -> None:
    server.respond()
    send(server.port)
    (raw,) = server.messages
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert message["Message-ID"] == f"<{ATTEMPT}@example.com>"
    assert message["X-Notifyflow-Attempt"] == ATTEMPT
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"] == "[CRITICAL] orders db is down"
    assert "https://example.com/a/token" in message.get_body(("plain",)).get_content()
    assert 'href="https://example.com/a/token"' in message.get_body(("html",)).get_content()
    assert "mail from:<pager@example.com>" in server.commands[1].lower()  # smtplib has written it in three ways
    assert server.commands[-1].upper() == "QUIT"


@pytest.mark.parametrize("farewell", [CUT, "500 what", "221 bye"])
def test_a_response_after_the_acceptance_changes_nothing(server: SmtpScript, farewell: str) -> None:
    server.respond(QUIT=farewell)
    send(server.port)
    assert len(server.messages) == 1


@pytest.mark.parametrize("code", sorted(SMTP))
def test_every_documented_code_means_what_the_table_says(server: SmtpScript, code: str) -> None:
    row = SMTP[code]
    if "." in code:
        reply = f"{'450' if code.startswith('4') else '550'} {code.partition('-')[0].replace('x', '99')} no"
    else:
        reply = code.replace("xx", "99") + " no"
    server.respond(RCPT=reply)
    error = refused(server.port)
    assert type(error) is ERRORS[row.verdict]
    assert error.reason == row.meaning
    assert error.code == reply.removesuffix(" no")
    assert not server.messages


@pytest.mark.parametrize(
    "code", ["5.4.5", "5.7.27", "5.7.54", "5.7.60", "5.7.64", "5.7.501", "5.7.515", "5.7.606", "5.7.649", "5.7.708", "5.7.999"]
)
def test_a_refusal_of_us_is_not_mistaken_for_an_unknown_mailbox(server: SmtpScript, code: str) -> None:
    server.respond(RCPT=f"550 {code} Access denied")
    error = refused(server.port)
    assert isinstance(error, RefusedUsError)
    assert error.code == f"550 {code}"
    assert "mailbox" not in error.reason


@pytest.mark.parametrize("code", ["5.7.12", "5.7.124", "5.7.134", "5.7.504", "5.7.505"])
def test_a_refusal_of_the_recipient_is_no_fault_of_ours(server: SmtpScript, code: str) -> None:
    server.respond(RCPT=f"550 {code} no")
    assert isinstance(refused(server.port), PermanentProviderError)


@pytest.mark.parametrize("stage", ["BANNER", "EHLO", "MAIL"])
def test_a_refusal_before_the_recipient_is_named_is_about_us(server: SmtpScript, stage: str) -> None:
    server.respond(**{stage: "550 go away", "HELO": "550 go away"})
    assert isinstance(refused(server.port), RefusedUsError)


@pytest.mark.parametrize(
    ("stage", "reply", "expected"),
    [
        ("RCPT", "550 5.1.1 unknown", PermanentProviderError),
        ("RCPT", "450 4.2.1 later", TemporaryProviderError),
        ("RCPT", "550 5.7.1 relaying denied", RefusedUsError),
        ("DATA", "451 later", TemporaryProviderError),
        ("DATA", "554 no", RefusedUsError),
        ("END", "452 full", TemporaryProviderError),
        ("END", "554 5.6.0 no", RefusedUsError),
        ("END", "550 5.1.1 unknown", PermanentProviderError),
        ("END", "552 5.3.4 too long", RefusedUsError),
        ("END", "garbage", UnknownOutcomeError),
        ("RCPT", "garbage", TemporaryProviderError),
        ("BANNER", "garbage", TemporaryProviderError),
        ("BANNER", CUT, TemporaryProviderError),
        ("MAIL", CUT, TemporaryProviderError),
        ("RCPT", CUT, TemporaryProviderError),
        ("DATA", CUT, UnknownOutcomeError),
        ("END", CUT, UnknownOutcomeError),
        ("MAIL", "421 closing", TemporaryProviderError),
        ("END", "x" * 20_000, UnknownOutcomeError),
    ],
)
def test_how_far_the_conversation_came_decides(server: SmtpScript, stage: str, reply: str, expected: type[ProviderError]) -> None:
    server.respond(**{stage: reply})
    assert type(refused(server.port)) is expected


@pytest.mark.parametrize(("stage", "expected"), [("MAIL", TemporaryProviderError), ("END", UnknownOutcomeError)])
def test_a_server_that_hangs_is_left(server: SmtpScript, stage: str, expected: type[ProviderError]) -> None:
    server.respond(**{stage: HANG})
    assert type(refused(server.port, CONNECT_TIMEOUT_S="1", READ_TIMEOUT_S="1")) is expected


def test_no_connection_is_a_definite_no() -> None:
    assert isinstance(refused(reserve_port()), TemporaryProviderError)


def test_a_password_does_not_travel_in_the_clear(server: SmtpScript) -> None:
    server.respond()
    error = refused(server.port, url="smtp://user:pass@localhost:{port}")
    assert isinstance(error, RefusedUsError)
    assert not any("AUTH" in line for line in server.commands)


def test_mail_goes_over_starttls_and_authenticates(encrypting: SmtpScript, authority: Path) -> None:
    encrypting.respond()
    send(encrypting.port, url="smtp://us%40er:p%3Ass@localhost:{port}", CA_BUNDLE=str(authority))
    assert encrypting.was_encrypted == [True]
    assert any(line.startswith("AUTH PLAIN") for line in encrypting.commands)


def test_credentials_that_are_not_accepted_are_our_fault(encrypting: SmtpScript, authority: Path) -> None:
    encrypting.respond(AUTH="535 5.7.8 no")
    error = refused(encrypting.port, url="smtp://user:pass@localhost:{port}", CA_BUNDLE=str(authority))
    assert isinstance(error, RefusedUsError)


def test_mail_goes_over_tls_from_the_start(certificate: ssl.SSLContext, authority: Path) -> None:
    with smtp_server(certificate, from_start=True) as script:
        send(script.port, url="smtps://localhost:{port}", CA_BUNDLE=str(authority))
        assert script.was_encrypted == [True]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_a_certificate_that_nobody_vouches_for_is_not_spoken_to(certificate: ssl.SSLContext, scheme: str) -> None:
    with smtp_server(certificate, from_start=scheme == "smtps") as script:
        script.extensions = ("STARTTLS",)
        assert isinstance(refused(script.port, url=scheme + "://localhost:{port}"), RefusedUsError)
        assert not script.messages
