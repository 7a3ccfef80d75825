"""A channel that another distribution adds can do all that a built-in one can, over real HTTP."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from notifyflow import Incident, NotifyFlow, Recipient, Settings
from notifyflow.channels import provider_protocols
from notifyflow.channels.base import Channel
from notifyflow.channels.registry import load
from notifyflow.cli.frame.serving import listen, served, url_of
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import Ended, Evidence, IncidentState, Kind, NotificationState, Result
from notifyflow.core.delivery.policy import DEFAULT, Tier
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.reporter import Reporter
from notifyflow.engine.status_poller import StatusPoller
from notifyflow.errors import InvalidSettings
from notifyflow.storage.store import Store
from tests.builders import a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.test_deliver import NotedBell
from tests.pagers import PROJECT, SECRET, PagerService, install, pager_service
from tests.waiting import wait_until

ROOT = PROJECT.parents[1]
ADA, BOB = "4711", "4712"
CAP = 3
PAGERS = replace(DEFAULT, name="pagers", tiers=(Tier(name="primary", channels=("pager",)),))
BUDGET = timedelta(seconds=13)


@pytest.fixture
def pagers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PagerService]:
    """The service, and the distribution that pages over it, installed."""
    install(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pager_service() as service:
        monkeypatch.setenv("PAGER_URL", service.url)
        monkeypatch.setenv("PAGER_SECRET", SECRET)
        yield service


class System:
    """A flow that is served, with the installed channels."""

    def __init__(self, flow: NotifyFlow) -> None:
        self.flow = flow

    def status(self, key: str = "db-1") -> IncidentStatus:
        return self.flow.status(key)

    def notify(self, key: str = "db-1", **pagers: str) -> None:
        people = [Recipient(id=who, name=who.title(), addresses={"pager": number}) for who, number in pagers.items()]
        self.flow.notify(Incident(key=key, title=f"{key} is down"), people, policy=PAGERS)

    def rows(self, key: str = "db-1") -> list[NotificationFacts]:
        return [row for each in self.status(key).escalations for row in each.notifications]

    def states(self, kind: Kind = Kind.PAGE, key: str = "db-1") -> dict[str, NotificationState]:
        return {
            each.contact.recipient_id: row.state
            for each in self.status(key).escalations
            for row in each.notifications
            if row.kind is kind
        }


@pytest.fixture
def system(tmp_path: Path, pagers: PagerService) -> Iterator[System]:
    with listen("127.0.0.1", 0) as listening:
        variables = {
            "NOTIFYFLOW_DATABASE_URL": f"sqlite:///{tmp_path / 'test.db'}",
            "NOTIFYFLOW_PUBLIC_URL": url_of(listening),
            "NOTIFYFLOW_SECRET_KEY": "a secret of 16 or more",
            "NOTIFYFLOW_DRAIN_S": "0",
            "NOTIFYFLOW_RECIPIENT_CAPS": f"pager={CAP}",
            "NOTIFYFLOW_PROVIDER_LIMITS": "pagers.example=600",
        }
        with NotifyFlow(Settings.from_variables(variables)) as flow, served(flow.asgi(), listening):
            yield System(flow)


def test_a_reply_acknowledges_edits_the_others_pages_in_place_and_recalls_them(system: System, pagers: PagerService) -> None:
    system.notify(ada=ADA, bob=BOB)
    sent = NotificationState.SENT
    wait_until(lambda: system.states() == {"ada": sent, "bob": sent})
    adas, bobs = pagers.of(ADA), pagers.of(BOB)
    pagers.show(adas)
    assert system.states() == {"ada": NotificationState.DELIVERED, "bob": sent}
    assert pagers.press(adas, secret="another").status_code == 403
    assert system.status().facts.state is IncidentState.OPEN
    assert pagers.press(adas).text.startswith("You acknowledged it: db-1 is down.")
    assert (system.status().facts.acknowledged_by, system.status().facts.acknowledged_via) == ("ada", "pager")
    wait_until(lambda: [page.texts[1:] for page in (adas, bobs)] == [["db-1 is down: Ada acknowledged it"]] * 2)
    wait_until(lambda: system.states(Kind.STATUS_UPDATE) == {"ada": sent, "bob": sent})
    wait_until(lambda: bobs.is_recalled)
    assert not adas.is_recalled, "it was delivered already"
    assert len(pagers.pages) == 2
    link = f"{adas.fields['reply_url'].partition('/callbacks')[0]}/a/{bobs.fields['reply_token']}"
    assert "Acknowledged on the pager" in requests.get(link, timeout=30).text


def test_a_pager_is_paged_no_more_often_than_its_cap(system: System, pagers: PagerService) -> None:
    keys = [f"db-{number}" for number in range(CAP + 1)]
    for key in keys:
        system.notify(key, ada=ADA)
    wait_until(lambda: NotificationState.FAILED in [system.states(key=key)["ada"] for key in keys])
    wait_until(lambda: len(pagers.pages) == CAP)
    (row,) = (row for key in keys for row in system.rows(key) if row.state is NotificationState.FAILED)
    assert row.ended is Ended.CAPPED


def test_a_cap_is_checked_against_the_channels_that_are_installed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'unused.db'}"
    variables = {"NOTIFYFLOW_DATABASE_URL": url, "NOTIFYFLOW_RECIPIENT_CAPS": "pager=5"}
    with pytest.raises(InvalidSettings):
        NotifyFlow(Settings.from_variables(variables))


@pytest.fixture
def channel(pagers: PagerService) -> Iterator[Channel]:
    channel = load(Settings.from_variables({"NOTIFYFLOW_PUBLIC_URL": "https://page.example.com"}))["pager"]
    yield channel
    channel.close()


@pytest.mark.parametrize(
    "capability",
    [
        provider_protocols.ReadsCallbacks,
        provider_protocols.ReadsReplies,
        provider_protocols.Responds,
        provider_protocols.FetchesStatus,
        provider_protocols.FindsSentMessages,
        provider_protocols.Recalls,
    ],
)
def test_its_provider_has_every_capability(channel: Channel, capability: type) -> None:
    assert isinstance(channel.providers[0], capability)


class Scene:
    """A worker over a store and the channel, by a clock that is moved by hand."""

    def __init__(self, store: Store, channel: Channel) -> None:
        self.driver = Driver(store, public_url="https://page.example.com")
        self.driver.clock.at = datetime.now(UTC)
        self.driver.deps = replace(self.driver.deps, channels={"pager": channel.capabilities})
        channels, reporter = {"pager": channel}, Reporter(NotedBell(), self.driver.deps)
        self.deliverer = Deliverer(self.driver.deps, channels, reporter, send_budget=BUDGET, concurrency=1)
        self.poller = StatusPoller(self.driver.deps, channels, reporter)
        self.driver.notify(an_incident(), a_recipient("ada", pager=ADA), policy=PAGERS)

    def deliver(self) -> None:
        self.deliverer.deliver("pager", [self.driver.pages()["pager"].id])


def test_a_page_whose_callback_was_lost_is_polled(store: Store, channel: Channel, pagers: PagerService) -> None:
    scene = Scene(store, channel)
    scene.deliver()
    pagers.of(ADA).status = "shown"
    scene.driver.clock.pass_time(timedelta(minutes=5))
    scene.poller.poll()
    row = scene.driver.pages()["pager"]
    assert (row.state, row.attempts[0].evidence) == (NotificationState.DELIVERED, Evidence.DEVICE)


def test_a_page_whose_response_was_lost_is_found_and_not_sent_again(store: Store, channel: Channel, pagers: PagerService) -> None:
    scene = Scene(store, channel)
    pagers.is_losing_responses = True
    scene.deliver()
    row = scene.driver.pages()["pager"]
    assert row.attempts[0].result is Result.IN_DOUBT
    assert row.due_at is not None
    scene.driver.clock.at = row.due_at
    scene.deliver()
    row = scene.driver.pages()["pager"]
    assert (row.state, row.attempts[0].provider_ref) == (NotificationState.SENT, "page-1")
    assert len(pagers.pages) == 1


def test_the_package_tests_its_channel_by_the_contract() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "retry_after or acceptance", "tests"]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, "PYTHONPATH": f"src{os.pathsep}{ROOT}"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout
