"""Does what came together through an integration: many events in one transaction, each as if it had come alone."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter

from notifyflow.core.intake.integrations.inbound import Action, Asked
from notifyflow.core.intake.validation import Admitted
from notifyflow.core.model import Contact
from notifyflow.core.policy import Policy
from notifyflow.pipeline import acknowledge, notify, resolve, use_case
from notifyflow.pipeline.ports import Consequences, Dependencies
from notifyflow.pipeline.transaction import Transaction

MOST = 1_000
"""How many events a transaction takes."""

_LONGEST = timedelta(seconds=0.3)
"""How long a transaction goes on taking events: writing them takes four times as long, others wait for it meanwhile, and it has
five seconds in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that is asked of us, and whom it concerns.

    Attributes:
        asked: What is to be done; its incident is of good form.
        contacts: Who is told, validated already.
        policy: How, where the key is new.
    """

    asked: Asked
    contacts: tuple[Contact, ...]
    policy: Policy


def do(deps: Dependencies, events: Sequence[Event], *, by: str, via: str, namespace: str) -> tuple[int, Consequences]:
    """Do the first of some events, as many as one transaction takes, in their order.

    Args:
        deps: The dependencies of the use cases.
        events: At least one; sorted by key, so that two transactions do not wait for each other.
        by: Who asks.
        via: Through which integration.
        namespace: Where keys name incidents; for one that nobody knows there, or that is over, there is nothing to do.

    Returns:
        How many are done, and what that led to.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """

    def body(tx: Transaction) -> int:
        done = 0
        for is_new, run in groupby(_told_apart(tx, events[:MOST], namespace), key=itemgetter(0)):
            with tx.ledger.gathering() if is_new else nullcontext():
                for _, event in run:
                    if done and deps.clock.now() - tx.now >= _LONGEST:
                        return done
                    _do(tx, event, by=by, via=via, namespace=namespace, is_new=is_new)
                    done += 1
        return done

    return use_case.run(deps, body)


def _told_apart(tx: Transaction, events: Sequence[Event], namespace: str) -> Iterator[tuple[bool, Event]]:
    """Tell of each event whether it opens an incident, so that those that do are written together."""
    seen = set(tx.ledger.lock_all_unresolved({event.asked.incident.key for event in events}, namespace=namespace))
    for event in events:
        key = event.asked.incident.key
        yield event.asked.action is Action.NOTIFY and key not in seen, event
        seen.add(key)


def _do(tx: Transaction, event: Event, *, by: str, via: str, namespace: str, is_new: bool) -> None:
    asked = event.asked
    if asked.action is Action.NOTIFY:
        admitted = Admitted(incident=asked.incident, contacts=event.contacts, faults=())
        store = notify.open_new if is_new else notify.store
        store(tx, admitted, event.policy, namespace=namespace, times=asked.times)
        return
    incident = tx.ledger.lock_named(asked.incident.key, namespace=namespace)
    if incident is None:
        return
    if asked.action is Action.ACKNOWLEDGE:
        acknowledge.take(tx, incident, by=by, via=via)
    else:
        resolve.end(tx, incident, by=by, via=via)
