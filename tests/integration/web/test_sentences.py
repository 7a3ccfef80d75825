"""Whatever happens: what pages, the terminal, drills and the pages of operations say of it follows from rows."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rich.console import Console

from notifyflow.channels.meanings import meanings
from notifyflow.cli.frame.picture import picture
from notifyflow.cli.insight import overview
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Incident, Kind, Recipient, Severity, Step
from notifyflow.core.insight.postmortem import markdown
from notifyflow.core.insight.views import IncidentFilter, IncidentStatus
from notifyflow.core.limits.pauses import PauseScope
from notifyflow.core.upkeep.drill_document import DrilledDocument
from notifyflow.errors import NotifyflowError
from notifyflow.sandbox.script import PHRASES
from notifyflow.testing import Driver
from tests import sentences
from tests.capabilities import CALLING
from tests.dashboard import ORIGIN, Visit, visit

PEOPLE = {
    "ada": Recipient(id="ada", name="Ada", email="ada@example.com", phone="+15005550011"),
    "ben": Recipient(id="ben", name="Ben", email="ben@example.com", phone="+15005550012"),
    "cleo": Recipient(id="cleo", name="Cleo", email="cleo@example.com"),
    "dan": Recipient(id="dan", name="Dan", phone="+15005550014"),
}
OPERATIONS = [{"id": "ops", "name": "Olga", "email": "ops@example.com", "phone": "+15005550099"}]


def phrases(channel: str) -> list[str]:
    return [each.example for each in PHRASES if each.suits(channel) and each.example not in ("refuse", "reply ack")]


@st.composite
def scripts(draw: st.DrawFn) -> str:
    """Make a script of the sandbox for mail, texts and calls; most of what it says goes wrong."""
    lines = []
    for channel, place in (("email", "email"), ("sms", "sms"), ("voice", "call")):
        said = draw(st.lists(st.sampled_from(phrases(channel)), min_size=1, max_size=2))
        lines.append(f"{place}: {' once, then '.join(said)}")
    return "; ".join(lines)


EVENTS = st.one_of(
    st.tuples(st.just("advance"), st.sampled_from((1, 20, 65, 200, 400, 1000, 4000))),
    st.tuples(st.just("advance"), st.sampled_from((1, 20, 65, 200, 400, 1000, 4000))),
    st.tuples(st.sampled_from(("acknowledge", "resolve", "page_again")), st.sampled_from(sorted(PEOPLE))),
    st.tuples(st.just("script"), scripts()),
    st.tuples(st.just("pause"), st.sampled_from((1, 20, 70))),
)
STORIES = st.fixed_dictionaries(
    {
        "severity": st.sampled_from((Severity.CRITICAL, Severity.CRITICAL, Severity.ERROR, Severity.WARNING)),
        "policy": st.sampled_from(("default", "insistent")),
        "people": st.lists(st.sampled_from(sorted(PEOPLE)), min_size=1, max_size=2, unique=True),
        "then": st.lists(st.sampled_from(sorted(PEOPLE)), max_size=2, unique=True),
        "has_operations": st.booleans(),
        "script": scripts(),
        "crowd": st.sampled_from((0, 0, 0, 5, 25)),
        "events": st.lists(EVENTS, min_size=1, max_size=5),
    }
)


def tell(driver: Driver, story: dict[str, Any]) -> Iterator[None]:
    """Play a story, and stop after each of its events."""
    driver.sandbox.script(str(story["script"]))
    then = [Step(to=(PEOPLE[who],), after=timedelta(minutes=5)) for who in story["then"]]
    for number in range(story["crowd"]):
        crowd = Incident(key=f"crowd-{number}", title="it is down, too", severity=story["severity"])
        driver.flow.notify(crowd, [PEOPLE[who] for who in story["people"]], policy=story["policy"])
    incident = Incident(key="db-1", title="orders db is down", severity=story["severity"])
    driver.flow.notify(incident, [PEOPLE[who] for who in story["people"]], policy=story["policy"], then=then)
    yield
    for what, value in story["events"]:
        match what:
            case "advance":
                driver.advance(seconds=value)
            case "script":
                driver.sandbox.script(value)
            case "pause":
                span = timedelta(minutes=value)
                driver.flow.pauses.start(PauseScope.ALL, "", span=span, by="eve", is_for_critical=value > 1)
            case _:
                _act(driver, what, value)
        yield


def _act(driver: Driver, what: str, who: str) -> None:
    with suppress(NotifyflowError):  # who is no recipient cannot be paged again; nor can anybody once it is resolved
        match what:
            case "acknowledge":
                driver.flow.acknowledge("db-1", by=who)
            case "resolve":
                driver.flow.resolve("db-1", by=who)
            case _:
                driver.flow.page_again("db-1", who, by="eve")


def pages_of_crowd(driver: Driver, story: dict[str, Any]) -> list[NotificationFacts]:
    """Return the pages of the incidents that came together with the one that is read."""
    return [row for number in range(story["crowd"]) for row in sentences.pages(driver.flow.status(f"crowd-{number}"))]


def on_the_terminal(driver: Driver, status: IncidentStatus) -> list[str]:
    console = Console(file=io.StringIO(), width=1_000, force_terminal=False)
    seen = driver.flow.overview
    console.print(
        picture(status, has_attempts=True, next_events=seen.next_events(status), entries=seen.timeline(status)),
        *overview.drawn(seen.incidents(IncidentFilter(), limit=9), IncidentFilter()),
    )
    assert isinstance(console.file, io.StringIO)
    return [line.strip("│ ") for line in console.file.getvalue().splitlines()]


def without_updates(page: str) -> tuple[str, list[str]]:
    """Return a page of an incident without the status updates that people got, and the sentences about those."""
    block = re.compile(r'<ul class="updates">.*?</ul>\n</details>\n', re.DOTALL)
    return block.sub("", page), [line for each in block.findall(page) for line in sentences.words(each)]


def check(
    driver: Driver,
    browser: Visit,
    status: IncidentStatus,
    operations: IncidentStatus | None,
    about: IncidentStatus | None = None,
    *,
    crowd: list[NotificationFacts],
) -> None:
    """Read all that is said of an incident; that of operations speaks of others, too, and so does the list."""
    explain = meanings(driver.flow.channels)
    page, updates = without_updates(browser.get(f"/incidents/{status.facts.id}").text)
    rows = [row for each in status.escalations for row in each.notifications if row.kind is Kind.STATUS_UPDATE]
    assert list(sentences.untrue(updates, rows, None)) == []
    drilled = DrilledDocument.of_incidents("x", [status], operations, calling=CALLING, explain=explain, is_settled=True)
    said = {
        "page": sentences.words(page),
        "terminal": on_the_terminal(driver, status),
        "drill": list(drilled.lines()),
        "post-mortem": markdown(status, driver.flow.overview.timeline(status), here=str).splitlines(),
        "list": sentences.words(browser.get("/incidents").text),
    }
    for where, lines in said.items():
        others = (operations if where in ("list", "drill") else None, about)
        scope = [row for each in (status, *others) if each for row in sentences.pages(each)]
        scope += crowd if where == "list" or about else []
        assert list(sentences.untrue(lines, scope, operations)) == [], where
    for mark in ('<article class="recipient', '<li class="step'):
        for name, lines in sentences.blocks(page, mark):
            people = [each.contact.name for each in status.escalations if each.contact.name in name]
            scope, is_of_one = sentences.pages(status, people), len(people) == 1
            assert list(sentences.untrue(lines, scope, operations, is_of_one=is_of_one)) == [], f"of {name}"


def check_next_instant(driver: Driver, status: IncidentStatus) -> None:
    """The list, the page and the terminal say the same time at which a chain goes on."""
    (line,) = driver.flow.overview.incidents(IncidentFilter(text="db-1"), limit=1).lines
    step = driver.flow.overview.next_events(status).step
    assert (line.chain.next_at if line.chain else None) == (step.at if step else None)


def check_pages_of_operations(driver: Driver, failed: IncidentStatus, crowd: list[NotificationFacts]) -> None:
    """Read each message to operations: what it says of a channel, the incidents' rows show once all is at rest."""
    rows = [*sentences.pages(failed), *crowd]
    for message in driver.inbox.messages(to="ops@example.com"):
        lines = [line for line in message.text.splitlines() if line.startswith("- ")]
        assert list(sentences.untrue(lines, rows, None)) == [], message.text


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), phases=[*set(Phase) - {Phase.explain}])
@given(story=STORIES)
def test_every_claim_that_is_shown_follows_from_rows(story: dict[str, Any]) -> None:
    variables = {"NOTIFYFLOW_OPS_RECIPIENTS": json.dumps(OPERATIONS)} if story["has_operations"] else {}
    with Driver({"NOTIFYFLOW_PUBLIC_URL": ORIGIN, **variables}) as driver:
        browser = visit(driver.flow, Role.VIEWER)
        for _ in tell(driver, story):
            status = driver.flow.status("db-1")
            operations = driver.flow.status(status.operations_key) if status.operations_key else None
            crowd = pages_of_crowd(driver, story)
            check(driver, browser, status, operations, crowd=crowd)
            check_next_instant(driver, status)
            if operations:
                check(driver, browser, operations, None, about=status, crowd=crowd)
        check_pages_of_operations(driver, driver.flow.status("db-1"), pages_of_crowd(driver, story))
