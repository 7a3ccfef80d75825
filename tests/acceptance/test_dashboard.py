"""A real Chromium drives the dashboard of a running system, as somebody would whose phone rang at night."""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from notifyflow.app import NotifyFlow
from notifyflow.cli.frame import serving
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.model import Incident, IncidentState, Recipient, Severity
from notifyflow.core.limits.silences import Author, read_matchers
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests import axe
from tests.browser import Browser, browser
from tests.dashboard import PASSWORD
from tests.waiting import wait_until

HOSTILE = "\"><script>document.title = 'hacked'; alert(1)</script><img src=x onerror=alert(1)>"
ADA = Recipient(id="ada", name=f"Ada {HOSTILE}", email="ada@example.com", phone="+15005550011")
INCIDENT = Incident(
    key="db-1",
    title=f"orders db is down {HOSTILE}",
    body=HOSTILE,
    severity=Severity.CRITICAL,
    source=HOSTILE,
    labels={HOSTILE: HOSTILE},
)
DIRECTORY = f"""
[recipients.eve]
name = {json.dumps(f"Eve {HOSTILE}")}
email = "eve@example.com"
[schedules.primary]
timezone = "Europe/Berlin"
[[schedules.primary.layers]]
who = ["eve"]
from = 2026-01-05T09:00:00
every = "1w"
only = "Mon-Fri"
[default]
to = ["@primary"]
[heartbeats.nightly]
every = "1d"
"""
OTHER = Incident(key="web", title="the web is slow", severity=Severity.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A running system, and the browser that visits it."""

    url: str
    flow: NotifyFlow
    sandbox: Sandbox
    page: Browser
    file: Path

    def shows(self, text: str) -> bool:
        return text in self.page.text

    def log_in(self, path: str) -> None:
        """Log in on the way to a page; make the user and what it sees, unless the test before has: it may run elsewhere."""
        if not self.flow.users().users():
            self.flow.users().add("grace", Role.ADMIN, password=PASSWORD)
            self.flow.notify(INCIDENT, [ADA])
        self.page.open(f"{self.url}/login?next={path}")
        self.page.write("#name", "grace")
        self.page.write("#password", PASSWORD)
        self.page.click("form.fields button")

    def assert_accessible(self) -> None:
        """Check the page that is shown in the light and in the dark, on a desktop and on a phone."""
        for scheme, width in (("light", 1200), ("dark", 390)):
            self.page.emulate(width, 844, scheme=scheme)
            assert axe.faults(self.page) == []
            assert self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            lines = "new Set([...document.querySelectorAll('.top nav a')].map(each => each.offsetTop)).size"
            assert self.page.evaluate(lines) <= 1


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("dashboard")
    with Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web, browser(folder / "browser") as page:
        url, file = serving.url_of(web), folder / "test.db"
        (folder / "directory.toml").write_text(DIRECTORY)
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DIRECTORY": str(folder / "directory.toml"),
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{file}",
            "NOTIFYFLOW_PUBLIC_URL": url,
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow, serving.served(flow.asgi(), web):
            page.watch()
            axe.prepare(page)
            yield Stage(url=url, flow=flow, sandbox=sandbox, page=page, file=file)


def test_the_first_user_sees_an_incident_change_takes_it_and_pages_again(stage: Stage) -> None:
    page, flow = stage.page, stage.flow
    page.open(f"{stage.url}/setup/{flow.users().offer_setup()}")
    stage.assert_accessible()
    page.write("#name", "grace")
    page.write("#password", PASSWORD)
    page.click("form.fields button")
    assert stage.shows("No incident yet.")
    stage.assert_accessible()

    stage.sandbox.script("email: 450 twice, then ok; sms: 30006; call: rings")
    flow.notify(OTHER, [ADA])
    flow.notify(INCIDENT, [ADA, Recipient(id="ben", name="Ben", email="ben@example.com")], policy="insistent")
    page.open(f"{stage.url}/incidents")
    wait_until(lambda: stage.shows("the web is slow") and stage.shows("orders db is down"))
    stage.assert_accessible()

    page.write("#text", "orders")
    page.click(".search button")
    assert "text=orders" in page.evaluate("location.search")
    assert stage.shows("orders db is down")
    assert not stage.shows("the web is slow")

    page.click(".incidents a")
    assert stage.shows(f"orders db is down {HOSTILE}")
    assert stage.shows("NEXT") or stage.shows("Next")
    page.press("#timeline > summary")
    page.evaluate("document.querySelector('.recipient details summary').focus()")
    place = page.evaluate("[document.activeElement.parentElement.id, scrollY]")
    stage.assert_accessible()
    flow.acknowledge("db-1", by="ben")
    wait_until(lambda: stage.shows("Ben acknowledged"))
    assert page.evaluate("document.getElementById('timeline').open")
    assert page.evaluate("document.activeElement.parentElement.id") == place[0]
    assert stage.shows("by Ben from the application")
    assert "◉ acknowledged" in page.evaluate("document.getElementById('news').textContent")
    page.press("#timeline > summary")
    page.call("Emulation.setEmulatedMedia", media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("[...document.querySelectorAll('button, summary.button, nav')].filter(each => each.offsetParent)") == []
    assert page.evaluate("document.querySelector('.timeline').offsetHeight") > 100
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.call("Emulation.setEmulatedMedia", media="")
    assert not page.evaluate("document.getElementById('timeline').open")

    page.press(".recipient .confirm > summary")
    page.click(".recipient .confirm button")
    assert flow.status("db-1").facts.state is IncidentState.OPEN
    assert stage.shows("round 2")
    page.press("#confirm-acknowledge > summary")
    page.click("#confirm-acknowledge button")
    assert stage.shows("by grace on the dashboard")
    assert flow.status("db-1").facts.acknowledged_by == "grace"
    page.click(".notification > a")
    assert page.evaluate("document.querySelectorAll('svg.lifecycle.lit').length") == 1
    stage.assert_accessible()

    page.click(".who button")
    assert stage.shows("Log in")
    page.open(f"{stage.url}/incidents")
    assert stage.shows("Log in")
    assert page.evaluate("document.title") == "Log in · notifyflow"
    assert page.troubles == []
    assert {re.match(r"https?://[^/]+", address)[0] for address in page.visited if not address.startswith("data:")} == {stage.url}  # type: ignore[index]


def test_a_responder_exports_the_log_and_sends_a_test(stage: Stage) -> None:
    page = stage.page
    stage.log_in("messages")
    assert stage.shows(f"orders db is down {HOSTILE}")
    assert not stage.shows("ada@example.com")
    stage.assert_accessible()
    page.press("#more > summary")
    page.evaluate("document.getElementById('channel').value = 'email'")
    page.click(".filters button")
    assert "channel=email" in page.evaluate("location.search")
    exported = page.evaluate("fetch(document.querySelector('a[download]').href).then(response => response.text())")
    assert exported.startswith("notification,queued_at,recipient,")
    assert {line.split(",")[4] for line in exported.splitlines()[1:]} == {"email"}

    page.open(page.evaluate("document.querySelector('.messages a[href*=people]').href"))
    assert stage.shows(f"Ada {HOSTILE}")
    stage.assert_accessible()
    stage.sandbox.script("email: ok; sms: ok; call: rings")
    page.click(".actions button")
    assert stage.shows(f"Test for Ada {HOSTILE}, sent by grace")
    wait_until(lambda: stage.shows("the carrier says so"))
    page.open(f"{stage.url}/people")
    assert stage.shows("Everybody who was paged")
    stage.assert_accessible()
    page.open(f"{stage.url}/oncall")
    assert stage.shows(f"Eve {HOSTILE}")
    assert stage.shows("nobody")
    stage.assert_accessible()
    key = stage.flow.access().create("cron", {KeyScope.PING}, valid_for=None, heartbeat="nightly")[1]
    for words in ("start", "0", "3"):
        assert requests.post(f"{stage.url}/v1/heartbeats/{key}/{words}", data=HOSTILE, timeout=30).status_code == 200
    page.open(f"{stage.url}/heartbeats")
    assert page.evaluate("document.querySelector('table .strip').getAttribute('aria-label')").startswith(
        "The last pings: 1 on time"
    )
    stage.assert_accessible()
    page.click(".heartbeats a[href*=nightly]")
    assert stage.shows(HOSTILE)
    assert stage.shows("failed")
    stage.assert_accessible()
    page.open(f"{stage.url}/health?window=hour")
    wait_until(lambda: page.evaluate("document.querySelectorAll('.chart > svg .dot').length") > 0)
    stage.assert_accessible()
    page.emulate(320, 640, scheme="light")
    page.open(f"{stage.url}/health?window=hour")
    assert page.evaluate("document.querySelector('.top [aria-current]').getBoundingClientRect().right") <= 320
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.evaluate("[...document.querySelectorAll('.chart')].every(each => each.scrollWidth <= each.clientWidth)")
    page.click(".who button")
    assert page.troubles == []


def test_a_responder_silences_what_looks_like_an_incident_from_a_phone_and_ends_it(stage: Stage) -> None:
    page, flow = stage.page, stage.flow
    stage.log_in("silences")
    stage.assert_accessible()
    incident_id = flow.notify(replace(OTHER, key="noisy", labels={"team": HOSTILE, "zone": "eu 1"}), [ADA]).incident_id
    page.emulate(390, 844, scheme="dark")
    page.open(f"{stage.url}/incidents/{incident_id}")
    page.press("#confirm-silence > summary")
    assert "'zone=eu 1'" in page.evaluate("document.getElementById('silence-match').value")
    page.write("#silence-why", f"upgrade {HOSTILE}")
    flow.acknowledge("noisy", by="ben")
    wait_until(lambda: stage.shows("◉ acknowledged"))
    assert page.evaluate("document.getElementById('silence-why').value").startswith("upgrade")
    stage.assert_accessible()
    page.click("#confirm-silence button")
    assert stage.shows(f"by grace: upgrade {HOSTILE}")
    assert stage.shows("It holds 1 incident.")
    stage.assert_accessible()
    page.open(f"{stage.url}/incidents/{incident_id}")
    assert stage.shows("Silenced by grace until")
    page.click(".paused a")
    page.press(".silence .confirm > summary")
    page.click(".silence .confirm button")
    assert stage.shows("Nothing is silenced.")
    assert stage.shows("ended by grace")
    assert page.troubles == []
    page.write("#silence-match", "severity<=CRITICAL")
    page.write("#silence-why", "upgrade")
    page.click(".new-silence button")
    assert stage.shows("it would match every incident")
    stage.assert_accessible()
    page.click(".who button")


def test_a_silence_that_cannot_be_read_is_shown_and_ended(stage: Stage) -> None:
    page = stage.page
    orders = read_matchers(["team=orders"])
    silence = stage.flow.silences.start(orders, span=timedelta(hours=2), why="upgrade", by=Author(name="Grace"))
    stage.flow.notify(replace(OTHER, key="held", labels={"team": "orders"}), [ADA])
    wait_until(lambda: stage.flow.silences.held_by([silence.id]))
    with closing(sqlite3.connect(stage.file)) as database:
        database.execute("UPDATE notifyflow_silence SET matchers = '{' WHERE id = ?", [silence.id])
        database.commit()
    stage.log_in("silences")
    page.emulate(390, 844, scheme="dark")
    assert stage.shows(f"The silence {silence.id} cannot be read: it covers nothing new, and still holds 1 incident.")
    assert not stage.shows("Nothing is silenced.")
    stage.assert_accessible()
    page.press(".silence .confirm > summary")
    page.click(".silence .confirm button")
    assert stage.shows("Nothing is silenced.")
    page.click(".who button")


def test_an_incident_can_be_acknowledged_on_the_first_screen_of_a_phone_whatever_its_title(stage: Stage) -> None:
    long = replace(INCIDENT, key="long", title=("W" * 999))
    incident_id = stage.flow.notify(long, [ADA]).incident_id
    stage.log_in(f"incidents/{incident_id}")
    stage.page.emulate(390, 844, scheme="dark")
    stage.page.open(f"{stage.url}/incidents/{incident_id}")
    assert stage.page.evaluate("document.querySelector('.acts').getBoundingClientRect().bottom") <= 844
    assert stage.page.evaluate("document.querySelector('h1').textContent.length") <= 150
    assert stage.shows(long.title)


def test_a_page_with_faults_does_not_pass(stage: Stage) -> None:
    page = stage.page
    page.open(f"{stage.url}/login")
    before, title = len(page.troubles), page.evaluate("document.title")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=assets/icon.svg><button></button>')")
    assert [fault for fault in axe.faults(page) if fault.startswith(("image-alt", "button-name"))]
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = 1'}))")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">inline</p>')")
    assert page.evaluate("document.title") == title
    wait_until(lambda: page.evaluate("1") == 1 and len(page.troubles) > before)
    assert "Content Security Policy" in page.troubles[-1]
