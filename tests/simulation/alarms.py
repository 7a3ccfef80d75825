"""Alerts to operations: a failure pages at once, or 15 minutes after the last round; a notice rings no phone."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.model import REACHING, Ended, EscalationState, Kind, NotificationState, Severity
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.pipeline.upkeep.adopt import BY as ADOPTER
from tests.oracle import arrived
from tests.simulation.clocks import Covers
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.world import START, World, require

_QUIET = timedelta(minutes=15)
_LATE_S = 240.0  # for a worker that stands still while all heals, and the next sweep
_PHONES = {"sms", "voice"}
_LINKED = "SELECT escalation_id, at FROM notifyflow_critical"
_LINKS = """
    SELECT c.escalation_id, c.operations_incident_id, c.reason, c.at, e.incident_id
    FROM notifyflow_critical c JOIN notifyflow_escalation e ON e.id = c.escalation_id
"""
_ONLY_LINKED = """
    SELECT e.id, e.incident_id FROM notifyflow_escalation e JOIN notifyflow_incident i ON i.id = e.incident_id
    WHERE e.critical_at IS NOT NULL AND e.alerted_at IS NULL AND e.state IN ('ACTIVE', 'REACHED', 'EXHAUSTED')
        AND e.is_current AND i.state = 'OPEN' AND NOT i.is_operations
        AND i.run_number = 0
        AND e.id NOT IN (SELECT escalation_id FROM notifyflow_critical WHERE reason = 'unconfirmed')
"""
_ROUNDS = """
    SELECT e.started_at, e.repetition FROM notifyflow_escalation e JOIN notifyflow_incident i ON i.id = e.incident_id
    WHERE i.is_operations AND e.severity = 'CRITICAL'
"""
_ACKNOWLEDGED_AT = """
    SELECT i.acknowledged_at FROM notifyflow_critical c JOIN notifyflow_incident i ON i.id = c.operations_incident_id
    WHERE c.escalation_id = ?
"""
_RESOLVED_BY = """
    SELECT i.resolved_by, c.path FROM notifyflow_critical c JOIN notifyflow_incident i ON i.id = c.operations_incident_id
    WHERE c.escalation_id = ?
"""
_ACCEPTED_AT = """
    SELECT MAX(a.started_at) FROM notifyflow_critical c JOIN notifyflow_notification n ON n.incident_id = c.operations_incident_id
    JOIN notifyflow_attempt a ON a.notification_id = n.id
    WHERE c.escalation_id = ? AND n.kind = 'page' AND a.evidence IS NOT NULL
"""
_TOLD_BEFORE = """
    SELECT COUNT(*) FROM notifyflow_critical c
    JOIN notifyflow_escalation e ON e.id = c.escalation_id JOIN notifyflow_incident i ON i.id = e.incident_id
    WHERE i.key = ? AND i.namespace = ? AND i.id <> ? AND e.severity = ? AND c.is_paging
        AND c.reason IN ('unanswered', 'chain_over')
"""
_SPAN = timedelta(seconds=1)


@dataclass(frozen=True)
class Waiting:
    """A failure added to an open operations incident, whose round is not due yet.

    Attributes:
        row_id: The escalation that failed.
        at: When it failed.
        due_at: When its round is due, 15 minutes after the last one.
    """

    row_id: str
    at: datetime
    due_at: datetime


_DAMAGED = "SELECT row_id, at FROM notifyflow_set_aside WHERE is_paging"


class Alarms:
    """Checks that operations is alerted of every failure in time.

    Args:
        covers: The times in which clocks are stopped.
    """

    def __init__(self, world: World, database: SimulatedDatabase, covers: Covers) -> None:
        self.has_recipients = False
        self._world = world
        self._database = database
        self._covers = covers
        self._linked: set[tuple[str, str]] = set()
        self._paging: dict[str, datetime] = {}  # the failures that page operations, and when they last did
        self._waiting: dict[str, list[Waiting]] = {}
        self._damaged: set[tuple[str, str]] = set()
        self._failed_at: list[datetime] = []  # a link that replaces another one is a failure of its own

    def after_commit(self, session: Session) -> None:
        """Require that the transaction that records a failure pages operations, unless the failure has to wait."""
        if not self.has_recipients or not session.writes:
            return
        self._require_paged_anew(session)
        self._follow_damage()
        if self._linked.issuperset(self._database.look(_LINKED)):
            return
        for row_id, operations_id, reason, at_text, incident_id in self._database.look(_LINKS):
            at = datetime.fromisoformat(at_text)
            is_new = (row_id, at_text) not in self._linked
            if is_new:
                self._failed_at.append(at)
            if is_new and self._does_page(session, self._database.status(incident_id), row_id, reason, at):
                self._paging[row_id] = at
                self._expect_round(Waiting(row_id, at, at), operations_id)
            self._linked.add((row_id, at_text))

    def _follow_damage(self) -> None:
        """Count rows set aside among the failures that a round tells of."""
        for row_id, at_text in self._database.look(_DAMAGED):
            if (row_id, at_text) not in self._damaged:
                self._damaged.add((row_id, at_text))
                self._failed_at.append(datetime.fromisoformat(at_text))

    def _require_paged_anew(self, session: Session) -> None:
        """Require that a failure that was only linked pages operations once a page fails anew."""
        failing = {line["row_id"]: line["at"] for line in session.lines if line["target"] == NotificationState.FAILED}
        for row_id, incident_id in self._database.look(_ONLY_LINKED) if failing else ():
            failed = _failed(self._database.status(incident_id), row_id)
            for row in _failures(failed):
                is_missed = row.id in failing and _is_young(replace(failed, notifications=(row,)), failing[row.id])
                require(
                    not is_missed, f"operations: the failure of {row_id[-4:]} was linked, and pages nobody now that it is young"
                )

    def _does_page(self, session: Session, status: IncidentStatus, row_id: str, reason: str, at: datetime) -> bool:
        """Return whether a failure pages operations; that of a chain does so at its end, unless it is a WARNING that was sent."""
        failed = _failed(status, row_id)
        if reason == "flapping":
            return _does_flapping_page(status)
        if reason in ("unanswered", "chain_over") and self._was_told_before(failed.facts, status):
            return False
        if status.facts.run_number:
            own = [each.facts.state for each in status.escalations if each.facts.is_current]
            is_mild = status.facts.severity is Severity.WARNING and EscalationState.REACHED in own
            return reason == "chain_over" and not is_mild
        if reason == "unconfirmed":
            return False
        if reason == "unproven" and _had_not_settled(failed, session):
            return True
        return reason in ("unanswered", "unreachable", "held_up") or _is_young(failed, at) or _has_expired(failed)

    def _was_told_before(self, failed: EscalationFacts, status: IncidentStatus) -> bool:
        """Return whether operations was paged since nobody acknowledged an earlier firing, as once a series and day it is."""
        facts = status.facts
        is_later = facts.series is not None and facts.series.first_id != facts.id
        place = facts.key, facts.namespace, facts.id, failed.severity
        return is_later and self._database.look(_TOLD_BEFORE, *place)[0][0] > 0

    def _expect_round(self, failure: Waiting, operations_id: str) -> None:
        rounds = [datetime.fromisoformat(at) for at, _ in self._database.look(_ROUNDS)]
        if failure.at in rounds:
            return
        what = f"operations: the failure of {failure.row_id[-4:]}"
        last = max(rounds, default=None)
        is_quiet = last is None or last <= failure.at - _QUIET
        require(not is_quiet, f"{what} waits, though no round of failures is younger than 15 minutes")
        assert last is not None
        waiting = Waiting(failure.row_id, failure.at, last + _QUIET)
        self._waiting.setdefault(operations_id, []).append(waiting)

    def all_told(self) -> None:
        """Require that each failure that pages operations was in a page that a provider accepted after it, or was acknowledged.

        An adopted database may drop what it had to tell.
        """
        skew = timedelta(seconds=self._world.widest_skew_s) + _SPAN
        for row_id, at in self._paging.items():
            told_at = [self._database.look(query, row_id)[0][0] for query in (_ACCEPTED_AT, _ACKNOWLEDGED_AT)]
            is_told = any(each is not None and datetime.fromisoformat(each) >= at - skew for each in told_at)
            is_excused = self._covers.has_quarantined
            require(is_told or is_excused, f"13: the failure of {row_id[-4:]} at {at:%H:%M:%S} is in no page of operations")

    def at_end(self, status: IncidentStatus, *, healed_s: float) -> None:
        """Check one operations incident after everything has settled, unless it is quarantined."""
        if status.is_quarantined:
            return
        failed = self._failed_at
        rounds = sorted(status.escalations, key=lambda each: each.facts.round)  # clocks may disagree
        skew = timedelta(seconds=self._world.widest_skew_s)
        for each in rounds:
            _check_round(each, failed, skew)
        for waiting in self._waiting.get(status.facts.id, []):
            self._check_paged(waiting, status, healed_s)
        _check_distances(status, rounds, skew)

    def _check_paged(self, waiting: Waiting, status: IncidentStatus, healed_s: float) -> None:
        """Require a round after the quiet time, allowing for pauses, quarantine, clock skew and a stalled worker."""
        due_s = (waiting.due_at - START).total_seconds()
        covered_s = self._covers.covered_s(due_s, self._world.now_s, status.facts.id, is_urgent=True)
        late_s = max(due_s, healed_s) + covered_s + _LATE_S + self._world.widest_skew_s
        latest = START + timedelta(seconds=late_s)
        skew = timedelta(seconds=self._world.widest_skew_s)
        ((resolved_by, path),) = self._database.look(_RESOLVED_BY, waiting.row_id)
        if resolved_by == ADOPTER or path:  # failures of one callback path are one, which is paged every four hours
            return
        rounds = [datetime.fromisoformat(at) for at, repetition in self._database.look(_ROUNDS) if repetition == 1]
        is_paged = any(waiting.due_at - skew <= at <= latest for at in rounds)
        require(is_paged, f"operations: the failure of {waiting.row_id[-4:]} is paged by no round in time")


def _does_flapping_page(status: IncidentStatus) -> bool:
    """Return whether operations is paged of a flapping alert: if it is CRITICAL, or an ERROR that reached nobody so far."""
    has_reached = any(each.facts.state is EscalationState.REACHED for each in status.escalations)
    was_reached = status.facts.series is not None and status.facts.series.has_reached
    is_unreached_error = status.facts.severity is Severity.ERROR and not (has_reached or was_reached)
    return status.facts.severity is Severity.CRITICAL or is_unreached_error


def _failed(status: IncidentStatus, row_id: str) -> EscalationStatus:
    return next(each for each in status.escalations if each.facts.id == row_id)


def _had_not_settled(failed: EscalationStatus, session: Session) -> bool:
    """Return whether a round was ACTIVE before the transaction, or is after it: otherwise a bounce has come long after."""
    states = [line["source"] for line in session.lines if line["row_id"] == failed.facts.id]
    return EscalationState.ACTIVE in (*states[:1], failed.facts.state)


def _is_young(failed: EscalationStatus, at: datetime) -> bool:
    """Return whether a page of a fresh round failed, or any page expired, less than an hour ago by the wall clock.

    Stopped clocks can only make a failure younger, so one that is young by the wall clock is young for certain.
    """
    facts = failed.facts
    is_fresh = at < facts.started_at + facts.policy.freshness(facts.severity)
    young = [row for row in _failures(failed) if at < _began_at(row, at) + facts.policy.escalate_within]
    return any(is_fresh or row.ended is Ended.EXPIRED for row in young)


def _began_at(row: NotificationFacts, at: datetime) -> datetime:
    return row.ended_at or max((attempt.started_at for attempt in row.attempts), default=at)


def _has_expired(failed: EscalationStatus) -> bool:
    """Return whether a page has expired and none has arrived."""
    is_critical = failed.facts.severity is Severity.CRITICAL
    pages = [row for row in failed.notifications if row.kind is Kind.PAGE]
    has_arrived = any(arrived(row) if is_critical else row.state in REACHING for row in pages)
    return not has_arrived and any(row.ended is Ended.EXPIRED for row in _failures(failed))


def _failures(failed: EscalationStatus) -> list[NotificationFacts]:
    return [row for row in failed.notifications if row.kind is Kind.PAGE and row.state is NotificationState.FAILED]


def _check_round(each: EscalationStatus, failed: list[datetime], skew: timedelta) -> None:
    what = f"operations: round {each.facts.id[-4:]}"
    if each.facts.severity is Severity.WARNING:
        phones = _PHONES & {row.channel for row in each.notifications}
        require(not phones, f"{what} is a WARNING, and rings {sorted(phones)}")
    else:
        tells_of_failure = any(at <= each.facts.started_at + skew for at in failed)
        require(tells_of_failure, f"{what} tells of notices alone, and is {each.facts.severity}")


def _check_distances(status: IncidentStatus, rounds: list[EscalationStatus], skew: timedelta) -> None:
    """Require that rounds of failures are 15 minutes apart, and that no WARNING ends one that still runs."""
    ended = {(line.row_id, line.at) for line in status.transitions if _is_cut_short(line.source, line.event)}
    for recipient_id in {each.facts.recipient_id for each in rounds}:
        own = [each.facts for each in rounds if each.facts.recipient_id == recipient_id]
        first = [each for each in own if each.severity is Severity.CRITICAL and each.repetition == 1]
        for one, other in pairwise(first):
            apart = other.started_at - one.started_at
            require(apart >= _QUIET - skew, f"operations: rounds {one.id[-4:]} and {other.id[-4:]} are {apart} apart")
        for one, other in pairwise(own):
            does_run = _pages_again(one) or (one.id, other.started_at) in ended
            is_less = one.severity is Severity.CRITICAL and other.severity is Severity.WARNING
            require(not (does_run and is_less), f"operations: a WARNING takes the place of round {one.id[-4:]}")


def _pages_again(one: EscalationFacts) -> bool:
    """Return whether the policy starts another round after an unacknowledged one."""
    repeat = one.policy.repeat
    return repeat is not None and one.repetition < repeat.rounds and one.state is not EscalationState.ACKNOWLEDGED


def _is_cut_short(source: str, event: str) -> bool:
    return (source, event) == (EscalationState.ACTIVE, "replaced")
