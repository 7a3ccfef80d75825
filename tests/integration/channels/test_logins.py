"""A provider's account is tried without sending anything, over HTTP and SMTP: what it accepts, and how it can refuse."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from notifyflow.channels.email import EmailChannel
from notifyflow.channels.provider_protocols import LogsIn
from notifyflow.errors import ProviderError, RefusedUsError, TemporaryProviderError, UnknownOutcomeError
from notifyflow.settings import Settings
from notifyflow.testing.channel_contract import Bench, Response
from notifyflow.testing.scripted_http import CUT, HttpServer, http_server
from tests.integration.channels.benches import BENCHES
from tests.integration.channels.scripted import SmtpScript, smtp_server
from tests.servers.moto import Moto, moto
from tests.servers.ports import reserve_port

_RESULT = b"<GetCallerIdentityResult><Account>1</Account></GetCallerIdentityResult>"
_XML = {"Content-Type": "text/xml"}
_AWS = (200, b"<GetCallerIdentityResponse>" + _RESULT + b"</GetCallerIdentityResponse>", _XML)
_TWILIO = (200, json.dumps({"sid": "AC1", "status": "active"}).encode(), {})
_SLACK = (200, b'{"ok": true, "team": "t"}', {})
_GOOD: dict[str, Response] = {
    "ses": _AWS, "sns": _AWS, "sns sms": _AWS, "twilio sms": _TWILIO, "twilio voice": _TWILIO, "slack bot": _SLACK,
}  # fmt: skip
WITH_LOGIN = [bench for bench in BENCHES if bench.name in _GOOD]
every_login = pytest.mark.parametrize("bench", WITH_LOGIN, ids=lambda bench: bench.name)


@pytest.fixture(scope="module")
def server() -> Iterator[HttpServer]:
    with http_server() as script:
        yield script


@pytest.fixture(scope="module")
def amazon() -> Iterator[Moto]:
    with moto() as running:
        yield running


@pytest.fixture(scope="module")
def encrypting(certificate: ssl.SSLContext) -> Iterator[SmtpScript]:
    with smtp_server(certificate) as script:
        script.extensions = ("STARTTLS", "AUTH PLAIN")
        yield script


def try_login(bench: Bench, server: HttpServer | int, **more: str) -> str:
    with bench.provider(server, **more) as (provider, _):
        assert isinstance(provider, LogsIn)
        return provider.try_login()


@every_login
def test_a_login_that_is_accepted_is_described(bench: Bench, server: HttpServer) -> None:
    server.respond(*_GOOD[bench.name])
    assert try_login(bench, server)
    (request,) = server.requests
    asked = request.path + request.body.decode()
    assert any(part in asked for part in ("/2010-04-01/Accounts/AC", "/auth.test", "Action=GetCallerIdentity"))


@every_login
@pytest.mark.parametrize(("status", "code"), [(401, ""), (403, "")])
def test_a_login_that_is_refused_is_a_fault_of_ours(bench: Bench, server: HttpServer, status: int, code: str) -> None:
    server.respond(*bench.refused(status, code))
    with pytest.raises(RefusedUsError):
        try_login(bench, server)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("twilio sms", 401, "20003"), ("slack bot", 200, "invalid_auth"), ("sns", 403, "SignatureDoesNotMatch")],
)
def test_the_provider_s_own_code_says_why_it_is_refused(server: HttpServer, name: str, status: int, code: str) -> None:
    bench = next(bench for bench in WITH_LOGIN if bench.name == name)
    server.respond(*bench.refused(status, code))
    with pytest.raises(RefusedUsError) as caught:
        try_login(bench, server)
    assert caught.value.code == code


@every_login
def test_garbage_and_a_broken_connection_are_no_login(bench: Bench, server: HttpServer) -> None:
    for act, body in ((CUT, b""), ("", b"<<< garbage")):
        server.respond(200, body, act=act)
        with pytest.raises(UnknownOutcomeError):
            try_login(bench, server)
    with pytest.raises(TemporaryProviderError):
        try_login(bench, reserve_port())


@pytest.mark.parametrize("status", ["suspended", "closed"])
def test_an_account_that_is_not_active_is_refused(server: HttpServer, status: str) -> None:
    server.respond(200, json.dumps({"sid": "AC1", "status": status}).encode())
    with pytest.raises(RefusedUsError) as caught:
        try_login(next(bench for bench in WITH_LOGIN if bench.name == "twilio sms"), server)
    assert caught.value.code == status


def test_without_a_bot_slack_has_no_login(server: HttpServer) -> None:
    server.respond(500)
    assert try_login(next(bench for bench in BENCHES if bench.name == "slack webhook"), server) == ""
    assert server.requests == []


def test_moto_says_whose_key_it_is(amazon: Moto) -> None:
    channel = EmailChannel.from_settings(Settings.from_variables({**amazon.settings, "NOTIFYFLOW_SES_FROM": "n@example.com"}))
    (ses,) = channel.providers
    assert isinstance(ses, LogsIn)
    assert ses.try_login()
    channel.close()


def try_mail(url: str, **more: str) -> str:
    values = {"SMTP_URL": url, "MAIL_FROM": "pager@example.com", **more}
    channel = EmailChannel.from_settings(Settings.from_variables({f"NOTIFYFLOW_{name}": text for name, text in values.items()}))
    (smtp,) = channel.providers
    assert isinstance(smtp, LogsIn)
    return smtp.try_login()


def test_a_mail_server_is_logged_in_to_over_starttls_and_gets_no_mail(encrypting: SmtpScript, authority: Path) -> None:
    encrypting.respond()
    assert try_mail(f"smtp://user:pass@localhost:{encrypting.port}", CA_BUNDLE=str(authority)) == "logged in"
    verbs = [line.split()[0].upper() for line in encrypting.commands]
    assert verbs == ["EHLO", "STARTTLS", "EHLO", "AUTH", "QUIT"]


def test_a_wrong_password_of_a_mail_server_is_a_fault_of_ours(encrypting: SmtpScript, authority: Path) -> None:
    encrypting.respond(AUTH="535 5.7.8 no")
    with pytest.raises(RefusedUsError) as caught:
        try_mail(f"smtp://user:sesame@localhost:{encrypting.port}", CA_BUNDLE=str(authority))
    assert caught.value.code == "535 5.7.8"
    assert "sesame" not in str(caught.value)


def test_a_mail_server_without_a_user_is_greeted_only() -> None:
    with smtp_server() as script:
        assert try_mail(f"smtp://localhost:{script.port}") == "connected; no user is set to log in as"
        assert [line.split()[0].upper() for line in script.commands] == ["EHLO", "QUIT"]
        script.respond(BANNER="554 go away")
        with pytest.raises(ProviderError):
            try_mail(f"smtp://localhost:{script.port}")
    with pytest.raises(TemporaryProviderError):
        try_mail(f"smtp://localhost:{reserve_port()}")
