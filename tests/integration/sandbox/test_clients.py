"""The providers' real clients work with the sandbox as with their provider."""

import json
import smtplib
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from notifyflow.sandbox.inbox import Call, Card, Mail, Push, Text
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings

BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "orders db is down"}}]
CARD = {
    "type": "message",
    "attachments": [
        {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "orders db is down"}]},
        }
    ],
}


def setting(sandbox: Sandbox, name: str) -> str:
    return sandbox.settings()[f"NOTIFYFLOW_{name}"]


def mail(to: str = "ada@example.com") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"], message["X-Notifyflow-Attempt"] = "n@example.com", to, "db is down", "a1"
    message.set_content("https://example.com/a/token\n")
    return message


def smtp(sandbox: Sandbox, timeout_s: float = 10) -> smtplib.SMTP:
    url = urlsplit(setting(sandbox, "SMTP_URL"))
    return smtplib.SMTP(url.hostname or "", url.port or 0, timeout=timeout_s)


def test_the_settings_are_settings(sandbox: Sandbox) -> None:
    settings = Settings.from_variables(sandbox.settings())
    assert settings.notice == "sandbox"
    assert len(settings.trusted_endpoints) == 7
    assert urlsplit(sandbox.slack_url("ada")).netloc in settings.trusted_endpoints


def test_smtplib_hands_over_a_mail(sandbox: Sandbox) -> None:
    with smtp(sandbox) as client:
        client.send_message(mail())
    (message,) = sandbox.inbox.messages()
    assert (message.channel, message.provider, message.to, message.attempt_id) == ("email", "smtp", "ada@example.com", "a1")
    assert message.content == Mail(sender="n@example.com", subject="db is down", text="https://example.com/a/token")
    assert message.links == ("https://example.com/a/token",)


def test_smtplib_sees_a_refused_recipient(sandbox: Sandbox) -> None:
    sandbox.script("email to ada@example.com: 550 once")
    with smtp(sandbox) as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.send_message(mail())
        client.send_message(mail())
    assert refused.value.recipients["ada@example.com"][0] == 550
    assert [message.is_accepted for message in sandbox.inbox.messages(channel="email")] == [False, True]


def test_smtplib_sees_a_mail_refused_after_its_content(sandbox: Sandbox) -> None:
    sandbox.script("email: accept, then 451")
    with smtp(sandbox) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.send_message(mail())
    assert refused.value.smtp_code == 451
    assert sandbox.inbox.messages()[0].is_accepted


@pytest.fixture
def certificate(tmp_path: Path) -> Iterator[Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now - timedelta(days=1), now + timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_smtplib_starts_tls_and_logs_in(certificate: Path) -> None:
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_context.load_cert_chain(certificate)
    with Sandbox(tls=server_context, login=("ada", "p@ss/word")) as sandbox:
        assert setting(sandbox, "SMTP_URL").startswith("smtp://ada:p%40ss%2Fword@127.0.0.1:")
        port = urlsplit(setting(sandbox, "SMTP_URL")).port or 0
        with smtplib.SMTP("localhost", port, timeout=10) as client:
            with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
                client.send_message(mail())
            client.starttls(context=ssl.create_default_context(cafile=str(certificate)))
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("ada", "wrong")
            client.login("ada", "p@ss/word")
            client.send_message(mail())
        assert len(sandbox.inbox.messages(is_accepted=True)) == 1


def test_smtplib_logs_in_without_tls_where_there_is_no_certificate() -> None:
    with Sandbox(login=("ada", "sesame")) as sandbox:
        with smtplib.SMTP("127.0.0.1", urlsplit(setting(sandbox, "SMTP_URL")).port or 0, timeout=10) as client:
            with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
                client.send_message(mail())
            client.login("ada", "sesame")
            client.send_message(mail())
        assert len(sandbox.inbox.messages(is_accepted=True)) == 1


def amazon(sandbox: Sandbox, service: str, key: str = "") -> Any:
    return boto3.client(
        service,
        region_name=setting(sandbox, "AWS_REGION"),
        endpoint_url=setting(sandbox, "AWS_ENDPOINT_URL"),
        aws_access_key_id=key or setting(sandbox, "AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=setting(sandbox, "AWS_SECRET_ACCESS_KEY"),
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=3, read_timeout=10),
    )


def send_raw(client: Any) -> dict[str, Any]:
    response: dict[str, Any] = client.send_email(
        FromEmailAddress="n@example.com",
        Destination={"ToAddresses": ["ada@example.com"]},
        Content={"Raw": {"Data": mail().as_bytes()}},
        EmailTags=[{"Name": "notifyflow_attempt", "Value": "a2"}],
    )
    return response


def test_boto3_sends_a_raw_mail(sandbox: Sandbox) -> None:
    client = amazon(sandbox, "sesv2")
    response = send_raw(client)
    client.close()
    (message,) = sandbox.inbox.messages(channel="email")
    assert (message.provider, message.attempt_id, message.reference) == ("ses", "a2", response["MessageId"])
    assert message.text == "db is down\nhttps://example.com/a/token"


def test_boto3_sends_a_simple_mail(sandbox: Sandbox) -> None:
    client = amazon(sandbox, "sesv2")
    client.send_email(
        FromEmailAddress="n@example.com",
        Destination={"ToAddresses": ["ada@example.com"]},
        Content={"Simple": {"Subject": {"Data": "down"}, "Body": {"Text": {"Data": "text"}, "Html": {"Data": "<p>html</p>"}}}},
    )
    client.close()
    assert sandbox.inbox.messages()[0].content == Mail(sender="n@example.com", subject="down", text="text", html="<p>html</p>")


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        ("email: MessageRejected", 400, "MessageRejected"),
        ("email: TooManyRequestsException", 429, "TooManyRequestsException"),
        ("email: 503", 503, "ServiceUnavailable"),
    ],
)
def test_boto3_sees_a_refused_mail(sandbox: Sandbox, script: str, status: int, code: str) -> None:
    sandbox.script(script)
    client = amazon(sandbox, "sesv2")
    with pytest.raises(ClientError) as refused:
        send_raw(client)
    client.close()
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(("service", "code"), [("sesv2", "UnrecognizedClientException"), ("sns", "InvalidClientTokenId")])
def test_boto3_sees_that_its_key_is_unknown(sandbox: Sandbox, service: str, code: str) -> None:
    client = amazon(sandbox, service, key="AKIAOTHER")
    with pytest.raises(ClientError) as refused:
        _ = send_raw(client) if service == "sesv2" else client.publish(TargetArn=sandbox.push_arn("ada"), Message="x")
    client.close()
    assert refused.value.response["Error"]["Code"] == code
    assert sandbox.inbox.messages() == ()


def test_boto3_publishes_a_push(sandbox: Sandbox) -> None:
    client = amazon(sandbox, "sns")
    shown = {"title": "db is down", "body": "now"}
    payload = {"fcmV1Message": {"message": {"notification": shown, "data": {"attempt": "a3"}}}}
    response = client.publish(
        TargetArn=sandbox.push_arn("ada"),
        Message=json.dumps({"default": "db is down", "GCM": json.dumps(payload)}),
        MessageStructure="json",
    )
    client.publish(TargetArn=sandbox.push_arn("ben"), Message="plain")
    client.close()
    first, second = sandbox.inbox.messages(channel="push")
    assert (first.to, first.attempt_id, first.reference) == ("ada", "a3", response["MessageId"])
    assert (first.content, second.content) == (Push(title="db is down", text="now"), Push(title="", text="plain"))


def test_boto3_publishes_texts(sandbox: Sandbox) -> None:
    client = amazon(sandbox, "sns")
    shown = {"AWS.SNS.SMS.SMSType": "Transactional", "AWS.SNS.SMS.SenderID": "notifyflow"}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in shown.items()}
    client.publish(PhoneNumber="+15005550006", Message="db is down", MessageAttributes=attributes)
    client.publish(PhoneNumber="+15005550006", Message="plain")
    client.close()
    first, second = sandbox.inbox.messages(channel="sms")
    assert (first.provider, first.to, first.is_accepted) == ("sns", "+15005550006", True)
    assert (first.content, second.content) == (Text(sender="notifyflow", text="db is down"), Text(sender="NOTICE", text="plain"))


def test_boto3_sees_a_refused_push(sandbox: Sandbox) -> None:
    sandbox.script("push to ada: EndpointDisabled, then 500, then 429")
    client = amazon(sandbox, "sns")
    seen = []
    for _ in range(3):
        with pytest.raises(ClientError) as refused:
            client.publish(TargetArn=sandbox.push_arn("ada"), Message="x")
        seen.append((refused.value.response["ResponseMetadata"]["HTTPStatusCode"], refused.value.response["Error"]["Code"]))
    client.close()
    assert seen == [(400, "EndpointDisabled"), (500, "InternalFailure"), (429, "Throttled")]


def bot(sandbox: Sandbox, token: str = "") -> WebClient:
    return WebClient(token or setting(sandbox, "SLACK_BOT_TOKEN"), base_url=setting(sandbox, "SLACK_BASE_URL"), retry_handlers=[])


def test_slack_sdk_posts_as_a_bot(sandbox: Sandbox) -> None:
    metadata = {"event_type": "page", "event_payload": {"attempt": "a4"}}
    response = bot(sandbox).chat_postMessage(channel="C0123", text="down", blocks=BLOCKS, metadata=metadata)
    (message,) = sandbox.inbox.messages(channel="slack")
    assert response["ok"]
    assert (message.to, message.attempt_id, message.reference) == ("C0123", "a4", response["ts"])
    assert isinstance(message.content, Card)
    assert message.content.summary == "down"
    assert [piece.text for piece in message.content.pieces] == ["orders db is down"]


def test_slack_sdk_posts_plain_text(sandbox: Sandbox) -> None:
    bot(sandbox).chat_postMessage(channel="C0123", text="down")
    assert sandbox.inbox.messages()[0].text.splitlines()[0] == "down"


def test_slack_sdk_posts_to_a_webhook(sandbox: Sandbox) -> None:
    response = WebhookClient(sandbox.slack_url("ada"), retry_handlers=[]).send(text="down", blocks=BLOCKS)
    assert (response.status_code, response.body) == (200, "ok")
    assert sandbox.inbox.messages()[0].to == "ada"


def test_slack_sdk_sees_refusals(sandbox: Sandbox) -> None:
    sandbox.script("slack: channel_not_found, then 429 retry after 7 s, then 500")
    seen = []
    for _ in range(3):
        with pytest.raises(SlackApiError) as refused:
            bot(sandbox).chat_postMessage(channel="C0123", text="down")
        response: Any = refused.value.response
        seen.append((response.status_code, response["error"], response.headers.get("Retry-After")))
    assert seen == [(200, "channel_not_found", None), (429, "ratelimited", "7"), (500, "internal_error", None)]


def test_slack_sdk_sees_that_its_token_is_unknown(sandbox: Sandbox) -> None:
    with pytest.raises(SlackApiError) as refused:
        bot(sandbox, "xoxb-other").chat_postMessage(channel="C0123", text="down")
    assert refused.value.response["error"] == "invalid_auth"


def test_a_webhook_responds_in_slacks_words(sandbox: Sandbox) -> None:
    sandbox.script("slack: channel_is_archived, then action_prohibited, then 500")
    hook = WebhookClient(sandbox.slack_url("ada"), retry_handlers=[])
    responses = [hook.send(text="down") for _ in range(3)]
    assert [(response.status_code, response.body) for response in responses] == [
        (410, "channel_is_archived"),
        (403, "action_prohibited"),
        (500, "rollup_error"),
    ]
    assert WebhookClient(sandbox.slack_url("ada"), retry_handlers=[]).send(text="").body == "no_text"


def test_a_workflow_accepts_an_adaptive_card(sandbox: Sandbox) -> None:
    response = requests.post(sandbox.teams_url("ada"), json=CARD, timeout=10)
    (message,) = sandbox.inbox.messages(channel="teams")
    assert (response.status_code, message.to) == (202, "ada")
    assert "orders db is down" in message.text


def test_a_workflow_refuses_what_it_cannot_read_and_what_is_not_signed(sandbox: Sandbox) -> None:
    url = sandbox.teams_url("ada")
    responses = [
        requests.post(url, json={"@type": "MessageCard", "text": "down"}, timeout=10),
        requests.post(url.replace("sig=sandbox", "sig=x"), json=CARD, timeout=10),
        requests.post(url.replace("/paths/", "/path/"), json=CARD, timeout=10),
    ]
    assert [response.status_code for response in responses] == [400, 401, 404]
    assert sandbox.inbox.messages() == ()


def test_a_workflow_responds_with_retry_after(sandbox: Sandbox) -> None:
    sandbox.script("teams: 429 retry after 12 s")
    response = requests.post(sandbox.teams_url("ada"), json=CARD, timeout=10)
    assert (response.status_code, response.headers["Retry-After"]) == (429, "12")


@pytest.fixture
def twilio(sandbox: Sandbox) -> Iterator[Client]:
    yield from _twilio(sandbox, setting(sandbox, "TWILIO_AUTH_TOKEN"))


def _twilio(sandbox: Sandbox, token: str) -> Iterator[Client]:
    http_client = TwilioHttpClient(timeout=10)
    client = Client(setting(sandbox, "TWILIO_ACCOUNT_SID"), token, http_client=http_client)
    client.api.base_url = setting(sandbox, "TWILIO_BASE_URL")
    yield client
    if http_client.session is not None:
        http_client.session.close()


def test_the_twilio_client_creates_a_message_and_looks_it_up(sandbox: Sandbox, twilio: Client) -> None:
    made = twilio.messages.create(to="+4930123456", from_="+15005550006", body="down", status_callback="http://127.0.0.1:9/c/a5")
    message = sandbox.inbox.wait_for(lambda there: there.channel == "sms")
    assert (made.status, made.sid, made.date_created is not None) == ("queued", message.reference, True)
    assert (message.to, message.attempt_id, message.content) == ("+4930123456", "a5", Text(sender="+15005550006", text="down"))
    assert twilio.messages(made.sid).fetch().body == "down"
    assert [found.sid for found in twilio.messages.list(to="+4930123456")] == [made.sid]
    assert twilio.messages.list(to="+4930999999") == []


def test_the_twilio_client_calls(sandbox: Sandbox, twilio: Client) -> None:
    made = twilio.calls.create(to="+4930123456", from_="+15005550007", twiml="<Response><Say>Down.</Say></Response>")
    message = sandbox.inbox.wait_for(lambda there: there.channel == "voice" and there.status == "completed")
    assert message.content == Call(sender="+15005550007", said=("Down.",), urls=("",))
    assert twilio.calls(made.sid).fetch().status == "completed"


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [("sms: 21610", 400, 21610), ("sms: 20003", 401, 20003), ("sms: 20429", 429, 20429), ("sms: 500", 500, 20500)],
)
def test_the_twilio_client_sees_a_refused_message(sandbox: Sandbox, twilio: Client, script: str, status: int, code: int) -> None:
    sandbox.script(script)
    with pytest.raises(TwilioRestException) as refused:
        twilio.messages.create(to="+4930123456", from_="+15005550006", body="down")
    assert (refused.value.status, refused.value.code) == (status, code)


def test_the_twilio_client_sees_what_is_missing_or_unknown(sandbox: Sandbox, twilio: Client) -> None:
    seen = []
    for create in (
        lambda: twilio.messages.create(to="", from_="+1", body="x"),
        lambda: twilio.messages.create(to="+1", body="x"),
        lambda: twilio.messages.create(to="+1", from_="+1"),
        lambda: twilio.calls.create(to="", from_="+1", twiml="<Response/>"),
        lambda: twilio.calls.create(to="+1", from_="", twiml="<Response/>"),
        lambda: twilio.calls.create(to="+1", from_="+1"),
        lambda: twilio.messages("SM0").fetch(),
        lambda: twilio.queues.create("x"),
    ):
        with pytest.raises(TwilioRestException) as refused:
            create()
        seen.append(refused.value.code)
    assert seen == [21604, 21603, 21602, 21201, 21213, 21205, 20404, 20404]
    assert sandbox.inbox.messages() == ()


def test_the_twilio_client_sees_that_its_token_is_unknown(sandbox: Sandbox) -> None:
    for other in _twilio(sandbox, "other"):
        with pytest.raises(TwilioRestException) as refused:
            other.messages.create(to="+1", from_="+1", body="x")
        assert (refused.value.status, refused.value.code) == (401, 20003)
