"""Checks the invariants of the design against the committed rows and the providers' records."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from notifyflow.core.delivery.attempts import counted, state_of
from notifyflow.core.delivery.escalation import DecisionContext
from notifyflow.core.delivery.facts import EscalationFacts, NotificationFacts
from notifyflow.core.delivery.intervals import Interval, PausedInterval
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import (
    AT_REST,
    IN_PROGRESS,
    LIVE,
    AttemptState,
    Ended,
    EscalationState,
    IncidentState,
    Kind,
    NotificationState,
    Result,
    Severity,
)
from notifyflow.core.insight.next_events import LATE_AFTER, NextEvent, NextEventKind, next_events
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from notifyflow.storage.delivery.intervals import Intervals
from notifyflow.storage.reads import Reads
from notifyflow.storage.session.unit_of_work import UnitOfWork
from notifyflow.storage.tables.fields import instant_text
from tests import invariants
from tests.capabilities import CALLING
from tests.metrics import differences, recounted, rolled_up
from tests.oracle import name, opens
from tests.simulation import calls
from tests.simulation.adoption import freed
from tests.simulation.alarms import Alarms
from tests.simulation.arrivals import Arrivals
from tests.simulation.chains import Chains
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.operators import Operators
from tests.simulation.outside import REFUSED_CONTENT, Outside, Send
from tests.simulation.phones import Phones
from tests.simulation.quiet import QuietHours
from tests.simulation.rosters import Rosters
from tests.simulation.world import START, Process, Violation, World, require

_MINUTE = timedelta(minutes=1)
_LOGS_WITHIN_S = 30.0
_FORETOLD_WITHIN = timedelta(seconds=2)
_THREADS = 4  # a worker's: three that answer rings, and the sweeper
_CLAIMS = """
    SELECT n.kind, n.max_attempts, n.id, e.state, e.is_current, i.state,
           (SELECT COUNT(*) FROM notifyflow_attempt b WHERE b.notification_id = n.id AND b.state = 'RUNNING'),
           (SELECT COUNT(*) FROM notifyflow_attempt b WHERE b.notification_id = n.id AND b.state <> 'NOT_SENT' AND b.half IS NULL)
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_escalation e ON e.id = n.escalation_id JOIN notifyflow_incident i ON i.id = n.incident_id WHERE a.id = ?
"""
_CARRIED = """
    SELECT a.provider, n.channel, n.severity, a.started_at, json_extract(c.addresses, '$.' || n.channel)
    FROM notifyflow_attempt a JOIN notifyflow_notification n ON n.id = a.notification_id
    JOIN notifyflow_escalation e ON e.id = n.escalation_id
    LEFT JOIN notifyflow_contact c ON c.incident_id = e.incident_id AND c.recipient_id = e.recipient_id WHERE a.id = ?
"""
_WITHIN = """
    SELECT id FROM notifyflow_attempt
    WHERE provider = ? AND started_at > ? AND started_at <= ? AND COALESCE(sent_with, id) = id
"""
_CALL = "SELECT COALESCE(sent_with, id) FROM notifyflow_attempt WHERE id = ?"
_RECORDED = ("accepted", "refused", "refused_for_good", "doubted")

_RUNNING = f"""
    SELECT attempt.id FROM notifyflow_attempt attempt JOIN notifyflow_notification row ON row.id = attempt.notification_id
    WHERE attempt.state = 'RUNNING' AND ({freed("row.incident_id")} OR attempt.lease_until > ?)
"""


class Checks:
    """Checks every commit, every send, and the settled world at the end.

    Attributes:
        ends_early: Whether silences end early, which brings forward what was said to come, as the end of a pause does.
    """

    ends_early = False

    def __init__(
        self,
        world: World,
        database: SimulatedDatabase,
        outside: Outside,
        operators: Operators,
        phones: Phones,
        rosters: Rosters,
        quiet: QuietHours,
    ) -> None:
        self._operators = operators
        self._phones = phones
        self._quiet = quiet
        self._world = world
        self._database = database
        self._outside = outside
        self._states: dict[str, tuple[str, int]] = {}
        self._claimed_s: dict[str, float] = {}
        self._claimed_by: dict[str, Process] = {}
        self._claimed_late: Counter[tuple[Process, str]] = Counter()
        self._owed: dict[str, tuple[Process, float, float]] = {}  # unlogged failures: process, its start, time
        self._unconfirmed: set[str] = set()  # those of them whose commit was not answered
        self._foretold: dict[tuple[str, int], datetime] = {}  # escalation and tier: when it was said to open
        self._open_to: dict[str, Collection[str] | None] = {}  # the channels it was said for; None: nothing before a release
        self._surprised: dict[str, datetime] = {}  # escalation: when a failure last opened a tier
        self._loosest_skew_s = 2.0
        self._arrivals = Arrivals(world, database, outside)
        self.alarms = Alarms(world, database, operators.covers)
        self.chains = Chains(
            world,
            database,
            operators.covers,
            rosters,
            quiet,
            context=self._context_at,
            disturbances=self.disturbances,
        )

    def after_commit(self, session: Session) -> None:
        for line in session.lines:
            self._follow(line)
            self._operators.covers.check(line)
            self._quiet.check(line)
        for attempt_id, is_new in session.attempts.items():
            if is_new:
                self._check_claim(attempt_id, session)
            else:
                self._check_result(attempt_id)
        for row in session.pages:
            self._check_page(row, session.lines)
        self.alarms.after_commit(session)
        self.chains.after_commit(session)
        for line in session.lines:
            if (line["machine"], line["target"]) == ("notification", NotificationState.FAILED):
                self._check_failure(line)
                self._owe_line(line, session)
            if line["machine"] == "escalation":
                self._check_outlook(line)

    def _owe_line(self, line: dict[str, Any], session: Session) -> None:
        """Expect the process to log the failure it wrote; after an unanswered commit only records can be read back."""
        process = self._world.task.process
        if not session.is_unsure or line["event"] in _RECORDED:
            self._owed[line["row_id"]] = (process, process.booted_s, self._world.now_s)
            if session.is_unsure:
                self._unconfirmed.add(line["row_id"])

    def on_log(self, event: str, facts: dict[str, Any]) -> None:
        """Strike logged failures off the list, and require that a fenced-off worker has lost its lease."""
        if event in ("engine.notification_failed", "engine.attempt_unrecorded"):
            self._owed.pop(facts["notification_id"], None)
        if event == "engine.attempt_fenced":
            found = self._database.look("SELECT token FROM notifyflow_attempt WHERE id = ?", facts["attempt_id"])
            require(not found or not found[0][0], f"4: {facts['attempt_id'][-4:]} is logged as fenced off, and holds its token")

    def _follow(self, line: dict[str, Any]) -> None:
        """Replay each new line of the transition log through its table."""
        table, row_id = MACHINES[line["machine"]].table, line["row_id"]
        source, version = self._states.get(row_id, ("", 0))
        what = f"{line['machine']} {row_id[-4:]}: {line['source']} {line['event']} {line['target']}"
        self._world.note(f"{what} {' '.join(f'{name}={value[-32:]}' for name, value in line['detail'].items())}".rstrip())
        legal = table.initial_states if not source else table.targets(source, line["event"])
        require(line["source"] == source and line["version"] > version, f"2: {what} follows {source} ({version})")
        require(line["target"] in legal, f"2: {what} is an illegal move")
        self._states[row_id] = (str(line["target"]), line["version"])

    def _check_claim(self, attempt_id: str, session: Session) -> None:
        self._claimed_s[attempt_id] = self._world.now_s
        if not session.is_unsure:
            self._claimed_by[attempt_id] = self._world.task.process
        for kind, most, row_id, escalation, is_current, incident, running, counting in self._database.look(_CLAIMS, attempt_id):
            what = f"{row_id[-4:]} is claimed as attempt {attempt_id[-4:]}"
            require(running == 1, f"4: {what} while another holds a lease")
            require(counting <= most, f"4: {what}, the {counting}. of {most}")
            is_open = is_current and incident == IncidentState.OPEN and escalation != EscalationState.ACKNOWLEDGED
            require(
                is_open or kind != Kind.PAGE, f"7: {what}, though it is acknowledged ({incident}, {escalation}, {is_current})"
            )
            self._check_stopping(row_id, what)
        self._check_carrier(attempt_id, session)
        self._quiet.check_claim(attempt_id, session)

    def _check_stopping(self, row_id: str, what: str) -> None:
        """Require that a stopping worker claims a notification at most once a thread."""
        process = self._world.task.process
        if self._world.now_s > self._operators.stopped_s(process):
            self._claimed_late[process, row_id] += 1
            often = self._claimed_late[process, row_id]
            require(often <= _THREADS, f"{what} by a worker that has stopped, the {often}. time")

    def _check_carrier(self, attempt_id: str, session: Session) -> None:
        """Require that no send goes to a number that opted out and, with equal clocks, none that is paused or above a limit."""
        if not (self._phones.stopped or self._operators.limits or self._operators.pauses):
            return
        ((provider, channel, severity, at, address),) = self._database.look(_CARRIED, attempt_id)
        what = f"{attempt_id[-4:]} is claimed for {provider}"
        require(not self._phones.is_stopped(address, provider, before_s=session.began_s), f"stop: {what}, which has opted out")
        if self._world.widest_skew_s:
            return
        limit = self._operators.limits.get(provider)
        if limit is not None:
            since = instant_text(datetime.fromisoformat(at) - _MINUTE)
            within = self._database.look(_WITHIN, provider, since, at)  # by clocks that may have stood
            now_s = self._world.now_s
            count = sum(now_s - self._claimed_s.get(each, now_s) < _MINUTE.total_seconds() for (each,) in within)
            require(count <= limit, f"limit: {what}, the {count}. within a minute; its limit is {limit}")
        paused = self._operators.paused(channel, provider, is_urgent=severity == Severity.CRITICAL, before_s=session.began_s)
        require(not paused, f"pause: {what}, which is paused")

    def _check_result(self, attempt_id: str) -> None:
        ((result, state),) = self._database.look("SELECT result, state FROM notifyflow_attempt WHERE id = ?", attempt_id)
        send, reported = self._send(attempt_id), calls.reported(self._database, attempt_id)
        strength = Result(result).strength if result else 0
        require(all(each.strength <= strength for each in reported), f"5: {attempt_id[-4:]} has {result} after {reported}")
        # a status fetch may outlive the lease
        known = send.results if send else {Result.TEMPORARY_FAILURE}
        require(
            result in (None, Result.IN_DOUBT) or result in known, f"9: {attempt_id[-4:]} is {result}; its provider knows {known}"
        )
        is_unsent = state == AttemptState.NOT_SENT
        is_halved = send is not None and send.outcome == REFUSED_CONTENT
        require(not is_unsent or not send or is_halved, f"9: {attempt_id[-4:]} was sent, and is recorded as unsent")
        is_unheard = result == Result.DELIVERED and calls.is_unsaid(self._database, attempt_id)
        require(not is_unheard, f"call: {attempt_id[-4:]} is delivered, and no key was pressed after its title")

    def _send(self, attempt_id: str) -> Send | None:
        """Return the call of an attempt, which may have carried others."""
        found = self._database.look(_CALL, attempt_id)
        return self._outside.sends.get(found[0][0]) if found else None

    def _check_page(self, row: NotificationFacts, lines: Sequence[dict[str, Any]]) -> None:
        """Require that a new page is the only one of its tier and channel, and that its incident was open: so far, in its set."""
        if row.kind is not Kind.PAGE:
            return
        is_it = "escalation_id = ? AND tier = ? AND channel = ?"
        place = (row.escalation_id, row.tier, row.channel)
        ((same,),) = self._database.look(f"SELECT COUNT(*) FROM notifyflow_notification WHERE {is_it}", *place)
        require(same == 1, f"3: tier {row.tier} of {row.escalation_id[-4:]} pages {row.channel} {same} times")
        ((state,),) = self._database.look("SELECT state FROM notifyflow_incident WHERE id = ?", row.incident_id)
        queued = next(number for number, line in enumerate(lines) if line["row_id"] == row.id)
        state = next((line["source"] for line in lines[queued:] if line["row_id"] == row.incident_id), state)
        require(state == IncidentState.OPEN, f"3: tier {row.tier} of {row.escalation_id[-4:]} opens; the incident is {state}")

    def _check_failure(self, line: dict[str, Any]) -> None:
        """Require that the transaction that wrote a failure also decided the escalation, and that what is late says so."""
        status, now = self._database.status(line["incident_id"]), line["at"]
        for escalation in status.escalations:
            if any(row.id == line["row_id"] for row in escalation.notifications):
                self._check_tier(status, escalation, now)
                coming = next_events(self._context(status, escalation, escalation.facts, now), now)
                self._check_lateness(coming, escalation, now)

    def _check_outlook(self, line: dict[str, Any]) -> None:
        """Require that it is known what comes next while anything is due, and that no timed tier opens before it was said to.

        A pause that ends early brings forward what was said. Nothing can be said of a tier whose time is over when a failure
        opens the one before it, nor before a quarantine ends by the clock of who looks, nor of an address that comes later.
        """
        row_id, now = line["row_id"], line["at"]
        if line["event"] == "tier_opened" and line["detail"]["why"] != "unacknowledged":
            self._surprised[row_id] = now
        elif line["event"] == "tier_opened" and self._surprised.get(row_id) != now and self._is_as_foretold(line):
            tier = int(line["detail"]["tier"])  # or a later one, if it has no address
            said_at = min(
                (at for (each, number), at in self._foretold.items() if each == row_id and number >= tier), default=None
            )
            skew = timedelta(seconds=self._world.widest_skew_s)
            is_in_time = said_at is not None and said_at <= now + skew + _FORETOLD_WITHIN
            is_in_time |= bool(self._operators.pauses) or self.ends_early
            require(is_in_time, f"next: {row_id[-4:]} opens a tier; it was said to at {said_at}")
        status = self._database.status(line["incident_id"])
        for escalation in (each for each in status.escalations if each.facts.id == row_id):
            facts = escalation.facts
            coming = next_events(self._context(status, escalation, facts, now), now)
            is_due = bool(facts.next_decision_at or facts.next_round_at)
            is_due = is_due or any(row.state in IN_PROGRESS for row in escalation.notifications)
            require(coming or not is_due, f"next: something is due for {row_id[-4:]} ({facts.state}), and nothing comes next")
            is_held = any(each.what is NextEventKind.RELEASE for each in coming)
            self._open_to[row_id] = None if is_held else frozenset(escalation.contact.addresses)
            self._foretold |= {(row_id, each.tier): each.at for each in coming if each.tier is not None and each.at is not None}

    def _is_as_foretold(self, line: dict[str, Any]) -> bool:
        """Return whether the recipient's addresses are those for which it was said what comes next."""
        found = next(each for each in self._database.status(line["incident_id"]).escalations if each.facts.id == line["row_id"])
        return self._open_to.get(line["row_id"]) == frozenset(found.contact.addresses)

    def _check_lateness(self, coming: Sequence[NextEvent], escalation: EscalationStatus, now: datetime) -> None:
        """Require that an attempt that should have begun says since when it is late."""
        late = {each.notification_id: each.late_since for each in coming if each.what is NextEventKind.ATTEMPT}
        due = {row.id: row.due_at for row in escalation.notifications if row.due_at and row.due_at < now - LATE_AFTER}
        for row_id, since in late.items():
            require(
                since == due.get(row_id),
                f"next: {row_id[-4:]} is late since {due.get(row_id)}, and is said to be since {since}",
            )

    def on_begin(self, attempt_id: str) -> None:
        found = self._database.look("SELECT state FROM notifyflow_attempt WHERE id = ?", attempt_id)
        require(found, f"9: {attempt_id[-4:]} is sent before its row is committed")

    def on_response(self, send: Send) -> None:
        """Require that a worker that never stalled holds its lease throughout the send, when clocks agree."""
        process = self._world.task.process
        ((state,),) = self._database.look("SELECT state FROM notifyflow_attempt WHERE id = ?", send.attempt_id)
        is_excused = (
            process.paused_until_s >= self._claimed_s[send.attempt_id] or self._loosest_skew_s < self._world.widest_skew_s
        )
        require(is_excused or state == AttemptState.RUNNING, f"4: {send.attempt_id[-4:]} lost its lease while it was sent")

    def on_stop(self, process: Process) -> None:
        """Require that a worker that stopped without a disturbance leaves no attempt in doubt.

        An attempt whose lease was over before is not its own any more; no sweep takes it back while its incident is quarantined.
        """
        for (attempt_id,) in self._database.look(_RUNNING, instant_text(process.now())):
            since_s = max(process.booted_s, process.interrupted_s)  # the attempt that a thread was making is left in doubt
            is_its_own = self._claimed_by.get(attempt_id) is process and self._claimed_s[attempt_id] >= since_s
            require(not is_its_own, f"{attempt_id[-4:]} runs still, and its worker has stopped")

    def at_end(self, accepted: Collection[str], *, healed_s: float) -> None:
        """Check every invariant after the world has healed and settled.

        Args:
            accepted: The incidents that ``notify`` has returned.
            healed_s: When all faults have ended.
        """
        look, read = self._database.look, self._database.read
        stored = [row_id for (row_id,) in look("SELECT id FROM notifyflow_incident")]
        require(set(accepted) <= set(stored), "1: an incident that was accepted is not stored")
        for row_id, (process, booted_s, at_s) in self._owed.items():
            has_gone_on = max(at_s, process.paused_until_s) < self._world.now_s - _LOGS_WITHIN_S
            is_cut_short = row_id in self._unconfirmed and process.interrupted_s >= at_s  # while it read the commit back
            is_excused = process.is_dead or process.booted_s != booted_s or not has_gone_on or is_cut_short
            require(is_excused, f"the failure of {row_id[-4:]} was logged by nobody")
        now = START + timedelta(seconds=self._world.now_s)
        found = read(lambda db: Reads(db).audits.page("", now=now)).findings + read(lambda db: Reads(db).audits.whole(now=now))
        require(not found, f"the checker finds {[(each.rule.value, each.row_id[-4:], each.what) for each in found]}")
        off = differences(read(rolled_up), recounted(look))
        require(not off, f"figures: the log counts what the rows do not: {off}")
        for row_id in stored:
            status = self._database.status_with_log(row_id)
            self._check_incident(status, now)
            self.chains.at_end(status)
            self._arrivals.at_end(status, is_operated=self.alarms.has_recipients)
            if status.facts.is_operations:
                self.alarms.at_end(status, healed_s=healed_s)
        self.alarms.all_told()
        ((unlinked,),) = look(
            "SELECT COUNT(*) FROM notifyflow_escalation e JOIN notifyflow_incident i ON i.id = e.incident_id"
            " LEFT JOIN notifyflow_critical c ON c.escalation_id = e.id"
            " WHERE ((e.critical_at IS NOT NULL OR e.held_up_at IS NOT NULL) AND NOT i.is_operations) <> (c.reason IS NOT NULL)"
            " AND COALESCE(c.reason, '') <> 'flapping'"
        )
        require(not unlinked, f"6: {unlinked} critical failures are not linked, or links are none")
        ((count,),) = look("SELECT COUNT(*) FROM notifyflow_incident WHERE is_operations AND state <> 'RESOLVED'")
        require(count <= 1, f"6: {count} operations incidents are open")

    def _check_tier(
        self, status: IncidentStatus, escalation: EscalationStatus, now: datetime, *, is_at_rest: bool = False
    ) -> None:
        """Require that the next tier is open if its rule is met.

        A suspicion comes and goes, and is left out, until all is at rest: then what is overdue has been so for long. Where clocks
        differ, a round is over once pages have expired by the clock of a worker.
        """
        facts = escalation.facts
        if not is_at_rest:
            facts = replace(facts, policy=replace(facts.policy, is_suspicion_on=False))
        context = self._context(status, escalation, facts, now)
        is_over = self._world.widest_skew_s > 0 and any(row.ended is Ended.EXPIRED for row in escalation.notifications)
        is_live = facts.is_current and facts.state in LIVE and not is_over
        require(not (is_live and opens(context, now)), f"3: {facts.id[-4:]} should open tier {facts.tier + 1}")

    def _context(
        self, status: IncidentStatus, escalation: EscalationStatus, facts: EscalationFacts, now: datetime
    ) -> DecisionContext:
        paused_intervals, outages = self._idle_times(facts, now)
        return DecisionContext(
            escalation=facts,
            incident=status.facts,
            notifications=escalation.notifications,
            addresses=frozenset(escalation.contact.addresses),
            calling=CALLING,
            outages=outages,
            paused_intervals=paused_intervals,
        )

    def _context_at(self, status: IncidentStatus, escalation: EscalationStatus, now: datetime) -> DecisionContext:
        return self._context(status, escalation, escalation.facts, now)

    def disturbances(self) -> tuple[Any, ...]:
        """Return what changes if anything happens that may keep a sweeper from its work."""
        world = self._world
        processes = [(each.booted_s, each.is_dead, each.paused_until_s, each.interrupted_s) for each in world.processes]
        return *self._operators.disturbances(), *processes, *world.faults.values(), self._operators.covers.count

    def _idle_times(self, facts: EscalationFacts, now: datetime) -> tuple[tuple[PausedInterval, ...], tuple[Interval, ...]]:
        """Return the pauses, quarantines, quiet hours and outages that stopped the clocks of an escalation."""
        found = self._database.read(lambda db: Intervals(UnitOfWork(db)).of(facts.incident_id, since=facts.started_at, now=now))
        paused_intervals = tuple(each for each in found if each.is_for_critical or facts.severity is not Severity.CRITICAL)
        paused_intervals += self._quiet.paused_intervals(facts)
        outages = self._database.read(lambda db: Intervals(UnitOfWork(db)).outages(since=facts.started_at, now=now))
        return paused_intervals, (*outages, *(each for each in paused_intervals if each.is_quarantined))

    def _check_incident(self, status: IncidentStatus, now: datetime) -> None:
        try:
            invariants.check(status)
        except AssertionError as error:
            raise Violation(f"2-4: {error}") from error
        for escalation in status.escalations:
            self._check_tier(status, escalation, now, is_at_rest=True)
            what = f"{escalation.facts.id[-4:]} ({escalation.facts.state})"
            require(escalation.facts.state is not EscalationState.ACTIVE, f"1: {what} does not settle")
            self._check_state(status, escalation, now)
            for row in escalation.notifications:
                self._check_row(row)

    def _check_state(self, status: IncidentStatus, escalation: EscalationStatus, now: datetime) -> None:
        """Require that a round that may still move has the state that its pages give it, by the clock that is furthest ahead.

        Outages are those known now: the time between the clocks is none.
        """
        facts = escalation.facts
        if facts.is_current and facts.state in LIVE and not status.is_quarantined:
            furthest = now + timedelta(seconds=self._world.widest_skew_s)
            expected = name(self._context(status, escalation, facts, now), furthest)
            require(facts.state == expected, f"2: {facts.id[-4:]} is {facts.state}, and by its pages {expected}")

    def _check_row(self, row: NotificationFacts) -> None:
        what = f"{row.id[-4:]} ({row.channel}, {row.state})"
        require(row.state in AT_REST, f"1: {what} does not come to rest")
        is_stopped = row.state is NotificationState.CANCELLED
        require(is_stopped or state_of(row) is row.state, f"5: the attempts of {what} amount to {state_of(row)}")
        accepted = doubts = failures = 0
        for attempt in counted(row):
            send, reported = self._send(attempt.id), calls.reported(self._database, attempt.id)
            accepted += send is not None and send.is_accepted and not send.outcome.startswith("busy")
            doubts += attempt.is_doubted
            failures += Result.TEMPORARY_FAILURE in reported
            if send and send.outcome.startswith("busy") and reported:
                require(attempt.is_doubted, f"9: {attempt.id[-4:]} was refused and then reported on, and is not doubted")
        require(accepted <= 1 + doubts + failures, f"9: {what} was accepted {accepted} times after {doubts} doubts")
