"""Pages operations: failures and notices are counted into one open incident, paged at most every 15 minutes."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta

from notifyflow.core import incident as incidents
from notifyflow.core import namespaces
from notifyflow.core.facts import EscalationFacts, IncidentFacts
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.core.model import Contact, EscalationState, Incident, IncidentState, Severity
from notifyflow.core.wording import failures
from notifyflow.core.wording.failures import Failure
from notifyflow.pipeline import decisions, rounds
from notifyflow.pipeline.links import link
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Critical

KEY = OPERATIONS_KEY

_QUIET = timedelta(minutes=15)

Link = Callable[[str], str | None]
"""Makes the link by which the reader acknowledges an incident: (its id) → the link; None without."""


def settle(tx: Transaction) -> None:
    """Count in the transaction's failures and notices; at its end, since this lock comes last."""
    notices = [notice for notice in tx.notices if tx.ledger.add_notice(*notice, at=tx.now)]
    if not tx.alerts and not notices:
        return
    incident = tx.ledger.lock_operations() or _open(tx, is_failure=bool(tx.alerts))
    for escalation, alert in tx.alerts:
        tx.ledger.link_critical(escalation.id, incident.id, reason=alert.reason, at=tx.now)
    _say(tx, incident)
    is_failure = any(alert.is_paging for _, alert in tx.alerts)
    if notices or is_failure:
        _page_or_wait(tx, incident, is_failure=is_failure)


def start_round(tx: Transaction, incident: IncidentFacts) -> None:
    """Page operations of everything that was counted in, acknowledged meanwhile or not.

    The recipients and addresses are those configured now; a process without any pages those that another process stored.
    """
    severity = _severity(tx, incident)
    update = incidents.page_again(incident, now=tx.now)
    incident = tx.update_incident(incident, replace(update, after=replace(update.after, round_at=None, severity=severity)))
    _follow_recipients(tx, incident)
    rounds.start(tx, incident, {each.recipient_id for each in tx.deps.operations} or None)
    tx.ledger.mark_counted(incident.id)


def pass_time(tx: Transaction, incident: IncidentFacts) -> None:
    """Start the policy's next round for each recipient whose round is due, and the first round of new ones."""
    _follow_recipients(tx, incident)
    if incident.round_at is None or incident.round_at > tx.now:  # otherwise ``start_round`` pages all of them
        rounds.pass_time(tx, incident)
    paged = {each.recipient_id for each in tx.ledger.lock_escalations(incident.id)}
    if incident.state is IncidentState.OPEN:
        rounds.start(tx, incident, {each.recipient_id for each in tx.deps.operations} - paged)


def _follow_recipients(tx: Transaction, incident: IncidentFacts) -> None:
    """Update the incident's recipients to those configured now."""
    if not tx.deps.operations:
        return
    known = tx.ledger.contacts(incident.id)
    for contact in tx.deps.operations:
        if known.get(contact.recipient_id) != contact:
            tx.ledger.put_contact(incident.id, contact)
    gone = known.keys() - {contact.recipient_id for contact in tx.deps.operations}
    for context in decisions.lock_contexts(tx, incident, gone) if gone else ():
        decisions.close(tx, context, event="replaced")


def say_again(tx: Transaction, incident_ids: Collection[str]) -> None:
    """Render the content of operations incidents again, since their failures have changed."""
    for incident_id in incident_ids:
        _say(tx, tx.ledger.incident(incident_id))


def words(tx: Transaction, *, incident_id: str, said: Incident, contact: Contact, now: datetime) -> Incident:
    """Render the content of an operations incident for a recipient, with links to acknowledge the failed incidents.

    Args:
        tx: The transaction.
        incident_id: Its id.
        said: Its content.
        contact: The recipient.
        now: The instant.
    """

    def make_link(failed_id: str) -> str | None:
        return link(tx.deps, failed_id, contact.recipient_id, now=now)

    failed, notices = _failures(tx, incident_id, make_link), tx.ledger.notices(since=tx.ledger.incident(incident_id).opened_at)
    return replace(said, body=failures.body(failed, notices), url=failures.place(failed))


def _open(tx: Transaction, *, is_failure: bool) -> IncidentFacts:
    severity = Severity.CRITICAL if is_failure else Severity.WARNING
    said = Incident(key=KEY, title="notifyflow", severity=severity, source="notifyflow", occurred_at=tx.now)
    incident = incidents.open_(
        said,
        incident_id=tx.deps.ids.new(),
        policy=tx.deps.operations_policy,
        now=tx.now,
        namespace=namespaces.OPERATIONS,
        is_operations=True,
    )
    tx.ledger.add_incident(incident, said)
    return incident


def _page_or_wait(tx: Transaction, incident: IncidentFacts, *, is_failure: bool) -> None:
    """Start a round, or wait until the last one is 15 minutes old; a failure waits for rounds of failures only."""
    current = tx.ledger.lock_escalations(incident.id)
    counting = [each for each in current if each.severity is Severity.CRITICAL or not is_failure]
    last = max((each.started_at for each in counting), default=None)
    if last is None or tx.now >= last + _QUIET:
        start_round(tx, incident)
    elif incident.round_at is None or last + _QUIET < incident.round_at:
        tx.ledger.save(incident, replace(incident, round_at=last + _QUIET))


def _severity(tx: Transaction, incident: IncidentFacts) -> Severity:
    """Find how urgent a round is: notices alone are a WARNING, unless they would replace a round of failures that still runs."""
    is_open = incident.state is IncidentState.OPEN
    if tx.ledger.uncounted(incident.id).failures or (is_open and any(map(_insists, tx.ledger.lock_escalations(incident.id)))):
        return Severity.CRITICAL
    return Severity.WARNING


def _insists(escalation: EscalationFacts) -> bool:
    is_running = escalation.state is EscalationState.ACTIVE or escalation.next_round_at is not None
    return escalation.severity is Severity.CRITICAL and is_running


def _say(tx: Transaction, incident: IncidentFacts) -> None:
    said = tx.ledger.content(incident.id)
    failed, notices = _failures(tx, incident.id, lambda failed_id: None), tx.ledger.notices(since=incident.opened_at)
    title = failures.headline(failed, notices, tx.ledger.uncounted(incident.id)) if failed or notices else said.title
    tx.ledger.set_content(
        incident.id, replace(said, title=title, body=failures.body(failed, notices), url=failures.place(failed))
    )


def _failures(tx: Transaction, incident_id: str, make_link: Link) -> list[Failure]:
    """Read what failed, the newest first; of those that are told in a line each their ways are left out."""
    found = tx.ledger.criticals(incident_id, limit=failures.AT_MOST)
    return [_failure(tx, each, make_link, is_full=number < failures.IN_FULL) for number, each in enumerate(found)]


def _failure(tx: Transaction, critical: Critical, make_link: Link, *, is_full: bool) -> Failure:
    return Failure(
        at=critical.at,
        reason=critical.reason,
        who=critical.name,
        title=critical.title,
        severity=critical.severity,
        key=critical.key,
        ways=failures.ways(tx.ledger.notifications(critical.escalation_id)) if is_full else (),
        url=critical.url,
        link=make_link(critical.incident_id) if is_full else None,
    )
