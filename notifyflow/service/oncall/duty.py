"""Who is on duty, and temporary changes of it."""

from datetime import datetime, timedelta

from notifyflow.core.oncall.duty_report import Duty, duty
from notifyflow.core.oncall.overrides import Swap, Wish
from notifyflow.core.oncall.roster import Roster
from notifyflow.core.oncall.schedules import Override
from notifyflow.log import get_logger
from notifyflow.pipeline.oncall import overrides
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.roster import Rosters
from notifyflow.storage.oncall.roster import StoredOverride
from notifyflow.storage.store import Store

_log = get_logger("notifyflow.app")

_OLDEST = timedelta(days=30)


class OnCall:
    """The schedules of the roster in force, and its overrides; each method raises ``StorageUnavailable``."""

    def __init__(self, store: Store, use_cases: UseCases, rosters: Rosters) -> None:
        self._store = store
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._rosters = rosters

    def now(self) -> datetime:
        """Return the current time of the service."""
        return self._deps.clock.now()

    def roster(self) -> Roster:
        """Return the roster as it is now."""
        return self._rosters.read()

    @property
    def why_file_is_unused(self) -> str:
        """Why the roster as last read is not that of the directory's file, in words; empty if it is."""
        return self._rosters.why_file_is_unused

    def duties(self, at: datetime, *, weeks: int = 0) -> tuple[Duty, ...]:
        """Return who is on duty in each schedule, by name, at an instant and for some weeks from then on."""
        roster = self.roster()
        return tuple(duty(roster, each, at, weeks=weeks) for _, each in sorted(roster.directory.schedules.items()))

    def duty(self, schedule: str, at: datetime, *, weeks: int = 0) -> Duty | None:
        """Return who is on duty in a schedule, or None if there is none of the name."""
        roster = self.roster()
        found = roster.schedule(schedule)
        return None if found is None else duty(roster, found, at, weeks=weeks)

    def overrides(self) -> tuple[StoredOverride, ...]:
        """Return the overrides that end later or ended within the last 30 days, also those that were cancelled."""
        self._use_cases.prepare()
        since = self.now() - _OLDEST
        return self._store.read(lambda reads: reads.roster.overrides(since=since))

    def change(self, wish: Wish | Swap, *, with_open: bool = False, once: str = "") -> tuple[Override, ...]:
        """Change the duty.

        Args:
            wish: The change.
            with_open: Whether open incidents whose chain has paged the people on duty so far page the new people, too; a change
                that begins later does not affect them.
            once: Your name for this change: a change made before under the same name is not made again, and its overrides are
                returned. Empty for a change without a name.

        Raises:
            InvalidOverride: When it cannot be done; nothing is stored.
            IdempotencyMismatch: When another change was made under the same name.
        """
        self._rosters.read()  # stores the directory's file first, if it has changed
        change = overrides.make(self._deps, wish, once=once)
        made = change.overrides
        for each in made if change.is_new else ():
            _log.warning(
                "app.override_made",
                override_id=each.id,
                schedule=each.schedule,
                people=list(each.people),
                instead_of=each.instead_of,
                begins_at=each.begins_at.isoformat(),
                ends_at=each.ends_at.isoformat(),
            )
        now, not_cancelled = self.now(), self._rosters.read().overrides
        for each in (each for each in made if with_open and each.begins_at <= now and each in not_cancelled):
            for incident_id in overrides.open_incidents(self._deps, each):
                if self._use_cases.run(overrides.join_open, incident_id, each):
                    _log.info("app.override_joined", override_id=each.id, incident_id=incident_id)
        return made

    def cancel(self, override_id: str, *, by: str) -> Override:
        """Cancel an override: from now on the duty is as without it.

        Raises:
            OverrideNotFound: When it is not in force or to come.
        """
        cancelled = self._use_cases.run(overrides.cancel, override_id, by=by)
        _log.warning("app.override_cancelled", override_id=cancelled.id, schedule=cancelled.schedule)
        self._rosters.read()
        return cancelled
