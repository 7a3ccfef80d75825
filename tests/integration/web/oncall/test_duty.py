"""The REST API of who is on duty; every response is validated against the published schemas."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.delivery.chain import Chain, Planned
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.core.namespaces import ALL
from notifyflow.pipeline.delivery.notify import Submitted, store_all
from notifyflow.settings import Settings
from tests.builders import CountingIds, HandClock, a_contact, an_incident
from tests.integration.web.delivery.test_api import SilentBell
from tests.log_lines import capture_logs
from tests.published import Published

DIRECTORY = """
recipients = { ada = {}, ben = {}, cy = {} }
default.to = ["@primary"]
[schedules.primary]
timezone = "Europe/Berlin"
layers = [{ who = ["ada", "ben"], from = 2026-01-05T09:00:00, every = "1w" }]
[schedules.legacy]
ical = "https://calendar.example.com/secret.ics"
"""
MONDAY = "2027-01-04T12:00:00Z"


class Api:
    def __init__(self, flow: NotifyFlow, clock: HandClock) -> None:
        self.flow = flow
        self.clock = clock
        self.published = Published(flow.asgi(), self.key(flow, ALL))
        self.other = self.key(flow, "team")

    @staticmethod
    def key(flow: NotifyFlow, namespace: str) -> str:
        return flow.access().create("billing", {KeyScope.READ, KeyScope.OPERATE}, valid_for=None, namespace=namespace)[1]

    def send(self, method: str, path: str, status: int = 200, **values: Any) -> Any:
        response = self.published.request(method, f"/v1/oncall{path}", **values)
        assert response.status_code == status, response.text
        return response.json()

    def change(self, status: int = 201, schedule: str = "primary", **fields: Any) -> Any:
        ends_at = (self.clock.now() + timedelta(hours=8)).isoformat()
        return self.send("POST", f"/{schedule}/overrides", status, json={"people": ["cy"], "ends_at": ends_at} | fields)

    def now(self) -> list[str]:
        return list(self.send("GET", "/primary")["on_duty"]["people"])


@pytest.fixture
def api(sqlite_url: str, tmp_path: Path) -> Iterator[Api]:
    (tmp_path / "directory.toml").write_text(DIRECTORY)
    variables = {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_DIRECTORY": str(tmp_path / "directory.toml")}
    clock = HandClock()
    with NotifyFlow(Settings.from_variables(variables), clock=clock, ids=CountingIds(), bell=SilentBell()) as flow:
        yield Api(flow, clock)


def test_a_key_of_one_namespace_does_not_see_who_is_on_duty(api: Api):
    api.published.key = api.other
    for path in ("", "/primary", "/none"):
        assert "namespace *" in api.send("GET", path, 404)["detail"]


def test_a_key_of_all_namespaces_sees_who_is_on_duty_and_no_url(api: Api):
    legacy, primary = api.send("GET", f"?at={MONDAY}&weeks=2")["schedules"]
    assert primary["on_duty"]["people"] == ["ada"]
    assert primary["next"] == {
        **{"people": ["ben"], "why": "layer"},
        "begins_at": "2027-01-11T08:00:00Z",
        "ends_at": "2027-01-18T08:00:00Z",
    }
    assert [each["people"] for each in primary["shifts"]] == [["ada"], ["ben"], ["ada"]]
    assert (legacy["on_duty"]["people"], legacy["next"], legacy["on_duty"]["begins_at"]) == ([], None, None)
    assert "secret" not in api.published.request("GET", "/v1/oncall").text
    assert api.send("GET", f"/@primary?at={MONDAY}")["shifts"] == []
    assert api.send("GET", "/primary?at=0001-01-01T00:00:00Z&weeks=12")["on_duty"]["people"] == []
    api.send("GET", "/none", 404)
    api.send("GET", "/primary?at=2027-01-04", 422)


def test_a_duty_is_changed_and_the_change_is_cancelled(api: Api):
    before = api.now()
    with capture_logs() as logs:
        made = api.change(instead_of=before[0], by="dan")
        assert api.now() == ["cy"]
        assert api.send("GET", "/primary")["overrides"] == [made]
        assert api.send("DELETE", f"/overrides/{made['id']}") == made
    assert api.now() == before
    assert made["made_by"] == "dan"
    told = [each for each in logs if "override" in each["event"]]
    assert [(each["event"], each["override_id"]) for each in told] == [
        ("app.override_made", made["id"]),
        ("app.override_cancelled", made["id"]),
    ]
    assert api.send("DELETE", f"/overrides/{made['id']}", 404)["type"].endswith(":no-such-override")


def test_a_change_that_comes_again_under_its_idempotency_key_is_made_once(api: Api):
    fields = {"people": ["cy"], "ends_at": (api.clock.now() + timedelta(hours=8)).isoformat(), "with_open": True}

    def send(status: int, key: str = "k", **more: Any) -> Any:
        return api.send("POST", "/primary/overrides", status, json=fields | more, headers={"Idempotency-Key": key})

    with capture_logs() as logs:
        made = send(201)
        api.clock.pass_time(timedelta(minutes=1))
        assert send(201) == made
    assert [each["event"] for each in logs if "override" in each["event"]] == ["app.override_made"]
    assert send(422, people=["ben"])["type"].endswith(":idempotency-mismatch")
    assert [each["where"] for each in send(422, key="")["faults"]] == ["idempotency-key"]
    assert send(201, key="l")["id"] != made["id"]
    assert len(api.send("GET", "/primary")["overrides"]) == 2


def test_a_change_may_begin_later_and_ends_by_itself(api: Api):
    begins = api.clock.now() + timedelta(hours=1)
    api.change(begins_at=begins.isoformat())
    found = [api.now()]
    for hours in (1, 7):
        api.clock.pass_time(timedelta(hours=hours))
        found.append(api.now())
    assert found == [["ben"], ["cy"], ["ben"]] or found == [["ada"], ["cy"], ["ada"]]


def test_what_cannot_be_done_is_refused_with_every_fault(api: Api):
    assert [each["where"] for each in api.change(422, people=["zoe"], instead_of="kim")["faults"]] == ["people", "instead_of"]
    assert [each["where"] for each in api.change(422, ends_at="2027-01-01T00:00:00", begins_at="2027-01-01T00:00")["faults"]] == [
        "begins_at",
        "ends_at",
    ]
    assert [each["where"] for each in api.send("POST", "/primary/overrides", 422, json={"who": 1})["faults"]] == [
        "who",
        "people",
        "ends_at",
    ]
    api.change(404, schedule="none")
    api.send("PUT", "/primary/overrides", 405)


def test_a_key_of_one_namespace_changes_nothing_that_belongs_to_all(api: Api):
    made = api.change()
    api.published.key = api.other
    api.change(404)
    api.send("DELETE", f"/overrides/{made['id']}", 404)
    api.published.key = Api.key(api.flow, ALL)
    assert api.now() == ["cy"]


def test_the_people_of_a_change_are_paged_for_what_is_open_if_that_is_wanted(api: Api):
    chain = Chain(to=("@primary",), then=(Planned(to=("ada",), after=timedelta(hours=1)),))
    contacts = tuple(a_contact(each, "email") for each in api.now())
    checked = CheckedIncident(incident=an_incident("db-1"), contacts=contacts, faults=(), chain=chain)
    store_all(api.flow._deps, [Submitted(checked=checked, policy=DEFAULT)]).only()

    def paged() -> set[str]:
        return {each.facts.recipient_id for each in api.flow.status("db-1").escalations} - {contacts[0].recipient_id}

    api.change()
    api.change(with_open=True, begins_at=(api.clock.now() + timedelta(hours=1)).isoformat())
    assert paged() == set()
    with capture_logs() as logs:
        api.change(with_open=True)
    assert paged() == {"cy"}
    assert "app.override_joined" in [each["event"] for each in logs]
