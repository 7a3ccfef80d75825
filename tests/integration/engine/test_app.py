"""How NotifyFlow is put together: what it reads, what it warns of, its clock, its ids, its web application."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest

from notifyflow import Incident, NotifyFlow, Recipient, Settings, Step
from notifyflow.app.clock_and_ids import DatabaseClock, RandomIds
from notifyflow.core.delivery.model import IncidentState, NotificationState
from notifyflow.core.limits.pauses import PauseScope
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import InvalidIncident, InvalidPause, InvalidSettings, StorageUnavailable
from notifyflow.storage.reads import Reads
from notifyflow.storage.store import Store
from tests.builders import HandClock
from tests.facts import NOW
from tests.integration.engine.scripted import ScriptedProvider, channels
from tests.log_lines import capture_logs

T = TypeVar("T")
DEADLINE_S = 30
KEY = "a secret of 16 or more"
POLICY = """
[patient]
tiers = [{name = "primary", channels = ["email"]}]
"""


def open_flow(url: str = "sqlite:///unused.db", provider: ScriptedProvider | None = None, **variables: str) -> NotifyFlow:
    given = {"NOTIFYFLOW_DATABASE_URL": url} | {f"NOTIFYFLOW_{name}": value for name, value in variables.items()}
    return NotifyFlow(Settings.from_variables(given), channels=channels(provider or ScriptedProvider()))


def open_installed(url: str, **variables: str) -> NotifyFlow:
    """Open a flow with the channels that are installed."""
    values = {"DATABASE_URL": url, **variables}
    return NotifyFlow(Settings.from_variables({f"NOTIFYFLOW_{name}": value for name, value in values.items()}))


def request(flow: NotifyFlow, method: str, path: str) -> httpx.Response:
    async def asking() -> httpx.Response:
        transport = httpx.ASGITransport(flow.asgi())
        async with httpx.AsyncClient(transport=transport, base_url="https://notify.example.com") as client:
            return await client.request(method, path)

    return asyncio.run(asking())


def test_whoever_gives_no_list_or_a_dict_reads_what_to_write(sqlite_url: str) -> None:
    incident, ada, step = Incident(key="db-1", title="t"), Recipient(id="ada", email="a@example.com"), Step(to=("operations",))
    given: Mapping[str, tuple[Any, ...]] = {
        "recipients: it is one Recipient, not a list. Put it in a list: [Recipient(…)].": (incident, ada),
        "recipients: it is dict, not a list. Give a list: [Recipient(…)].": (incident, {"id": "ada"}),
        "recipients[0]: it is dict, not Recipient. Give Recipient(…)": (incident, [{"id": "ada"}]),
        "incident: it is dict, not Incident. Give Incident(…)": ({"key": "db-1", "title": "t"}, [ada]),
        "then: it is one Step, not a list. Put it in a list: [Step(…)].": (incident, [ada], step),
    }
    with open_flow(sqlite_url) as flow:
        for sentence, (about, whom, *then) in given.items():
            with pytest.raises(InvalidIncident) as refused:
                flow.notify(about, whom, then=next(iter(then), ()))
            assert sentence in str(refused.value)
        assert flow.find("db-1") is None


def test_a_named_policy_from_the_policies_file_is_used(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "policies.toml"
    path.write_text(POLICY)
    with open_flow(sqlite_url, POLICIES=str(path)) as flow:
        flow.notify(Incident(key="db-1", title="t"), [Recipient(id="ada", email="a@example.com")], policy="patient")
        status = flow.status("db-1")
    assert status.escalations[0].facts.policy.name == "patient"


def test_a_limit_of_an_unknown_provider_is_refused(sqlite_url: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        open_installed(sqlite_url, PROVIDER_LIMITS="twillio=30", PROVIDER_ORDER="smtp,sas")
    assert [fault.where for fault in refused.value.faults] == ["NOTIFYFLOW_PROVIDER_LIMITS", "NOTIFYFLOW_PROVIDER_ORDER"]
    assert "twilio-b" in refused.value.faults[0].remedy


def test_a_limit_of_an_unconfigured_provider_is_accepted(sqlite_url: str) -> None:
    with open_installed(sqlite_url, PROVIDER_LIMITS="webhook=30,twilio-b=10") as flow:
        assert "NOTIFYFLOW_PROVIDER_LIMITS" not in [fault.where for fault in flow.warnings]


def test_a_cap_for_a_channel_without_caps_is_refused(sqlite_url: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        open_installed(sqlite_url, RECIPIENT_CAPS="sms=5,email=10,fax=1")
    assert [(fault.where, fault.what) for fault in refused.value.faults] == [
        ("NOTIFYFLOW_RECIPIENT_CAPS", "caps 'email', which has no caps"),
        ("NOTIFYFLOW_RECIPIENT_CAPS", "caps 'fax', which has no caps"),
    ]
    assert refused.value.faults[0].remedy == "Name some of sms, voice"


def test_a_channel_is_paused_and_resumed(sqlite_url: str) -> None:
    with open_flow(sqlite_url) as flow:
        flow.pauses.start(PauseScope.CHANNEL, "email", span=timedelta(minutes=30), by="ada")
        assert [(each.name, each.paused_by) for each in flow.pauses.in_force()] == [("email", "ada")]
        with pytest.raises(InvalidPause):
            flow.pauses.start(PauseScope.PROVIDER, "nobody", span=timedelta(minutes=30), by="ada")
        assert flow.pauses.end(PauseScope.CHANNEL, "email", by="ada")
        assert not flow.pauses.end(PauseScope.CHANNEL, "email", by="ada")
        assert flow.pauses.in_force() == ()


def test_all_faults_of_the_configured_files_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "policies.toml"
    path.write_text(POLICY.replace("email", "fax"))
    with pytest.raises(InvalidSettings) as refused:
        open_flow(POLICIES=str(path), OPS_RECIPIENTS='[{"id": "ops", "fax": "1"}]')
    places = [fault.where for fault in refused.value.faults]
    assert any(place.startswith("NOTIFYFLOW_POLICIES patient") for place in places)
    assert any(place.startswith("NOTIFYFLOW_OPS_RECIPIENTS recipients[0]") for place in places)


def test_a_policy_that_ends_the_ladder_of_a_severity_is_warned_of(sqlite_url: str, tmp_path: Path) -> None:
    path = tmp_path / "policies.toml"
    path.write_text(
        '[chat]\ntiers = [{ name = "a", channels = ["slack"] },'
        ' { name = "b", channels = ["sms"], rules = [{ failed = 1 }], shut_for = ["CRITICAL"] }]\n'
    )
    with open_flow(sqlite_url, POLICIES=str(path)) as flow:
        (warning,) = (fault for fault in flow.warnings if fault.where == "NOTIFYFLOW_POLICIES chat.tiers")
        assert warning.what == "CRITICAL can never leave the first tier: shut_for names it in every later one"


@pytest.mark.parametrize("given", ["/no/such/file", "[{]", '{"id": "ops"}'])
def test_operations_recipients_that_cannot_be_read_stop_the_start(given: str) -> None:
    with pytest.raises(InvalidSettings, match="NOTIFYFLOW_OPS_RECIPIENTS"):
        open_flow(OPS_RECIPIENTS=given)


@pytest.mark.parametrize("is_file", [False, True])
def test_operations_recipients_are_json_or_a_file(tmp_path: Path, is_file: bool) -> None:
    text = json.dumps([{"id": "ops", "email": "ops@example.com"}])
    path = tmp_path / "ops.json"
    path.write_text(text)
    with open_flow(OPS_RECIPIENTS=str(path) if is_file else text) as flow:
        assert "NOTIFYFLOW_OPS_RECIPIENTS" not in [fault.where for fault in flow.warnings]


@pytest.mark.parametrize(
    ("addresses", "is_warned"),
    [([{"sms": "olga@sms"}, {"voice": "otto@voice"}], True), ([{"sms": "olga@sms"}, {"email": "otto@example.com"}], False)],
)
def test_operations_recipients_without_a_channel_for_notices_cause_a_warning(
    addresses: list[dict[str, str]], is_warned: bool
) -> None:
    people = [{"id": f"ops-{number}", "addresses": each} for number, each in enumerate(addresses)]
    with open_flow(OPS_RECIPIENTS=json.dumps(people)) as flow:
        found = [fault for fault in flow.warnings if fault.what.startswith("has no recipient of notices")]
    assert [fault.where for fault in found] == ["NOTIFYFLOW_OPS_RECIPIENTS"] * is_warned
    assert all("Give one of them an address for email" in fault.remedy for fault in found)


def test_people_whose_pages_are_never_shown_to_have_arrived_cause_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "directory.toml"
    path.write_text('[recipients.ada]\naddresses = { voice = "ada@voice" }\n[default]\nto = ["ada"]\n')
    people = [{"id": "otto", "addresses": {"voice": "otto@voice"}}, {"id": "olga", "email": "olga@example.com"}]
    with open_flow(OPS_RECIPIENTS=json.dumps(people), DIRECTORY=str(path)) as flow:
        found = [fault.where for fault in flow.warnings if "nothing shows" in fault.what]
    assert found == ["NOTIFYFLOW_OPS_RECIPIENTS otto", "NOTIFYFLOW_DIRECTORY recipients.ada"]


def test_a_policy_of_operations_that_texts_notices_needs_no_other_address(tmp_path: Path) -> None:
    path = tmp_path / "policies.toml"
    path.write_text('[operations]\ntiers = [{ name = "a", channels = ["sms"] }]\n')
    with open_flow(POLICIES=str(path), OPS_RECIPIENTS='[{"id": "ops", "addresses": {"sms": "ops@sms"}}]') as flow:
        assert [fault for fault in flow.warnings if fault.what.startswith("has no recipient of notices")] == []


def test_missing_settings_are_logged_at_start_without_values(sqlite_url: str) -> None:
    people = '[{"id": "ops", "email": "hunter2"}]'
    with capture_logs() as lines, open_flow(sqlite_url, OPS_RECIPIENTS=people, TRUSTED_ENDPOINTS="10.0.0.1:80") as flow:
        flow.start()
        places = [fault.where for fault in flow.warnings]
    assert {"NOTIFYFLOW_OPS_RECIPIENTS", "NOTIFYFLOW_TRUSTED_ENDPOINTS", "NOTIFYFLOW_PUBLIC_URL"} <= set(places)
    (line,) = [line for line in lines if line["event"] == "app.settings_incomplete"]
    assert line["where"] == places
    assert "NOTIFYFLOW_OPS_RECIPIENTS recipients[0].email" in places
    assert "10.0.0.1" not in str(line)
    assert "hunter2" not in str(line)


def test_a_link_acknowledges_the_incident(sqlite_url: str) -> None:
    provider = ScriptedProvider()
    with open_flow(sqlite_url, provider, PUBLIC_URL="https://notify.example.com/in/", SECRET_KEY=KEY) as flow:
        flow.notify(Incident(key="db-1", title="t"), [Recipient(id="ada", email="a@example.com")])
        assert flow.wait("db-1", timeout_s=DEADLINE_S)
        link = provider.messages[0].content.link
        assert link is not None
        path = link.removeprefix("https://notify.example.com/in")
        assert request(flow, "GET", path).status_code == 200
        assert not request(flow, "POST", path).is_error
        status = flow.status("db-1")
    assert status.facts.state is IncidentState.ACKNOWLEDGED
    assert (status.facts.acknowledged_by, status.facts.acknowledged_via) == ("ada", "link")


def test_without_a_secret_key_no_link_is_valid(sqlite_url: str) -> None:
    with open_flow(sqlite_url) as flow:
        assert request(flow, "GET", "/a/AAAA").status_code == 404


def test_a_store_passed_in_stays_open(store: Store) -> None:
    with NotifyFlow(Settings.from_variables({}), store=store, channels=channels(ScriptedProvider())) as flow:
        flow.notify(Incident(key="db-1", title="t"), [Recipient(id="ada", email="a@example.com")])
    assert store.read(lambda reads: reads.status("db-1")) is not None


class LostStore(Store):
    """A database that goes away, as far as reading goes."""

    is_lost = False

    def read(self, query: Callable[[Reads], T]) -> T:
        if self.is_lost:
            raise StorageUnavailable(5)
        return super().read(query)


def test_close_does_not_wait_for_an_unavailable_database(sqlite_url: str) -> None:
    store = LostStore(sqlite_url)
    with NotifyFlow(Settings.from_variables({}), store=store, channels=channels(ScriptedProvider())) as flow:
        flow.notify(Incident(key="db-1", title="t"), [Recipient(id="ada", email="a@example.com")])
        store.is_lost = True
    store.is_lost = False
    store.close()


class InterruptedStore(Store):
    """A database during whose use somebody presses Ctrl-C; its provider responds only then."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.is_pressed, self.is_requested, self.may_respond = False, Event(), Event()

    def read(self, query: Callable[[Reads], T]) -> T:
        if self.is_pressed:
            self.is_pressed = False
            self.may_respond.set()
            raise KeyboardInterrupt
        return super().read(query)

    def send(self, _: OutboundMessage) -> None:
        self.is_requested.set()
        assert self.may_respond.wait(30)


def test_an_interrupted_close_still_records_running_sends(sqlite_url: str) -> None:
    store = InterruptedStore(sqlite_url)
    flow = NotifyFlow(Settings.from_variables({}), store=store, channels=channels(ScriptedProvider([store.send])))
    flow.notify(Incident(key="db-1", title="t"), [Recipient(id="ada", email="a@example.com")])
    assert store.is_requested.wait(30)
    store.is_pressed = True
    with pytest.raises(KeyboardInterrupt):
        flow.close()
    status = store.read(lambda reads: reads.status("db-1"))
    store.close()
    assert status is not None
    assert [each.state for each in status.escalations[0].notifications] == [NotificationState.SENT]


class OtherStore(Store):
    """A database whose time is another than this machine's; or that is away."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__("postgresql://nobody@127.0.0.1:1/nothing")
        self._now = now

    def now(self) -> datetime:
        return self._now()


def test_the_clock_keeps_to_the_databases_time_and_warns_of_a_large_offset() -> None:
    store = OtherStore(lambda: datetime.now(UTC) + timedelta(hours=1))
    with capture_logs() as lines:
        now = DatabaseClock(store).now()
    assert timedelta(minutes=59) < now - datetime.now(UTC) < timedelta(minutes=61)
    assert [line["event"] for line in lines] == ["app.clock_offset_large"]
    store.close()


@pytest.mark.parametrize("at", [timedelta(), timedelta(seconds=3)], ids=["at the beginning", "at the end"])
def test_clocks_that_do_not_provably_differ_are_taken_for_equal(at: timedelta) -> None:
    """A database that responds late, as while a connection is opened, may have read its clock at any time meanwhile."""
    ours = NOW

    def database_now() -> datetime:
        nonlocal ours
        ours += timedelta(seconds=3)
        return ours - timedelta(seconds=3) + at

    store = OtherStore(database_now)
    assert DatabaseClock(store, system_now=lambda: ours).now() == ours
    store.close()


def test_the_offset_is_that_of_the_fastest_response() -> None:
    ours, spans = NOW, [timedelta(seconds=3), timedelta(seconds=1)]

    def database_now() -> datetime:
        nonlocal ours
        ours += spans.pop(0)
        return ours + timedelta(seconds=10)

    store = OtherStore(database_now)
    assert DatabaseClock(store, system_now=lambda: ours).now() == ours + timedelta(seconds=10.5)
    store.close()


def test_the_clock_runs_on_while_the_database_is_unavailable() -> None:
    def be_away() -> datetime:
        raise StorageUnavailable(5)

    store = OtherStore(be_away)
    before = datetime.now(UTC)
    assert before <= DatabaseClock(store).now() <= datetime.now(UTC)
    store.close()


def test_the_first_time_after_the_database_has_come_back_is_the_databases() -> None:
    answers = iter([StorageUnavailable(5)])

    def database_now() -> datetime:
        if (error := next(answers, None)) is not None:
            raise error
        return NOW + timedelta(minutes=3)

    store = OtherStore(database_now)
    clock = DatabaseClock(store, system_now=lambda: NOW)
    assert [clock.now(), clock.now()] == [NOW, NOW + timedelta(minutes=3)]
    store.close()


def test_the_first_measurement_has_one_time_in_all_so_that_tries_of_many_threads_do_not_add_up() -> None:
    left_s: list[float] = []

    def database_now() -> datetime:
        left_s.append(store.left_s)
        time.sleep(0.01)
        return NOW

    store = OtherStore(database_now)
    DatabaseClock(store, system_now=lambda: NOW).now()
    assert left_s[0] - left_s[-1] >= 0.01 * (len(left_s) - 1) > 0
    store.close()


def test_no_thread_gets_a_time_before_the_offset_is_known() -> None:
    is_requested, may_respond = threading.Event(), threading.Event()

    def database_now() -> datetime:
        is_requested.set()
        may_respond.wait(DEADLINE_S)
        return datetime.now(UTC)

    store = OtherStore(database_now)
    clock = DatabaseClock(store, system_now=lambda: datetime.now(UTC) + timedelta(minutes=2))
    times: list[datetime] = []
    threads = [threading.Thread(target=lambda: times.append(clock.now())) for _ in range(5)]
    for thread in threads:
        thread.start()
    is_requested.wait(DEADLINE_S)
    may_respond.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert len(times) == 5
    assert max(times) < datetime.now(UTC) + timedelta(minutes=1)
    store.close()


def test_the_clock_of_a_real_database_is_about_ours(store: Store) -> None:
    with capture_logs() as lines:
        clock = DatabaseClock(store)
        assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    assert lines == []


def test_ids_are_version_7_differ_and_sort_by_time() -> None:
    clock = HandClock()
    ids = RandomIds(clock)
    made = []
    for _ in range(1000):
        made.append(ids.new())
        clock.pass_time(timedelta(microseconds=1))
    assert made == sorted(made)
    assert len(set(made)) == 1000
    assert {UUID(each).version for each in made} == {7}
    assert {UUID(each).variant for each in made} == {"specified in RFC 4122"}
    assert all(0 <= ids.fraction() < 1 for _ in range(100))


def test_from_env_reads_the_environment(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.setenv("NOTIFYFLOW_DATABASE_URL", sqlite_url)
    with NotifyFlow.from_env() as flow:
        assert flow.is_embedded
        assert flow.find("db-1") is None
