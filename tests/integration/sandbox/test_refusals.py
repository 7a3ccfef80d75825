"""What a provider itself would refuse is refused without a script, and reaches nobody."""

import json
import socket
import threading
from collections.abc import Mapping

import pytest
import requests

from notifyflow.sandbox.system import Sandbox

_MAIL = {"FromEmailAddress": "n@example.com", "Destination": {"ToAddresses": ["ada@example.com"]}}
_BAD_MAILS = (
    {},
    {**_MAIL, "Content": {}},
    {**_MAIL, "Content": {"Raw": {"Data": "not base64!"}}},
    {**_MAIL, "Destination": {"ToAddresses": []}, "Content": {"Raw": {"Data": "QQ=="}}},
    {**_MAIL, "FromEmailAddress": "Дежурный <pager@example.com>", "Content": {"Raw": {"Data": "QQ=="}}},
)


def aws_headers(sandbox: Sandbox) -> dict[str, str]:
    key = sandbox.settings()["NOTIFYFLOW_AWS_ACCESS_KEY_ID"]
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20261125/eu-central-1/ses/aws4_request"}


@pytest.mark.parametrize("mail", _BAD_MAILS, ids=["empty", "without a body", "not base64", "to nobody", "not ASCII"])
def test_ses_refuses_a_mail_that_is_none(sandbox: Sandbox, mail: Mapping[str, object]) -> None:
    url = sandbox.settings()["NOTIFYFLOW_AWS_ENDPOINT_URL"] + "/v2/email/outbound-emails"
    response = requests.post(url, json=mail, headers=aws_headers(sandbox), timeout=10)
    assert (response.status_code, response.headers["x-amzn-ErrorType"]) == (400, "BadRequestException")
    assert sandbox.inbox.messages() == ()


@pytest.mark.parametrize(
    "form", [{"Action": "Publish", "Message": "x"}, {"Action": "Subscribe", "TargetArn": "a", "Message": "x"}]
)
def test_sns_refuses_what_it_does_not_know(sandbox: Sandbox, form: dict[str, str]) -> None:
    url = sandbox.settings()["NOTIFYFLOW_AWS_ENDPOINT_URL"]
    response = requests.post(url, data=form, headers=aws_headers(sandbox), timeout=10)
    assert (response.status_code, "<Code>InvalidParameter</Code>" in response.text) == (400, True)
    assert sandbox.inbox.messages() == ()


@pytest.mark.parametrize(
    ("method", "body", "error"),
    [
        ("chat.postMessage", "not json", "invalid_json"),
        ("chat.postMessage", json.dumps({"text": "down"}), "channel_not_found"),
        ("chat.postMessage", json.dumps({"channel": "C0123"}), "no_text"),
        ("chat.delete", json.dumps({"channel": "C0123"}), "unknown_method"),
    ],
)
def test_slacks_web_api_refuses_with_its_words(sandbox: Sandbox, method: str, body: str, error: str) -> None:
    settings = sandbox.settings()
    headers = {"Authorization": f"Bearer {settings['NOTIFYFLOW_SLACK_BOT_TOKEN']}"}
    response = requests.post(settings["NOTIFYFLOW_SLACK_BASE_URL"] + method, data=body, headers=headers, timeout=10)
    assert response.json() == {"ok": False, "error": error}
    assert sandbox.inbox.messages() == ()


def test_a_slack_webhook_refuses_what_is_no_message_or_no_webhook(sandbox: Sandbox) -> None:
    url = sandbox.slack_url("ada")
    responses = [requests.post(url, data="not json", timeout=10), requests.post(url.replace("/services/", "/other/"), timeout=10)]
    assert [(response.status_code, response.text) for response in responses] == [(400, "invalid_payload"), (404, "no_service")]


def test_a_status_that_http_does_not_name_is_sent_all_the_same(sandbox: Sandbox) -> None:
    sandbox.script("teams: 499")
    response = requests.post(sandbox.slack_url("ada"), json={"text": "down"}, timeout=10)
    assert response.ok
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "content": {}}
    refused = requests.post(sandbox.teams_url("ada"), json={"type": "message", "attachments": [card]}, timeout=10)
    assert (refused.status_code, refused.reason) == (499, "Unassigned")


def test_a_callback_that_gets_nonsense_is_tried_again(sandbox: Sandbox) -> None:
    settings = sandbox.settings()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        received: list[bytes] = []

        def listen() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    received.append(connection.recv(10_000))
                    connection.sendall(b"nonsense")

        listening = threading.Thread(target=listen)
        listening.start()
        requests.post(
            f"{settings['NOTIFYFLOW_TWILIO_BASE_URL']}/2010-04-01/Accounts/{settings['NOTIFYFLOW_TWILIO_ACCOUNT_SID']}/Messages.json",
            data={"To": "+1", "From": "+1", "Body": "x", "StatusCallback": f"http://127.0.0.1:{port}/c#rc=1&rp=all"},
            auth=(settings["NOTIFYFLOW_TWILIO_ACCOUNT_SID"], settings["NOTIFYFLOW_TWILIO_AUTH_TOKEN"]),
            timeout=10,
        )
        listening.join(30)
    assert [text.split(b" ")[:2] for text in received] == [[b"POST", b"/c"]] * 2
