"""Faulty variants of the product, each of which the simulation has to catch.

A mutant wraps or replaces one thing from outside; the product has no switches. Where several defences stand behind each other
(a row lock, the guard of an update, a constraint), a mutant that shows what the last one is for takes the ones before it away.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any, cast
from zoneinfo import ZoneInfo

from peewee import Select

from notifyflow.app.clock_and_ids import DatabaseClock
from notifyflow.app.composition import WIRING
from notifyflow.core.delivery import (
    earlier_pages,
    escalation,
    held_up,
    lifecycle,
    page_rules,
    rounds,
    series,
    set_aside,
    tier_rules,
)
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts, Outcome, StepFacts
from notifyflow.core.delivery.intervals import Interval, moved
from notifyflow.core.delivery.model import (
    REACHING,
    AttemptState,
    Contact,
    DeferralReason,
    Incident,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import Policy, Tier, Unacknowledged, timers
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.insight import next_events, timeline
from notifyflow.core.insight.next_events import NextEvent
from notifyflow.core.intake.integrations import inbound
from notifyflow.core.limits import lanes, preferences, provider_health, quiet, slots
from notifyflow.core.limits.silences import Matchers
from notifyflow.core.messages.carried import CodedMessage
from notifyflow.core.messages.content import Content
from notifyflow.core.oncall import hand_overs, watched_jobs
from notifyflow.core.oncall.hand_overs import HandOver
from notifyflow.core.oncall.schedules import Override
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.core.oncall.watched_jobs import Listening, WatchedJob
from notifyflow.core.upkeep import forecast
from notifyflow.core.upkeep.forecast import ChannelModel, Forecast, ProviderBehaviour
from notifyflow.engine import deliver, recording, shared_claims
from notifyflow.engine.hand_over_teller import HandOverTeller
from notifyflow.engine.recording import Recordings
from notifyflow.engine.shared_claims import Batch
from notifyflow.errors import CommitUnknown, Contended, Refused
from notifyflow.pipeline.delivery import callback_paths, eligibility, endings, operations, outages, receive, record
from notifyflow.pipeline.delivery.record import Recording
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.delivery.silences.holds import Covered
from notifyflow.pipeline.limits import attempts
from notifyflow.pipeline.limits import claim as claim_module
from notifyflow.pipeline.limits import lanes as claimed_lanes
from notifyflow.pipeline.limits.attempts import Candidate
from notifyflow.pipeline.limits.claim import claim
from notifyflow.pipeline.transaction import set_aside as set_aside_rows
from notifyflow.pipeline.transaction import set_use_case, sparing, use_case
from notifyflow.pipeline.transaction.group_commit import GroupCommit, ItemDeadline
from notifyflow.pipeline.transaction.halving import SetPart, SetParts
from notifyflow.pipeline.transaction.ports import NOTHING, Claimed, Claims, Dependencies, Lease
from notifyflow.pipeline.transaction.pressure import Pressure
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.pipeline.transaction.set_use_case import SetResult, SetUseCase, _SetRun
from notifyflow.storage.delivery.attempts import Attempts, select_refs
from notifyflow.storage.delivery.escalations import Escalations
from notifyflow.storage.delivery.inbox import Inbox
from notifyflow.storage.delivery.incidents import Incidents
from notifyflow.storage.delivery.intervals import Intervals
from notifyflow.storage.delivery.notifications import Notifications
from notifyflow.storage.delivery.outbox import Outbox
from notifyflow.storage.delivery.replies import Replies
from notifyflow.storage.delivery.set_aside import SetAsides, Tried
from notifyflow.storage.delivery.steps import StepReads
from notifyflow.storage.delivery.work import Work
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.oncall.hand_overs import HandOvers
from notifyflow.storage.oncall.roster import RosterReads, StoredOverride
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import MODELS
from notifyflow.storage.tables import AttemptRow, IncidentRow, NotificationRow
from tests.simulation import web
from tests.simulation.calm import simulate_calm
from tests.simulation.clock_changes import simulate_clock_changes
from tests.simulation.crash_loops import simulate_crash_loop
from tests.simulation.damage import simulate_damage
from tests.simulation.database import Overriding, SimulatedUnitOfWork
from tests.simulation.explorer.explore import tell
from tests.simulation.heartbeats import simulate_heartbeats
from tests.simulation.pressure import simulate_pressure
from tests.simulation.scenario import RunResult, Variant, simulate
from tests.simulation.silences import simulate_silences

_NO_RUNNING_INDEX = ("UNIQUE INDEX notifyflow_attempt_running", "INDEX notifyflow_attempt_running")
_NO_NUMBER = (",\n        UNIQUE (notification_id, number)", "")
_NO_ROUND = (",\n        UNIQUE (incident_id, recipient_id, round)", "")
_NO_TIER = ("UNIQUE (escalation_id, tier, channel),", "")


class NoDueSweep(Overriding, Work):
    def ring(self, **arguments: Any) -> Any:
        return ()


class NoOutboxSweep(Overriding, Outbox):
    def waiting(self, **arguments: Any) -> Any:
        return ()


class NoLeaseSweep(Overriding, Attempts):
    def expired_leases(self, **arguments: Any) -> Any:
        return ()


class BlindToNeighbours(Overriding, Notifications):
    """Shows a decision the notifications as they were read, without what earlier items of the set made of them."""

    def of(self, escalation_id: str) -> tuple[NotificationFacts, ...]:
        now = super().of(escalation_id)
        own = next(reversed(self._unit._changed), None)
        kept = {each.id: self._unit._loaded[NotificationFacts, each.id] for each in now}
        return tuple(each if (NotificationFacts, each.id) == own else kept[each.id].stored or each for each in now)


class UnlockedIncidents(Overriding, Incidents):
    """Locks nothing in a transaction about one incident that is not of operations."""

    def lock(self, row_id: str) -> IncidentFacts:
        cast(UnguardedStep, self._unit).locks_nothing = not self.get(row_id).is_operations
        return super().lock(row_id)


class NoReceiptSweep(Overriding, Inbox):
    def missed(self, **arguments: Any) -> Any:
        return ()


class NoUnring(Overriding, Work):
    def unring(self, ids: Sequence[str]) -> frozenset[str]:
        del ids
        return frozenset()


class WaitingUnring(Overriding, Work):
    """Waits for rows that others have locked when rings are given back."""

    def unring(self, ids: Sequence[str]) -> frozenset[str]:
        self._unit.mark_rung(ids, None)
        return frozenset()


class NoNamespaceOfRepetitions(Overriding, Incidents):
    """Lets a sender repeat and amend the incident of a key in any namespace."""

    def lock_newest_of(self, names: Collection[tuple[str, str]]) -> Any:
        found = {name: self.lock_newest(IncidentRow.key == name[1], IS_UNRESOLVED) for name in names}
        return {name: each for name, each in found.items() if each is not None}


class NoNamespaceOfActs(Overriding, Incidents):
    """Lets an integration acknowledge and resolve the incident of a key in any namespace."""

    def lock_named(self, key: str, *, namespace: str | None) -> Any:
        return self.lock_newest(IncidentRow.key == key)


class QuarantinedLeases(Overriding, Attempts):
    """Expires the leases of quarantined incidents as well."""

    def expired_leases(self, *, now: datetime, limit: int) -> Any:
        is_over = (AttemptRow.state == AttemptState.RUNNING) & (AttemptRow.lease_until <= now)
        return self._refs(select_refs(is_over).order_by(AttemptRow.started_at).limit(limit))


class NoSecondCheck(Overriding, Intervals):
    """Takes nothing for quarantined that was found by a search."""

    def quarantined_among(self, incident_ids: Any, **arguments: Any) -> frozenset[str]:
        return frozenset()


class ForgottenQuarantine(Overriding, Intervals):
    def keep_quarantined(self, incident_ids: Sequence[str], *, at: datetime) -> None:
        del incident_ids, at


class NoPauses(Overriding, Intervals):
    def holds(self, **arguments: Any) -> Any:
        return (), super().holds(**arguments)[1]


class NoReleaseAtAnEarlyEnd(Overriding, Notifications):
    def free_from(self, silence_id: str, *, now: datetime) -> None:
        """Let what was held wait for the planned end."""


class OneByOne(Overriding, Work):
    def claim_lanes(self, lanes: Any, known: Any, **arguments: Any) -> Any:
        return ()


class AsItWas(Overriding, Work):
    """Fixes what a bundle carries when its first page is held: what becomes of the pages until its claim is not looked at."""

    def claim_lanes(self, lanes: Any, known: Collection[str], **arguments: Any) -> Any:
        fixed = cast(UnguardedClaim, self._unit).session.database.put_off.setdefault("bundles", {})
        fixed |= {row.id: row for row in super().claim_lanes(lanes, known, **arguments)}
        wanted = [row.id for row in fixed.values() if row.lane in lanes and row.id not in known]
        is_wanted = NotificationRow.id.in_(wanted) & NotificationRow.state.in_(("QUEUED", "CANCELLED"))
        found = {row["id"] for row in self._unit.rows(NotificationRow.select(NotificationRow.id).where(is_wanted))}
        return tuple(self._unit.remember([fixed[each] for each in wanted if each in found], is_locked=True))


class FreeNumbers(Overriding, Attempts):
    """Takes no number for taken."""

    def numbers_taken(self, lanes: Any, **arguments: Any) -> Any:
        return {}


class AllOpenAnswers(Overriding, Replies):
    """Lets the code of a message stand for everything that is open for the number."""

    def message(self, number: str, code: str, *, now: datetime) -> CodedMessage | None:
        found, others = super().message(number, code, now=now), self.open_messages(number, now=now)
        return found and replace(found, pages=[*found.pages, *(page for each in others for page in each.pages)])


class NoEndOfHolding(Overriding, Notifications):
    def stop_waiting(self, calling: Any, *, is_bundling: bool, **arguments: Any) -> None:
        """Go on as if bundling were on."""
        del is_bundling
        super().stop_waiting(calling, is_bundling=True, **arguments)


class NoBringingForward(Overriding, Notifications):
    def bring_forward(self, why: Any, **arguments: Any) -> None:
        if DeferralReason.PAUSE not in why:
            super().bring_forward(why, **arguments)


class Unguarding:
    """Chooses the rows that are written without compare-and-set."""

    def _is_unguarded(self, after: Any) -> bool:
        raise NotImplementedError


class Unguarded(Unguarding, SimulatedUnitOfWork):
    """Writes some rows without compare-and-set."""

    def flush(self) -> None:
        for key in self._changed:
            kept = self._loaded[key]
            if kept.stored is not None and self._is_unguarded(kept.now):
                self.session.lock([kept.now.id])
                _pretend_that_it_was_read(kept, self._lines, self.db)
        super().flush()


def _pretend_that_it_was_read(kept: Any, lines: Sequence[dict[str, Any]], db: Any) -> None:
    """Give a kept row the version and state that its row has now, and its lines in the log the versions that follow."""
    row = MODELS[type(kept.now)]
    found = row.select(row.version, row.state).where(row.id == kept.now.id).tuples().execute(db)
    ((version, state),) = found
    ahead = version - kept.stored.version
    kept.stored = replace(kept.stored, version=version, state=state)
    kept.now = replace(kept.now, version=kept.now.version + ahead)
    for line in lines:
        if line["row_id"] == kept.now.id:
            line["version"] += ahead


class UnguardedClaim(Unguarded):
    def _is_unguarded(self, after: Any) -> bool:
        return isinstance(after, NotificationFacts) and after.state is NotificationState.SENDING

    def locked(self, query: Select, *, skips_locked: bool = False) -> Select:
        return query if skips_locked else super().locked(query)


class UnguardedStep(Unguarded):
    locks_nothing = False

    def locked(self, query: Select, *, skips_locked: bool = False) -> Select:
        return query if self.locks_nothing else super().locked(query, skips_locked=skips_locked)

    def _is_unguarded(self, after: Any) -> bool:
        return isinstance(after, StepFacts | IncidentFacts | EscalationFacts)


class UnguardedEscalation(Unguarded):
    def _is_unguarded(self, after: Any) -> bool:
        return isinstance(after, EscalationFacts)


class UnlockedEscalations(Overriding, Escalations):
    def lock(self, escalation_id: str) -> EscalationFacts:
        return self.get(escalation_id)

    def load(self, escalation_ids: Any, *, moving: Any = ()) -> None:
        del escalation_ids, moving


class LateAttempt(SimulatedUnitOfWork):
    """Stores an attempt only when its outcome is recorded."""

    def insert_set(self, model: Any, rows: Any) -> None:
        if model is AttemptRow:
            self.session.database.put_off.update({row["id"]: row for row in rows})
        else:
            super().insert_set(model, rows)


class LateAttempts(Overriding, Attempts):
    def refs(self, attempt_ids: Sequence[str]) -> Any:
        unit = cast(LateAttempt, self._unit)
        put_off = unit.session.database.put_off
        SimulatedUnitOfWork.insert_set(unit, AttemptRow, [put_off.pop(each) for each in attempt_ids if each in put_off])
        return super().refs(attempt_ids)


def _record_whatever_runs(deps: Dependencies, recordings: Sequence[Recording]) -> SetResult[None]:
    def running(ledger: Ledger) -> list[Recording]:
        return [replace(each, lease=_running_lease(ledger, each.lease)) for each in recordings]

    try:
        known = deps.transactions.run(running)
    except CommitUnknown as unknown:  # the transaction only read
        known = cast(list[Recording], unknown.result)
    return _record(deps, known)


def _running_lease(ledger: Ledger, lease: Lease) -> Lease:
    row = ledger.notifications.find(lease.ref.notification_id, is_locked=True)
    running = [each for each in row.attempts if each.state is AttemptState.RUNNING] if row else []
    return replace(lease, ref=replace(lease.ref, attempt_id=running[0].id), token=running[0].token) if running else lease


def _record_without_check(deps: Dependencies, recordings: Sequence[Recording]) -> SetResult[None]:
    return _record(deps, [replace(each, lease=replace(each.lease, unsure=None)) for each in recordings])


def _add_unless_stopping(recordings: Recordings, *arguments: Any, **named: Any) -> None:
    if not recordings._recorder._is_stopping():
        _add(recordings, *arguments, **named)


def _forget_locked(*given: Any, **named: Any) -> Claims:
    return replace(claim(*given, **named), locked=frozenset())


def _report_at_once(group_commit: GroupCommit[Any, Any], items: Sequence[Any], *, until: ItemDeadline | None = None) -> None:
    """Take outcomes for recorded before their commit, which comes with those of the next call."""
    if not all(isinstance(pending.item, Recording) for pending in items):
        _wait_for(group_commit, items, until=until)
        return
    for pending in items:
        pending.is_done = True
    late = [pending for pending in group_commit._waiting if pending not in items]
    for pending in late:
        group_commit._waiting.remove(pending)
    if late:
        group_commit._report(group_commit._commit([pending.item for pending in late]).follow_ups)


def _fail_together(handling: SetUseCase[Any, Any, Any], items: Mapping[int, Any], tx: Transaction) -> Mapping[int, Any]:
    """Let the error of one item be that of all."""
    try:
        return _handle_all(handling, items, tx)
    except set_use_case._Refused as refused:
        raise set_use_case._Refused(dict.fromkeys(items, next(iter(refused.errors.values())))) from None


def _keep_the_lead(group_commit: GroupCommit[Any, Any], some: Any, *given: Any) -> None:
    """Lead for ever if interrupted."""
    del given
    group_commit._has_leader = some.is_by_leader


def _start_anew(group_commit: GroupCommit[Any, Any], some: Any, *given: Any) -> None:
    """Take nothing for committed of a set whose thread was cut short."""
    del given
    group_commit._put_back(some)


def _deny(deps: Dependencies, done: object, waited_s: float) -> bool:
    """Take a commit for unknown, whatever the log shows."""
    raise CommitUnknown(waited_s, done)


def _claim_on(deliverer: Any, channel: str, notification_ids: Sequence[str], *, goes_on: bool) -> bool:
    del notification_ids
    while deliverer._deliver_batch(channel, (), limit=20)[0]:
        pass
    return goes_on


def _assign_to_all(attempts: Sequence[Claimed], batches: Sequence[Batch]) -> list[set[str]]:
    for batch in batches:
        batch.assign(attempts)
    return [{each.message.notification_id for each in attempts}] * len(batches)


def _apply_the_last(attempt: AttemptFacts, result: Result | None, *, code: str = "", reason: str = "") -> AttemptFacts:
    return attempt if result is None else replace(attempt, result=result, code=code, reason=reason)


def _mute_what_seems_broken(tx: Transaction, context: DecisionContext, contact: Contact) -> DecisionContext:
    """Await no receipt of a provider whose callback path seems broken."""
    context = _inform(tx, context, contact)
    mute = {each for each in page_rules.overdue_receipts(context, tx.now) if callback_paths._seems_broken(tx, *each)}

    def silenced(row: NotificationFacts) -> NotificationFacts:
        attempts = (replace(each, receipt_due_at=None) if (row.channel, each.provider) in mute else each for each in row.attempts)
        return replace(row, attempts=tuple(attempts))

    return replace(context, notifications=tuple(map(silenced, context.notifications)))


_reasons = escalation._EscalationSubject._reasons


def _all_reasons_but_silence(subject: escalation._EscalationSubject, *, is_over: bool) -> Iterator[str]:
    return (each for each in _reasons(subject, is_over=is_over) if each != "unproven")


def _duty_at_display(reads: StepReads, incident_ids: Collection[str]) -> Mapping[str, tuple[StepFacts, ...]]:
    """Say that the people of a step are those who are on duty by the roster of now."""
    roster = RosterReads(reads._source).current()

    def shown(step: StepFacts) -> StepFacts:
        people = roster.people(step.to, step.started_at).recipients if step.started_at else ()
        return replace(step, paged=tuple(each.id for each in people) if step.number > 1 and people else step.paged)

    return {incident_id: tuple(map(shown, found)) for incident_id, found in _steps_of(reads, incident_ids).items()}


def _alert_beside_the_chain(subject: Any, **named: Any) -> None:
    """Alert operations of each failure, as if there were no chain that does so at its end."""
    incident = subject.context.incident
    subject.context = replace(subject.context, incident=replace(incident, run_number=0))
    _alert(subject, **named)
    subject.context = replace(subject.context, incident=incident)


def _nothing_behind_a_shut_tier(context: DecisionContext) -> Tier | None:
    """Return no tier behind the first one that is shut."""
    escalation = context.escalation
    ahead = list(takewhile(lambda tier: escalation.severity not in tier.shut_for, escalation.policy.tiers[escalation.tier :]))
    return ahead[0] if any(tier_rules.ways(context, tier) for tier in ahead) else None


def _prefer_for_critical(policy: Policy, contact: Contact, severity: Severity) -> Policy:
    """Return the policy with the channels of a wish in the place of its own, for CRITICAL as for other severities."""
    names = (contact.channels or {}).get(severity)
    return replace(policy, tiers=tuple(preferences._in_turn(policy.tiers, names))) if names else policy


def _forget_the_stop(row: NotificationFacts) -> NotificationState:
    return _state_of(replace(row, is_stopped=row.is_stopped and row.state is NotificationState.QUEUED))


def _round_by_the_clock(context: DecisionContext) -> datetime | None:
    repeat = context.escalation.policy.repeat
    is_paged_once = repeat is None or context.escalation.severity in repeat.never_for
    return None if is_paged_once else context.escalation.started_at + repeat.every


def _age_by_the_clock(escalation: EscalationFacts, row: NotificationFacts, paused_intervals: Any) -> datetime:
    return escalation.started_at + escalation.policy.freshness(escalation.severity)


def _as_if_sent(tx: Transaction, attempt: AttemptFacts, recording: Recording) -> Outcome:
    outcome = _completed(tx, attempt, recording)
    return replace(outcome, result=Result.ACCEPTED) if attempt.is_sent_with_another else outcome


def _count_each(tx: Transaction, group: Sequence[Candidate], provider: str, **named: Any) -> Claimed:
    for each in group[1:]:
        eligibility.spend(tx, each.row, each.escalation)
    return _begin_all(tx, group, provider, **named)


def _postpone_without_deferral(row: NotificationFacts, **named: Any) -> lifecycle.Moved:
    return _postpone(replace(row, deferred_by=None, deferred_since=None), **named)


def _apply_to_the_first(deps: Dependencies, bundled: receive.Bundled) -> Any:
    return _apply_to_all(deps, replace(bundled, refs=bundled.refs[:1]))


def _without_halves(bundled: receive.Bundled) -> Any:
    return [replace(each, half=None) for each in _parts(bundled)]


def _refused_for_good(response: Any) -> Outcome:
    return replace(_outcome_of(response), is_about_content=False)


def _say_twenty(contents: Sequence[Content], **named: Any) -> Content:
    return _bundle_of(contents[:20], **named)


def _quiet_for_all(contact: Contact, severity: Severity, now: datetime) -> datetime | None:
    return _quiet_until(contact, Severity.INFO, now)


def _open_by_the_clock(context: DecisionContext, rule: Unacknowledged) -> datetime:
    return context.escalation.started_at + rule.after


def _put_off_by_all(deadline: datetime, intervals: Any, *, since: datetime, **named: Any) -> datetime:
    return moved(deadline, intervals, since=since)


def _wait_for_any_round(tx: Transaction, incident: IncidentFacts, *, failures: int) -> None:
    del failures
    _page_or_wait(tx, incident, failures=0)


def _wait_for_nothing_else(tx: Transaction, incident: IncidentFacts, *, failures: int) -> None:
    """Page at once or never: failures within 15 minutes are counted, but no round starts afterwards."""
    _page_or_wait(tx, incident, failures=failures)
    current = tx.ledger.incidents.lock(incident.id)
    if current.round_at is not None:
        tx.ledger.save(current, replace(current, round_at=None))


def _count_all_as_told(tx: Transaction, incident: IncidentFacts) -> bool:
    uncounted = tx.ledger.operations.uncounted(incident.id)
    return uncounted.paging > 0 or uncounted.notices > 0


def _severity_of_what_is_new(incident: IncidentFacts, current: Any, *, has_new_failures: bool) -> Severity:
    return Severity.CRITICAL if has_new_failures else Severity.WARNING


_LATER = timedelta(minutes=1)


def _attempt_later(coming: NextEvent, now: datetime) -> NextEvent:
    """Say that what a notification waits for comes a minute later than it does."""
    return _due(replace(coming, at=(coming.at or now) + _LATER), now)


def _decide_later(context: DecisionContext, now: datetime) -> Iterator[NextEvent]:
    """Say that what the timers of an escalation bring comes a minute later than it does."""
    for each in _of_timers(context, now):
        yield replace(each, at=(each.at or now) + _LATER)


def _foresee_no_call(fresh: DecisionContext, models: Mapping[str, ChannelModel]) -> Forecast:
    return replace(_forecast(fresh, models), called_after=dict.fromkeys(ProviderBehaviour))


_due, _of_timers, _forecast = next_events._due, next_events._of_timers, forecast.forecast
_page_or_wait = operations._page_or_wait
_steps_of, _alert = StepReads.of, escalation._EscalationSubject._alert
_record, _add, _wait_for, _state_of = recording.record, Recordings.add, GroupCommit.wait_for, lifecycle.state_of
_inform, _quiet_until, _completed = outages.inform, quiet.quiet_until, record._completed
_handle_all = SetUseCase.handle_all
_begin_all, _bundle_of, _postpone = claim_module.begin_all, attempts.bundle_of, lifecycle.postpone
_apply_to_all, _outcome_of = receive.apply_to_all, deliver.outcome_of
_parts = receive.Bundled.parts.fget


@contextmanager
def swapped(module: Any, name: str, other: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, other)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def _without_commit_checks() -> Iterator[None]:
    """Disable both checks of whether an unanswered commit happened."""
    with swapped(use_case, "_was_done", _deny), swapped(recording, "record", _record_without_check):
        yield


@contextmanager
def _without_ends_of_rounds() -> Iterator[None]:
    """Disable both checks of whether a page's round is over: of the row, and of the claim."""
    with swapped(lifecycle, "state_of", _forget_the_stop), swapped(endings, "is_overtaken", lambda row, escalation: False):
        yield


@contextmanager
def _silent_after_doubt() -> Iterator[None]:
    """Report nothing of a record that had to be looked up by its token, after the look-up in the log has failed."""
    with (
        swapped(use_case, "_was_done", _deny),
        swapped(recording, "follow_ups_of", lambda unknown: NOTHING),
    ):
        yield


_tell_once = HandOvers.add


def _tell_again(stored: HandOvers, told: HandOver, incident_id: str) -> bool:
    return _tell_once(stored, told, incident_id) or True


@contextmanager
def _without_hand_over_marks() -> Iterator[None]:
    """Disable both checks of whether a batch-over was told."""
    with swapped(HandOvers, "add", _tell_again), swapped(HandOvers, "handled", lambda stored, since: {}):
        yield


def _as_if_never_made(stored: StoredOverride) -> Override:
    made = stored.override
    return made if stored.cancelled_at is None else replace(made, ends_at=made.begins_at)


_match, _until, _begin_each = Matchers.match, Covered.until, claim_module.begin_all


def _match_any_severity(matchers: Matchers, content: Incident) -> bool:
    return _match(matchers, replace(content, severity=Severity.INFO))


def _until_where_held(covered: Covered, row: NotificationFacts) -> datetime | None:
    until = _until(covered, row)
    return None if row.incident_id in covered.unheld else until


def _drop_a_released_page(tx: Transaction, group: Sequence[Candidate], *given: Any, **named: Any) -> Claimed:
    are_released = len(group) > 1 and all(each.row.has_been_silenced for each in group)
    return _begin_each(tx, group[:-1] if are_released else group, *given, **named)


def _blame_pairs(running: Any, parts: SetParts[int], part: SetPart[int]) -> None:
    """Blame two neighbours instead of halving them."""
    known = len(parts._left)
    _run_part(running, parts, part)
    if len(part.items) == 2 and [len(each.items) for each in parts._left][: len(parts._left) - known] == [1, 1]:
        running._results.update(dict.fromkeys(part.items, Refused("blamed", is_of_row=True)))
        del parts._left[0], parts._left[0]


_run_part = _SetRun._run_part


@contextmanager
def _without_halving() -> Iterator[None]:
    """Try a set that others are in the way of as it is, for as long as there is time, now and the next time."""
    halve = SetParts.halve

    def insist(parts: SetParts[Any], part: SetPart[Any], error: Exception) -> bool:
        if set_aside_rows.is_damage(error) or not isinstance(error, Contended):
            return halve(parts, part, error)
        parts.put_back(replace(part, is_insisted_on=True))
        return True

    with swapped(SetParts, "halve", insist), swapped(Pressure, "met", lambda pressure, use_case, count: None):
        yield


class NoSecondTry(Overriding, SetAsides):
    """Sets rows aside for ever."""

    def try_again(self, *, now: datetime) -> tuple[Tried, ...]:
        del now
        return ()

    def release(self, row_ids: Collection[str]) -> Sequence[SetAside]:
        del row_ids
        return ()


_deadline = watched_jobs._deadline


def _await_the_run(job: WatchedJob) -> Interval:
    """Let a job that has said that it starts be as late as its run may be."""
    starts = map(datetime.fromisoformat, job.runs.values())
    runs = [Interval(began_at=at, ended_at=at + job.timetable.grace) for at in starts]
    return max([_deadline(replace(job, runs={})), *runs], key=lambda each: each.ended_at)


_after = Timetable.after


def _after_in_utc(timetable: Timetable, at: datetime) -> datetime:
    return _after(replace(timetable, timezone="UTC"), at)


def _after_twice(timetable: Timetable, at: datetime) -> datetime:
    """Let a time of day count twice where clocks show it twice."""
    found, last = _after(timetable, at), _after(timetable, at - timedelta(hours=3))
    again = last.astimezone(ZoneInfo(timetable.timezone)).replace(fold=1).astimezone(UTC)
    return again if at < again < found else found


@dataclass(frozen=True)
class Mutant:
    """A faulty variant of the product.

    Attributes:
        name: What is wrong with it.
        variant: The parts that a scenario composes otherwise.
        swap: Replaces a name in a module while it runs.
        known: A seed that is known to catch it, tried before all others.
        world: Runs the worlds in which it is caught.
    """

    name: str
    variant: Variant = Variant()  # noqa: RUF009 - a frozen value
    swap: Callable[[], AbstractContextManager[None]] = nullcontext
    known: int = 0
    world: Callable[[int, Variant], RunResult] = simulate

    def simulate(self, seed: int) -> RunResult:
        with self.swap():
            return self.world(seed, self.variant)

    def catch(self, seeds: Sequence[int]) -> RunResult | None:
        """Return the first run that violates an invariant, the known seed first.

        A crash of the mutant itself is no catch, nor is an error of an oracle's own.
        """
        caught = next((result for seed in (self.known, *seeds) if (result := self.simulate(seed)).violation), None)
        assert caught is None or not caught.violation.startswith(("TypeError", "AttributeError", "an oracle")), caught.violation
        return caught


MUTANTS = (
    Mutant("no due sweep", Variant(parts=(NoDueSweep,)), known=26),
    Mutant("no sweep of the outbox", Variant(parts=(NoOutboxSweep,)), known=71),
    Mutant("no lease sweep", Variant(parts=(NoLeaseSweep,)), known=6),
    Mutant("no sweep for missed receipts", Variant(parts=(NoReceiptSweep,)), known=102),
    Mutant("claim without compare-and-set", Variant(unit=UnguardedClaim, without=(_NO_RUNNING_INDEX, _NO_NUMBER)), known=4),
    Mutant("no fencing token", swap=lambda: swapped(recording, "record", _record_whatever_runs), known=24),
    Mutant(
        "an unconfirmed commit counts as a lost lease",
        swap=_without_commit_checks,
        known=9,
    ),
    Mutant("a record in doubt that reports nothing", swap=_silent_after_doubt, known=9),
    Mutant("last receipt wins", swap=lambda: swapped(lifecycle, "_apply", _apply_the_last)),
    Mutant("escalation without lock", Variant(parts=(UnlockedEscalations,)), known=28),
    Mutant(
        "escalation without the UNIQUE constraint",
        Variant(unit=UnguardedEscalation, parts=(UnlockedEscalations,), without=(_NO_TIER,)),
        known=6,
    ),
    Mutant("attempt row after the send", Variant(unit=LateAttempt, parts=(LateAttempts,))),
    Mutant(
        "lease shorter than the provider's time-out",
        Variant(deps={"lease": timedelta(seconds=5)}, send_budget=timedelta(seconds=2)),
        known=2,
    ),
    Mutant("a repetition that ignores the namespace", Variant(parts=(NoNamespaceOfRepetitions,)), known=1),
    Mutant("an acknowledgement that ignores the namespace", Variant(parts=(NoNamespaceOfActs,)), known=1),
    Mutant("a limit that counts nothing", swap=lambda: swapped(provider_health, "_counted", lambda health, now: ()), known=6),
    Mutant(
        "a flood that takes the slots kept for others",
        swap=lambda: swapped(slots, "_has_had_little", lambda *given: True),
        known=2,
    ),
    Mutant("a pause that no claim checks", Variant(parts=(NoPauses,)), known=4),
    Mutant("rounds that run through a pause", swap=lambda: swapped(rounds, "due_at", _round_by_the_clock), known=6),
    Mutant(
        "freshness that runs through a pause", swap=lambda: swapped(page_rules, "row_expires_at", _age_by_the_clock), known=24
    ),
    Mutant(
        "tiers that open by time through a pause", swap=lambda: swapped(tier_rules, "_opens_at", _open_by_the_clock), known=25
    ),
    Mutant(
        "a page that leaves in quiet hours",
        swap=lambda: swapped(quiet, "quiet_until", lambda contact, severity, now: None),
        known=31,
    ),
    Mutant("quiet hours that hold CRITICAL", swap=lambda: swapped(quiet, "quiet_until", _quiet_for_all), known=2),
    Mutant(
        "clocks that run in quiet hours", swap=lambda: swapped(quiet, "escalation_intervals", lambda contact, escalation, now: ())
    ),
    Mutant("pages that waited and leave one by one", Variant(parts=(OneByOne,)), known=32),
    Mutant(
        "a carried page that counts as sent although its call failed",
        swap=lambda: swapped(record, "_completed", _as_if_sent),
        known=64,
    ),
    Mutant(
        "a bundle that is fixed before its claim",
        Variant(unit=UnguardedClaim, parts=(AsItWas,), without=(_NO_RUNNING_INDEX, _NO_NUMBER)),
        swap=lambda: swapped(endings, "is_overtaken", lambda row, escalation: False),
        known=208,
    ),
    Mutant(
        "CRITICAL pages that wait for the beat",
        swap=lambda: swapped(lanes, "_is_first", lambda *given, **named: False),
        known=274,
    ),
    Mutant(
        "a page that nobody took and that waits too long for the next call",
        swap=lambda: swapped(lanes, "REPEATED_AFTER", timedelta(minutes=10)),
        known=28,
    ),
    Mutant("a message that drops the 21st page", swap=lambda: swapped(attempts, "bundle_of", _say_twenty), known=145),
    Mutant("bundling that is off and ignores what waits", Variant(parts=(NoEndOfHolding,)), known=88),
    Mutant("a cap that counts each page of a message", swap=lambda: swapped(claim_module, "begin_all", _count_each), known=303),
    Mutant(
        "a wait for a call that ends a deferral",
        swap=lambda: swapped(lifecycle, "postpone", _postpone_without_deferral),
        known=6,
    ),
    Mutant("two calls to a number at once", Variant(parts=(FreeNumbers,)), known=303),
    Mutant(
        "a key for titles that were not said",
        swap=lambda: swapped(receive, "for_title", lambda receipt, position, **named: receipt),
        known=113,
    ),
    Mutant("an answer that acknowledges everything open", Variant(parts=(AllOpenAnswers,)), known=37),
    Mutant(
        "a receipt for the first page of a message only",
        swap=lambda: swapped(web, "apply_to_all", _apply_to_the_first),
        known=113,
    ),
    Mutant(
        "a refusal for content that costs all an attempt",
        swap=lambda: swapped(deliver, "outcome_of", _refused_for_good),
        known=293,
    ),
    Mutant(
        "a later refusal of the content that costs all an attempt",
        swap=lambda: swapped(receive.Bundled, "parts", property(_without_halves)),
        known=276,
    ),
    Mutant("a pause whose early end brings nothing forward", Variant(parts=(NoBringingForward,)), known=7),
    Mutant(
        "a STOP that is ignored",
        swap=lambda: swapped(eligibility, "allowed_providers", lambda tx, row, escalation, providers: providers),
        known=7,
    ),
    Mutant("a stop that loses running sends", swap=lambda: swapped(Recordings, "add", _add_unless_stopping), known=44),
    Mutant("a set that fails as a whole", swap=lambda: swapped(SetUseCase, "handle_all", _fail_together), known=66),
    Mutant("an item that does not see its neighbours", Variant(parts=(BlindToNeighbours,)), known=10),
    Mutant("an interrupted leader that stays the leader", swap=lambda: swapped(GroupCommit, "_leave", _keep_the_lead), known=9),
    Mutant(
        "owed rings that nobody gives back",
        swap=lambda: swapped(deliver.Deliverer, "pay_back", lambda deliverer: None),
        known=1,
    ),
    Mutant(
        "a ring that is lost while its row is locked",
        swap=lambda: swapped(shared_claims, "claim", _forget_locked),
        known=1002,
        world=simulate_calm,
    ),
    Mutant("rings that are given back once no row is locked", Variant(parts=(WaitingUnring,)), known=455),
    Mutant("an interrupted leader whose commit is forgotten", swap=lambda: swapped(GroupCommit, "_leave", _start_anew), known=9),
    Mutant(
        "a commit that nobody looks up and that is made anew",
        swap=lambda: swapped(use_case, "_was_done", lambda deps, done, waited_s: False),
        known=9,
    ),
    Mutant(
        "outcomes that are reported before their commit", swap=lambda: swapped(GroupCommit, "wait_for", _report_at_once), known=3
    ),
    Mutant(
        "overdue receipts that raise no suspicion",
        swap=lambda: swapped(page_rules, "is_overdue", lambda context, row, now: False),
        known=92,
    ),
    Mutant(
        "a callback path that seems broken mutes overdue receipts",
        swap=lambda: swapped(outages, "inform", _mute_what_seems_broken),
        known=37,
    ),
    Mutant(
        "a sent page with an overdue receipt counts as arrived",
        swap=lambda: swapped(tier_rules, "has_arrived", lambda row: row.state in REACHING),
        known=2,
    ),
    Mutant(
        "silence without an alert",
        swap=lambda: swapped(escalation._EscalationSubject, "_reasons", _all_reasons_but_silence),
        known=9,
    ),
    Mutant(
        "a silent round that is reached by what was sent",
        swap=lambda: swapped(tier_rules, "has_reached", lambda context: any(row.state in REACHING for row in context.pages)),
        known=2,
    ),
    Mutant(
        "a shut tier that ends the escalation",
        swap=lambda: swapped(tier_rules, "next_tier", _nothing_behind_a_shut_tier),
        known=50,
    ),
    Mutant(
        "a timer that waits for the tiers before its own",
        swap=lambda: swapped(tier_rules, "timers", lambda ahead: timers(ahead[:1])),
        known=102,
    ),
    Mutant("a sweep of quarantined leases", Variant(parts=(QuarantinedLeases, NoSecondCheck)), known=6),
    Mutant("a quarantine that counts for the clocks", Variant(parts=(ForgottenQuarantine,)), known=6),
    Mutant("a stop that keeps its rings", Variant(parts=(NoUnring,)), known=91),
    Mutant(
        "a stop that goes on claiming what it released",
        swap=lambda: swapped(deliver.Deliverer, "_deliver_due", _claim_on),
        known=110,
    ),
    Mutant("an attempt that two threads are assigned", swap=lambda: swapped(shared_claims, "_assign", _assign_to_all), known=53),
    Mutant(
        "threads that never give way",
        swap=lambda: swapped(deliver.Precedence, "takes_thread", lambda precedence: False),
        known=68,
    ),
    Mutant(
        "a failure that waits for a round of notices",
        swap=lambda: swapped(operations, "_page_or_wait", _wait_for_any_round),
        known=2,
    ),
    Mutant(
        "a failure that is counted and never reported",
        swap=lambda: swapped(operations, "_page_or_wait", _wait_for_nothing_else),
        known=2,
    ),
    Mutant(
        "a round of notices that replaces one of failures",
        swap=lambda: swapped(operations, "severity_for_operations", _severity_of_what_is_new),
        known=40,
    ),
    Mutant(
        "notices alone that ring the phone",
        swap=lambda: swapped(operations, "severity_for_operations", lambda *given, **named: Severity.CRITICAL),
        known=2,
    ),
    Mutant("a step that ignores the outcome", Variant(deps={"wiring": replace(WIRING, at_end=WIRING.at_end[1:])}), known=4),
    Mutant(
        "operations that is told before the steps",
        Variant(deps={"wiring": replace(WIRING, at_end=WIRING.at_end[::-1])}),
        known=4,
    ),
    Mutant(
        "a step that two sweepers start",
        Variant(unit=UnguardedStep, parts=(UnlockedIncidents,), without=(_NO_ROUND,)),
        known=58,
    ),
    Mutant("duty that is read when it is shown", swap=lambda: swapped(StepReads, "of", _duty_at_display), known=5),
    Mutant(
        "a run that ends in two alerts",
        swap=lambda: swapped(escalation._EscalationSubject, "_alert", _alert_beside_the_chain),
        known=4,
    ),
    Mutant("a hand-over that each worker tells", swap=_without_hand_over_marks, known=105),
    Mutant("a message for each click", swap=lambda: swapped(hand_overs, "QUIET_FOR", timedelta()), known=62),
    Mutant(
        "a duty that is given back in silence",
        swap=lambda: swapped(StoredOverride, "as_it_was", property(_as_if_never_made)),
        known=25374,
    ),
    Mutant("a hand-over that nobody tells", swap=lambda: swapped(HandOverTeller, "look", lambda teller: None), known=62),
    Mutant("a resolve that drops what waits", swap=lambda: swapped(operations, "follow", lambda tx, resolved: None), known=27),
    Mutant(
        "a page that nobody accepted and counts as told",
        swap=lambda: swapped(operations, "end_round", _count_all_as_told),
        known=3,
    ),
    Mutant("a phone that is closed and told to nobody", swap=lambda: swapped(held_up, "is_held_up", lambda context, now: False)),
    Mutant("acknowledgement not re-checked", swap=_without_ends_of_rounds, known=1),
    Mutant(
        "a firing that rings again what the one before has rung",
        swap=lambda: swapped(earlier_pages, "PAGE_AGAIN_AFTER", timedelta()),
        known=129,
    ),
    Mutant(
        "an acknowledgement that leaves the next firing open",
        swap=lambda: swapped(series, "is_same", lambda one, other: False),
        known=16,
    ),
    Mutant("timers of which nothing is said", swap=lambda: swapped(next_events, "timers", lambda context: [])),
    Mutant("a message that is said to have gone out", swap=lambda: swapped(timeline, "was_accepted", lambda row: True), known=7),
    Mutant("lateness that is not said", swap=lambda: swapped(next_events, "_late_since", lambda due_at, now: None), known=3),
    Mutant(
        "outages that put a page off for as long as they last",
        swap=lambda: swapped(tier_rules, "paged_at", _put_off_by_all),
        world=simulate_crash_loop,
    ),
    Mutant(
        "steps whose time runs in quiet hours",
        swap=lambda: swapped(quiet, "step_intervals", lambda *given, **named: ()),
        known=7,
        world=simulate_calm,
    ),
    Mutant(
        "attempts that are said to come later",
        swap=lambda: swapped(next_events, "_due", _attempt_later),
        world=simulate_calm,
    ),
    Mutant(
        "tiers that are said to open later",
        swap=lambda: swapped(next_events, "_of_timers", _decide_later),
        known=4,
        world=simulate_calm,
    ),
    Mutant(
        "an explanation in which calls take no time",
        swap=lambda: swapped(forecast, "LONGEST_CALL", timedelta()),
        known=5,
        world=simulate_calm,
    ),
    Mutant(
        "an explanation without the call",
        swap=lambda: swapped(forecast, "forecast", _foresee_no_call),
        known=3,
        world=simulate_calm,
    ),
    Mutant(
        "clocks that begin anew with each firing",
        swap=lambda: swapped(series, "go_on", lambda new, left, contact: new),
        known=13,
        world=simulate_calm,
    ),
    Mutant(
        "a wish that replaces the policy's channels",
        swap=lambda: swapped(preferences, "preferred", _prefer_for_critical),
        world=simulate_calm,
    ),
    Mutant(
        "flapping that is looked for only when something happens",
        swap=lambda: swapped(series, "look_at", lambda incident, now, silenced: None),
        known=2199,
        world=tell,
    ),
    Mutant(
        "a new number that waits for what is busy",
        swap=lambda: swapped(tier_rules, "has_lost", lambda context, channels, now: False),
        known=1511,
        world=tell,
    ),
    Mutant(
        "attempts that begin anew with each firing",
        swap=lambda: swapped(page_rules, "is_lost", lambda context, row: row.state is NotificationState.FAILED),
        known=2163,
        world=tell,
    ),
    Mutant(
        "a silence of everything",
        swap=lambda: swapped(Matchers, "match", lambda own, content: True),
        known=1,
        world=simulate_silences,
    ),
    Mutant(
        "a silence whose early end releases nothing", Variant(parts=(NoReleaseAtAnEarlyEnd,)), known=23, world=simulate_silences
    ),
    Mutant(
        "a silence that ignores a rise",
        swap=lambda: swapped(Matchers, "match", _match_any_severity),
        known=1,
        world=simulate_silences,
    ),
    Mutant(
        "a page of an incident that no silence holds yet",
        swap=lambda: swapped(Covered, "until", _until_where_held),
        world=simulate_silences,
    ),
    Mutant(
        "a released message that drops a page",
        swap=lambda: swapped(claim_module, "begin_all", _drop_a_released_page),
        world=simulate_silences,
    ),
    Mutant(
        "claims that share what a silence has released",
        swap=lambda: swapped(claimed_lanes, "_gather_released", lambda *given: None),
        known=37,
        world=simulate_silences,
    ),
    Mutant(
        "a page that nobody has claimed when a silence ends leaves by itself",
        swap=lambda: swapped(Covered, "is_leaving", lambda covered, row: False),
        known=67,
        world=simulate_silences,
    ),
    Mutant(
        "a page again that releases no silenced incident",
        swap=lambda: swapped(holds, "release_all", lambda tx, incident: None),
        known=73,
        world=simulate_silences,
    ),
    Mutant(
        "halving that stops at two neighbours",
        swap=lambda: swapped(_SetRun, "_run_part", _blame_pairs),
        known=1,
        world=simulate_damage,
    ),
    Mutant(
        "a page set aside that its tier waits for",
        swap=lambda: swapped(set_aside, "as_decided", lambda row, now: row),
        world=simulate_damage,
    ),
    Mutant(
        "rows set aside of which operations is not told",
        swap=lambda: swapped(set_aside, "is_paging", lambda machine, severity, *, is_operations: False),
        known=1,
        world=simulate_damage,
    ),
    Mutant("rows set aside for ever", Variant(parts=(NoSecondTry,)), known=11, world=simulate_damage),
    Mutant(
        "an acknowledgement that one damaged row keeps out",
        swap=lambda: swapped(sparing, "is_unwritable", lambda error: False),
        known=4,
        world=simulate_damage,
    ),
    Mutant(
        "a damaged row that only sets a pace is left as it is",
        swap=lambda: swapped(Repository, "_to_write_anew", lambda repository, table: ()),
        known=1,
        world=simulate_damage,
    ),
    Mutant(
        "sets that are not halved for the locks of others",
        swap=_without_halving,
        known=1,
        world=simulate_pressure,
    ),
    Mutant(
        "sets that never grow again",
        swap=lambda: swapped(Pressure, "passed", lambda pressure, use_case, count: None),
        world=simulate_pressure,
    ),
    Mutant(
        "a start that puts a deadline off",
        swap=lambda: swapped(watched_jobs, "_deadline", _await_the_run),
        world=simulate_heartbeats,
    ),
    Mutant(
        "an outage that counts as a miss",
        swap=lambda: swapped(Listening, "absence", lambda listening, window, now: None),
        world=simulate_heartbeats,
    ),
    Mutant(
        "a miss that is told before it is known who listened",
        swap=lambda: swapped(Listening, "is_known", lambda listening, at, now: True),
        known=36,
        world=simulate_heartbeats,
    ),
    Mutant(
        "a removed job that stays",
        swap=lambda: swapped(watched_jobs, "remove", lambda job, *, now: job),
        world=simulate_heartbeats,
    ),
    Mutant(
        "a job's incident that an ingest key resolves",
        swap=lambda: swapped(inbound, "_key", lambda integration, key: key),
        world=simulate_heartbeats,
    ),
    Mutant(
        "cron times in UTC",
        swap=lambda: swapped(Timetable, "after", _after_in_utc),
        world=simulate_clock_changes,
    ),
    Mutant(
        "a time of day that counts twice when clocks go back",
        swap=lambda: swapped(Timetable, "after", _after_twice),
        known=4,
        world=simulate_clock_changes,
    ),
    Mutant(
        "a process that uses its own clock",
        swap=lambda: swapped(DatabaseClock, "now", lambda clock: clock._system_now()),
        world=simulate_clock_changes,
    ),
)

LAST_DEFENCE = Mutant("the UNIQUE constraint alone", Variant(unit=UnguardedEscalation, parts=(UnlockedEscalations,)))
