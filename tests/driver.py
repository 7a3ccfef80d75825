"""Drives workers, providers and the sweeper over the pipeline, with a manual clock."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import count
from threading import Lock
from typing import Any

from peewee import SQL

from notifyflow.app.composition import WIRING
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts, Outcome
from notifyflow.core.delivery.model import (
    Contact,
    Evidence,
    Incident,
    Kind,
    Notified,
    Receipt,
    Recipient,
    Result,
    Step,
    Stopped,
    Via,
)
from notifyflow.core.delivery.policy import DEFAULT, Policy
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.core.references import ByKey
from notifyflow.pipeline.delivery.acknowledge import acknowledge, page_again, resolve
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.delivery.sweep import next_wake_at, sweep
from notifyflow.pipeline.limits.claim import claim
from notifyflow.pipeline.transaction.ports import NOTHING, Claimed, Claims, Dependencies, FollowUps, ReceiptMatch
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.store import Store
from notifyflow.storage.tables import NotificationRow
from tests.builders import ACCEPTED, CHANNELS, KEY, REPORTING, CountingIds, HandClock, an_incident, check_address
from tests.capabilities import CAPABILITIES
from tests.leases import record_one, release_one
from tests.notifying import notify

_DUE = Statement(
    lambda param: (
        NotificationRow.select(NotificationRow.channel)
        .where(NotificationRow.state == SQL("'QUEUED'"), NotificationRow.due_at <= param(NotificationRow.due_at))
        .distinct()
    )
)
"""Which channels have due notifications."""


class Driver:
    """Plays people, workers, providers and the sweeper over the pipeline.

    Attributes:
        clock: The manual clock.
        outcomes: The next outcomes of a channel's providers; the last one repeats, and without any they are ACCEPTED.
        seen: Every attempt that a provider saw, in order.
        outcome: The follow-ups of all transactions.
    """

    def __init__(self, store: Store, *, operations: Sequence[Contact] = (), public_url: str | None = None) -> None:
        self.store = store
        self.clock = HandClock()
        self.deps = Dependencies(
            transactions=store,
            wiring=WIRING,
            clock=self.clock,
            ids=CountingIds(),
            channels=CAPABILITIES,
            check_address=check_address,
            operations=tuple(operations),
            public_url=public_url,
            secret_keys=("a key that nobody knows",) if public_url else (),
        )
        self.outcomes: dict[str, list[Outcome]] = defaultdict(list)
        self.seen: list[Claimed] = []
        self.outcome = NOTHING
        self._events = count(1)
        self._note_lock = Lock()

    def notify(
        self,
        incident: Incident | None = None,
        *recipients: Recipient,
        policy: Policy = DEFAULT,
        strict: bool = False,
        namespace: str = "",
        then: Sequence[Step] = (),
        over_after: timedelta | None = None,
    ) -> Notified:
        incident = incident or an_incident()
        accepted = notify(
            self.deps,
            incident,
            recipients,
            policy=policy,
            strict=strict,
            namespace=namespace,
            then=then,
            over_after=over_after,
        )
        self._note(accepted.follow_ups)
        return accepted.value

    def acknowledge(self, by: str = "ada", key: str = KEY) -> Stopped:
        done = acknowledge(self.deps, ByKey(key), by=by, via=Via.LIBRARY)
        self._note(done.follow_ups)
        return done.value

    def resolve(self, by: str = "ada", key: str = KEY) -> Stopped:
        done = resolve(self.deps, ByKey(key), by=by, via=Via.LIBRARY)
        self._note(done.follow_ups)
        return done.value

    def page_again(self, who: str, key: str = KEY) -> FollowUps:
        return self._note(page_again(self.deps, ByKey(key), who, by="ops", via=Via.LIBRARY).follow_ups)

    def respond(self, channel: str, *outcomes: Outcome) -> None:
        """Set the next outcomes of a channel's providers; the last one repeats."""
        self.outcomes[channel] = list(outcomes)

    def report(self, attempt_id: str, result: Result | None, *, event_id: str = "", key: str = "", **fields: Any) -> ReceiptMatch:
        """Send a receipt of an attempt's provider; ``key`` is a key that was pressed on a call."""
        known = self.store.run(lambda ledger: ledger.attempts.refs([attempt_id])).get(attempt_id)
        receipt = Receipt(
            provider=known.provider if known else "twilio",
            event_id=event_id or f"event-{next(self._events)}",
            result=result,
            attempt_id=attempt_id,
            evidence=Evidence.HUMAN if key else Evidence.CARRIER,
            is_key_press=bool(key),
            is_acknowledgement=key == "1",
            **fields,
        )
        received = receive(self.deps, receipt, raw="raw").only()
        self._note(received.follow_ups)
        return received.value

    def claim(
        self, channel: str, *requested_ids: str, limit: int = 100, providers: Sequence[str] | None = None
    ) -> tuple[Claimed, ...]:
        names = [f"the {channel} provider"] if providers is None else providers
        reporting = names if channel in REPORTING else ()
        claims: Claims = claim(self.deps, channel, requested_ids, limit=limit, providers=names, reporting=reporting)
        self._note(claims.follow_ups)
        if claims.interruption is not None:
            raise claims.interruption
        return claims.claimed

    def record(self, claimed: Claimed, outcome: Outcome = ACCEPTED) -> FollowUps:
        return self._note(record_one(self.deps, claimed, outcome))

    def release(self, claimed: Claimed) -> FollowUps:
        return self._note(release_one(self.deps, claimed))

    def deliver(self) -> None:
        """Claim, send and record due notifications until none is due, or none of the due leaves."""
        kept: set[str] = set()
        while (due := self._due_channels()) and due != kept:
            claimed = [each for channel in CHANNELS if channel in due for each in self.claim(channel)]
            kept = set() if claimed else due
            for each in claimed:
                self.seen.append(each)
                outcome = self._next_outcome(each.channel)
                for attempt in each.attempts:
                    self.record(attempt, outcome)

    def sweep(self) -> FollowUps:
        return self._note(sweep(self.deps))

    def pass_time(self, **span: float) -> None:
        """Let time pass (``minutes=5``); sweepers and workers run whenever something is due."""
        until = self.clock.at + timedelta(**span)
        while (wake_at := next_wake_at(self.deps)) is not None and wake_at <= until:
            self.note_sweep(max(self.clock.at, wake_at))
            self.sweep()
            self.deliver()
        self.note_sweep(until)

    def be_away(self, **span: float) -> FollowUps:
        """Let time pass without any process (``hours=2``), then sweep."""
        self.clock.at += timedelta(**span)
        return self.sweep()

    def note_sweep(self, until: datetime) -> None:
        """Let time pass with sweeps that find nothing to do."""
        self.clock.at = until
        self.store.run(lambda ledger: ledger.intervals.note_sweep(at=until))

    def status(self, key: str = KEY) -> IncidentStatus:
        status = self.store.read(lambda reads: reads.status(key))
        assert status is not None
        return status

    def escalations(self, who: str = "ada", key: str = KEY) -> list[EscalationStatus]:
        return [each for each in self.status(key).escalations if each.facts.recipient_id == who]

    def escalation(self, who: str = "ada", key: str = KEY) -> EscalationFacts:
        return self.escalations(who, key)[-1].facts

    def pages(self, who: str = "ada", key: str = KEY) -> dict[str, NotificationFacts]:
        """Return the pages of a recipient's newest round by channel."""
        return {row.channel: row for row in self.escalations(who, key)[-1].notifications if row.kind is Kind.PAGE}

    def status_updates(self, who: str, key: str = KEY) -> list[NotificationFacts]:
        return [row for each in self.escalations(who, key) for row in each.notifications if row.kind is Kind.STATUS_UPDATE]

    def sent(self, channel: str) -> list[Claimed]:
        return [each for each in self.seen if each.channel == channel]

    def _due_channels(self) -> set[str]:
        return {row["channel"] for row in self.store.read(lambda reads: reads._source.rows(_DUE(self.clock.now())))}

    def _next_outcome(self, channel: str) -> Outcome:
        outcomes = self.outcomes[channel]
        if not outcomes:
            return ACCEPTED
        return outcomes.pop(0) if len(outcomes) > 1 else outcomes[0]

    def _note(self, follow_ups: FollowUps) -> FollowUps:
        with self._note_lock:
            self.outcome += follow_ups
        return follow_ups
