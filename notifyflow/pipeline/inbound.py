"""Handles the requests of an integration in batches: many in one transaction, each as if it had come alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.copies import replace
from notifyflow.core.delivery.chain import Chain
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Contact, IncidentState, Severity, Via
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.intake.inbound_log import InboundEffect, InboundEntry, InboundReason
from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.intake.validation import CheckedIncident
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.pipeline.delivery import acknowledge
from notifyflow.pipeline.delivery.notify import Unresolved
from notifyflow.pipeline.transaction import sparing
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction

BATCH_LIMIT = 1_000
"""How many requests one transaction handles."""

_TIME_LIMIT = timedelta(seconds=0.3)
"""How long a transaction handles requests before it writes them.

Writing takes four times as long. Other transactions wait for it, and it has five seconds in all.
"""


_PAGING = frozenset({InboundEffect.OPENED, InboundEffect.RAISED, InboundEffect.ADDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedRequest:
    """A request with its recipients and policy from the directory.

    Attributes:
        request: The request; its incident is valid.
        contacts: Its recipients, validated already.
        policy: The policy of a new incident.
        route: The route that matched; empty without a directory.
        chain: The chain of the route, or None.
        left_out: The route's recipients who cannot be paged, by id, as a list in words.
    """

    request: InboundRequest
    contacts: tuple[Contact, ...]
    policy: Policy
    route: str = ""
    chain: Chain | None = None
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sender:
    """The sender of requests: the API key's name, the integration, the namespace, and the pauses in force."""

    by: str
    via: Via
    namespace: str
    pauses: Sequence[Pause]


def handle(deps: Dependencies, requests: Sequence[RoutedRequest], *, by: str, via: Via, namespace: str) -> Committed[int]:
    """Handle as many requests as fit into one transaction, in their order; return how many, at least one.

    They are sorted by key, so that two transactions do not wait for each other. A request to acknowledge or resolve an unknown or
    resolved incident does nothing. ``by`` is the name of the sender's API key. Each effect is counted with its incident.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """

    def body(tx: Transaction) -> int:
        sender = _Sender(by=by, via=via, namespace=namespace, pauses=tx.ledger.intervals.pauses(now=tx.now))
        done, entries = 0, list[InboundEntry]()
        some = requests[:BATCH_LIMIT]
        unresolved = Unresolved(tx, {(namespace, routed.request.incident.key) for routed in some})
        for routed in some:
            if done and deps.clock.now() - tx.now >= _TIME_LIMIT:
                break
            entries += _handle(tx, unresolved, routed, sender)
            done += 1
        tx.ledger.inbound_log.count(entries)
        return done

    return sparing.run(deps, body)


def _handle(tx: Transaction, unresolved: Unresolved, routed: RoutedRequest, sender: _Sender) -> Iterator[InboundEntry]:
    """Handle one request; yield its effect, unless there is no incident."""
    request = routed.request
    if request.action is Action.NOTIFY:
        yield from _notify(tx, unresolved, routed, sender)
        return
    incident = tx.ledger.incidents.lock_named(request.incident.key, namespace=sender.namespace)
    if incident is None:
        return
    is_acknowledging = request.action is Action.ACKNOWLEDGE
    act = acknowledge.acknowledge_locked if is_acknowledging else acknowledge.resolve_locked
    if act(tx, incident, by=sender.by, via=sender.via):
        did, why = InboundEffect.ACKNOWLEDGED if is_acknowledging else InboundEffect.RESOLVED, ""
    else:
        did, why = InboundEffect.IGNORED, _why_nobody(incident)
    yield replace(_entry(tx.now, incident.id, routed, sender, did), why=why, route="", left_out="", times=request.times)


def _notify(tx: Transaction, unresolved: Unresolved, routed: RoutedRequest, sender: _Sender) -> Iterator[InboundEntry]:
    request = routed.request
    checked = CheckedIncident(incident=request.incident, contacts=routed.contacts, faults=(), chain=routed.chain, is_routed=True)
    stored = unresolved.store(tx, checked, routed.policy, namespace=sender.namespace, times=request.times)
    entry = _entry(tx.now, stored.notified.incident_id, routed, sender, stored.did)
    incident = tx.ledger.incidents.get(entry.incident_id)
    if stored.did not in _PAGING:
        why = _why_nobody(incident)
    elif stored.did is InboundEffect.OPENED and not routed.route:
        why = InboundReason.NO_ROUTE
    else:
        why = InboundReason.PAUSED if _is_paused(incident, sender.pauses) else ""
    yield replace(entry, why=why)
    if request.times > 1:
        yield replace(entry, did=InboundEffect.MERGED, times=request.times - 1)


def _is_paused(incident: IncidentFacts, pauses: Sequence[Pause]) -> bool:
    """Return whether a pause of everything covers an incident."""
    is_urgent = incident.severity is Severity.CRITICAL
    return any(each.scope is PauseScope.ALL and each.covers("", "", is_urgent=is_urgent) for each in pauses)


def _why_nobody(incident: IncidentFacts) -> str:
    """Return why a request about an incident pages nobody; empty while it is OPEN."""
    reasons = {IncidentState.ACKNOWLEDGED: InboundReason.ACKNOWLEDGED, IncidentState.RESOLVED: InboundReason.RESOLVED}
    return reasons.get(incident.state, "")


def _entry(at: datetime, incident_id: str, routed: RoutedRequest, sender: _Sender, did: InboundEffect) -> InboundEntry:
    return InboundEntry(
        incident_id=incident_id,
        integration=sender.via,
        api_key=sender.by,
        route=routed.route,
        did=did,
        left_out=routed.left_out,
        first_at=at,
        last_at=at,
    )
