"""Keeps the roster up to date: reads the directory's file of this process, and fetches the calendars of schedules.

It has its own thread, so that a hanging server delays no sweep. All processes together fetch a calendar every five minutes. A
calendar that is away, broken or empty changes nobody's duty: its last shifts stay in force.
"""

from datetime import timedelta

from notifyflow.channels.calendars import CalendarClient, Fetched
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedules import Schedule
from notifyflow.engine.watch_loops import WatchLoop
from notifyflow.errors import InvalidCalendar, ProviderError, StorageUnavailable
from notifyflow.log import get_logger, source_line
from notifyflow.pipeline.oncall import calendars
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.roster import Rosters
from notifyflow.storage.oncall.roster import StoredCalendar

_log = get_logger("notifyflow.engine")

POLL_EVERY = timedelta(seconds=5)
_UNUSABLE = "unusable"
_BROKEN = "broken"


class CalendarPoller(WatchLoop):
    """Checks every few seconds whether the directory's file has changed or a calendar is due, until it is stopped.

    Args:
        client: Fetches calendars; the poller closes it.
        use_cases: Runs use cases.
        rosters: The roster in force.
        every: The time between two checks.
    """

    def __init__(self, client: CalendarClient, use_cases: UseCases, rosters: Rosters, *, every: timedelta = POLL_EVERY) -> None:
        super().__init__("calendar-poller", self.poll, every)
        self._client = client
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._rosters = rosters

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def poll(self) -> None:
        """Fetch each calendar that is due, unless another process does.

        Raises:
            StorageUnavailable: When the database does not answer in time.
        """
        roster = self._rosters.current()
        schedules = _with_calendars(roster)
        if roster.calendars.keys() - {each.name for each in schedules}:
            calendars.keep(self._deps, [each.name for each in schedules])
        while schedules and not self._is_stopping.is_set():
            due = calendars.claim_next(self._deps, schedules)
            if due is None:
                return
            self._read(*due, roster)
            roster = self._rosters.current()
            schedules = _with_calendars(roster)

    def _read(self, schedule: Schedule, claimed: StoredCalendar, roster: Roster) -> None:
        """Fetch and store one calendar; any error is a fault of this calendar only."""
        try:
            self._fetch(schedule, claimed, roster)
        except StorageUnavailable:
            raise
        except ProviderError as error:
            self._note_fault(claimed, error.code or _UNUSABLE)
        except InvalidCalendar:
            self._note_fault(claimed, _UNUSABLE)
        except Exception as error:  # noqa: BLE001 - others write the file, and libraries read it
            _log.error("engine.calendar_broke", schedule=schedule.name, error=type(error).__name__, place=source_line(error))
            self._note_fault(claimed, _BROKEN)

    def _fetch(self, schedule: Schedule, claimed: StoredCalendar, roster: Roster) -> None:
        """Fetch a calendar.

        Once a day it is read even if it has not changed: the stored shifts of a repetition end after sixty days. So is one whose
        stored shifts are damaged.
        """
        is_of_today = claimed.fetched_at is not None and claimed.fetched_at.date() == self._deps.clock.now().date()
        is_known = is_of_today and schedule.name in roster.calendars
        etag, last_modified = (claimed.etag, claimed.last_modified) if is_known else ("", "")
        fetched = self._client.fetch(schedule.ical or "", etag=etag, last_modified=last_modified)
        if fetched is None:
            calendars.confirm(self._deps, claimed)
        else:
            self._store(schedule, claimed, fetched, roster)

    def _store(self, schedule: Schedule, claimed: StoredCalendar, fetched: Fetched, roster: Roster) -> None:
        from notifyflow.core.oncall.calendars import read_calendar  # few have a calendar

        found = read_calendar(fetched.document, schedule, roster.directory.recipients, now=self._deps.clock.now())
        self._use_cases.run(
            calendars.put,
            claimed,
            found.calendar,
            etag=fetched.etag,
            last_modified=fetched.last_modified,
            has_strangers=bool(found.faults),
        )
        _log.info("engine.calendar_read", schedule=schedule.name, shifts=len(found.calendar.shifts), strangers=len(found.faults))

    def _note_fault(self, claimed: StoredCalendar, code: str) -> None:
        _log.warning("engine.calendar_not_read", schedule=claimed.schedule, code=code)
        self._use_cases.run(calendars.note_fault, claimed, code)


def _with_calendars(roster: Roster) -> list[Schedule]:
    return [each for each in roster.directory.schedules.values() if each.ical is not None]
