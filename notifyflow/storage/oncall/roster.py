"""Reads and writes the roster: the directory, the calendars of schedules, and overrides.

Each change gives the roster a new digest. One small statement tells a process whether it knows the roster already.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Any

from notifyflow.core.copies import replace
from notifyflow.core.delivery.policy import SHIPPED
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.oncall.directory import NOBODY, Directory, read_leniently
from notifyflow.core.oncall.roster import EMPTY, Roster
from notifyflow.core.oncall.schedules import Calendar, Override
from notifyflow.core.toml import without
from notifyflow.errors import UnreadableRow
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader, first
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import CalendarRow, OverrideRow, RosterRow

_ONE = 1
_MOST = 8
"""How many rosters a process remembers; the oldest read is forgotten first."""
_OVERRIDE = tuple(Override.__dataclass_fields__)
_DIGEST = Statement(lambda param: RosterRow.select(RosterRow.digest))
_known: dict[str, Roster] = {}
_lock = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDirectory:
    """The stored directory's file.

    Attributes:
        source: The digest of the file; empty before the first.
    """

    source: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCalendar:
    """A stored calendar without its shifts.

    Attributes:
        source: The digest of its URL.
        etag: The ``ETag`` of the last response; empty without one.
        last_modified: Its ``Last-Modified``; empty without one.
        fetched_at: When it was last read successfully; None if never.
        tried_at: When it was last fetched, with or without success; None if it is to be fetched at once.
        fault: The code of the last fetch's fault; empty if it succeeded.
    """

    schedule: str
    source: str
    etag: str
    last_modified: str
    fetched_at: datetime | None
    tried_at: datetime | None
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOverride:
    """An override, and whether it was cancelled."""

    override: Override
    cancelled_at: datetime | None
    cancelled_by: str | None

    @property
    def as_it_was(self) -> Override:
        """The override as far as it had effect: a cancelled one ends when it was cancelled."""
        if self.cancelled_at is None:
            return self.override
        return replace(self.override, ends_at=min(self.override.ends_at, self.cancelled_at))


_CALENDAR = tuple(StoredCalendar.__dataclass_fields__)


class RosterReads(Reader):
    """Reads the roster."""

    def current(self) -> Roster:
        """Return the roster; one small statement suffices if this process has read it before."""
        digest = self._source.scalar(_DIGEST())
        if not digest:
            return EMPTY
        return _known.get(digest) or self._read()[0]

    def calendars(self) -> dict[str, StoredCalendar]:
        """Return the stored calendars without their shifts, by schedule."""
        query = CalendarRow.select(*(getattr(CalendarRow, name) for name in _CALENDAR))
        rows = self._source.readable(query, CalendarRow.schedule)
        return {row["schedule"]: StoredCalendar(**row) for row in rows}

    def overrides(self, *, since: datetime) -> tuple[StoredOverride, ...]:
        """Return the overrides that end after an instant, by their beginning, including cancelled ones."""
        query = _overrides().where(OverrideRow.ends_at > since).order_by(OverrideRow.begins_at, OverrideRow.id)
        return tuple(map(_stored_override, self._source.readable(query, OverrideRow.id)))

    def _read(self) -> tuple[Roster, str]:
        """Read the roster from its rows; return it with its digest. A roster that lacks a damaged row is not remembered.

        Raises:
            InvalidDirectory: When the stored directory is damaged.
        """
        known = len(self._source.unread)
        row = first(self._source.rows(RosterRow.select(RosterRow.document)))
        document = (row and row["document"]) or ""
        calendars = self._source.readable(
            CalendarRow.select(CalendarRow.schedule, CalendarRow.shifts, CalendarRow.fetched_at)
            .where(CalendarRow.fetched_at.is_null(is_null=False))
            .order_by(CalendarRow.schedule),
            CalendarRow.schedule,
        )
        had_effect = OverrideRow.cancelled_at.is_null() | (OverrideRow.cancelled_at > OverrideRow.begins_at)
        in_order = _overrides().where(had_effect).order_by(OverrideRow.made_at, OverrideRow.id)
        overrides = self._source.readable(in_order, OverrideRow.id)
        digest = hashlib.sha256(repr((document, calendars, overrides)).encode()).hexdigest()
        roster = Roster(
            directory=_directory(document),
            overrides=tuple(_stored_override(row).as_it_was for row in overrides),
            calendars=FrozenDict({row["schedule"]: Calendar(**row) for row in calendars}),
        )
        if len(self._source.unread) == known:
            _remember(digest, roster)
        return roster, digest


class StoredRoster(RosterReads, Repository):
    """The roster; a transaction that changes it locks it before anything else."""

    def lock(self) -> StoredDirectory:
        """Lock the roster, and return the stored directory's file; a damaged ``changed_at`` is None: any file is newer."""
        self._unit.insert_once(RosterRow, {"one": _ONE, "digest": "", "source": ""})
        try:
            (row,) = self._unit.rows(self._unit.locked(RosterRow.select(RosterRow.source, RosterRow.changed_at)))
        except UnreadableRow:
            (row,) = self._unit.rows(self._unit.locked(RosterRow.select(RosterRow.source)))
        return StoredDirectory(**row)

    def put_directory(self, document: str, directory: StoredDirectory, *, now: datetime) -> None:
        """Store another directory; calendars are read again soon, since they may name people that it adds."""
        self._set(document=document, source=directory.source, changed_at=directory.changed_at, stored_at=now)
        self._unit.execute(CalendarRow.update(etag="", last_modified="", tried_at=None))
        self._renew()

    def put_time(self, changed_at: datetime) -> None:
        """Note that the directory's file was written again without a change."""
        self._set(changed_at=changed_at)

    def claim_calendar(self, schedule: str, source: str, *, before: datetime, now: datetime) -> StoredCalendar | None:
        """Claim a calendar's next fetch; return the stored calendar, or None if it is not due.

        The first fetch of a day (UTC) sends no ``ETag``, so that the calendar is read again: its shifts are stored for some weeks
        only.

        Args:
            schedule: The name of its schedule.
            source: The digest of its URL. A new URL is fetched at once; the shifts of the old one stay until then.
            before: It is due if it was last tried before this instant.
            now: The instant.
        """
        new = StoredCalendar(schedule=schedule, source=source, etag="", last_modified="", fetched_at=None, tried_at=now, fault="")
        if self._unit.insert_once(CalendarRow, asdict(new)):
            return new
        is_it = CalendarRow.schedule == schedule
        is_of_today = CalendarRow.tried_at >= now.replace(hour=0, minute=0, second=0, microsecond=0)
        is_same = is_it & (CalendarRow.source == source) & is_of_today
        anew = CalendarRow.update(source=source, etag="", last_modified="", tried_at=now)
        is_other = (
            (CalendarRow.source != source) | CalendarRow.tried_at.is_null() | ((CalendarRow.tried_at <= before) & ~is_of_today)
        )
        is_claimed = self._unit.execute(CalendarRow.update(tried_at=now).where(is_same, CalendarRow.tried_at <= before))
        if is_claimed or self._unit.execute(anew.where(is_it, is_other)):
            return self.calendars().get(schedule, new)  # a damaged one is fetched anew
        return None

    def put_shifts(self, claimed: StoredCalendar, calendar: Calendar, *, etag: str, last_modified: str) -> None:
        """Store a calendar's shifts, unless another fetch was ordered since it was claimed."""
        self._set_calendar(
            claimed,
            shifts=calendar.shifts,
            fetched_at=calendar.fetched_at,
            etag=etag,
            last_modified=last_modified,
            fault="",
        )
        self._renew()

    def confirm_calendar(self, claimed: StoredCalendar, *, at: datetime) -> None:
        """Note that a calendar has not changed."""
        self._set_calendar(claimed, fetched_at=at, fault="")
        self._renew()

    def note_fault(self, claimed: StoredCalendar, fault: str) -> None:
        """Note why a calendar could not be read; its stored shifts stay."""
        self._set_calendar(claimed, fault=fault)

    def keep_calendars(self, schedules: Collection[str]) -> None:
        """Delete the calendars of all other schedules."""
        gone = [name for name in self.calendars() if name not in schedules]
        if gone:
            self._unit.execute(CalendarRow.delete().where(CalendarRow.schedule.in_(gone)))
            self._renew()

    def add_overrides(self, overrides: Sequence[Override]) -> None:
        """Store new overrides."""
        self._unit.insert(OverrideRow, [{name: getattr(each, name) for name in _OVERRIDE} for each in overrides])
        self._renew()

    def override(self, override_id: str) -> StoredOverride | None:
        """Return an override, or None."""
        row = first(self._unit.rows(_overrides().where(OverrideRow.id == override_id)))
        return None if row is None else _stored_override(row)

    def cancel_override(self, override_id: str, *, at: datetime, by: str) -> None:
        """Note that an override was cancelled: it has no effect any more."""
        self._unit.execute(OverrideRow.update(cancelled_at=at, cancelled_by=by).where(OverrideRow.id == override_id))
        self._renew()

    def prune_overrides(self, *, before: datetime) -> int:
        """Delete the overrides that ended before an instant; return how many."""
        count = self._unit.execute(OverrideRow.delete().where(OverrideRow.ends_at <= before))
        if count:
            self._renew()
        return count

    def forget(self, recipient_id: str) -> bool:
        """Take a recipient out of the stored directory; return whether they were in it."""
        row = first(self._unit.rows(RosterRow.select(RosterRow.document)))
        document = (row and row["document"]) or ""
        if recipient_id not in _directory(document).recipients:
            return False
        self._set(document=without(document, "recipients", [recipient_id]))
        self._renew()
        return True

    def _set(self, **columns: Any) -> None:
        self._unit.execute(RosterRow.update(**columns))

    def _set_calendar(self, claimed: StoredCalendar, **columns: Any) -> None:
        is_it = (CalendarRow.schedule == claimed.schedule) & (CalendarRow.source == claimed.source)
        self._unit.execute(CalendarRow.update(**columns).where(is_it, CalendarRow.tried_at == claimed.tried_at))

    def _renew(self) -> None:
        """Store the digest of the current rows."""
        self._set(digest=self._read()[1])


def _overrides() -> Any:
    names = (*_OVERRIDE, "cancelled_at", "cancelled_by")
    return OverrideRow.select(*(getattr(OverrideRow, name) for name in names))


def _stored_override(row: dict[str, Any]) -> StoredOverride:
    override = Override(**{name: row[name] for name in _OVERRIDE})
    return StoredOverride(override=override, cancelled_at=row["cancelled_at"], cancelled_by=row["cancelled_by"])


@lru_cache(maxsize=_MOST)
def _directory(document: str) -> Directory:
    """Parse a stored directory. It had no fault when it was stored; a person may have been removed since."""
    return read_leniently(document, SHIPPED)[0] if document else NOBODY


def _remember(digest: str, roster: Roster) -> None:
    with _lock:
        while len(_known) >= _MOST:
            del _known[next(iter(_known))]
        _known[digest] = roster
