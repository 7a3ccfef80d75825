"""A scanner opens the link fifty times; then a person reads the message on a phone, opens the link, and acknowledges."""

from pathlib import Path

import pytest
import requests

from notifyflow.app import NotifyFlow
from notifyflow.cli import serving
from notifyflow.core.model import Incident, IncidentState, Recipient, Severity
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests.browser import browser

INCIDENT = Incident(
    key="db-1",
    title="orders db <b>is</b> down",
    body="No primary.\n<script>document.title = 'hacked'</script>",
    severity=Severity.CRITICAL,
)


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_scanners_acknowledge_nothing_and_a_person_follows_the_link_looks_and_acknowledges(tmp_path: Path, scheme: str):
    with Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web, browser(tmp_path / "browser") as page:
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
            "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web),
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow, serving.served(flow.asgi(), web):
            flow.notify(INCIDENT, [Recipient(id="ada", name="Ada", email="ada@example.com")])
            mail = sandbox.inbox.wait_for(lambda message: message.channel == "email" and message.is_accepted)
            (link,) = (each for each in mail.links if "/a/" in each)
            for _ in range(50):
                assert requests.get(link, timeout=30).status_code == 200
            page.emulate(390, 844, scheme=scheme)

            page.open(sandbox.url)
            assert "orders db <b>is</b> down" in page.text

            page.open(link)
            assert "orders db <b>is</b> down" in page.text
            assert page.evaluate("document.title") == "CRITICAL: orders db <b>is</b> down"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.evaluate("document.querySelector('button').getBoundingClientRect().height") >= 44
            assert page.requests == []
            assert page.evaluate("document.scripts.length") == 0
            status = flow.status("db-1")
            assert status.facts.state is IncidentState.OPEN

            page.click("button")
            assert "You acknowledged it." in page.text
            assert page.evaluate("document.querySelector('button')") is None
            status = flow.status("db-1")
            assert (status.facts.state, status.facts.acknowledged_by, status.facts.acknowledged_via) == (
                IncidentState.ACKNOWLEDGED,
                "ada",
                "link",
            )

            page.open(link + "x")
            assert "This link is invalid" in page.text
