"""The inbox page in a real browser: it fills by itself, and shows each message as its reader would see it."""

import json
from pathlib import Path

import requests

from notifyflow.sandbox.system import Sandbox
from tests.browser import browser
from tests.waiting import wait_until


def test_the_page_fills_by_itself_and_says_what_became_of_a_call(sandbox: Sandbox, tmp_path: Path) -> None:
    settings = sandbox.settings()
    sandbox.script("call: key 1")
    with browser(tmp_path) as page:
        page.open(sandbox.url)
        assert "Nothing has arrived yet" in page.text
        button = {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, "url": "https://example.com/a/t"}
        requests.post(
            sandbox.slack_url("ada"), json={"text": "down", "blocks": [{"type": "actions", "elements": [button]}]}, timeout=10
        )
        requests.post(
            f"{settings['NOTIFYFLOW_TWILIO_BASE_URL']}/2010-04-01/Accounts/{settings['NOTIFYFLOW_TWILIO_ACCOUNT_SID']}/Calls.json",
            data={
                "To": "+1",
                "From": "+2",
                "Twiml": "<Response><Gather action='http://127.0.0.1:9/'><Say>Press one.</Say></Gather></Response>",
            },
            auth=(settings["NOTIFYFLOW_TWILIO_ACCOUNT_SID"], settings["NOTIFYFLOW_TWILIO_AUTH_TOKEN"]),
            timeout=10,
        )
        wait_until(lambda: "completed" in page.text)
        assert "Nothing has arrived yet" not in page.text
        assert "“Press one.”" in page.text
        assert page.evaluate("document.querySelector('kbd').innerText") == "1"
        assert page.evaluate("document.querySelector('.slack .button').href") == "https://example.com/a/t"
        assert page.evaluate("[...document.querySelectorAll('article')].map(each => each.id).join()") == "m2,m1"
        assert {url.removeprefix(sandbox.url) for url in page.requests} == {"/"}, json.dumps(page.requests)
