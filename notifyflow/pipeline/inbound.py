"""Handles the requests of an integration in batches: many in one transaction, each as if it had come alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from notifyflow.core.intake.integrations.inbound import Action, InboundRequest
from notifyflow.core.intake.validation import Admitted
from notifyflow.core.model import Contact, Via
from notifyflow.core.policy import Policy
from notifyflow.pipeline import acknowledge, resolve, use_case
from notifyflow.pipeline.notify import Unresolved
from notifyflow.pipeline.ports import Committed, Dependencies
from notifyflow.pipeline.transaction import Transaction

BATCH_LIMIT = 1_000
"""How many requests one transaction handles."""

_TIME_LIMIT = timedelta(seconds=0.3)
"""How long a transaction handles requests before it writes them, which takes four times as long: other transactions wait for it,
and it has five seconds in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedRequest:
    """A request with its recipients and policy from the directory.

    Attributes:
        request: The request; its incident is valid.
        contacts: Its recipients, validated already.
        policy: The policy of a new incident.
    """

    request: InboundRequest
    contacts: tuple[Contact, ...]
    policy: Policy


def handle(deps: Dependencies, requests: Sequence[RoutedRequest], *, by: str, via: Via, namespace: str) -> Committed[int]:
    """Handle as many requests as fit into one transaction, in their order; return how many, at least one.

    They are sorted by key, so that two transactions do not wait for each other. A request to acknowledge or resolve an unknown or
    resolved incident does nothing. ``by`` is the name of the sender's API key.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """

    def body(tx: Transaction) -> int:
        done = 0
        some = requests[:BATCH_LIMIT]
        unresolved = Unresolved(tx, {(namespace, routed.request.incident.key) for routed in some})
        for routed in some:
            if done and deps.clock.now() - tx.now >= _TIME_LIMIT:
                break
            _handle(tx, unresolved, routed, by=by, via=via, namespace=namespace)
            done += 1
        return done

    return use_case.run(deps, body)


def _handle(tx: Transaction, unresolved: Unresolved, routed: RoutedRequest, *, by: str, via: Via, namespace: str) -> None:
    request = routed.request
    if request.action is Action.NOTIFY:
        admitted = Admitted(incident=request.incident, contacts=routed.contacts, faults=())
        unresolved.store(tx, admitted, routed.policy, namespace=namespace, times=request.times)
        return
    incident = tx.ledger.incidents.lock_named(request.incident.key, namespace=namespace)
    if incident is None:
        return
    if request.action is Action.ACKNOWLEDGE:
        acknowledge.acknowledge_locked(tx, incident, by=by, via=via)
    else:
        resolve.resolve_locked(tx, incident, by=by, via=via)
