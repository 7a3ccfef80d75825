"""A missing receipt is polled for before it is overdue, and 5 and 30 minutes after the send.

Over real databases, against the stand-in of Twilio.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from notifyflow.channels.base import Accepted, Channel
from notifyflow.channels.sms import SmsChannel
from notifyflow.channels.voice import VoiceChannel
from notifyflow.core.delivery.facts import NotificationFacts, Outcome
from notifyflow.core.delivery.model import Evidence, NotificationState, Result, Severity
from notifyflow.core.limits.mode import LIVE, read_delivery
from notifyflow.engine.reporter import Reporter
from notifyflow.engine.status_poller import StatusPoller
from notifyflow.errors import StorageUnavailable
from notifyflow.pipeline.transaction.ports import Transactions
from notifyflow.pipeline.upkeep.adopt import adopt, release_from_quarantine
from notifyflow.sandbox.system import Sandbox
from notifyflow.settings import Settings
from notifyflow.storage.store import Store
from tests.builders import REFUSED, a_recipient, an_incident
from tests.driver import Driver
from tests.integration.engine.scripted import Faulty
from tests.integration.engine.test_deliver import NotedBell
from tests.log_lines import capture_logs
from tests.waiting import wait_until

PHONE = "+15005550007"
MINUTE = timedelta(minutes=1)


class Scene:
    """A text or a call that Twilio has taken, and from which no callback comes."""

    def __init__(self, store: Store, channels: Mapping[str, Channel], sandbox: Sandbox) -> None:
        self.driver = Driver(store, public_url="https://page.example.com")
        self.sandbox = sandbox
        self._channels = channels
        self.poller = self.another_poller()

    def another_poller(self, transactions: Transactions | None = None) -> StatusPoller:
        deps = replace(self.driver.deps, transactions=transactions or self.driver.store)
        return StatusPoller(deps, self._channels, Reporter(NotedBell(), self.driver.deps), every=timedelta(milliseconds=10))

    def send(self, channel: str) -> None:
        self.driver.respond("email", REFUSED)
        addresses = {"email": "ada@email", channel: PHONE}
        self.driver.notify(an_incident(severity=Severity.CRITICAL), a_recipient("ada", **addresses))
        for claimed in self.driver.claim("email"):
            self.driver.record(claimed, REFUSED)
        (claimed,) = self.driver.claim(channel, providers=["twilio"])
        message = claimed.message
        accepted: Accepted = self._channels[channel].providers[0].send(message)
        self.driver.record(
            claimed, Outcome(result=Result.ACCEPTED, evidence=accepted.evidence, provider_ref=accepted.provider_ref)
        )

    def after(self, minutes: float) -> list[str]:
        """Let time pass, poll, and return the follow-ups."""
        self.driver.clock.pass_time(minutes * MINUTE)
        with capture_logs() as lines:
            self.poller.poll()
        return [line.get("code", "") for line in lines if line["event"].startswith("engine.status_")]

    @property
    def row(self) -> NotificationFacts:
        pages = self.driver.pages()
        return pages.get("sms") or pages["voice"]


@pytest.fixture
def scene(store: Store) -> Iterator[Scene]:
    with Sandbox(receipts_after_s=0.001) as sandbox:
        variables = {**sandbox.settings(), "NOTIFYFLOW_READ_TIMEOUT_S": "0.5", "NOTIFYFLOW_PUBLIC_URL": "http://127.0.0.1:9"}
        settings = Settings.from_variables(variables)
        channels: dict[str, Channel] = {"sms": SmsChannel.from_settings(settings), "voice": VoiceChannel.from_settings(settings)}
        yield Scene(store, channels, sandbox)
        for channel in channels.values():
            channel.close()


def test_a_text_whose_callback_was_lost_is_found_delivered_before_a_call_is_made_for_it(scene: Scene) -> None:
    scene.send("sms")
    scene.sandbox.inbox.wait_for(lambda message: message.status == "delivered")
    assert scene.after(44 / 60) == []
    assert scene.row.state is NotificationState.SENT
    assert scene.after(1 / 60) == ["delivered"]
    assert (scene.row.state, scene.row.attempts[0].evidence) == (NotificationState.DELIVERED, Evidence.CARRIER)
    assert scene.after(60) == []
    scene.driver.sweep()
    assert "voice" not in scene.driver.pages()


def test_a_missing_receipt_is_polled_for_three_times(scene: Scene) -> None:
    scene.sandbox.script("sms: no receipt")
    scene.send("sms")
    polled = [scene.after(minutes) for minutes in (0.7, 0.05, 1.25, 3, 1, 23, 1, 100)]
    assert polled == [[], ["queued"], [], ["queued"], [], [], ["queued"], []]
    assert scene.row.state is NotificationState.SENT


def test_after_a_long_time_without_polls_there_is_one_poll(scene: Scene) -> None:
    scene.sandbox.script("sms: no receipt")
    scene.send("sms")
    assert [scene.after(minutes) for minutes in (45, 1, 60)] == [["queued"], [], []]


def test_nothing_is_polled_for_quarantined_incidents_or_in_a_dry_run(scene: Scene) -> None:
    scene.send("sms")
    adopt(scene.driver.deps, "staging")
    assert scene.after(minutes=6) == []
    release_from_quarantine(scene.driver.deps)
    scene.driver.deps = replace(scene.driver.deps, delivery=read_delivery("dry-run"))
    scene.poller = scene.another_poller()
    assert scene.after(minutes=1) == []
    scene.driver.deps = replace(scene.driver.deps, delivery=LIVE)
    scene.poller = scene.another_poller()
    assert len(scene.after(minutes=1)) == 1


def test_a_failure_that_is_found_opens_the_next_tier_or_tries_again(scene: Scene) -> None:
    scene.sandbox.script("sms: undelivered 30006")
    scene.send("sms")
    scene.sandbox.inbox.wait_for(lambda message: message.status == "undelivered")
    scene.after(1)
    assert scene.row.state is not NotificationState.SENT


def test_of_many_processes_one_polls(scene: Scene) -> None:
    scene.sandbox.script("sms: no receipt")
    scene.send("sms")
    scene.driver.clock.pass_time(MINUTE)
    with capture_logs() as lines:
        for _ in range(3):
            scene.another_poller().poll()
    assert [line["event"] for line in lines if line["event"] == "engine.status_fetched"] == ["engine.status_fetched"]


def test_a_call_that_ended_without_a_key_is_found_to_have_reached_nobody(scene: Scene) -> None:
    scene.sandbox.script("voice: machine")
    scene.send("voice")
    scene.sandbox.inbox.wait_for(lambda message: message.status == "completed")
    assert scene.after(1) == ["completed"]
    attempt = scene.row.attempts[0]
    assert (attempt.result, attempt.evidence) == (Result.TEMPORARY_FAILURE, Evidence.CARRIER)


def test_a_provider_that_does_not_respond_is_polled_again_after_the_next_wait(scene: Scene) -> None:
    scene.send("sms")
    scene.sandbox.inbox.wait_for(lambda message: message.status == "delivered")
    scene.sandbox.stop()
    assert scene.after(1) == ["no_connection"]
    assert scene.row.state is NotificationState.SENT
    assert scene.after(1) == []
    assert scene.after(3) == ["no_connection"]


def test_it_polls_by_itself_also_after_the_database_was_away_and_after_a_bug(scene: Scene) -> None:
    scene.send("sms")
    scene.sandbox.inbox.wait_for(lambda message: message.status == "delivered")
    scene.driver.clock.pass_time(MINUTE)
    faulty = Faulty(scene.driver.store, [StorageUnavailable(waited_s=5.0), RuntimeError("a bug")])
    poller = scene.another_poller(faulty)
    poller.start()
    wait_until(lambda: scene.row.state is NotificationState.DELIVERED)
    poller.stop()
