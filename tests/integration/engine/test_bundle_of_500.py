"""A message that carries 500 notifications is one call; claim, outcome, receipt and release are all about 500 rows, in sets."""

from datetime import timedelta
from typing import Any

from notifyflow.channels.base import Accepted
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.model import NotificationState, Receipt, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT
from notifyflow.core.limits.cap_counts import Caps
from notifyflow.core.messages.outbound import OutboundMessage
from notifyflow.errors import PermanentProviderError
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.transaction.ports import ReceiptMatch
from notifyflow.storage.store import Store
from notifyflow.storage.tables import NotificationRow, SpentRow
from tests.builders import a_recipient, an_incident
from tests.integration.engine.scripted import ScriptedProvider
from tests.integration.engine.test_deliver import Scene
from tests.notifying import notify

COUNT = 500


class Crowd:
    """A worker, and 500 incidents that came while there was none; what it wrote is counted by transaction."""

    def __init__(self, store: Store, provider: ScriptedProvider | None = None) -> None:
        caps = Caps(channels=frozenset({"email"}), recipients={"email": 60})
        self.scene = Scene(store, provider=provider, caps=caps)
        for number in range(COUNT):
            notify(self.scene.deps, an_incident(f"db-{number:03}"), [a_recipient("ada", "email")], policy=DEFAULT)
        self.scene.clock.pass_time(timedelta(minutes=2))
        self.scene.store.run(lambda ledger: ledger.intervals.note_sweep(at=self.scene.clock.now()))
        self.written: list[int] = []
        run = self.scene.flaky.run

        def counting(use_case: Any, **limits: Any) -> Any:
            before = self.states()
            done = run(use_case, **limits)
            if count := sum(a != b for a, b in zip(before, self.states(), strict=False)):
                self.written.append(count)
            return done

        self.scene.flaky.run = counting  # type: ignore[method-assign]

    def states(self) -> list[str]:
        query = NotificationRow.select(NotificationRow.state).order_by(NotificationRow.id)
        return self.scene.store.run(lambda ledger: [row["state"] for row in ledger._unit.rows(query)])

    def spent(self) -> int:
        return sum(row["count"] for row in self.scene.store.run(lambda ledger: ledger._unit.rows(SpentRow.select())))

    def one_of_them(self) -> str:
        return self.scene.rows("db-000")[0].id

    def deliver(self) -> None:
        self.scene.deliverer.deliver("email", [self.one_of_them()])


def test_it_is_one_call_whose_outcome_and_receipt_reach_all_in_sets(store: Store) -> None:
    crowd = Crowd(store)
    crowd.deliver()
    (message,) = crowd.scene.provider.messages
    assert sum(message.content.counts.values()) == COUNT
    assert crowd.states() == [NotificationState.SENT] * COUNT
    assert crowd.written == [COUNT, *[100] * 5]
    assert crowd.spent() == 1
    receipt = Receipt(provider="scripted", event_id="e", result=Result.DELIVERED, attempt_id=message.attempt_id)
    crowd.written.clear()
    assert receive(crowd.scene.deps, receipt, raw="").only().value is ReceiptMatch.MATCHED
    assert crowd.states() == [NotificationState.DELIVERED] * COUNT
    assert crowd.written == [100] * 5


def test_a_worker_that_stops_gives_all_of_it_back_in_sets(store: Store) -> None:
    crowd = Crowd(store)
    urgent = [crowd.scene.notify("eve", key=key, severity=Severity.CRITICAL) for key in ("before", "now")]
    crowd.scene.deliverer.deliver("email", urgent[0])  # its latency is known, and two calls are claimed at once
    crowd.scene.provider.script.append(lambda _message: crowd.scene.deliverer.stop())
    crowd.written.clear()
    crowd.scene.deliverer.deliver("email", [*urgent[1], crowd.one_of_them()])
    assert len(crowd.scene.provider.messages) == 2
    assert crowd.written == [COUNT + 1, *[100] * 5, 1]
    assert sorted(crowd.states()) == [NotificationState.QUEUED] * COUNT + [NotificationState.SENT] * 2
    crowd.scene.start()
    crowd.deliver()
    assert crowd.states() == [NotificationState.SENT] * (COUNT + 2)
    assert len(crowd.scene.provider.messages) == 3


class Picky(ScriptedProvider):
    """Refuses each message that names a faulty incident."""

    def send(self, message: OutboundMessage) -> Accepted:
        keys = {each.key for each in message.content.bundled} or {message.content.key}
        if "db-004" in keys:
            raise PermanentProviderError("a title is not accepted", code="422", is_about_content=True)
        return super().send(message)


def test_one_faulty_title_among_500_costs_nineteen_calls_and_no_attempt_of_others(store: Store) -> None:
    crowd = Crowd(store, Picky())
    crowd.deliver()
    while rung := [ids for _, _, ids in crowd.scene.bell.rung]:
        crowd.scene.bell.rung.clear()
        for ids in rung:
            crowd.scene.deliverer.deliver("email", ids)
    assert sorted(crowd.states()) == [NotificationState.FAILED, *[NotificationState.SENT] * (COUNT - 1)]
    assert len(crowd.scene.provider.messages) == 9
    assert crowd.spent() == 9 + 1
    rows = [crowd.scene.rows(f"db-{number:03}")[0] for number in range(0, COUNT, 50)]
    assert {len(counted(row)) for row in rows} == {1}
