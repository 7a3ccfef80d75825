"""A log of incidents that are over, for tests of what is read from the history."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from notifyflow.core.delivery.model import Contact, EscalationState, Incident, IncidentState, NotificationState, Result
from notifyflow.core.insight.message_log import MessageFilter, MessagePage
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.facts import NOW, attempt, escalation, incident, page

MINUTE = timedelta(minutes=1)
STATES = {
    NotificationState.SENT: Result.ACCEPTED,
    NotificationState.DELIVERED: Result.DELIVERED,
    NotificationState.FAILED: Result.PERMANENT_FAILURE,
}


def an_id(at: datetime, number: int) -> str:
    """Return an id as they are drawn: it sorts by time, and here then by number."""
    return f"{int(at.timestamp() * 1000) << 80 | number:032x}"


class Log:
    """A stored log, of resolved incidents with one recipient each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    def add(
        self,
        key: str = "db-1",
        who: str = "ada",
        state: NotificationState = NotificationState.SENT,
        *,
        channels: Sequence[str] = ("email",),
        at: datetime | None = None,
        namespace: str = "",
        round_is: EscalationState = EscalationState.REACHED,
        **call: Any,
    ) -> list[str]:
        """Store an incident; return the ids of its pages, the newest first."""
        self.count += 1
        when = NOW + self.count * MINUTE if at is None else at
        incident_id, escalation_id, *ids = (an_id(when, self.count * 100 + each) for each in range(2 + len(channels)))
        rows = [
            page(
                *(channel, state, attempt(1, STATES[state], id=f"a-{id_}", notification_id=id_, **call)),
                id=id_,
                incident_id=incident_id,
                escalation_id=escalation_id,
                created_at=when,
                namespace=namespace,
                version=3,
            )
            for id_, channel in zip(ids, channels, strict=True)
        ]

        def body(ledger: Ledger) -> None:
            facts = incident(id=incident_id, key=key, namespace=namespace, state=IncidentState.RESOLVED, opened_at=when)
            ledger.incidents.add(facts, Incident(key=key, title=f"{key} is down"))
            addresses = {channel: f"{who}@{channel}" for channel in channels}
            ledger.contacts.put(incident_id, [Contact(recipient_id=who, name=who.title(), addresses=addresses)])
            own = {"id": escalation_id, "incident_id": incident_id, "recipient_id": who, "state": round_is}
            ledger.escalations.add(escalation(**own, started_at=when, is_current=False), event="started", detail={})
            ledger.notifications.add(rows, event="queued")
            ledger.providers.lock("email", [call.get("provider", "p")])

        self.store.run(body)
        return ids[::-1]

    def page(self, before: str | None = None, *, limit: int = 50, searched: int = 1000, **wanted: Any) -> MessagePage:
        filter_ = MessageFilter(**wanted)
        return self.store.read(lambda reads: reads.messages.page(filter_, before=before, limit=limit, searched=searched))

    def ids(self, **wanted: Any) -> list[str]:
        return [each.facts.id for each in self.page(**wanted).messages]
