"""Changes who is on duty for some time; incidents that are open stay with whom they page already."""

from datetime import datetime

from notifyflow.core.overrides import Swap, Wish, plan
from notifyflow.core.references import ById
from notifyflow.core.schedules import Override
from notifyflow.errors import OverrideNotFound
from notifyflow.pipeline import hand_overs, steps, use_case
from notifyflow.pipeline.ports import Committed, Dependencies
from notifyflow.pipeline.transaction import Transaction
from notifyflow.storage.ledger import Ledger


def make(deps: Dependencies, wish: Wish | Swap) -> tuple[Override, ...]:
    """Store the overrides that a wish comes to, and return them.

    Raises:
        InvalidOverride: When it cannot be done; nothing is stored.
        StorageUnavailable: When the database does not answer in time.
    """
    now = deps.clock.now()

    def body(ledger: Ledger) -> tuple[Override, ...]:
        ledger.roster.lock()
        overrides = plan(wish, ledger.roster.current(), iter(deps.ids.new, ""), now=now)
        ledger.roster.add_overrides(overrides)
        return overrides

    return deps.transactions.run(body)


def cancel(deps: Dependencies, override_id: str, *, by: str) -> Committed[Override]:
    """Cancel an override that is in force or to come, and return it: the duty is as if it had never been made.

    If the schedule tells of hand-overs, this is one.

    Raises:
        OverrideNotFound: When there is none.
        StorageUnavailable: When the database does not answer in time.
    """

    def body(tx: Transaction) -> Override:
        tx.ledger.roster.lock()
        found = tx.ledger.roster.override(override_id)
        if found is None or found.cancelled_at is not None or found.override.ends_at <= tx.now:
            raise OverrideNotFound(override_id)
        before = tx.ledger.roster.current()
        tx.ledger.roster.cancel_override(override_id, at=tx.now, by=by)
        hand_overs.follow(tx, before, found.override.schedule)
        return found.override

    return use_case.run(deps, body)


def open_incidents(deps: Dependencies, override: Override) -> tuple[str, ...]:
    """Return the OPEN incidents, by id, a step of which has paged those on duty in the schedule of an override."""
    return deps.transactions.run(lambda ledger: ledger.steps.with_duty_of(override.schedule))


def join_open(deps: Dependencies, incident_id: str, override: Override) -> Committed[bool]:
    """Page the people of an override for an incident that is open, if it changes for whom; return whether.

    Raises:
        NotFound: When there is no such incident.
    """
    return use_case.run_on(deps, ById(incident_id), lambda tx, incident: steps.join(tx, incident, override))


def prune(deps: Dependencies, *, before: datetime) -> None:
    """Delete the overrides that ended before an instant."""

    def body(ledger: Ledger) -> None:
        ledger.roster.lock()
        ledger.roster.prune_overrides(before=before)

    deps.transactions.run(body)
