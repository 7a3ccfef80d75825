"""A copy pages nobody: what leaves is decided on the final address, and a database knows whose it is."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.cli.frame.connections import try_database
from notifyflow.core.delivery.model import NotificationState, Result
from notifyflow.core.limits.mode import read_delivery
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.reporter import Reporter
from notifyflow.errors import InvalidSettings, PermanentProviderError, UnknownOutcomeError, WrongEnvironment
from notifyflow.storage.store import Store
from tests.integration.engine.scripted import ScriptedChannel, ScriptedProvider, channels
from tests.integration.engine.test_deliver import SEND_BUDGET, Scene
from tests.waiting import wait_until

ADA = Recipient(id="ada", email="ada@example.com")


def open_flow(url: str, provider: ScriptedProvider | None = None, **variables: str) -> NotifyFlow:
    given = {"NOTIFYFLOW_DATABASE_URL": url} | {f"NOTIFYFLOW_{name}": value for name, value in variables.items()}
    return NotifyFlow(Settings.from_variables(given), channels=channels(provider or ScriptedProvider()))


def notify(flow: NotifyFlow, key: str = "db-1") -> NotificationState:
    flow.notify(Incident(key=key, title="down"), [ADA])
    assert flow.wait(key, timeout_s=30)
    status = flow.status(key)
    return status.escalations[0].notifications[0].state


@pytest.mark.parametrize(
    ("delivery", "addresses", "state", "notice"),
    [
        ("live", ["ada@example.com"], NotificationState.SENT, ""),
        ("redirect:email=dev@example.com", ["dev@example.com"], NotificationState.SENT, "redirected"),
        ("redirect:sms=+1@", [], NotificationState.FAILED, ""),
        ("allow:*@example.com", ["ada@example.com"], NotificationState.SENT, "limited delivery"),
        ("allow:dev@*", [], NotificationState.FAILED, ""),
        ("dry-run", [], NotificationState.FAILED, ""),
    ],
)
def test_only_permitted_messages_are_sent_with_a_notice(
    sqlite_url: str, delivery: str, addresses: list[str], state: NotificationState, notice: str
) -> None:
    provider = ScriptedProvider()
    with open_flow(sqlite_url, provider, DELIVERY=delivery) as flow:
        assert notify(flow) is state
    assert [message.address for message in provider.messages] == addresses
    assert all(message.content.notice == notice for message in provider.messages)


def test_what_is_redirected_edits_no_message_that_was_posted_where_it_belongs(sqlite_url: str) -> None:
    provider = ScriptedProvider()

    def open_slack(delivery: str) -> NotifyFlow:
        variables = {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_DELIVERY": delivery}
        return NotifyFlow(
            Settings.from_variables(variables),
            channels={**channels(ScriptedProvider()), "slack": ScriptedChannel(provider, name="slack")},
        )

    with open_slack("live") as flow:
        flow.notify(Incident(key="db-1", title="down"), [Recipient(id="ada", slack="ada@slack")])
        assert flow.wait("db-1", timeout_s=30)
    with open_slack("redirect:slack=dev@slack") as flow:
        flow.resolve("db-1", by="ops")
        wait_until(lambda: len(provider.messages) == 2)
    assert [(message.address, message.replaces) for message in provider.messages] == [("ada@slack", ""), ("dev@slack", "")]


def test_operations_is_paged_where_everybody_is(sqlite_url: str) -> None:
    provider = ScriptedProvider([PermanentProviderError("nobody lives there")])
    operations = '[{"id": "ops", "email": "ops@example.com"}]'
    with open_flow(sqlite_url, provider, DELIVERY="redirect:email=dev@example.com", OPS_RECIPIENTS=operations) as flow:
        assert notify(flow) is NotificationState.FAILED
        wait_until(lambda: len(provider.messages) == 2)
    assert [(message.address, message.content.notice) for message in provider.messages] == [("dev@example.com", "redirected")] * 2


def test_a_message_that_is_not_sent_is_recorded_as_withheld(sqlite_url: str) -> None:
    with open_flow(sqlite_url, DELIVERY="dry-run") as flow:
        notify(flow)
        status = flow.status("db-1")
    (attempt,) = status.escalations[0].notifications[0].attempts
    assert (attempt.result, attempt.code) == (Result.PERMANENT_FAILURE, "withheld")


def test_a_notice_is_shown_beside_that_of_the_mode(sqlite_url: str) -> None:
    provider = ScriptedProvider()
    with open_flow(sqlite_url, provider, DELIVERY="redirect:email=dev@example.com", NOTICE="staging") as flow:
        notify(flow)
    assert provider.messages[0].content.notice == "staging, redirected"


def test_in_a_dry_run_no_message_in_doubt_is_searched_for_either(store: Store) -> None:
    scene = Scene(store)
    scene.provider.script.append(UnknownOutcomeError("no answer"))
    ids = scene.notify("ada")
    scene.deliverer.deliver("email", ids)
    scene.deps = replace(scene.deps, delivery=read_delivery("dry-run"))
    reporter = Reporter(scene.bell, scene.deps)
    deliverer = Deliverer(
        scene.deps, {"email": ScriptedChannel(scene.provider)}, reporter, send_budget=SEND_BUDGET, concurrency=1
    )
    scene.clock.at = scene.rows()[0].due_at or scene.clock.at
    deliverer.deliver("email", ids)
    assert len(scene.provider.messages) == 1
    assert scene.states() == [NotificationState.FAILED]


@pytest.mark.parametrize("delivery", ["off", "redirect:email=nobody", "redirect:fax=1@2", "allow:"])
def test_a_mode_that_cannot_be_read_stops_the_start(sqlite_url: str, delivery: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        open_flow(sqlite_url, DELIVERY=delivery)
    (fault,) = refused.value.faults
    assert fault.where == "NOTIFYFLOW_DELIVERY"
    assert "nobody" not in str(fault)


def test_a_mode_other_than_live_causes_a_warning(sqlite_url: str) -> None:
    with open_flow(sqlite_url, DELIVERY="dry-run") as flow:
        assert "NOTIFYFLOW_DELIVERY" in [fault.where for fault in flow.warnings]


@pytest.mark.parametrize("ours", ["staging", None])
def test_a_process_of_another_environment_neither_delivers_nor_reads(sqlite_url: str, ours: str | None) -> None:
    with open_flow(sqlite_url, ENVIRONMENT="production") as flow:
        assert notify(flow) is NotificationState.SENT
    provider, elsewhere = ScriptedProvider(), {"BROKER_URL": "redis://127.0.0.1:1/0"}
    with open_flow(sqlite_url, provider, **elsewhere, **{"ENVIRONMENT": ours} if ours else {}) as flow:
        for act in (
            flow.start,
            flow.make_worker,
            flow.asgi,
            flow.access,
            lambda: flow.status("db-1"),
            lambda: notify(flow, "db-2"),
        ):
            with pytest.raises(WrongEnvironment, match="db adopt"):
                act()
    assert provider.messages == []


def test_config_check_reports_a_database_of_another_environment(sqlite_url: str) -> None:
    with open_flow(sqlite_url, ENVIRONMENT="production") as flow:
        flow.access()
    for ours, is_good in ({"production": True, "staging": False, "": False}).items():
        variables = {"NOTIFYFLOW_DATABASE_URL": sqlite_url, "NOTIFYFLOW_ENVIRONMENT": ours}
        found, detail = try_database(Settings.from_variables(variables))
        assert found is is_good
        assert ("db adopt" in detail) is not is_good


def test_a_database_without_a_name_gets_that_of_the_first_process(database_url: str) -> None:
    for environment in ({}, {"ENVIRONMENT": "production"}, {"ENVIRONMENT": "production"}):
        with open_flow(database_url, **environment) as flow:
            flow.access()
    with open_flow(database_url) as flow, pytest.raises(WrongEnvironment):
        flow.access()


def test_an_adopted_copy_quarantines_unfinished_incidents_until_release(sqlite_url: str, tmp_path: Path) -> None:
    silent = ScriptedProvider()
    with open_flow(sqlite_url, ENVIRONMENT="production", BROKER_URL="redis://127.0.0.1:1/0") as flow:
        flow.notify(Incident(key="db-1", title="down"), [ADA])
    with open_flow(sqlite_url, silent, ENVIRONMENT="staging") as flow:
        assert flow.maintenance.adopt() == 1
        assert notify(flow, "db-2") is NotificationState.SENT
        assert [message.content.key for message in silent.messages] == ["db-2"]
        assert flow.maintenance.release_quarantined() == 1
        assert flow.wait("db-1", timeout_s=30)
        assert [message.content.key for message in silent.messages] == ["db-2", "db-1"]
        assert flow.maintenance.resolve_quarantined() == 0


def test_of_many_processes_that_claim_a_database_at_once_one_succeeds(database_url: str) -> None:
    def open_(name: str) -> str | None:
        with open_flow(database_url, ENVIRONMENT=name) as flow:
            try:
                flow.access()
            except WrongEnvironment:
                return None
        return name

    with ThreadPoolExecutor(max_workers=4) as pool:
        names = [name for name in pool.map(open_, ["a", "b", "c", "d"]) if name]
    assert len(names) == 1
