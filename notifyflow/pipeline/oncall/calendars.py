"""Stores the calendars of schedules; an unreadable calendar changes nobody's duty."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from notifyflow.core.hours import EARLIEST
from notifyflow.core.oncall.schedules import Calendar, Schedule
from notifyflow.pipeline.transaction import use_case
from notifyflow.pipeline.transaction.ports import Committed, Dependencies
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.oncall.roster import StoredCalendar

EVERY = timedelta(minutes=5)
"""How often a calendar is fetched by all processes together."""
STALE_AFTER = timedelta(days=1)
_STALE = "it could not be read for a day; what it said last stays in force"
_NEVER = "it cannot be read, so nobody is on duty"
_STRANGERS = "it names people whom the directory does not know"


def claim_next(deps: Dependencies, schedules: Sequence[Schedule]) -> tuple[Schedule, StoredCalendar] | None:
    """Claim the fetch of the due calendar that was tried longest ago.

    Each is claimed just before its fetch, so that a process that ends leaves no other calendar unread. A tried calendar goes to
    the end of the queue, whatever the result.

    Returns:
        Its schedule with the stored calendar; None if none is due.

    Raises:
        StorageUnavailable: When the database does not answer in time.
    """
    before = deps.clock.now() - EVERY

    def body(tx: Transaction) -> tuple[Schedule, StoredCalendar] | None:
        known = tx.ledger.roster.calendars()
        due = [each for each in schedules if _is_due(known.get(each.name), _source(each), before)]
        for each in sorted(due, key=lambda each: _tried_at(known.get(each.name))):
            claimed = tx.ledger.roster.claim_calendar(each.name, _source(each), before=before, now=tx.now)
            if claimed is not None:
                return each, claimed
        return None

    return use_case.run(deps, body).value


def _tried_at(known: StoredCalendar | None) -> datetime:
    return EARLIEST if known is None or known.tried_at is None else known.tried_at


def _is_due(known: StoredCalendar | None, source: str, before: datetime) -> bool:
    return known is None or known.source != source or known.tried_at is None or known.tried_at <= before


def _source(schedule: Schedule) -> str:
    return hashlib.sha256((schedule.ical or "").encode()).hexdigest()


def put(
    deps: Dependencies, claimed: StoredCalendar, calendar: Calendar, *, etag: str, last_modified: str, has_strangers: bool
) -> Committed[None]:
    """Store a calendar, unless it is to be read again by now; tell operations if it names strangers."""

    def body(tx: Transaction) -> None:
        tx.ledger.roster.lock()
        tx.ledger.roster.put_shifts(claimed, calendar, etag=etag, last_modified=last_modified)
        if has_strangers:
            tx.notices.append((_STRANGERS, _name(claimed)))

    return use_case.run(deps, body)


def confirm(deps: Dependencies, claimed: StoredCalendar) -> None:
    """Note that a calendar has not changed."""

    def body(tx: Transaction) -> None:
        tx.ledger.roster.lock()
        tx.ledger.roster.confirm_calendar(claimed, at=tx.now)

    use_case.run(deps, body)


def note_fault(deps: Dependencies, claimed: StoredCalendar, code: str) -> Committed[None]:
    """Note why a calendar could not be read; tell operations, once a day, after a day of failures or if it was never read."""

    def body(tx: Transaction) -> None:
        tx.ledger.roster.note_fault(claimed, code)
        if claimed.fetched_at is None:
            tx.notices.append((_NEVER, _name(claimed)))
        elif tx.now - claimed.fetched_at >= STALE_AFTER:
            tx.notices.append((_STALE, _name(claimed)))

    return use_case.run(deps, body)


def keep(deps: Dependencies, schedules: Collection[str]) -> None:
    """Delete the stored calendars of all other schedules."""

    def body(tx: Transaction) -> None:
        tx.ledger.roster.lock()
        tx.ledger.roster.keep_calendars(schedules)

    use_case.run(deps, body)


def _name(calendar: StoredCalendar) -> str:
    return f"the calendar of @{calendar.schedule}"
