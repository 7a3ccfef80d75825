"""What a claim ends is reported at once: a WARNING, and rings for whatever it opens; nobody waits for the next sweep."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from notifyflow.app.composition import WIRING
from notifyflow.core.delivery.model import NotificationState, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.limits.cap_counts import Caps
from notifyflow.engine.deliver import Deliverer
from notifyflow.engine.reporter import Reporter
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.storage.store import Store
from tests.builders import CountingIds, HandClock, a_contact, a_recipient, an_incident
from tests.capabilities import CAPABILITIES
from tests.integration.engine.scripted import ScriptedChannel, ScriptedProvider
from tests.integration.engine.test_deliver import NotedBell
from tests.log_lines import capture_logs
from tests.notifying import notify

CHANNELS = ("email", "slack", "sms", "voice")
FAILED, CRITICAL_FAILURE = "engine.notification_failed", "engine.critical_failure"


class Scene:
    """A deliverer that carries texts; nobody carries anything else."""

    def __init__(self, store: Store, **deps: Any) -> None:
        self.store = store
        self.clock = HandClock()
        self.bell = NotedBell()
        self.deps = Dependencies(
            transactions=store,
            wiring=WIRING,
            clock=self.clock,
            ids=CountingIds(),
            channels=CAPABILITIES,
            check_address=lambda _channel, address: address,
            **deps,
        )
        channels = {name: ScriptedChannel() for name in CHANNELS} | {"sms": ScriptedChannel(ScriptedProvider())}
        self.deliverer = Deliverer(
            self.deps, channels, Reporter(self.bell, self.deps), send_budget=timedelta(seconds=13), concurrency=10
        )

    def notify(self, *channels: str) -> list[str]:
        accepted = notify(self.deps, an_incident(), [a_recipient("ada", *channels)], policy=DEFAULT)
        return [due.notification_id for due in accepted.follow_ups.due]

    def deliver(self, channel: str, rung: Sequence[str]) -> list[tuple[str, str]]:
        """Handle a ring, and return what was logged as an alarm, with its reason."""
        with capture_logs() as lines:
            self.deliverer.deliver(channel, rung)
        alarms = (FAILED, CRITICAL_FAILURE)
        return [(line["event"], line.get("reason", line.get("recipient_id", ""))) for line in lines if line["event"] in alarms]

    def queued(self, key: str = "db-1") -> list[tuple[str, Severity, tuple[str, ...]]]:
        """Show what is queued, as it should be rung for."""
        status = self.store.read(lambda reads: reads.status(key))
        assert status is not None
        rows = [row for escalation in status.escalations for row in escalation.notifications]
        return [(row.channel, row.severity, (row.id,)) for row in rows if row.state is NotificationState.QUEUED]


def test_what_nobody_can_carry_rings_for_the_tier_that_it_opens(store: Store) -> None:
    scene = Scene(store)
    assert scene.deliver("slack", scene.notify("slack", "sms")) == [(FAILED, "no provider is configured for slack")]
    assert [channel for channel, *_ in scene.queued()] == ["sms"]
    assert scene.bell.rung == scene.queued()


def test_what_a_cap_keeps_back_rings_for_the_tier_that_it_opens(store: Store) -> None:
    scene = Scene(store, caps=Caps(channels=frozenset({"sms"}), recipients={"sms": 0}))
    assert scene.deliver("sms", scene.notify("sms", "voice")) == [(FAILED, "the hourly limit of sms is used up")]
    assert [channel for channel, *_ in scene.queued()] == ["voice"]
    assert scene.bell.rung == scene.queued()


def test_what_has_expired_rings_for_operations(store: Store) -> None:
    scene = Scene(store, operations=(a_contact("ops", "sms"),))
    rung = scene.notify("slack")
    scene.clock.at += timedelta(hours=25)
    scene.store.run(lambda ledger: ledger.intervals.note_sweep(at=scene.clock.at))
    assert scene.deliver("slack", rung) == [(FAILED, "its round started too long ago"), (CRITICAL_FAILURE, "ada")]
    (ring,) = scene.bell.rung
    assert ring[:2] == ("sms", Severity.CRITICAL)
