"""Checks the invariants of stored incidents."""

from collections import Counter, defaultdict
from itertools import pairwise

from notifyflow.core.delivery.attempts import used_up
from notifyflow.core.delivery.machines import MACHINES
from notifyflow.core.delivery.model import EscalationState, IncidentState, Kind, Severity, StepState
from notifyflow.core.insight.timeline import timeline
from notifyflow.core.insight.timeline_words import sentence
from notifyflow.core.insight.views import EscalationStatus, IncidentStatus
from tests.oracle import arrived
from tests.sentences import untrue


def check(status: IncidentStatus) -> None:
    """Check one incident with its escalations and notifications."""
    _check_fields(status)
    _check_log(status)
    check_timeline(status)
    _check_chain(status)
    for escalation in status.escalations:
        pages = [row for row in escalation.notifications if row.kind is Kind.PAGE]
        opened = Counter((row.tier, row.channel) for row in pages)
        assert set(opened.values()) <= {1}, "a tier was opened twice"
        assert all(row.tier is not None and row.tier <= escalation.facts.tier for row in pages)
        assert escalation.facts.severity is Severity.CRITICAL or all(row.tier for row in pages), "a wish below CRITICAL"
        for row in escalation.notifications:
            assert len(used_up(row)) <= row.max_attempts
        if _is_at_rest(status, escalation):
            is_linked = escalation.facts.critical_at is not None
            assert is_linked or any(arrived(row) for row in pages), "nothing arrived of a CRITICAL round, and nobody was told"
    current = Counter(each.facts.recipient_id for each in status.escalations if each.facts.is_current)
    assert set(current.values()) <= {1}, "two rounds of one recipient are current"
    if status.facts.state is IncidentState.ACKNOWLEDGED:
        left = {each.facts.state for each in status.escalations if each.facts.is_current} - {EscalationState.ACKNOWLEDGED}
        assert not left, f"the incident is acknowledged, and an escalation is {left}"


def _check_fields(status: IncidentStatus) -> None:
    """Check that the facts of each row have all their fields, as they are made of its columns without their constructor."""
    pages = [row for escalation in status.escalations for row in escalation.notifications]
    attempts = [attempt for row in pages for attempt in row.attempts]
    for facts in (status.facts, *status.steps, *(each.facts for each in status.escalations), *pages, *attempts):
        assert vars(facts).keys() == type(facts).__dataclass_fields__.keys(), f"{facts!r} lacks a field, or has another"


def _check_chain(status: IncidentStatus) -> None:
    """Check that each step starts once a run, in order and never after an end, and that a run ends in one alert at most."""
    starts = Counter(
        line.row_id for line in status.transitions if line.machine == "step" and line.event in ("step_due", "chain_over")
    )
    assert set(starts.values()) <= {1}, "a step started twice"
    ends = [step for step in status.steps if step.is_end and step.state is StepState.SKIPPED]
    alerted = [each.facts for each in status.escalations if each.facts.alerted_at is not None]
    if status.steps:
        assert len(alerted) <= len(ends), "a run ended in two alerts"
    for step in status.steps:
        is_current = step.run_number == status.facts.run_number
        assert step.due_at is None or (step.state is StepState.WAITING and is_current)
        assert status.facts.state is IncidentState.OPEN or not is_current or step.state in (StepState.SKIPPED, StepState.STOPPED)


def _is_at_rest(status: IncidentStatus, escalation: EscalationStatus) -> bool:
    """Return whether a CRITICAL round has ended while its incident is unacknowledged."""
    facts = escalation.facts
    is_open = status.facts.state is IncidentState.OPEN and facts.is_current and not status.facts.is_operations
    is_over = facts.state in (EscalationState.REACHED, EscalationState.EXHAUSTED)
    return is_open and is_over and facts.severity is Severity.CRITICAL


def _check_log(status: IncidentStatus) -> None:
    """Replay the transition log of every row through its table."""
    lines = defaultdict(list)
    for line in status.transitions:
        lines[line.machine, line.row_id].append(line)
    states = {("incident", status.facts.id): status.facts.state.value}
    states |= {("escalation", each.facts.id): each.facts.state.value for each in status.escalations}
    states |= {("notification", row.id): row.state.value for each in status.escalations for row in each.notifications}
    states |= {("notification", row.id): row.state.value for row in status.incident_events}
    states |= {("step", step.id): step.state.value for step in status.steps}
    assert lines.keys() == states.keys()
    for (machine, row_id), log in lines.items():
        table = MACHINES[machine].table
        first = log[0]
        assert first.source == ""
        assert first.target in table.initial_states
        for before, line in pairwise(log):
            assert (line.source, line.version > before.version) == (before.target, True)
            assert line.target in table.targets(line.source, line.event), f"{machine}: {line.source} {line.event} {line.target}"
        assert log[-1].target == states[machine, row_id]


def check_timeline(status: IncidentStatus) -> None:
    """Say every entry: each line of the log has a sentence, which claims no more than rows show and names no secret."""
    entries = timeline(status, explain=lambda channel, code: "")
    assert len(entries) >= len(status.transitions)
    sentences = [sentence(each, name=str, brief=str) for each in entries]
    rows = [row for each in status.escalations for row in each.notifications]
    secrets = {attempt.token for row in (*rows, *status.incident_events) for attempt in row.attempts if attempt.token}
    secrets |= {address for each in status.escalations for address in each.contact.addresses.values()}
    claims = [text for text in sentences if "operations" not in text]
    false = list(untrue(claims, (*rows, *status.incident_events), None))
    assert not false, f"no provider accepted what is said to have been sent: {false}"
    wrong = [text for text in sentences if not text or any(secret in text for secret in secrets)]
    assert not wrong, f"a sentence is empty, or names a secret: {wrong}"
