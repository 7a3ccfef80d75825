"""Events that came together are stored together, a thousand a transaction, each as if it had come alone."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifyflow.app import NotifyFlow
from notifyflow.core.accounts.keys import ApiKey, KeyScope
from notifyflow.core.delivery.model import Incident, IncidentState, Severity
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline.delivery.outages import pause
from notifyflow.pipeline.transaction.ports import FollowUps
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.settings import Settings
from tests.routing import integrations_of

DIRECTORY = """
[recipients.ada]
email = "ada@example.com"
[recipients.ben]
email = "ben@example.com"
[[routes]]
match = { team = "ben" }
to = ["ben"]
[default]
to = ["ada"]
"""


class System:
    """A flow that delivers nothing, and its integrations."""

    def __init__(self, flow: NotifyFlow, folder: Path) -> None:
        (folder / "directory.toml").write_text(DIRECTORY)
        self.flow = flow
        self.reports: list[FollowUps] = []
        self.caller = ApiKey(
            id="1",
            name="sender",
            scopes=frozenset((KeyScope.INGEST,)),
            digest="",
            created_at=datetime(2026, 11, 25, tzinfo=UTC),
            namespace="sender",
        )
        use_cases = UseCases(flow._deps, self.reports.append, prepare=flow._database.prepare)
        self.integrations = integrations_of(flow._store, use_cases, folder / "directory.toml")

    def handle(self, *requests: InboundRequest) -> None:
        self.integrations.handle(requests, self.caller, "alertmanager")


class SilentBell:
    def ring(self, channel: str, severity: Severity, *rings: Sequence[str]) -> None:
        del channel, severity, rings


@pytest.fixture
def system(database_url: str, tmp_path: Path) -> Iterator[System]:
    settings = Settings.from_variables({"NOTIFYFLOW_DATABASE_URL": database_url})
    with NotifyFlow(settings, bell=SilentBell()) as flow:
        yield System(flow, tmp_path)


def request(key: str, action: Action = Action.NOTIFY, times: int = 1, **labels: str) -> InboundRequest:
    return InboundRequest(action=action, incident=Incident(key=key, title="down", labels=labels), labels=labels, times=times)


def test_a_group_of_any_size_is_stored_whole_and_a_thousand_a_transaction(system: System) -> None:
    system.handle(*(request(f"k{number}") for number in range(2_500)))
    stored = [len(each.due) for each in system.reports]
    assert sum(stored) == 2_500
    assert 3 <= len(stored) < 250, "a thousand at most, fewer only where taking them is slow"
    assert max(stored) <= 1_000
    for number in (0, 999, 1_000, 2_499):
        status = system.flow.status(f"k{number}", namespace="sender")
        assert [each.facts.recipient_id for each in status.escalations] == ["ada"]


def test_requests_for_one_incident_are_handled_in_order(system: System) -> None:
    system.handle(
        request("a"),
        request("b", team="ben"),
        request("a", Action.ACKNOWLEDGE),
        request("c"),
        request("b", Action.RESOLVE),
        request("b"),
    )
    found = {key: system.flow.status(key, namespace="sender") for key in "abc"}
    states = {key: status.facts.state for key, status in found.items()}
    assert states == {"a": IncidentState.ACKNOWLEDGED, "b": IncidentState.OPEN, "c": IncidentState.OPEN}
    acknowledged, again = found["a"], found["b"]
    assert (acknowledged.facts.acknowledged_by, acknowledged.facts.acknowledged_via) == ("sender", "alertmanager")
    assert again.facts.times_seen == 1, "what comes after it was resolved is a new one"
    assert system.reports


def test_an_unknown_key_is_resolved_without_a_fault(system: System) -> None:
    system.handle(request("a", Action.RESOLVE), request("a", Action.ACKNOWLEDGE))
    assert system.flow.find("a", namespace="sender") is None


def test_what_came_several_times_is_counted(system: System) -> None:
    system.handle(request("a", times=3))
    system.handle(request("a", times=4))
    status = system.flow.status("a", namespace="sender")
    assert status.facts.times_seen == 7


def test_what_opens_is_written_together_and_reads_as_if_it_had_come_alone(system: System) -> None:
    system.handle(request("alone", team="ben"))
    system.handle(request("first", team="ben"), request("second", team="ben"))
    shown = []
    for key in ("alone", "second"):
        status = system.flow.status(key, namespace="sender")
        assert status.content.labels == {"team": "ben"}
        escalation = status.escalations[0]
        shown.append(
            (
                [(each.machine, each.event, each.target, each.detail.keys()) for each in status.transitions],
                [(row.channel, row.state, row.tier) for row in escalation.notifications],
                (escalation.contact, escalation.facts.state, escalation.facts.tier, escalation.facts.round),
            )
        )
    assert shown[0] == shown[1]


def test_two_groups_that_open_the_same_incidents_at_once_open_each_once(system: System) -> None:
    keys = [f"k{number}" for number in range(60)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: system.handle(*map(request, keys)), range(4)))
    found = [system.flow.status(key, namespace="sender") for key in keys]
    assert [status.facts.times_seen for status in found] == [4] * 60


def came_in(system: System, key: str) -> list[tuple[str, str, str, int]]:
    status = system.flow.status(key, namespace="sender")
    assert {(each.integration, each.api_key) for each in status.arrivals} <= {("alertmanager", "sender")}
    return [(each.did.value, each.why, each.route, each.times) for each in status.arrivals]


def test_what_each_request_did_is_stored_with_its_incident_and_its_route(system: System) -> None:
    system.handle(request("a", times=3))
    assert came_in(system, "a") == [("opened", "", "default", 1), ("merged", "", "default", 2)]
    system.handle(request("a"))
    opened, merged = system.flow.status("a", namespace="sender").arrivals
    assert merged.times == 3
    assert opened.last_at == merged.first_at < merged.last_at
    system.handle(request("a", team="ben"))
    assert came_in(system, "a")[2:] == [("added", "", "routes[0]", 1)]
    system.handle(replace(request("a"), incident=Incident(key="a", title="down", severity=Severity.CRITICAL, labels={})))
    system.handle(replace(request("a"), incident=Incident(key="a", title="still down", labels={})))
    assert came_in(system, "a")[3:] == [("raised", "", "default", 1), ("amended", "", "default", 1)]


def test_what_pages_nobody_says_why(system: System) -> None:
    system.handle(request("a"), request("a", Action.ACKNOWLEDGE), request("a"), request("a", Action.ACKNOWLEDGE))
    found = set(came_in(system, "a"))
    assert found == {
        ("opened", "", "default", 1),
        ("acknowledged", "", "", 1),
        ("merged", "acknowledged", "default", 1),
        ("ignored", "acknowledged", "", 1),
    }
    system.handle(request("a", Action.RESOLVE), request("a", Action.RESOLVE))
    assert set(came_in(system, "a")) - found == {("resolved", "", "", 1), ("ignored", "resolved", "", 1)}


def test_recipients_who_cannot_be_paged_are_named_and_so_is_a_missing_directory(system: System, tmp_path: Path) -> None:
    (tmp_path / "faulty.toml").write_text(DIRECTORY.replace("ada@example.com", "no address"))
    for name in (None, "faulty.toml"):
        use_cases = UseCases(system.flow._deps, system.reports.append, prepare=system.flow._database.prepare)
        system.integrations = integrations_of(system.flow._store, use_cases, tmp_path / name if name else None)
        system.handle(request(str(name)))
    assert [each.left_out for each in system.flow.status("faulty.toml", namespace="sender").arrivals] == ["ada"]
    assert came_in(system, "None") == [("opened", "no_route", "", 1)]


def test_a_storm_about_one_incident_is_a_row_for_each_kind(system: System) -> None:
    for _ in range(3):
        system.handle(*(request("a", number=str(number)) for number in range(50)))
    assert [(did, times) for did, _, _, times in came_in(system, "a")] == [("opened", 1), ("amended", 149)]


def test_what_comes_in_while_everything_is_paused_says_so(system: System) -> None:
    now = system.flow._deps.clock.now()
    pause(
        system.flow._deps, Pause(scope=PauseScope.ALL, name="", ends_at=now + timedelta(hours=1), paused_at=now, paused_by="eve")
    )
    system.handle(request("a"), request("a"))
    assert came_in(system, "a") == [("opened", "paused", "default", 1), ("merged", "", "default", 1)]
    urgent = Incident(key="b", title="down", severity=Severity.CRITICAL, labels={})
    system.handle(replace(request("b"), incident=urgent))
    assert came_in(system, "b") == [("opened", "", "default", 1)], "the pause does not cover CRITICAL"
