"""Senders whose alert flaps: it fires and heals again and again. Plans them, and checks what it rings by a clock of its own.

The clock of a person counts the time in which the alert was open since nobody had acknowledged it, and nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from notifyflow.core.delivery.model import Incident, IncidentState, Kind, Recipient, Severity, Via
from notifyflow.core.delivery.policy import Acknowledgement, Failed, Policy, Tier, Unacknowledged
from notifyflow.core.insight.views import EscalationStatus
from notifyflow.core.namespaces import SHARED
from notifyflow.core.references import ById, ByKey
from notifyflow.pipeline.delivery.acknowledge import acknowledge, resolve
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.outside import CHANNELS
from tests.simulation.world import World, require

KEY = "flap"
_FLAPPING = 0.2
_TAKEN = 0.3
_GAP = timedelta(minutes=30)
_AGAIN = timedelta(minutes=10)
_LEEWAY = timedelta(seconds=2)
_EAGER = Policy(
    name="eager",
    tiers=(
        Tier(name="first", channels=("email", "slack", "teams", "push")),
        Tier(name="text", channels=("sms",), rules=(Failed(at_least=1), Unacknowledged(after=timedelta(seconds=50)))),
        Tier(name="call", channels=("voice",), rules=(Failed(at_least=1), Unacknowledged(after=timedelta(seconds=110)))),
    ),
)
_OF_KEY = """
    SELECT id, opened_at, resolved_at FROM notifyflow_incident WHERE key = ? AND namespace = ? ORDER BY opened_at, id
"""
_ITS_NAME = "SELECT key, namespace, opened_at FROM notifyflow_incident WHERE id = ?"
_OPEN = "SELECT id FROM notifyflow_incident WHERE key = ? AND namespace = ? AND state = 'OPEN' AND opened_at < ?"
_NEWEST = "SELECT id, acknowledged_at FROM notifyflow_incident WHERE key = ? AND namespace = ? ORDER BY opened_at DESC, id DESC"
_PRESSED = """
    SELECT 1 FROM notifyflow_receipt r JOIN notifyflow_attempt a ON a.id = r.attempt_id
    JOIN notifyflow_notification n ON n.id = a.notification_id WHERE n.incident_id = ? AND r.is_acknowledgement
"""
_PAGED_BEFORE = """
    SELECT MAX(a.started_at), MAX(e.repetition) FROM notifyflow_notification n
    JOIN notifyflow_attempt a ON a.notification_id = n.id JOIN notifyflow_escalation e ON e.id = n.escalation_id
    JOIN notifyflow_incident i ON i.id = n.incident_id
    WHERE i.key = ? AND i.namespace = ? AND n.incident_id <> ? AND n.tier = ? AND n.channel = ? AND n.kind = 'page'
        AND a.evidence IS NOT NULL AND COALESCE(a.result, '') NOT IN ('in_doubt', 'temporary_failure')
        AND i.opened_at > COALESCE(
            (SELECT MAX(o.acknowledged_at) FROM notifyflow_incident o WHERE o.key = i.key AND o.namespace = i.namespace), '')
        AND i.opened_at > COALESCE((
            SELECT MAX(o.opened_at) FROM notifyflow_incident o JOIN notifyflow_notification m ON m.incident_id = o.id
            JOIN notifyflow_attempt k ON k.notification_id = m.id JOIN notifyflow_receipt r ON r.attempt_id = k.id
            WHERE o.key = i.key AND o.namespace = i.namespace AND r.is_acknowledgement
        ), '')
"""


@dataclass(frozen=True)
class Span:
    """One incident of a key: when it opened and was resolved."""

    incident_id: str
    opened_at: datetime
    resolved_at: datetime | None


def earlier(database: SimulatedDatabase, incident_id: str) -> timedelta:
    """Return for how long the incidents of a key before this one were open, of those less than half an hour apart, at most."""
    ((key, namespace, opened_text),) = database.look(_ITS_NAME, incident_id)
    opened_at, total = datetime.fromisoformat(opened_text), timedelta()
    for span in reversed([each for each in _spans(database, key, namespace) if each.opened_at < opened_at]):
        if span.resolved_at is None or opened_at - span.resolved_at > _GAP:
            break
        total += span.resolved_at - span.opened_at
        opened_at = span.opened_at
    return total


class FlappingSenders:
    """Lets an alert flap in some worlds, and lets the one whom it pages acknowledge a firing that is over.

    Attributes:
        is_calm: Whether nothing else keeps a sweeper busy, so that each timed tier opens by the clock.
    """

    is_calm = False

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._world = world
        self._database = database
        self._has_acted = False

    def write_script(self, people: Callable[..., None], submit: Callable[..., str], policy: Policy, *, until_s: float) -> None:
        """Plan the firings; ``people`` schedules an act, and ``submit`` an incident."""
        chance = self._world.apart("flapping senders")
        if chance.random() >= _FLAPPING or policy.acknowledgement is Acknowledgement.EACH:
            return
        policy = chance.choice((policy, _EAGER))
        names = [name for name in CHANNELS if chance.random() < 0.7] or ["sms"]
        ivy = Recipient(id="ivy", addresses={name: f"{'gone' if chance.random() < 0.3 else 'ivy'}@{name}" for name in names})
        severity = chance.choice((*[Severity.CRITICAL] * 3, Severity.ERROR))
        on_s, off_s = chance.choice((20, 45, 90, 200)), chance.choice((2, 10, 40))
        at_s = chance.uniform(0, until_s / 4)
        for number in range(chance.choice((3, 6, 9))):
            began_s = at_s + number * (on_s + off_s)
            if began_s + on_s > until_s:
                break
            people(began_s, partial(self._fire, submit, policy, severity, ivy))
            people(began_s + on_s, self._heal)
        if not self.is_calm and chance.random() < _TAKEN:
            people(chance.uniform(at_s, until_s), self._take)

    def after_commit(self, session: Session) -> None:
        """Check new pages of the key, and in a calm world that its timed tiers are open."""
        for row in session.pages:
            if row.kind is Kind.PAGE and row.tier > 1:
                self._check_again(row.incident_id, row.tier, row.channel, row.created_at)
        if self.is_calm:
            self._check_clock(session)

    def _fire(
        self, submit: Callable[..., str], policy: Policy, severity: Severity, ivy: Recipient, deps: Dependencies
    ) -> FollowUps:
        del deps
        submit(Incident(key=KEY, title="down", severity=severity), [ivy], policy, SHARED)
        return NOTHING

    def _heal(self, deps: Dependencies) -> FollowUps:
        return resolve(deps, ByKey(KEY, SHARED), by="prometheus", via=Via.ALERTMANAGER).follow_ups

    def _take(self, deps: Dependencies) -> FollowUps:
        """Acknowledge the firing before the newest, and require that the open one, of the same severity, is taken with it."""
        found = self._database.look(_NEWEST, KEY, SHARED)
        if len(found) < 2 or found[1][1] is not None:  # what opens after an acknowledgement is a series of its own
            return NOTHING
        began = deps.clock.now() - timedelta(seconds=2 * self._world.widest_skew_s)
        self._has_acted = True
        done = acknowledge(deps, ById(found[1][0]), by="ivy", via=Via.LINK)
        left = self._database.look(_OPEN, KEY, SHARED, began.isoformat())
        was_over = bool(self._database.look(_PRESSED, found[1][0]))  # a key that was pressed after it had healed
        require(
            was_over or not left, f"series: {[each[-4:] for (each,) in left]} is open, and the firing before it is acknowledged"
        )
        return done.follow_ups

    def _check_again(self, incident_id: str, tier: int, channel: str, at: datetime) -> None:
        """Require that a later tier pages about the next firing at the earliest ten minutes after it has, in the same round.

        A call that is in doubt or has failed for now is tried again, as in an alert that stays. A key that is pressed after a
        firing is over ends the series.
        """
        ((key, namespace, _),) = self._database.look(_ITS_NAME, incident_id)
        if key != KEY or self._has_acted:
            return
        ((paged_text, repetition),) = self._database.look(_PAGED_BEFORE, key, namespace, incident_id, tier, channel)
        if paged_text is None:
            return
        now_in = max(each.facts.repetition for each in self._database.status(incident_id).escalations)
        skew = timedelta(seconds=self._world.widest_skew_s) + _LEEWAY
        is_early = at < datetime.fromisoformat(paged_text) + _AGAIN - skew
        require(
            not is_early or now_in > repetition, f"series: tier {tier} pages {channel} again at {at:%H:%M:%S}, since {paged_text}"
        )

    def _check_clock(self, session: Session) -> None:
        """Require that each tier whose time is over by the clock is open."""
        touched = {line["incident_id"] for line in session.lines}
        for span in _spans(self._database, KEY, SHARED):
            if span.incident_id not in touched:
                continue
            status, now = self._database.status(span.incident_id), max(line["at"] for line in session.lines)
            if status.facts.state is IncidentState.ACKNOWLEDGED:
                continue
            clock = earlier(self._database, span.incident_id) + ((span.resolved_at or now) - span.opened_at)
            for escalation in status.escalations:
                self._check_tiers(escalation, clock)

    def _check_tiers(self, escalation: EscalationStatus, clock: timedelta) -> None:
        facts, addresses = escalation.facts, escalation.contact.addresses
        if facts.repetition > 1 or (facts.policy.repeat is not None and clock >= facts.policy.repeat.every):
            return
        for number, tier in enumerate(facts.policy.tiers, start=1):
            waits = [rule.after for rule in tier.rules if isinstance(rule, Unacknowledged)]
            has_way = facts.severity not in tier.shut_for and any(name in addresses for name in tier.channels)
            is_over = bool(waits) and clock > min(waits) + _LEEWAY
            what = f"series: tier {number} of {facts.id[-4:]} is not open after {clock}"
            require(not (is_over and has_way) or facts.tier >= number, what)


def _spans(database: SimulatedDatabase, key: str, namespace: str) -> Sequence[Span]:
    return [
        Span(row_id, datetime.fromisoformat(opened), datetime.fromisoformat(resolved) if resolved else None)
        for row_id, opened, resolved in database.look(_OF_KEY, key, namespace)
    ]
