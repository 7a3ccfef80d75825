"""The invariants of the rows of one incident, checked by replaying its transition log and by counting; pure.

It repairs nothing. A finding contains ids, states and codes, and nothing personal.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from notifyflow.core.delivery import proof
from notifyflow.core.delivery.attempts import state_of, used_up
from notifyflow.core.delivery.facts import (
    MACHINE_NAMES,
    AttemptFacts,
    EscalationFacts,
    IncidentFacts,
    NotificationFacts,
    StepFacts,
    Transition,
)
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import (
    IN_PROGRESS,
    LIVE,
    AttemptState,
    EscalationState,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
    StepState,
)
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.limits.silences import LONGEST, Silence
from notifyflow.core.state_machine import MachineTable
from notifyflow.core.text import quantity

LONG = timedelta(minutes=5)
"""Anything due for longer than this counts as forgotten; sweepers run every second."""

_Row = IncidentFacts | EscalationFacts | NotificationFacts | StepFacts
_BEGUN = (StepState.STARTED, StepState.SKIPPED)
_DOUBTING = ("doubted", "lease_expired")
_REFUSING = ("refused", "refused_for_good")


class Rule(StrEnum):
    """The invariants, each with its meaning as the reference shows it."""

    meaning: str

    def __new__(cls, name: str, meaning: str) -> "Rule":
        """Make a member out of its name and its meaning."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.meaning = meaning
        return member

    READABLE = "readable", "This version can read every row."
    STATE = "state", "Every row is in the state that follows from the rest of its data."
    OVERDUE = "overdue", "Nothing has been due for more than five minutes without being sent, expired or decided."
    LOG = "log", "Replaying the log of a row makes only legal moves and ends in the row's state."
    TIER = "tier", "A tier is opened at most once, and every page belongs to an open tier."
    ATTEMPTS = (
        "attempts",
        "A notification has at most the attempts its policy allows, one at a time, each with its own claim.",
    )
    OPERATIONS = "operations", "Each critical failure is linked to one operations incident, and at most one of these is open."
    ACKNOWLEDGED = "acknowledged", "Nobody is paged in a round that was acknowledged or is over."
    CHAIN = (
        "chain",
        "The steps of a chain start one after the other, once a run, and none after an acknowledgement or a resolve.",
    )
    SET_ASIDE = "set_aside", "No row is set aside because it is damaged."
    SILENCE = "silence", "A silence has an author, a reason and an end within a day, and holds no incident after it."
    DOUBT = "doubt", "A doubt is recorded for every message that may have been sent twice."
    LOST = "lost", "Whatever a log given with ``--log`` names is stored."


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A broken invariant.

    Attributes:
        rule: The invariant.
        machine: ``incident``, ``escalation``, ``notification``, ``step`` or ``silence``; ``attempt`` for one that a log names.
        what: What is wrong: the rest of a sentence that begins with the row, without its full stop.
    """

    rule: Rule
    machine: str
    row_id: str
    incident_id: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A snapshot of one escalation with everything that belongs to it.

    Attributes:
        notifications: Its notifications with their attempts.
        transitions: The log of the escalation and of its notifications together, in the order in which it was written.
        operations: The operations incident that it is linked to; None if there is none.
    """

    incident: IncidentFacts
    escalation: EscalationFacts
    notifications: tuple[NotificationFacts, ...]
    transitions: tuple[Transition, ...]
    operations: IncidentFacts | None = None


def check_incident(incident: IncidentFacts, transitions: Sequence[Transition], *, now: datetime) -> Iterator[Finding]:
    """Check the row of an incident against its log."""
    yield from _replay(incident, transitions)
    if incident.state is not IncidentState.RESOLVED and _is_long_ago(incident.round_at, now):
        yield _finding(Rule.OVERDUE, incident, f"should have gone on at {incident.round_at}")


def check_round(stood: Round, *, now: datetime) -> Iterator[Finding]:
    """Check an escalation and its notifications against their log and each other."""
    yield from _check_escalation(stood, now)
    yield from _check_tiers(stood)
    yield from _check_link(stood)
    yield from _check_silence(stood)
    for row in stood.notifications:
        log = [line for line in stood.transitions if line.row_id == row.id]
        yield from _check_notification(row, log, now)
        yield from _check_attempts(row, log)
        yield from _check_doubts(row, log)


def check_chain(
    incident: IncidentFacts, steps: Sequence[StepFacts], transitions: Sequence[Transition], *, now: datetime
) -> Iterator[Finding]:
    """Check the steps of an incident, by run and number, against their log and each other."""
    for step in steps:
        yield from _replay(step, [line for line in transitions if line.row_id == step.id])
        if _is_long_ago(step.due_at, now):
            yield _finding(Rule.OVERDUE, step, f"should have started at {step.due_at}")
    for before, step in pairwise(steps):
        if before.state is StepState.WAITING and step.state in _BEGUN and step.run_number == before.run_number:
            yield _finding(Rule.CHAIN, step, f"is {step.state}, and step {before.number} before it waits")
    yield from _check_run(incident, [step for step in steps if step.run_number == incident.run_number])


def check_operations(unresolved: Sequence[str]) -> Iterator[Finding]:
    """Check that there is at most one unresolved operations incident; ``unresolved`` holds their ids."""
    for incident_id in unresolved[1:]:
        what = f"is open beside {unresolved[0]}; only one may be"
        yield Finding(rule=Rule.OPERATIONS, machine="incident", row_id=incident_id, incident_id=incident_id, what=what)


def check_silence(silence: Silence, held: Sequence[str], *, now: datetime) -> Iterator[Finding]:
    """Check a silence; ``held`` are the incidents that it still holds although its early end was carried out."""

    def found(rule: Rule, what: str, incident_id: str = "") -> Finding:
        return Finding(rule=rule, machine="silence", row_id=silence.id, incident_id=incident_id, what=what)

    if not (silence.author.strip() and silence.reason.strip()):
        yield found(Rule.SILENCE, "has no author, or no reason")
    if not timedelta() < silence.ends_at - silence.begins_at <= LONGEST:
        yield found(Rule.SILENCE, "has no end within a day of its begin")
    if _is_long_ago(silence.due_at, now):
        yield found(Rule.OVERDUE, f"should have been carried out at {silence.due_at}")
    for each in held:
        yield found(Rule.SILENCE, f"holds the incident {each} after its end", each)


def unreadable(machine: str, row_id: str, incident_id: str, why: str) -> Finding:
    """Return the finding of an unreadable row; it names the type of the error, whose text may be personal."""
    what = f"cannot be read whole ({why})"
    return Finding(rule=Rule.READABLE, machine=machine, row_id=row_id, incident_id=incident_id, what=what)


def aside(row: SetAside) -> Finding:
    """Return the finding that a row is set aside."""
    what = f"is set aside: {row.what} ({row.code})"
    return Finding(rule=Rule.SET_ASIDE, machine=row.machine, row_id=row.row_id, incident_id=row.incident_id, what=what)


def missing(machine: str, row_id: str, incident_id: str) -> Finding:
    """Return the finding that a logged row is missing."""
    what = "is in the log, but its row is missing"
    return Finding(rule=Rule.STATE, machine=machine, row_id=row_id, incident_id=incident_id, what=what)


def _check_run(incident: IncidentFacts, steps: Sequence[StepFacts]) -> Iterator[Finding]:
    """Check the steps of the current run against their incident; until the outbox is carried out, none has begun."""
    if incident.state is not IncidentState.OPEN:
        for step in steps:
            if step.state in (StepState.WAITING, StepState.STARTED):
                yield _finding(Rule.CHAIN, step, f"is {step.state}, and its incident is {incident.state}")
        return
    ahead = [step for step in steps if step.state is StepState.WAITING]
    if 0 < len(ahead) < len(steps) and ahead[0].due_at is None and incident.severity is not Severity.INFO:
        yield _finding(Rule.CHAIN, ahead[0], "is next, and nothing will ever start it")


def _check_escalation(stood: Round, now: datetime) -> Iterator[Finding]:
    row = stood.escalation
    log = [line for line in stood.transitions if line.row_id == row.id]
    yield from _replay(row, log)
    is_active = row.state is EscalationState.ACTIVE
    if row.is_current and _is_long_ago(row.next_decision_at, now):
        yield _finding(Rule.OVERDUE, row, f"should have been decided at {row.next_decision_at}")
    if row.is_current and _is_long_ago(row.next_round_at, now):
        yield _finding(Rule.OVERDUE, row, f"should have had a round at {row.next_round_at}")
    if is_active and not row.is_current:
        yield _finding(Rule.STATE, row, "is over, and still ACTIVE")
    if is_active and row.next_decision_at is None and not any(page.state in IN_PROGRESS for page in stood.notifications):
        yield _finding(Rule.STATE, row, "is ACTIVE, and nothing will ever move it")
    if row.is_current and row.severity is Severity.CRITICAL:
        pages = (page for page in stood.notifications if page.kind is Kind.PAGE)
        has_arrived = any(proof.has_arrived(page) if page.tier else proof.is_confirmed(page) for page in pages)
        if row.state is EscalationState.REACHED and not has_arrived:
            yield _finding(Rule.STATE, row, "is REACHED, and nothing shows that a page arrived")
        if row.state is EscalationState.EXHAUSTED and has_arrived:
            yield _finding(Rule.STATE, row, "is EXHAUSTED, and a page arrived")


def _check_tiers(stood: Round) -> Iterator[Finding]:
    row = stood.escalation
    opened = Counter(line.detail.get("tier") for line in stood.transitions if line.event == "tier_opened")
    for tier in (tier for tier, count in opened.items() if count > 1):
        yield _finding(Rule.TIER, row, f"has opened tier {tier} more than once")
    for page in stood.notifications:
        is_wished = page.tier == 0 and row.severity is Severity.CRITICAL
        if page.kind is Kind.PAGE and not is_wished and not 1 <= (page.tier or 0) <= row.tier:
            yield _finding(Rule.TIER, page, f"belongs to tier {page.tier}, and tier {row.tier} is in force")


def _check_link(stood: Round) -> Iterator[Finding]:
    row, linked = stood.escalation, stood.operations
    is_due = (row.critical_at or row.held_up_at) is not None and not stood.incident.is_operations
    if is_due and linked is None:
        what = "is a critical failure or held up, and is linked to no operations incident"
    elif linked is not None and not is_due and not _is_flapping(stood):
        what = "is linked to an operations incident, and is neither a critical failure nor held up"
    elif linked is not None and not linked.is_operations:
        what = f"is linked to {linked.id}, which is not an operations incident"
    else:
        return
    yield _finding(Rule.OPERATIONS, row, what)


def _is_flapping(stood: Round) -> bool:
    """Return whether its link may be for a flapping key."""
    return stood.incident.series is not None and stood.incident.series.flapping_at is not None


def _check_silence(stood: Round) -> Iterator[Finding]:
    """Check that nobody is paged after the end; the order of the log counts, since times are read before rows are locked."""
    row, incident = stood.escalation, stood.incident
    if row.is_current and incident.state is not IncidentState.OPEN and row.state in LIVE:
        yield _finding(Rule.ACKNOWLEDGED, row, f"is {row.state}, and its incident is {incident.state}")
    pages = {page.id: page for page in stood.notifications if page.kind is Kind.PAGE}
    end = ""
    for line in stood.transitions:
        if line.row_id == row.id and line.target in MACHINES["escalation"].table.ends:
            end = line.event
        elif end and line.row_id in pages and (line.event == "claimed" or not line.source):
            what = f"was {line.event} at {line.at}, after its escalation was {end}"
            yield _finding(Rule.ACKNOWLEDGED, pages[line.row_id], what)


def _check_notification(row: NotificationFacts, log: Sequence[Transition], now: datetime) -> Iterator[Finding]:
    yield from _replay(row, log)
    is_cancelled = row.state is NotificationState.CANCELLED
    if is_cancelled and not row.is_stopped:
        yield _finding(Rule.STATE, row, "is CANCELLED, and nobody stopped it")
    if not is_cancelled and row.state is not state_of(row):
        yield _finding(Rule.STATE, row, f"is {row.state}, and should be {state_of(row)}")
    if row.state is NotificationState.QUEUED and _is_long_ago(row.due_at, now):
        yield _finding(Rule.OVERDUE, row, f"should have been sent at {row.due_at}")
    for attempt in row.attempts:
        if attempt.state is AttemptState.RUNNING and _is_long_ago(attempt.lease_until, now):
            what = f"has attempt {attempt.number}, whose lease ended at {attempt.lease_until} and has not been expired"
            yield _finding(Rule.OVERDUE, row, what)


def _check_attempts(row: NotificationFacts, log: Sequence[Transition]) -> Iterator[Finding]:
    count, running = len(used_up(row)), sum(attempt.state is AttemptState.RUNNING for attempt in row.attempts)
    if count > row.max_attempts:
        yield _finding(Rule.ATTEMPTS, row, f"has {quantity(count, 'counted attempt')}, and may have {row.max_attempts}")
    if running > 1:
        yield _finding(Rule.ATTEMPTS, row, f"has {running} attempts that run at once")
    claims = sum(line.event == "claimed" for line in log)
    if claims != len(row.attempts):
        what = f"was claimed {quantity(claims, 'time')}, and has {quantity(len(row.attempts), 'attempt')}"
        yield _finding(Rule.ATTEMPTS, row, what)


def _check_doubts(row: NotificationFacts, log: Sequence[Transition]) -> Iterator[Finding]:
    for attempt in row.attempts:
        events = {line.event for line in log if line.detail.get("attempt") == attempt.id}
        if not attempt.is_doubted and _is_doubtful(attempt, events):
            what = f"has attempt {attempt.number}, whose outcome is unknown, and which has no doubt on it"
            yield _finding(Rule.DOUBT, row, what)
        if attempt.state is AttemptState.RECORDED and attempt.result is None:
            yield _finding(Rule.DOUBT, row, f"has attempt {attempt.number}, which is recorded without a result")


def _is_doubtful(attempt: AttemptFacts, events: set[str]) -> bool:
    """Return whether an attempt's outcome was ever unknown, or was a refusal that its provider contradicted."""
    is_contradicted = attempt.evidence is not None and not events.isdisjoint(_REFUSING)
    return attempt.result is Result.IN_DOUBT or not events.isdisjoint(_DOUBTING) or is_contradicted


def _replay(row: _Row, log: Sequence[Transition]) -> Iterator[Finding]:
    for what in _faults_of(MACHINES[MACHINE_NAMES[type(row)]].table, row, log):
        yield _finding(Rule.LOG, row, what)


def _faults_of(table: MachineTable, row: _Row, log: Sequence[Transition]) -> Iterator[str]:
    if not log:
        yield "has no log"
        return
    first, last = log[0], log[-1]
    if first.source or first.target not in table.initial_states:
        yield f"started {first.target or 'without a state'} out of {first.source or 'nothing'}"
    for before, line in pairwise(log):
        if line.source != before.target or line.version <= before.version:
            yield f"was {before.target} at version {before.version}, and {line.source} before version {line.version}"
        elif line.target not in _targets(table, line):
            yield f"made a move that does not exist: {line.source}, {line.event} → {line.target}"
    if last.target != row.state or last.version > row.version:
        yield f"is {row.state} at version {row.version}, and its log ends in {last.target} at version {last.version}"


def _targets(table: MachineTable, line: Transition) -> tuple[str, ...]:
    return next((event.moves.get(line.source, ()) for event in table.events if event.name == line.event), ())


def _is_long_ago(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now - LONG


def _finding(rule: Rule, row: _Row, what: str) -> Finding:
    incident_id = row.id if isinstance(row, IncidentFacts) else row.incident_id
    return Finding(rule=rule, machine=MACHINE_NAMES[type(row)], row_id=row.id, incident_id=incident_id, what=what)
