"""Changes who is on duty for some time; open incidents stay with the people they already page."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count

from notifyflow.core.copies import replace
from notifyflow.core.oncall.overrides import Swap, Wish, has_duty, plan
from notifyflow.core.oncall.schedules import Override
from notifyflow.core.references import ById
from notifyflow.errors import IdempotencyMismatch, OverrideNotFound
from notifyflow.pipeline.delivery import steps
from notifyflow.pipeline.transaction import sparing, use_case
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """The overrides that a request made.

    Attributes:
        is_new: Whether they are new; False if the request was repeated.
    """

    overrides: tuple[Override, ...]
    is_new: bool = True


def make(deps: Dependencies, wish: Wish | Swap, *, once: str = "") -> Made:
    """Store the overrides that a request makes, and return them.

    Args:
        deps: The dependencies of the use cases.
        wish: The request.
        once: Its name. A request that was carried out under this name is not carried out again while its overrides are stored.
            Empty for a request without a name.

    Raises:
        InvalidOverride: When it cannot be done; nothing is stored.
        IdempotencyMismatch: When another request was carried out under the same name; nothing is stored.
        StorageUnavailable: When the database does not answer in time.
    """
    now = deps.clock.now()

    def body(ledger: Ledger) -> Made:
        ledger.roster.lock()
        if once and (known := ledger.roster.override(next(_ids_of(once)))):
            return _made_before(ledger, wish, once, known.override.made_at)
        ids = _ids_of(once) if once else iter(deps.ids.new, "")
        overrides = plan(wish, ledger.roster.current(), ids, now=now)
        ledger.roster.add_overrides(overrides)
        return Made(overrides=overrides)

    return deps.transactions.run(body)


def _made_before(ledger: Ledger, wish: Wish | Swap, once: str, made_at: datetime) -> Made:
    """Return the overrides that a request made earlier; raise ``IdempotencyMismatch`` if that was another request."""
    roster = ledger.roster.current()
    before = replace(roster, overrides=tuple(each for each in roster.overrides if each.made_at < made_at))
    overrides = plan(wish, before, _ids_of(once), now=made_at)
    stored = [ledger.roster.override(each.id) for each in overrides]
    if [each and each.override for each in stored] != list(overrides):
        raise IdempotencyMismatch
    return Made(overrides=overrides, is_new=False)


def _ids_of(once: str) -> Iterator[str]:
    """Yield the ids of a named request's overrides, which follow from its name."""
    return (hashlib.sha256(f"{number} {once}".encode()).hexdigest()[:32] for number in count())


def cancel(deps: Dependencies, override_id: str, *, by: str) -> Committed[Override]:
    """Cancel an override that is in force or to come, and return it: the duty is as without it from now on.

    Raises:
        OverrideNotFound: When there is none.
        StorageUnavailable: When the database does not answer in time.
    """

    def body(tx: Transaction) -> Override:
        tx.ledger.roster.lock()
        found = tx.ledger.roster.override(override_id)
        if found is None or found.cancelled_at is not None or found.override.ends_at <= tx.now:
            raise OverrideNotFound(override_id)
        tx.ledger.roster.cancel_override(override_id, at=tx.now, by=by)
        return found.override

    return use_case.run(deps, body)


def open_incidents(deps: Dependencies, override: Override) -> tuple[str, ...]:
    """Return the OPEN incidents, by id, with a step that has paged the people on duty in an override's schedule."""
    return deps.transactions.run(lambda ledger: ledger.steps.with_duty_of(override.schedule))


def join_open(deps: Dependencies, incident_id: str, override: Override) -> Committed[bool]:
    """Page the people of an override for an OPEN incident, if it changes who is on duty for it; return whether.

    Raises:
        NotFound: When there is no such incident.
    """
    page = partial(steps.join, names=override.people, has_duty=partial(has_duty, override=override))
    return sparing.run_on(deps, ById(incident_id), page)


def prune(deps: Dependencies, *, before: datetime) -> None:
    """Delete the overrides that ended before an instant."""

    def body(ledger: Ledger) -> None:
        ledger.roster.lock()
        ledger.roster.prune_overrides(before=before)

    deps.transactions.run(body)
