"""Pages operations: failures and notices are added to one open incident; ``core.delivery.rounds`` decides when it pages."""

from collections.abc import Callable, Collection
from datetime import datetime
from zoneinfo import ZoneInfo

from notifyflow.core import namespaces
from notifyflow.core.copies import replace
from notifyflow.core.delivery import incident as incidents
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Contact, Incident, IncidentState, Severity
from notifyflow.core.delivery.rounds import (
    OPERATIONS_EVERY,
    OPERATIONS_PATH_EVERY,
    next_of_operations_at,
    severity_for_operations,
)
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.core.messages import failures
from notifyflow.core.messages.failures import Failure
from notifyflow.pipeline.delivery import decisions, rounds
from notifyflow.pipeline.delivery.links import link
from notifyflow.pipeline.delivery.silences import holds
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction

KEY = OPERATIONS_KEY

Link = Callable[[str], str | None]
"""Makes the link with which the reader acknowledges an incident: (its id) → the link, or None without links."""


def at_end(tx: Transaction) -> None:
    """Add the transaction's failures and notices to the operations incident, at the end, since its lock comes last."""
    notices = [notice for notice in tx.notices if tx.ledger.operations.add_notice(*notice, at=tx.now)]
    if not tx.alerts and not notices and not tx.damaged:
        return
    holds.hold_alerts(tx)
    incident = tx.ledger.operations.lock() or _open(tx, is_failure=bool(tx.alerts or tx.damaged))
    if tx.alerts:
        tx.ledger.operations.link(incident.id, {escalation.id: alert for escalation, alert in tx.alerts}, at=tx.now)
    _say(tx, incident)
    failures = sum(alert.is_paging for _, alert in tx.alerts) + len(tx.damaged)
    if notices or failures:
        _page_or_wait(tx, incident, failures=failures)


def _paths_due_at(tx: Transaction, incident: IncidentFacts) -> datetime | None:
    """Return when a round is due if only callback paths wait for one; None otherwise."""
    uncounted = tx.ledger.operations.uncounted(incident.id)
    paths = [path for path in tx.ledger.operations.silent_paths(incident.id) if path.uncounted]
    if not paths or uncounted.notices or uncounted.paging > sum(path.uncounted for path in paths):
        return None
    paged_at = [tx.ledger.operations.path_paged_at(path.provider) for path in paths]
    return min(tx.now if at is None else at + OPERATIONS_PATH_EVERY for at in paged_at)


def end_round(tx: Transaction, incident: IncidentFacts) -> bool:
    """Count the last round's contents again if no page of it was accepted; return whether anything waits for a round."""
    current = tx.ledger.escalations.lock_current(incident.id)
    if current:
        tx.ledger.operations.end_round(incident.id, is_reported=any(each.reported_at is not None for each in current))
    uncounted = tx.ledger.operations.uncounted(incident.id)
    return uncounted.paging > 0 or uncounted.notices > 0


def start_due_round(tx: Transaction, incident: IncidentFacts) -> None:
    """Start the round whose time has come, unless everything is told."""
    is_waiting = end_round(tx, incident)
    due_at = _paths_due_at(tx, incident) if is_waiting else None
    if is_waiting and (due_at is None or due_at <= tx.now):
        start_round(tx, incident)
    else:
        tx.ledger.save(incident, replace(incident, round_at=due_at))


def follow(tx: Transaction, resolved: IncidentFacts) -> None:
    """Open the next operations incident with everything that waits for a round; ``resolved`` is the last one as it was."""
    is_failure = tx.ledger.operations.uncounted(resolved.id).paging > 0
    incident = _open(tx, is_failure=is_failure, round_at=resolved.round_at)
    tx.ledger.operations.hand_on(resolved.id, incident.id)
    _say(tx, incident)


def start_round(tx: Transaction, incident: IncidentFacts) -> None:
    """Page operations about everything that no accepted page has told, even if it was acknowledged meanwhile.

    When the round is 15 minutes old, ``start_due_round`` checks whether any page of it was accepted. The recipients and addresses
    are those of this process's settings; without any, those that another process stored.
    """
    end_round(tx, incident)
    _say(tx, incident)
    has_new_failures = tx.ledger.operations.uncounted(incident.id).paging > 0
    round_at = tx.now + OPERATIONS_EVERY if tx.deps.operations or tx.ledger.contacts.of(incident.id) else None
    severity = severity_for_operations(
        incident, tx.ledger.escalations.lock_current(incident.id), has_new_failures=has_new_failures
    )
    update = incidents.page_again(incident, now=tx.now)
    incident = tx.update_incident(incident, replace(update, after=replace(update.after, round_at=round_at, severity=severity)))
    _follow_recipients(tx, incident)
    rounds.start(tx, incident, {contact.recipient_id for contact in tx.deps.operations} or None)
    tx.ledger.operations.mark_counted(incident.id)


def start_policy_rounds(tx: Transaction, incident: IncidentFacts) -> None:
    """Start the policy's next round for each recipient whose round is due, and the first round of new ones."""
    _follow_recipients(tx, incident)
    if incident.round_at is None or incident.round_at > tx.now:  # otherwise ``start_round`` pages all of them
        rounds.start_due_rounds(tx, incident)
    paged = {escalation.recipient_id for escalation in tx.ledger.escalations.lock_current(incident.id)}
    if incident.state is IncidentState.OPEN:
        rounds.start(tx, incident, {contact.recipient_id for contact in tx.deps.operations} - paged)


def _follow_recipients(tx: Transaction, incident: IncidentFacts) -> None:
    """Update the incident's recipients to those in the settings."""
    if not tx.deps.operations:
        return
    known = tx.ledger.contacts.of(incident.id)
    changed = [contact for contact in tx.deps.operations if known.get(contact.recipient_id) != contact]
    if changed:
        tx.ledger.contacts.put(incident.id, changed)
    gone = known.keys() - {contact.recipient_id for contact in tx.deps.operations}
    for context in decisions.lock_contexts(tx, incident, gone) if gone else ():
        decisions.close(tx, context, event="replaced")


def render_again(tx: Transaction, incident_ids: Collection[str]) -> None:
    """Render the content of operations incidents again, since their failures have changed."""
    for incident_id in incident_ids:
        _say(tx, tx.ledger.incidents.get(incident_id))


def words(tx: Transaction, *, incident_id: str, content: Incident, contact: Contact, now: datetime) -> Incident:
    """Render the content of an operations incident for a recipient, with links to acknowledge the failed incidents."""
    failed = _failures(tx, incident_id, lambda failed_id: link(tx.deps, failed_id, contact.recipient_id, now=now))
    notices = tx.ledger.operations.notices(since=tx.ledger.incidents.get(incident_id).opened_at)
    paths = tx.ledger.operations.silent_paths(incident_id)
    body = failures.body(failed, notices, ZoneInfo(contact.timezone), paths=paths)
    return replace(content, body=body, url=failures.url(failed), labels=failures.links(failed))


def _open(tx: Transaction, *, is_failure: bool, round_at: datetime | None = None) -> IncidentFacts:
    severity = Severity.CRITICAL if is_failure else Severity.WARNING
    content = Incident(key=KEY, title="notifyflow", severity=severity, source="notifyflow", occurred_at=tx.now)
    incident = incidents.open_(
        content,
        incident_id=tx.deps.ids.new(),
        policy=tx.deps.operations_policy,
        now=tx.now,
        namespace=namespaces.OPERATIONS,
        is_operations=True,
    )
    incident = replace(incident, round_at=round_at)
    tx.ledger.incidents.add(incident, content)
    return incident


def _page_or_wait(tx: Transaction, incident: IncidentFacts, *, failures: int) -> None:
    """Start a round or set its time, after this transaction has added something, including ``failures`` failures."""
    current = tx.ledger.escalations.lock_current(incident.id)
    is_first = failures > 0 and tx.ledger.operations.uncounted(incident.id).paging == failures
    planned_at = None if is_first or incident.round_at is None else min(incident.round_at, tx.now + OPERATIONS_EVERY)
    round_at = next_of_operations_at(current, is_failure=failures > 0, now=tx.now, planned_at=planned_at)
    if any(alert.path for _, alert in tx.alerts) and (due_at := _paths_due_at(tx, incident)) is not None:
        round_at = max(round_at, due_at)
    if round_at <= tx.now:
        start_round(tx, incident)
    elif incident.round_at is None or round_at < incident.round_at:
        tx.ledger.save(incident, replace(incident, round_at=round_at))


def _say(tx: Transaction, incident: IncidentFacts) -> None:
    content = tx.ledger.incidents.content(incident.id)
    uncounted = tx.ledger.operations.uncounted(incident.id)  # first, so that every notice it counts is read below
    failed, notices = _failures(tx, incident.id, lambda failed_id: None), tx.ledger.operations.notices(since=incident.opened_at)
    paths = tx.ledger.operations.silent_paths(incident.id)
    title = failures.headline(failed, notices, uncounted, paths) if failed or notices or paths else content.title
    body = failures.body(failed, notices, paths=paths)
    tx.ledger.incidents.set_content(incident.id, replace(content, title=title, body=body, url=failures.url(failed)))


def _failures(tx: Transaction, incident_id: str, make_link: Link) -> list[Failure]:
    """Return the failures, the newest first; those beyond ``failures.IN_FULL`` have no ways and no link."""
    criticals = tx.ledger.operations.criticals(incident_id, limit=failures.AT_MOST)
    damaged = tx.ledger.operations.damaged(limit=failures.AT_MOST)
    found = sorted((*criticals, *damaged), key=lambda failure: failure.at, reverse=True)[: failures.AT_MOST]
    full = [_in_full(tx, failure, make_link) for failure in found[: failures.IN_FULL]]
    return [*full, *found[failures.IN_FULL :]]


def _in_full(tx: Transaction, failure: Failure, make_link: Link) -> Failure:
    ways = failures.ways(tx.ledger.notifications.of(failure.escalation_id), now=tx.now)
    return replace(failure, ways=ways, link=make_link(failure.incident_id) if failure.incident_id else None)


def add_notice(deps: Dependencies, reason: str, provider: str) -> Committed[None]:
    """Count a problem, in a few words without personal data, into the operations incident, once a day per reason and provider."""
    return use_case.run(deps, lambda tx: tx.notices.append((reason, provider)))
