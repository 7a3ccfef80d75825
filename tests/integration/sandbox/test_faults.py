"""Every fault of the script language, as a client sees it, and what the inbox keeps of it."""

import smtplib
from email.message import EmailMessage
from urllib.parse import urlsplit

import pytest
import requests

from notifyflow.sandbox.inbox import Count
from notifyflow.sandbox.system import Sandbox

SMTP_SEES = {
    "hang": smtplib.SMTPServerDisconnected,
    "cut": smtplib.SMTPServerDisconnected,
    "garbage": smtplib.SMTPException,
}


def post(url: str, timeout_s: float = 10) -> requests.Response:
    return requests.post(url, json={"text": "down"}, timeout=timeout_s)


def mail_to(sandbox: Sandbox, to: str, timeout_s: float = 10) -> None:
    url = urlsplit(sandbox.settings()["NOTIFYFLOW_SMTP_URL"])
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "n@example.com", to, "down"
    message.set_content("down")
    client = smtplib.SMTP(url.hostname or "", url.port or 0, timeout=timeout_s)
    try:
        client.send_message(message)
    finally:
        client.close()


@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_request_that_hangs_gets_no_response(sandbox: Sandbox, *, is_accepted: bool) -> None:
    sandbox.script("slack: accept, then hang" if is_accepted else "slack: hang")
    with pytest.raises(requests.ReadTimeout):
        post(sandbox.slack_url("ada"), timeout_s=0.2)
    assert sandbox.inbox.wait_for(lambda message: message.channel == "slack").is_accepted is is_accepted


@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_request_that_is_cut_loses_its_connection(sandbox: Sandbox, *, is_accepted: bool) -> None:
    sandbox.script("slack: accept, then cut" if is_accepted else "slack: cut")
    with pytest.raises(requests.ConnectionError) as cut:
        post(sandbox.slack_url("ada"))
    assert "refused" not in str(cut.value)
    assert sandbox.inbox.messages()[0].is_accepted is is_accepted


@pytest.mark.parametrize("is_accepted", [False, True])
def test_garbage_is_a_response_that_says_nothing(sandbox: Sandbox, *, is_accepted: bool) -> None:
    sandbox.script("teams: ok; slack: " + ("accept, then garbage" if is_accepted else "garbage"))
    response = post(sandbox.slack_url("ada"))
    assert (response.status_code, response.text) == (200, "<<< garbage >>>")
    assert sandbox.inbox.messages()[0].is_accepted is is_accepted


def test_a_slow_response_comes(sandbox: Sandbox) -> None:
    sandbox.script("slack: slow 200 ms")
    response = post(sandbox.slack_url("ada"))
    assert response.text == "ok"
    assert response.elapsed.total_seconds() >= 0.2


@pytest.mark.parametrize("fault", SMTP_SEES)
@pytest.mark.parametrize("is_accepted", [False, True])
def test_a_mail_server_has_the_same_faults(sandbox: Sandbox, fault: str, *, is_accepted: bool) -> None:
    sandbox.script(f"email to ben@example.com: {'accept, then ' if is_accepted else ''}{fault}")
    mail_to(sandbox, "ada@example.com")
    with pytest.raises(SMTP_SEES[fault]):
        mail_to(sandbox, "ben@example.com", timeout_s=2 if fault == "hang" else 10)
    assert sandbox.inbox.messages(to="ben@example.com")[0].is_accepted is is_accepted


def test_a_mail_may_be_refused_with_a_code_of_its_own(sandbox: Sandbox) -> None:
    sandbox.script("email: MessageRejected once, then slow 10 ms")
    with pytest.raises(smtplib.SMTPDataError) as refused:
        mail_to(sandbox, "ada@example.com")
    assert (refused.value.smtp_code, refused.value.smtp_error) == (554, b"5.0.0 MessageRejected")
    mail_to(sandbox, "ada@example.com")


def test_a_refused_connection_is_refused_until_the_next_script(sandbox: Sandbox) -> None:
    url = sandbox.slack_url("ada")
    sandbox.script("slack: refuse")
    for _ in range(2):
        with pytest.raises(requests.ConnectionError, match="refused"):
            post(url)
    assert sandbox.inbox.messages() == ()
    sandbox.script("slack: ok")
    assert post(url).text == "ok"


def test_refusing_everything_refuses_everything_but_the_page(sandbox: Sandbox) -> None:
    sandbox.script("all: refuse")
    for url in (sandbox.slack_url("ada"), sandbox.teams_url("ada")):
        with pytest.raises(requests.ConnectionError, match="refused"):
            post(url)
    with pytest.raises(ConnectionRefusedError):
        mail_to(sandbox, "ada@example.com")
    assert requests.get(sandbox.url, timeout=10).ok


def test_a_script_may_refuse_after_some_responses(sandbox: Sandbox) -> None:
    sandbox.script("slack: 500 once, then refuse")
    assert post(sandbox.slack_url("ada")).status_code == 500
    with pytest.raises(requests.ConnectionError, match="refused"):
        post(sandbox.slack_url("ada"))


def test_the_inbox_counts_what_was_seen_and_what_was_accepted(sandbox: Sandbox) -> None:
    sandbox.script("slack: 500 twice, then ok")
    for _ in range(3):
        post(sandbox.slack_url("ada"))
    mail_to(sandbox, "ada@example.com")
    assert sandbox.inbox.counts() == {"slack": Count(seen=3, accepted=1), "email": Count(seen=1, accepted=1)}
    assert [message.reaction for message in sandbox.inbox.messages(channel="slack")] == ["500", "500", "ok"]


def test_waiting_for_what_does_not_come_says_what_is_there(sandbox: Sandbox) -> None:
    post(sandbox.slack_url("ada"))
    with pytest.raises(TimeoutError, match="slack to ada"):
        sandbox.inbox.wait_for(lambda message: message.channel == "sms", timeout_s=0.01)


@pytest.mark.parametrize(
    "request_text",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_a_400(sandbox: Sandbox, request_text: bytes) -> None:
    import socket

    url = urlsplit(sandbox.url)
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=10) as connection:
        connection.sendall(request_text)
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
