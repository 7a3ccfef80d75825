"""The pages People and Health over both databases: what is proven, who could not be paged, and tests that are sent from them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.users import Role
from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import Condition, Evidence, Incident, IncidentState, Receipt, Result
from notifyflow.core.delivery.policy import Policy, Tier
from notifyflow.core.limits.pauses import PauseScope
from notifyflow.errors import InvalidPolicy, RecipientUnknown
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.delivery.sweep import sweep
from notifyflow.pipeline.limits.claim import claim
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.settings import Settings
from notifyflow.storage.dialects import execute
from notifyflow.web.oncall import people
from tests.builders import CountingIds, HandClock, a_recipient
from tests.dashboard import ORIGIN, Visit, visit
from tests.integration.web.delivery.test_api import SilentBell
from tests.leases import record_one
from tests.notifying import notify
from tests.waiting import wait_until

HOSTILE = "<img src=x onerror=alert(1)>/&?'"
ADDRESS = "ada@example.com"
DIRECTORY = """
[recipients.ada]
name = "Ada"
email = "ada@example.com"
phone = "+15005550006"

[recipients.cleo]
email = "no address"

[recipients.eve]
email = "eve@example.com"

[recipients.kim]
email = "kim@example.com"

[[routes]]
match = { team = "web" }
to = ["eve", "kim"]
policy = "default"

[[routes]]
match = { team = "db" }
to = ["kim"]

[default]
to = ["ada"]
"""
TWILIO = {
    "NOTIFYFLOW_TWILIO_ACCOUNT_SID": "AC0",
    "NOTIFYFLOW_TWILIO_AUTH_TOKEN": "token",
    "NOTIFYFLOW_TWILIO_SMS_FROM": "+15005550001",
    "NOTIFYFLOW_SMTP_URL": "smtp://mail.example.com",
    "NOTIFYFLOW_MAIL_FROM": "page@example.com",
}
REFUSED = Outcome(result=Result.PERMANENT_FAILURE, code="550", reason="there is no such mailbox")
ACCEPTED = Outcome(result=Result.ACCEPTED, evidence=Evidence.ACCEPTED, provider_ref="r")


class System:
    """A flow that delivers nothing by itself, with a directory, and its pages."""

    def __init__(self, flow: NotifyFlow, clock: HandClock) -> None:
        self.flow = flow
        self.clock = clock
        self.application = flow.asgi()

    def visit(self, role: Role = Role.RESPONDER, **user: Any) -> Visit:
        return visit(self.flow, role, application=self.application, **user)

    def page(
        self, who: str = "ada", key: str = "db-1", namespace: str = "", *, quiet: str | None = None, **addresses: str
    ) -> None:
        recipient = replace(a_recipient(who, **(addresses or {"email": ADDRESS})), quiet=quiet)
        policy = Policy(name="at once", tiers=(Tier(name="all", channels=("email", "sms")),))
        notify(self.flow._deps, Incident(key=key, title="down"), [recipient], policy=policy, namespace=namespace)

    def send(self, channel: str, outcome: Outcome = ACCEPTED) -> list[str]:
        """Send all that is due on a channel; return the attempts."""
        provider = {"email": "smtp", "sms": "twilio"}[channel]
        claims = claim(self.flow._deps, channel, (), limit=99, providers=(provider,), reporting=("twilio",))
        for claimed in claims.claimed:
            record_one(self.flow._deps, claimed, outcome)
        return [claimed.message.attempt_id for claimed in claims.claimed]

    def pass_time(self, **span: float) -> None:
        """Let time pass with sweeps that find nothing to do, then sweep."""
        self.clock.pass_time(timedelta(**span))
        self.flow._store.run(lambda ledger: ledger.intervals.note_sweep(at=self.clock.now()))
        sweep(self.flow._deps)

    def deliver(self, attempt_id: str) -> None:
        receipt = Receipt(
            provider="twilio", event_id=attempt_id, result=Result.DELIVERED, attempt_id=attempt_id, evidence=Evidence.CARRIER
        )
        receive(self.flow._deps, receipt, raw="")


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Iterator[System]:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    clock = HandClock()
    variables = {
        "NOTIFYFLOW_DATABASE_URL": database_url,
        "NOTIFYFLOW_DIRECTORY": str(directory),
        "NOTIFYFLOW_PUBLIC_URL": ORIGIN,
        **TWILIO,
    }
    with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield System(flow, clock)


def section(page: str, heading: str) -> str:
    """Return the part of a page below a heading, up to the next."""
    return page.partition(f"<h2>{heading}</h2>")[2].partition("<h2>")[0]


def test_people_are_listed_by_what_is_proven(system: System) -> None:
    system.page("ada", "db-1", email=ADDRESS, sms="+15005550006")
    (attempt_id,) = system.send("sms")
    system.deliver(attempt_id)
    system.send("email")
    system.page("ben", "db-2", email="ben@example.com")
    system.send("email", REFUSED)
    system.clock.pass_time(timedelta(days=3))
    page = system.visit().get("/people").text
    unreached = section(page, "Could not be paged")
    assert ">Ben<" in unreached
    assert "nothing reached them 3 d ago" in unreached
    assert ">Ada<" not in unreached
    assert "cleo" in section(page, "Unproven: never paged")
    everybody = section(page, "Everybody who was paged")
    assert "proven 3 d ago" in everybody
    assert "sent 3 d ago, unproven" in everybody
    assert "ada@" not in page


def test_nobody_is_listed_where_nobody_was_paged(system: System) -> None:
    page = system.visit(namespaces=frozenset({"web"})).get("/people").text
    assert "Nobody was paged yet." in page
    assert "Ada" not in page


def test_people_are_listed_page_by_page(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "_ON_A_PAGE", 2)
    for who in ("ann", "bea", HOSTILE):
        system.page(who, f"of {who}")
    browser = system.visit()
    first = browser.get("/people").text
    address = re.search(r'href="people(\?after=[^"]+)"', first)
    assert address is not None
    second = browser.get(f"/people{address[1]}").text
    found = re.findall(r'<a href="people/([^"]+)">', section(first, "Everybody who was paged"))
    found += re.findall(r'<a href="people/([^"]+)">', section(second, "More people who were paged"))
    assert len(found) == 3
    assert len(set(found)) == 3
    assert '<a href="people/ann">' in browser.get("/people?after=zzz").text, "a place that nobody knows is the beginning"


def test_a_person_has_a_page_with_each_channel(system: System) -> None:
    system.page("ada", "db-1", email=ADDRESS, sms="+15005550006")
    (attempt_id,) = system.send("sms")
    system.deliver(attempt_id)
    system.send("email", REFUSED)
    system.flow._store.run(lambda ledger: ledger.replies.opt_out("+15005550001", "+15005550006", at=system.clock.now()))
    page = system.visit().get("/people/ada").text
    for text in ("says the carrier", "there is no such mailbox", "They texted STOP.", "no provider", "failed 0 s ago"):
        assert text in page
    assert ADDRESS not in page


def test_an_unknown_person_has_no_page(system: System) -> None:
    system.page("ben", "db-1")
    browser = system.visit(namespaces=frozenset({"web"}))
    assert browser.get("/people/nobody").status_code == 404
    assert browser.get("/people/ben").status_code == 404
    assert browser.get("/people/ada").status_code == 404


def test_a_hostile_name_stays_text_and_has_a_page_and_a_test(system: System) -> None:
    system.page(HOSTILE, email="x@example.com")
    browser = system.visit()
    page = browser.get("/people").text
    assert "<img" not in page
    address = re.search(r'href="(people/%3Cimg[^"]+)"', page)
    assert address is not None
    assert browser.get(f"/{address[1]}").status_code == 200
    sent = browser.send(f"/{address[1]}", test="")
    assert (sent.status_code, sent.headers["location"]) == (303, address[1].removeprefix("people/"))
    assert "<img" not in browser.get(f"/{address[1]}").text


def test_pages_that_search_or_show_ages_are_sent_again_only_when_they_change(system: System, database_url: str) -> None:
    system.page("ada", "db-1")
    system.send("email")
    browser = system.visit()
    wait_until(lambda: "being rehearsed" not in browser.get("/health").text)
    paths = ("/incidents?text=down", "/messages?reason=nowhere", "/people", "/people/ada", "/health", "/oncall")
    tags = {path: browser.get(path).headers["etag"] for path in paths}
    assert {"-" in tag for tag in tags.values()} == {database_url.startswith("postgresql")}  # the etag that SQLite lacks

    def changed() -> set[str]:
        found = {path: browser.request("GET", path, headers={"if-none-match": tag}).status_code for path, tag in tags.items()}
        assert set(found.values()) <= {200, 304}
        return {path for path, status in found.items() if status == 200}

    assert changed() == set()
    system.clock.pass_time(timedelta(seconds=10))
    assert changed() == {"/people", "/people/ada"}
    system.page("ben", "db-2")
    assert changed() == {"/incidents?text=down", "/people", "/people/ada", "/health"}


def test_a_test_is_sent_and_its_outcome_is_shown(system: System) -> None:
    browser = system.visit()
    assert "The last test" not in browser.get("/people/ada").text
    sent = browser.send("/people/ada", test="")
    assert (sent.status_code, sent.headers["location"]) == (303, "ada")
    page = browser.get("/people/ada").text
    assert "Test for Ada, sent by responder" in page
    assert 'data-live="moving"' in page
    assert page.count("on its way") == 3
    (attempt_id,) = system.send("sms")
    system.send("email", REFUSED)
    page = browser.get("/people/ada").text
    assert "twilio accepted it; the receipt is awaited" in page
    assert "<strong>mail</strong>: there is no such mailbox" in page
    system.deliver(attempt_id)
    assert "<strong>text</strong>: the carrier says so" in browser.get("/people/ada").text
    system.flow.acknowledge("test-ada", by="ada")
    page = browser.get("/people/ada").text
    assert "They acknowledged it on Wed 25 Nov 03:00 UTC." in page
    assert "tried no more, since somebody acknowledged before" in page
    assert 'data-live="watching"' in page


def test_a_test_of_one_channel_uses_only_that(system: System) -> None:
    browser = system.visit()
    browser.send("/people/ada", test="sms")
    page = browser.get("/people/ada").text
    assert page.count("on its way") == 1
    system.send("sms", Outcome(result=Result.TEMPORARY_FAILURE, code="503", reason="the provider is busy"))
    assert "failed for now (the provider is busy), and is tried again" in browser.get("/people/ada").text


def test_a_test_without_receipts_says_that_no_more_is_reported(system: System) -> None:
    browser = system.visit()
    browser.send("/people/ada", test="email")
    provider = claim(system.flow._deps, "email", (), limit=9, providers=("smtp",), reporting=()).claimed
    for claimed in provider:
        record_one(system.flow._deps, claimed, ACCEPTED)
    assert "smtp accepted it" in browser.get("/people/ada").text


def test_a_second_test_within_a_minute_is_refused(system: System) -> None:
    browser = system.visit()
    browser.send("/people/ada", test="")
    refused = browser.send("/people/ada", test="")
    assert refused.status_code == 429
    assert "The last test was sent less than a minute ago. Send another one in 60 s." in refused.text
    system.clock.pass_time(timedelta(minutes=1))
    assert browser.send("/people/ada", test="").status_code == 303


def test_people_page_themselves_through_all_tiers_until_they_acknowledge(system: System) -> None:
    browser = system.visit(name="Ada", recipient_id="ada")
    assert "Page me as an incident would" in browser.get("/people/ada").text
    assert browser.send("/people/ada", whole="insistent").status_code == 303
    assert browser.send("/people/ada", whole="insistent").status_code == 429
    assert (len(system.send("email")), system.send("sms")) == (1, [])
    system.pass_time(minutes=5)
    assert len(system.send("sms", REFUSED)) == 1
    for _ in range(3):
        system.pass_time(minutes=15)
        system.send("email", REFUSED)
    status = system.flow.status("test-ada")
    assert [each.facts.repetition for each in status.escalations] == [1, 2, 3]
    assert [each.facts.critical_at for each in status.escalations] == [None] * 3
    system.flow.acknowledge("test-ada", by="ada")
    assert "They acknowledged it" in browser.get("/people/ada").text
    assert system.flow.find("notifyflow/operations") is None
    assert browser.send("/people/ada", whole="default").status_code == 409


def test_people_whom_routes_page_by_several_policies_choose_one_for_a_test(system: System) -> None:
    browser = system.visit(name="Kim", recipient_id="kim")
    page = browser.get("/people/kim").text
    assert 'value="default">Page me as an incident would, by default<' in page
    assert 'value="insistent">Page me as an incident would, by insistent<' in page
    assert browser.send("/people/kim", whole="insistent").status_code == 303
    (escalation,) = system.flow.status("test-kim").escalations
    assert escalation.facts.policy.repeat is not None


def test_nobody_pages_another_person_until_they_acknowledge(system: System) -> None:
    browser = system.visit(name="Ben", recipient_id="ben")
    assert "Page me" not in browser.get("/people/ada").text
    refused = browser.send("/people/ada", whole="insistent")
    assert (refused.status_code, "Only they can page themselves" in refused.text) == (403, True)
    assert system.flow.find("test-ada") is None


def test_the_library_pages_a_person_as_a_test_in_their_quiet_hours_too(system: System) -> None:
    system.page("dan", quiet="22:00-07:00")
    system.flow.test_page("dan", by="dan", policy="default")
    (escalation,) = system.flow.status("test-dan").escalations
    assert (escalation.facts.policy.name, escalation.contact.quiet) == ("test", None)
    with pytest.raises(InvalidPolicy):
        system.flow.test_page("ada", by="ada", policy="unknown")
    with pytest.raises(RecipientUnknown):
        system.flow.test_page("nobody", by="ada")


def test_a_person_is_paged_as_a_test_by_the_policy_of_the_first_route_to_them(system: System) -> None:
    assert "of the policy default until" in system.visit(name="Eve", recipient_id="eve").get("/people/eve").text
    system.page("dan")
    for who, rounds in (("eve", False), ("ada", True), ("dan", True)):
        system.flow.test_page(who, by=who)
        (escalation,) = system.flow.status(f"test-{who}").escalations
        assert (escalation.facts.policy.repeat is not None) is rounds, who


def test_who_has_no_address_is_not_tested(system: System) -> None:
    browser = system.visit()
    page = browser.get("/people/cleo").text
    assert "There is no address to send anything to." in page
    assert "Send a test" not in page
    assert browser.send("/people/ada", "/people/cleo", test="").status_code == 422
    assert browser.send("/people/ada", "/people/nobody", test="").status_code == 404


def test_a_test_is_ended_and_only_the_last_one(system: System) -> None:
    browser = system.visit(name="grace", recipient_id="ada")
    browser.send("/people/ada", test="")
    (incident_id,) = re.findall(r'name="end" value="(\w+)"', browser.get("/people/ada").text)
    assert browser.send("/people/ada", end="another").status_code == 409
    assert browser.send("/people/ada", end=incident_id).status_code == 303
    facts = system.flow.status("test-ada").facts
    assert (facts.state, facts.resolved_by) == (IncidentState.RESOLVED, "ada")
    page = browser.get("/people/ada").text
    assert "The test is over." in page
    assert "End this test" not in page


def test_a_viewer_sends_no_test(system: System) -> None:
    viewer = system.visit(Role.VIEWER)
    assert "Send a test" not in viewer.get("/people/ada").text
    assert viewer.send("/people/ada", test="").status_code == 403
    assert system.flow.find("test-ada") is None


def test_the_health_of_a_system_that_does_nothing(system: System) -> None:
    page = system.visit().get("/health").text
    for text in ("Nothing is due.", "No provider was used yet.", "Nothing is paused.", "never", "Nothing was counted yet"):
        assert text in page


def test_the_health_shows_the_sweep_the_queue_the_providers_and_the_pauses(system: System) -> None:
    sweep(system.flow._deps)
    system.page("ada", "db-1", email=ADDRESS, sms="+15005550006")
    system.send("email")
    system.page("ben", "db-2", email="ben@example.com")
    system.send("email", REFUSED)
    roll_up_all(system.flow._deps)
    system.flow.pauses.start(PauseScope.CHANNEL, "sms", span=timedelta(hours=1), by="<b>ada</b>")
    system.clock.pass_time(timedelta(minutes=2))
    page = system.visit().get("/health").text
    signs = dict(re.findall(r"</span> (\w+)</span></span><strong>(?:<a [^>]+>)?([^<]+)<", page))
    assert signs == {
        "Sweeper": "2 m ago",
        "Queue": "1 message",
        "Storms": "0",
        "People": "1",
        "Providers": "0 of 1",
        "Rows": "0",
        "Duty": "0",
        "Policies": "0",
    }
    assert "0 of 100 a minute" in page
    assert ">2</a></td>" in page
    assert "50 %" in page
    assert "&lt;b&gt;ada&lt;/b&gt;; CRITICAL is still sent" in page


def test_the_health_names_a_damaged_row_which_admins_release(system: System) -> None:
    system.page("ada", "db-1", email=ADDRESS)
    ((row_id,),) = _execute(system, "SELECT id FROM notifyflow_notification")
    _execute(system, "UPDATE notifyflow_notification SET severity = 'LOUD'")
    system.send("email")
    responder, admin = system.visit(Role.RESPONDER), system.visit(Role.ADMIN)
    assert row_id in responder.get("/health").text
    assert "Release</button>" not in responder.get("/health").text
    assert responder.send("/health", release=row_id).status_code == 403
    page = admin.get("/health").text
    assert "its column severity cannot be read" in page
    assert "ValueError" in page
    _execute(system, "UPDATE notifyflow_notification SET severity = 'ERROR'")
    assert admin.send("/health", release=row_id).status_code == 303
    assert row_id not in admin.get("/health").text


def _execute(system: System, sql: str) -> list[Any]:
    return system.flow._deps.transactions.run(lambda ledger: _fetched(execute(ledger._unit.db, sql)))


def _fetched(cursor: Any) -> list[Any]:
    return cursor.fetchall() if cursor.description else []


def test_the_health_shows_a_provider_that_refuses_us(system: System) -> None:
    system.page()
    refusal = {"result": Result.TEMPORARY_FAILURE, "code": "535", "is_our_fault": True, "condition": Condition.REFUSING}
    system.send("email", Outcome(**refusal))
    page = system.visit().get("/health").text
    assert "it refuses us" in page
    assert "1 of 1" in page


@pytest.mark.parametrize("window", ["hour", "day", "month"])
def test_the_health_shows_how_long_pages_take(system: System, window: str) -> None:
    system.page("ada", "db-1", email=ADDRESS, sms="+15005550006")
    system.clock.pass_time(timedelta(seconds=2))
    system.send("email")
    (attempt_id,) = system.send("sms")
    system.clock.pass_time(timedelta(seconds=20))
    system.deliver(attempt_id)
    system.clock.pass_time(timedelta(seconds=30))
    system.flow.acknowledge("db-1", by="ada")
    roll_up_all(system.flow._deps)
    page = system.visit().get(f"/health?window={window}").text
    assert page.count('<rect class="dot"') == 3 + 3  # in the charts, and in the tables beside the name
    assert [row[0] for row in re.findall(r'</svg> ERROR</th><td class="number">(\d+)</td>(.*)', page)] == ["2", "1", "1"]
    assert "style=" not in page
    assert f'aria-current="true">the last {window}</a>' in page


def test_a_window_that_is_not_known_is_refused(system: System) -> None:
    assert system.visit().get("/health?window=year").status_code == 422
