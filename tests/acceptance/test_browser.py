"""A scanner opens the link fifty times; then a person reads the message on a phone, opens the link, and acknowledges."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from notifyflow.app import NotifyFlow
from notifyflow.channels.templating import SAMPLE
from notifyflow.cli.frame import serving
from notifyflow.core.delivery.model import Incident, IncidentState, Recipient, Severity
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from tests import axe
from tests.browser import Browser, browser
from tests.renderers import mail_of

INCIDENT = Incident(
    key="db-1",
    title="orders db <b>is</b> down",
    body="No primary.\n<script>document.title = 'hacked'</script>",
    severity=Severity.CRITICAL,
)


WORD = "x" * 200
LABELS = {f"label-{number}-{WORD[:80]}": WORD for number in range(12)} | {"runbook_url": f"https://example.com/{WORD}"}
WIDTH, HEIGHT = 390, 844


def fits(page: Browser) -> bool:
    """Return whether the page is no wider than the phone."""
    return bool(page.evaluate(f"innerWidth === {WIDTH} && document.documentElement.scrollWidth === {WIDTH}"))


INCIDENTS = (
    replace(INCIDENT, key="labels", labels={f"label_{number}": f"value {number}" for number in range(12)}),
    replace(INCIDENT, key="words", labels=LABELS, title=f"{WORD} is down", body=f"{WORD}\n" * 40),
    replace(INCIDENT, key="title", labels=LABELS, title=("orders db is down, and nobody knows why. " * 24).strip()),
)


def test_the_button_is_on_the_first_screen_of_a_phone_whatever_the_incident_says(tmp_path: Path):
    with Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web, browser(tmp_path / "browser") as page:
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
            "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web),
        }
        page.emulate(WIDTH, HEIGHT, scheme="dark")
        with NotifyFlow(Settings.from_variables(variables)) as flow, serving.served(flow.asgi(), web):
            for incident in INCIDENTS:
                address = f"{incident.key}@example.com"
                flow.notify(incident, [Recipient(id="ada", name="Ada", email=address)])
                mail = sandbox.inbox.wait_for(lambda message, to=address: message.to == to and message.is_accepted)
                page.open(next(link for link in mail.links if "/a/" in link))
                box = "(({top, bottom}) => [top, bottom])(document.querySelector('button').getBoundingClientRect())"
                top, bottom = page.evaluate(box)
                assert 0 < top < bottom <= HEIGHT
                assert fits(page)
                assert page.evaluate("document.querySelector('h1').textContent.length") <= 150
                assert incident.title in page.text
                page.click("button")
                assert "You acknowledged it." in page.text


@pytest.mark.parametrize("sign", ["W", "word ", "障", "🔥", "👩\u200d👩\u200d👧\u200d👦", "क्षि"])
def test_the_button_of_a_mail_is_on_the_first_screen_of_a_phone_whatever_its_title(tmp_path: Path, sign: str):
    content = replace(
        SAMPLE, title=(sign * 1000)[:1000].strip(), notice="a copy of production, for practice", delayed="delayed 71 h 59 m"
    )
    (tmp_path / "mail.html").write_text(mail_of(content)[1])
    with browser(tmp_path / "browser") as page:
        page.emulate(WIDTH, HEIGHT, scheme="light")
        page.open(f"file://{tmp_path / 'mail.html'}")
        box = "(({top, bottom}) => [top, bottom])(document.querySelector('a.button').getBoundingClientRect())"
        top, bottom = page.evaluate(box)
        assert 0 < top < bottom <= HEIGHT
        assert bottom - top >= 44
        assert fits(page)


def test_a_mail_of_long_words_never_scrolls_sideways_on_a_phone_in_the_dark_or_not(tmp_path: Path):
    content = replace(
        SAMPLE,
        **dict.fromkeys(("title", "body", "key", "source", "notice", "also_paged", "acknowledged", "ops_contact"), WORD),
        labels=LABELS,
        url=f"https://example.com/{WORD}",
    )
    (tmp_path / "mail.html").write_text(mail_of(content)[1])
    with browser(tmp_path / "browser") as page:
        for scheme, ground in {"dark": "rgb(14, 17, 22)", "light": "rgb(244, 245, 247)"}.items():
            page.emulate(WIDTH, HEIGHT, scheme=scheme)
            page.open(f"file://{tmp_path / 'mail.html'}")
            assert fits(page)
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground


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
            axe.prepare(page)

            page.open(sandbox.url)
            assert "orders db <b>is</b> down" in page.text
            assert axe.faults(page) == []

            page.open(link)
            assert "orders db <b>is</b> down" in page.text
            assert page.evaluate("document.title") == "CRITICAL: orders db <b>is</b> down"
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert page.evaluate("document.querySelector('button').getBoundingClientRect().height") >= 44
            assert page.requests == []
            assert page.evaluate("document.scripts.length") == 0
            assert axe.faults(page) == []
            status = flow.status("db-1")
            assert status.facts.state is IncidentState.OPEN

            page.click("button")
            assert "You acknowledged it." in page.text
            assert page.evaluate("document.querySelector('button')") is None
            assert axe.faults(page) == []
            status = flow.status("db-1")
            assert (status.facts.state, status.facts.acknowledged_by, status.facts.acknowledged_via) == (
                IncidentState.ACKNOWLEDGED,
                "ada",
                "link",
            )

            page.open(link + "x")
            assert "This link is invalid" in page.text
            assert axe.faults(page) == []

            page.open(serving.url_of(web))
            assert axe.faults(page) == []


def _count(text: str) -> int:
    """Return how many incidents a message says it is about."""
    found = re.search(r"(\d+) incidents: ", text)
    return int(found[1]) if found else 0


def open_ones(flow: NotifyFlow) -> list[int]:
    return [number for number in range(12) if flow.status(f"host-{number}").facts.state is IncidentState.OPEN]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_a_person_reads_all_that_a_message_carried_and_takes_what_they_ticked(tmp_path: Path, scheme: str):
    titles = [*(f"host-{number} does not answer" for number in range(10)), f"{WORD} is down", INCIDENT.title]
    with Sandbox() as sandbox, serving.listen("127.0.0.1", 0) as web, browser(tmp_path / "browser") as page:
        variables = sandbox.settings() | {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
            "NOTIFYFLOW_PUBLIC_URL": serving.url_of(web),
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow, serving.served(flow.asgi(), web):
            for number, title in enumerate(titles):
                incident = Incident(key=f"host-{number}", title=title, severity=Severity.ERROR)
                flow.notify(incident, [Recipient(id="ada", name="Ada", slack=sandbox.slack_url("ada"))])
            told = sandbox.inbox.wait_for(lambda message: _count(message.text) >= 6)  # the first ones may have left before
            link = next(each for each in told.links if "/a/" in each and " open</h1>" in requests.get(each, timeout=30).text)
            for _ in range(50):
                assert requests.get(link, timeout=30).status_code == 200
            page.emulate(WIDTH, HEIGHT, scheme=scheme)
            axe.prepare(page)
            page.open(link)
            carried = [number for number, title in enumerate(titles) if title[:100] in page.text]
            assert len(carried) == _count(told.text)
            assert page.evaluate("document.querySelector('h1').textContent") == f"{len(carried)} incidents, {len(carried)} open"
            box = "(({top, bottom}) => [top, bottom])(document.querySelector('button').getBoundingClientRect())"
            top, bottom = page.evaluate(box)
            assert 0 < top < bottom <= HEIGHT, "the button is on the first screen, and the list scrolls"
            assert fits(page)
            assert (page.requests, page.evaluate("document.scripts.length"), axe.faults(page)) == ([], 0, [])
            assert open_ones(flow) == list(range(12))

            page.press("input[type=checkbox]")
            page.click("button")
            assert page.evaluate("document.querySelector('h1').textContent") == f"{len(carried)} incidents, 1 open"
            assert (fits(page), axe.faults(page)) == (True, [])
            assert open_ones(flow) == sorted({*range(12)} - {*carried[1:]})

            page.click(".list a")
            assert titles[carried[0]] in page.text
            page.click("button")
            assert "You acknowledged it." in page.text
            page.open(link)
            assert "Nothing is open." in page.text
            assert axe.faults(page) == []
            assert open_ones(flow) == sorted({*range(12)} - {*carried})
