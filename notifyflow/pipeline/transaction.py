"""One transaction while it runs: its ledger, its one instant, and what it has led to so far."""

from collections.abc import Sequence
from dataclasses import replace

from notifyflow.core.escalation import AlertOperations
from notifyflow.core.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.incident import Turned
from notifyflow.core.lifecycle import Moved
from notifyflow.core.limits import Carrier
from notifyflow.core.model import NotificationState
from notifyflow.pipeline.ports import Consequences, Tools
from notifyflow.storage.ledger import Due, Ledger


class Transaction:
    """Writes what core made of a row, and notes what follows from it.

    Attributes:
        ledger: The open transaction's.
        tools: What the use case was given.
        now: The instant at which all of it happens.
        critical: Escalations that became critical failures.
        alerts: Those that operations has still to be told of, at the end of the transaction.
        notices: What else operations has to be told: (reason, provider).
        turned: Providers that rest from now on, or are well again.
    """

    def __init__(self, ledger: Ledger, tools: Tools) -> None:
        self.ledger = ledger
        self.tools = tools
        self.now = tools.clock.now()
        self.critical: list[EscalationFacts] = []
        self.alerts: list[tuple[EscalationFacts, AlertOperations]] = []
        self.notices: list[tuple[str, str]] = []
        self.turned: list[Carrier] = []
        self._due: list[Due] = []
        self._failed: list[NotificationFacts] = []

    @property
    def consequences(self) -> Consequences:
        """What it has led to so far."""
        return Consequences(
            due=tuple(self._due), failed=tuple(self._failed), critical=tuple(self.critical), turned=tuple(self.turned)
        )

    def turn(self, before: IncidentFacts, turned: Turned, **detail: str) -> IncidentFacts:
        """Write what became of an incident."""
        if turned.has_moved:
            return self.ledger.move(before, turned.after, event=turned.event, at=self.now, detail=detail)
        return self.ledger.save(before, turned.after) if turned.after != before else before

    def write(self, before: NotificationFacts, moved: Moved, **detail: str) -> NotificationFacts:
        """Write what became of a notification and its attempts."""
        after = moved.after
        if self._is_newly_due(before, after):
            after = replace(after, rung_at=self.now)
            self._note_due(after)
        self._write_attempts(before, after)
        if moved.has_moved:
            after = self.ledger.move(before, after, event=moved.event, at=self.now, detail=detail)
        elif replace(after, attempts=before.attempts) != before:
            after = self.ledger.save(before, after)
        if after.state is NotificationState.FAILED and before.state is not NotificationState.FAILED:
            self._failed.append(after)
        return after

    def queue(self, rows: Sequence[NotificationFacts], *, event: str) -> tuple[NotificationFacts, ...]:
        """Add notifications that are due now; one that stands already is left as it is."""
        added = self.ledger.add_notifications([replace(row, due_at=self.now, rung_at=self.now) for row in rows], event=event)
        for row in added:
            self._note_due(row)
        return added

    def _is_newly_due(self, before: NotificationFacts, after: NotificationFacts) -> bool:
        is_due = after.state is NotificationState.QUEUED and after.due_at is not None and after.due_at <= self.now
        return is_due and (before.state, before.due_at) != (after.state, after.due_at)

    def _note_due(self, row: NotificationFacts) -> None:
        self._due.append(Due(notification_id=row.id, channel=row.channel, severity=row.severity))

    def _write_attempts(self, before: NotificationFacts, after: NotificationFacts) -> None:
        known = {attempt.id: attempt for attempt in before.attempts}
        for attempt in after.attempts:
            if attempt.id not in known:
                self.ledger.add_attempt(attempt)
            elif attempt != known[attempt.id]:
                self.ledger.save_attempt(known[attempt.id], attempt)
