"""The sandbox starts, stops, starts again, and leaves nothing behind; its page shows what arrived."""

import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests

from notifyflow.sandbox.inbox import Message, Text
from notifyflow.sandbox.system import Sandbox


def test_it_leaves_no_thread_no_connection_and_no_traceback_behind(caplog: pytest.LogCaptureFixture) -> None:
    before = set(threading.enumerate())
    with Sandbox() as sandbox:
        sandbox.script("slack: hang")
        smtp = urlsplit(sandbox.settings()["NOTIFYFLOW_SMTP_URL"])
        slack = urlsplit(sandbox.slack_url("ada"))
        with socket.create_connection((smtp.hostname or "", smtp.port or 0), timeout=10) as idle:
            assert idle.recv(3) == b"220"
            waiting = socket.create_connection((slack.hostname or "", slack.port or 0), timeout=30)
            waiting.sendall(b"POST /services/T00000000/B00000000/ada HTTP/1.1\r\nContent-Length: 13\r\n\r\n" + b'{"text":"hi"}')
            sandbox.inbox.wait_for(lambda message: message.channel == "slack")
            sandbox.stop()
            assert waiting.recv(1) == b""
            waiting.close()
    assert set(threading.enumerate()) == before
    assert not caplog.records


def test_it_starts_again_where_it_was_and_keeps_its_inbox_and_script() -> None:
    sandbox = Sandbox()
    sandbox.script("slack: 500")
    with sandbox:
        settings = sandbox.settings()
        assert requests.post(sandbox.slack_url("ada"), json={"text": "a"}, timeout=10).status_code == 500
    with pytest.raises(requests.ConnectionError):
        requests.get(sandbox.url, timeout=10)
    with sandbox:
        assert sandbox.settings() == settings
        assert requests.post(sandbox.slack_url("ada"), json={"text": "b"}, timeout=10).status_code == 500
    assert [message.number for message in sandbox.inbox.messages()] == [1, 2]


def test_starting_and_stopping_twice_is_once() -> None:
    sandbox = Sandbox()
    sandbox.stop()
    sandbox.start()
    sandbox.start()
    sandbox.stop()
    sandbox.stop()


def test_ports_open_and_close_while_they_are_used() -> None:
    with Sandbox() as sandbox:
        url = sandbox.slack_url("ada")
        is_over = threading.Event()
        hanging: list[requests.Timeout] = []

        def connect() -> None:
            while not is_over.is_set():
                try:
                    requests.post(url, json={"text": "down"}, timeout=10)
                except requests.Timeout as error:
                    hanging.append(error)
                except requests.ConnectionError:
                    pass

        knocking = [threading.Thread(target=connect) for _ in range(3)]
        for thread in knocking:
            thread.start()
        for _ in range(40):
            sandbox.script("slack: refuse")
            sandbox.script("slack: ok")
        is_over.set()
        for thread in knocking:
            thread.join()
        assert not hanging
        assert requests.post(url, json={"text": "down"}, timeout=10).ok


def test_a_port_in_use_is_an_error_and_leaves_nothing_behind() -> None:
    before = set(threading.enumerate())
    with Sandbox() as sandbox:
        port = urlsplit(sandbox.url).port or 0
        with pytest.raises(OSError, match="in use"):
            Sandbox(port=port).start()
    assert set(threading.enumerate()) == before


def test_mail_goes_over_ses_where_that_is_set() -> None:
    with Sandbox(mail_over="ses") as sandbox:
        settings = sandbox.settings()
        assert "NOTIFYFLOW_SES_FROM" in settings
        assert "NOTIFYFLOW_SMTP_URL" not in settings
        sandbox.script("email: refuse")
        with pytest.raises(requests.ConnectionError, match="refused"):
            requests.get(settings["NOTIFYFLOW_AWS_ENDPOINT_URL"], timeout=10)


def test_the_page_shows_what_arrived_and_escapes_it(sandbox: Sandbox) -> None:
    assert "Nothing has arrived yet" in requests.get(sandbox.url, timeout=10).text
    requests.post(sandbox.slack_url("ada"), json={"text": "<b>down</b> \ud800 https://example.com/a/t."}, timeout=10)
    page = requests.get(sandbox.url, timeout=10)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;b&gt;down&lt;/b&gt;" in page.text
    assert 'href="https://example.com/a/t"' in page.text


def test_the_page_leaves_what_is_old_to_the_json(sandbox: Sandbox) -> None:
    for number in range(102):
        content = Text(sender="+1", text=f"text {number}")
        sandbox.inbox.add(Message(channel="sms", provider="twilio", to="+1", is_accepted=True, content=content))
    page = requests.get(sandbox.url, timeout=10).text
    assert page.count("<article") == 100
    assert page.index("text 101<") < page.index("text 2<")
    assert "2 older messages" in page


def test_the_inbox_can_be_read_as_json(sandbox: Sandbox) -> None:
    requests.post(sandbox.slack_url("ada"), json={"text": "down https://example.com/a/t"}, timeout=10)
    (message,) = requests.get(f"{sandbox.url}/inbox.json", timeout=10).json()
    assert (message["number"], message["channel"], message["to"], message["is_accepted"]) == (1, "slack", "ada", True)
    assert message["content"]["summary"] == "down https://example.com/a/t"
    assert message["links"] == ["https://example.com/a/t"]


def test_the_page_has_no_other_path(sandbox: Sandbox) -> None:
    assert requests.get(f"{sandbox.url}/other", timeout=10).status_code == 404
    assert requests.post(sandbox.url, timeout=10).status_code == 405
