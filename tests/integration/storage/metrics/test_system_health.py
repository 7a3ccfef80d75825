"""The health of health: queues, pauses and providers."""

from dataclasses import replace
from datetime import timedelta

from notifyflow.core.delivery.model import NotificationState
from notifyflow.core.limits.lanes import Lane
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.metrics.system_health import Queue
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW, seconds
from tests.integration.storage.samples import LATER, a_page, begin


def test_an_empty_database_has_no_signs(store: Store) -> None:
    health = store.read(
        lambda reads: (reads.system_health.queues(NOW), reads.system_health.pauses(NOW), reads.system_health.providers())
    )
    assert health == (((), False), (), ())


def test_what_is_due_is_counted_by_channel_and_urgency(store: Store) -> None:
    before = NOW - timedelta(minutes=3)
    begin(
        store,
        a_page(1),
        a_page(2, due_at=before),
        a_page(3, urgent=True),
        a_page(4, "sms"),
        a_page(5, due_at=LATER),
        a_page(6, state=NotificationState.SENT, due_at=None),
    )
    queues, is_cut = store.read(lambda reads: reads.system_health.queues(NOW))
    assert not is_cut
    assert queues == (
        Queue(channel="email", is_urgent=True, count=1, oldest_due_at=NOW),
        Queue(channel="email", is_urgent=False, count=2, oldest_due_at=before),
        Queue(channel="sms", is_urgent=False, count=1, oldest_due_at=NOW),
    )


def test_storms_and_what_waits_in_them_are_counted_by_channel(store: Store) -> None:
    lane = Lane(id="a", channel="sms", urgent_until=LATER)
    lanes = [lane, replace(lane, id="b", urgent_until=NOW), replace(lane, id="c", channel="push", calm_until=LATER)]

    def body(ledger: Ledger) -> None:
        for each in lanes:
            ((_, before),) = ledger.lanes.lock([each.id], each.channel).items()
            ledger.lanes.save([(before, each)])

    store.run(body)
    begin(
        store,
        a_page(1, "sms", due_at=LATER, waits_until=LATER),
        a_page(2, "sms", urgent=True, due_at=LATER, waits_until=LATER),
        a_page(3, "sms", waits_until=NOW),
        a_page(4, "sms", due_at=LATER),
        a_page(5, "voice", due_at=LATER, waits_until=LATER),
        a_page(6, "email", due_at=LATER, waits_until=LATER),
    )
    found = store.read(lambda reads: (reads.system_health.storms(NOW), reads.system_health.postponed(["sms", "voice"], NOW)))
    assert found == ({"sms": 1, "push": 1}, {"sms": 2, "voice": 1})


def test_pauses_in_force_are_read_the_oldest_first(store: Store) -> None:
    pauses = [
        Pause(scope=PauseScope.CHANNEL, name="sms", paused_at=NOW + seconds(1), ends_at=LATER, paused_by="ben"),
        Pause(scope=PauseScope.ALL, name="", paused_at=NOW, ends_at=LATER, paused_by="ada", is_for_critical=True),
        Pause(scope=PauseScope.CHANNEL, name="email", paused_at=NOW, ends_at=NOW + seconds(2), paused_by="ada"),
    ]
    store.run(lambda ledger: [ledger.intervals.put_pause(each) for each in pauses])
    assert store.read(lambda reads: reads.system_health.pauses(NOW + seconds(2))) == (pauses[1], pauses[0])


def test_providers_that_were_ever_used_are_read_by_channel(store: Store) -> None:
    store.run(lambda ledger: (ledger.providers.lock("sms", ["twilio"]), ledger.providers.lock("email", ["smtp", "ses"])))
    found = store.read(lambda reads: reads.system_health.providers())
    assert [(each.channel, each.provider) for each in found] == [("email", "ses"), ("email", "smtp"), ("sms", "twilio")]
