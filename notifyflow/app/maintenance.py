"""Maintenance of the stored rows: check them, prune old ones, adopt a copied database, forget a person."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from notifyflow.app.database import Database
from notifyflow.core import text
from notifyflow.core.upkeep import lost
from notifyflow.core.upkeep.audit import Finding
from notifyflow.core.upkeep.lost import Mention
from notifyflow.errors import Fault, InvalidAge
from notifyflow.pipeline import users
from notifyflow.pipeline.oncall import overrides
from notifyflow.pipeline.rollup import roll_up_all
from notifyflow.pipeline.transaction.ports import Dependencies
from notifyflow.pipeline.upkeep.adopt import Survey, adopt, release_from_quarantine, resolve_quarantined, survey
from notifyflow.pipeline.upkeep.forget import forget
from notifyflow.pipeline.upkeep.prune import ROUNDS_A_STEP, prune_incidents, prune_policies, prune_strays
from notifyflow.storage.upkeep.audit import Audited
from notifyflow.storage.upkeep.forgetting import Forgotten
from notifyflow.storage.upkeep.pruning import Pruned, PruneStep

_YOUNGEST = timedelta(days=1)
_LINES_AT_A_TIME = 10_000
_START = (datetime(1970, 1, 1, tzinfo=UTC), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The progress of a check.

    Attributes:
        done: How many incidents have been checked.
        total: How many incidents are stored.
        findings: The violations found since the last progress; empty if there are none.
    """

    done: int
    total: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """What lines name, and the database lacks.

    Attributes:
        old: How often the lines name a row that a prune may have deleted; these are not judged.
    """

    findings: tuple[Finding, ...] = ()
    old: int = 0


class Maintenance:
    """Checks, prunes and adopts the stored rows, and forgets people."""

    def __init__(self, database: Database, deps: Dependencies, environment: str | None) -> None:
        self._database = database
        self._store = database.store
        self._deps = deps
        self._environment = environment

    def survey(self, *, is_forced: bool = False) -> Survey:
        """Count the incidents that ``adopt`` would quarantine; raise ``DatabaseInUse`` as it does."""
        return survey(self._open(), is_forced=is_forced)

    def adopt(self, *, is_forced: bool = False) -> int:
        """Take over a restored or copied database for this environment, and quarantine its unfinished incidents.

        Nothing of a quarantined incident is sent until it is released or resolved.

        Args:
            is_forced: Whether to adopt it even while a process delivers from it.

        Returns:
            How many incidents are quarantined.

        Raises:
            DatabaseInUse: When a process has swept it within the last minute, and it is not forced; nothing is quarantined.
        """
        return adopt(self._open(), self._environment, is_forced=is_forced)

    def quarantined_count(self) -> int:
        """Return how many incidents are quarantined."""
        self._ready()
        return self._store.read(lambda reads: reads.adoption.quarantined_count())

    def is_quarantined(self, incident_id: str) -> bool:
        """Return whether an incident is quarantined."""
        self._ready()
        return self._store.read(lambda reads: reads.adoption.is_quarantined(incident_id))

    def release_quarantined(self) -> int:
        """Release all incidents from quarantine; return how many."""
        return release_from_quarantine(self._ready())

    def resolve_quarantined(self) -> int:
        """Resolve all quarantined incidents without telling anybody; return how many."""
        return resolve_quarantined(self._ready())

    def forget(self, recipient_id: str) -> Forgotten:
        """Overwrite the personal data of a recipient: name, addresses, messages, raw receipts; delete the user they are.

        Raises:
            RecipientInUse: When they are a recipient of an unresolved incident; nothing is overwritten.
            StorageUnavailable: When the database does not answer; or when the data is overwritten, but copies remain in the log
                of an embedded file that other processes keep in use.
        """
        forgotten = forget(self._ready(), recipient_id)
        self._store.clean()
        return forgotten

    def check(self) -> Iterator[Checked]:
        """Check all stored rows against the invariants, some incidents at a time; nothing is locked or repaired.

        Yields:
            The progress, and the violations found.

        Raises:
            StorageUnavailable: When the database does not answer.
        """
        clock = self._ready().clock
        total = self._store.read(lambda reads: reads.audits.incident_count())
        yield Checked(done=0, total=total, findings=self._store.read(lambda reads: reads.audits.whole(now=clock.now())))
        done, after_id = 0, ""
        while True:
            audited = self._audit(after_id, clock.now())
            done, after_id = done + audited.count, audited.last_id
            yield Checked(done=done, total=max(done, total), findings=audited.findings)
            if not after_id:
                return

    def find_lost(self, lines: Iterable[str], *, kept_for: timedelta | None = None) -> Lost:
        """Find what log lines, or the notes of a caller, show to have been stored, and the database lacks.

        Args:
            lines: Lines that name rows, as ours do, in any format; or ids of incidents alone.
            kept_for: How long resolved incidents are kept at least; what is older may have been pruned, and is not judged. None
                for a day, the shortest time that ``prune`` takes.

        Raises:
            StorageUnavailable: When the database does not answer.
        """
        now, kept_for = self._ready().clock.now(), kept_for or _YOUNGEST
        gone: dict[str, Mention] = {}
        undone: dict[Mention, None] = {}
        old = 0
        remaining = iter(lines)
        while chunk := list(islice(remaining, _LINES_AT_A_TIME)):
            named = [each for line in chunk for each in lost.mentions(line)]
            certain = [each for each in named if lost.is_certain(each.row_id, now=now, kept_for=kept_for)]
            old += len(named) - len(certain)
            found = self._store.read(lambda reads, some=certain: reads.audits.lacking(some))  # type: ignore[misc]
            gone = {each.row_id: each for each in reversed(found.gone)} | gone
            undone |= dict.fromkeys(found.undone)
        unmatched = self._store.read(lambda reads: reads.audits.unmatched_attempts(since=now - kept_for))
        strange = {
            attempt_id: provider
            for attempt_id, provider in unmatched.items()
            if attempt_id not in gone and lost.is_certain(attempt_id, now=now, kept_for=kept_for)
        }
        found_by_receipts = [lost.unmatched(attempt_id, provider) for attempt_id, provider in strange.items()]
        return Lost(findings=(*lost.findings(gone, undone), *found_by_receipts), old=old)

    def prune(self, older_than: timedelta, *, is_dry_run: bool = False) -> Iterator[Pruned]:
        """Delete incidents that were resolved long ago, in small transactions with pauses, so that delivery goes on.

        Unresolved incidents stay. So do incidents that an unresolved operations incident lists, and operations incidents that
        list an incident which stays, and what transactions that run still keep from being counted in the metrics.

        Args:
            older_than: How long ago they were resolved, at least; a day or more.
            is_dry_run: Whether to count only.

        Yields:
            The rows that each step deleted, or would delete.

        Raises:
            InvalidAge: When it is less than a day.
            StorageUnavailable: When the database does not answer.
        """
        if older_than < _YOUNGEST:
            raise InvalidAge((Fault("older_than", f"{text.duration(older_than)} is less than a day", "Give a day or more"),))
        before = self._ready().clock.now() - older_than
        if not is_dry_run:
            roll_up_all(self._deps)
        cursor: tuple[datetime, str] | None = _START
        while cursor is not None:
            began_at = time.monotonic()
            step = self._count_step(cursor, before) if is_dry_run else prune_incidents(self._deps, cursor, before=before)
            cursor = step.cursor
            yield step.pruned
            if not is_dry_run:
                time.sleep(time.monotonic() - began_at)
        if is_dry_run:
            yield self._store.read(lambda reads: reads.prunable.strays(before=before))
            return
        while strays := prune_strays(self._deps, before=before):
            yield strays
        prune_policies(self._deps)
        overrides.prune(self._deps, before=before)
        users.prune(self._deps.transactions, now=self._deps.clock.now())

    def _open(self) -> Dependencies:
        self._database.open()
        return self._deps

    def _ready(self) -> Dependencies:
        self._database.prepare()
        return self._deps

    def _audit(self, after_id: str, now: datetime) -> Audited:
        return self._store.read(lambda reads: reads.audits.page(after_id, now=now))

    def _count_step(self, cursor: tuple[datetime, str], before: datetime) -> PruneStep:
        return self._store.read(lambda reads: reads.prunable.incidents(cursor, before=before, limit=ROUNDS_A_STEP))
