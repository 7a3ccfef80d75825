"""People as visitors see them: those who were paged, those of the directory, and tests that are sent to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.delivery.model import IncidentState, NotificationState, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.namespaces import SHARED
from notifyflow.errors import RecipientUnknown, TooManyTests
from notifyflow.service.oncall.people import People
from notifyflow.settings import Settings
from tests.builders import CountingIds, HandClock, a_recipient, an_incident
from tests.integration.web.delivery.test_api import SilentBell
from tests.log_lines import capture_logs
from tests.notifying import notify

DIRECTORY = """
[recipients.ada]
name = "Ada"
email = "ada@example.com"
phone = "+15005550006"

[recipients.cleo]
email = "no address"

[default]
to = ["ada"]
"""
WEB = frozenset({"web"})


@dataclass
class System:
    """A flow that delivers nothing, with a directory."""

    flow: NotifyFlow
    clock: HandClock

    @property
    def people(self) -> People:
        return self.flow._service.people

    def page(self, who: str, key: str = "db-1", namespace: str = SHARED, **addresses: str) -> None:
        recipients = [a_recipient(who, **(addresses or {"email": f"{who}@example.com"}))]
        notify(self.flow._deps, an_incident(key), recipients, policy=DEFAULT, namespace=namespace)

    def test(self, who: str = "ada", *channels: str, namespaces: frozenset[str] | None = None) -> str:
        return self.people.test(who, channels, namespaces, sender="grace", by="grace").incident_id


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Iterator[System]:
    directory = tmp_path / "directory.toml"
    directory.write_text(DIRECTORY)
    variables = {"NOTIFYFLOW_DATABASE_URL": database_url, "NOTIFYFLOW_DIRECTORY": str(directory)}
    clock = HandClock()
    with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield System(flow, clock)


def test_people_of_the_directory_who_were_never_paged_are_listed_as_such(system: System) -> None:
    page = system.people.page(None, after="", limit=5)
    assert page.people == ()
    assert [each.contact.recipient_id for each in page.never_paged] == ["ada", "cleo"]
    assert page.never_paged_count == 2
    ada, cleo = page.never_paged
    assert ada.is_in_directory
    assert ada.contact.addresses == {"email": "ada@example.com", "sms": "+15005550006", "voice": "+15005550006"}
    assert cleo.contact.addresses == {}


def test_people_are_listed_page_by_page_with_what_needs_attention_on_the_first(system: System) -> None:
    for number, who in enumerate(("ada", "ben", "dan")):
        system.page(who, f"db-{number}")
    first = system.people.page(None, after="", limit=2)
    assert [each.contact.recipient_id for each in first.people] == ["ada", "ben"]
    assert [each.contact.recipient_id for each in first.never_paged] == ["cleo"]
    assert first.after is not None
    second = system.people.page(None, after=first.after, limit=2)
    assert [each.contact.recipient_id for each in second.people] == ["dan"]
    assert (second.never_paged, second.unreached, second.after) == ((), (), None)


def test_the_addresses_of_the_directory_count_before_those_of_incidents(system: System) -> None:
    system.page("ada", email="old@example.com")
    ada = system.people.find("ada", None)
    assert ada is not None
    assert ada.contact.addresses["email"] == "ada@example.com"


def test_where_the_next_page_begins_names_nobody_of_another_namespace(system: System) -> None:
    for number, who in enumerate(("ada", "ben", "dan", "eve")):
        system.page(who, f"db-{number}", namespace="web" if who in ("ada", "eve") else SHARED)
    first = system.people.page(WEB, after="", limit=2)
    assert [each.contact.recipient_id for each in first.people] == ["ada"]
    assert first.after is not None
    assert "ben" not in first.after
    second = system.people.page(WEB, after=first.after, limit=2)
    assert ([each.contact.recipient_id for each in second.people], second.after) == (["eve"], None)
    assert system.people.page(WEB, after="ben", limit=2).people == first.people, "an id says nothing here"


def test_a_visitor_sees_only_the_people_of_their_namespaces(system: System) -> None:
    system.page("ada", email="ada@web.example", namespace="web")
    system.page("ben", "db-2")
    page = system.people.page(WEB, after="", limit=5)
    (ada,) = page.people
    assert (ada.contact.addresses, ada.is_in_directory) == ({"email": "ada@web.example"}, False)
    assert page.never_paged == ()
    assert system.people.find("ben", WEB) is None
    assert system.people.find("cleo", WEB) is None


def test_who_texted_stop_is_known(system: System) -> None:
    system.page("ben", sms="+15005550009")
    system.flow._store.run(lambda ledger: ledger.replies.opt_out("+15005550001", "+15005550009", at=system.clock.now()))
    ben = system.people.find("ben", None)
    assert ben is not None
    assert ben.opted_out_of == {"+15005550001"}


def test_a_test_is_an_incident_that_pages_every_channel_at_once(system: System) -> None:
    with capture_logs() as lines:
        incident_id = system.test()
    status = system.people.last_test("ada", None)
    assert status is not None
    assert status.facts.id == incident_id
    assert (status.facts.key, status.facts.severity, status.facts.namespace) == ("test-ada", Severity.INFO, SHARED)
    assert status.content.title == "Test for Ada, sent by grace"
    (escalation,) = status.escalations
    assert {row.channel: row.state for row in escalation.notifications} == dict.fromkeys(
        ("email", "sms", "voice"), NotificationState.QUEUED
    )
    (line,) = (line for line in lines if line["event"] == "app.test_sent")
    assert (line["recipient_id"], line["channels"]) == ("ada", ["email", "sms", "voice"])
    assert "grace" not in str(line), "who logged in is no id"


@pytest.mark.parametrize("namespaces", [None, WEB])
def test_an_incident_of_somebody_else_with_the_key_of_tests_blocks_none(
    system: System, namespaces: frozenset[str] | None
) -> None:
    where = SHARED if namespaces is None else "web"
    system.page("ada", "test-ada", namespace=where)
    before = system.flow.status("test-ada")
    first = system.test("ada", namespaces=namespaces)
    with pytest.raises(TooManyTests):
        system.test("ada", namespaces=namespaces)
    system.clock.pass_time(timedelta(minutes=2))
    second = system.test("ada", namespaces=namespaces)
    last = system.people.last_test("ada", namespaces)
    assert last is not None
    assert last.facts.id == second != first
    assert system.flow.status("test-ada") == before
    assert system.people._last_test("ada", frozenset({where})) is not None


def test_a_test_of_one_channel_pages_only_that(system: System) -> None:
    system.test("ada", "sms")
    status = system.people.last_test("ada", None)
    assert status is not None
    assert [row.channel for row in status.escalations[0].notifications] == ["sms"]


def test_a_person_is_sent_one_test_a_minute_and_the_next_ends_the_one_before(system: System) -> None:
    first = system.test()
    with pytest.raises(TooManyTests) as refused:
        system.test("ada", "email")
    assert refused.value.retry_after_s == 60
    system.clock.pass_time(timedelta(seconds=59.5))
    with pytest.raises(TooManyTests) as refused:
        system.test()
    assert refused.value.retry_after_s == 1
    system.page("ben", "db-2")
    system.test("ben")
    system.clock.pass_time(timedelta(seconds=0.5))
    second = system.test()
    assert second != first
    status = system.flow.status(first)
    assert (status.facts.state, status.facts.resolved_by) == (IncidentState.RESOLVED, "grace")
    system.flow.resolve("test-ada", by="grace")
    system.clock.pass_time(timedelta(minutes=1))
    assert system.test() not in {first, second}


def test_two_tests_that_are_sent_at_once_are_one(system: System) -> None:
    system.people._end_last = lambda *_, **__: None  # type: ignore[method-assign]
    system.test()
    with pytest.raises(TooManyTests):
        system.test()


@pytest.mark.parametrize(("who", "channels"), [("nobody", ()), ("ada", ("slack",)), ("ada", ("pigeon",)), ("cleo", ())])
def test_who_has_no_address_is_sent_no_test(system: System, who: str, channels: tuple[str, ...]) -> None:
    with pytest.raises(RecipientUnknown):
        system.test(who, *channels)
    assert system.people.last_test(who, None) is None


def test_a_test_is_opened_where_its_sender_sees_it(system: System) -> None:
    system.page("ada", namespace="web")
    system.test("ada", namespaces=WEB)
    status = system.people.last_test("ada", WEB)
    assert status is not None
    assert status.facts.namespace == "web"
    assert system.people.last_test("ada", frozenset({"other"})) is None
    with pytest.raises(RecipientUnknown):
        system.test("ada", namespaces=frozenset())


def test_a_long_id_and_a_hostile_name_are_tested_as_any_other(system: System) -> None:
    who = "x" * 255
    system.page(who, email="x@example.com")
    system.test(who)
    assert system.people.last_test(who, None) is not None
    system.page("<b>'; --", "db-2", email="b@example.com")
    system.test("<b>'; --")
    assert system.people.last_test("<b>'; --", None) is not None
