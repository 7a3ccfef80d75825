"""What the operations team is told: the open operations incident, what is linked to it, and what it was told already."""

from datetime import datetime

from peewee import SQL, fn

from notifyflow.core.facts import IncidentFacts
from notifyflow.storage.fields import instant_text
from notifyflow.storage.incidents import Incidents
from notifyflow.storage.models import CriticalRow, IncidentRow, NoticeRow

_IS_UNCOUNTED_CRITICAL = CriticalRow.is_counted == SQL("FALSE")
_IS_UNCOUNTED_NOTICE = NoticeRow.is_counted == SQL("FALSE")


class Operations(Incidents):
    """The operations incident."""

    def lock_operations(self) -> IncidentFacts | None:
        """Lock and read the operations incident that is not resolved; there is at most one."""
        return self._lock_one(IncidentRow.is_operations & (IncidentRow.state != SQL("'RESOLVED'")))

    def link_critical(self, escalation_id: str, operations_incident_id: str, *, reason: str, at: datetime) -> bool:
        """Link a critical failure to its operations incident, once an escalation.

        Returns:
            Whether it was linked now; False where it was before.
        """
        link = {"escalation_id": escalation_id, "operations_incident_id": operations_incident_id, "reason": reason}
        return self._insert_once(CriticalRow, link | {"at": at, "is_counted": False})

    def add_notice(self, reason: str, provider: str, *, at: datetime) -> bool:
        """Keep what else operations is to be told, once a day (UTC) per reason and provider.

        Returns:
            Whether it is new today.
        """
        notice = {"reason": reason, "provider": provider, "day": instant_text(at)[:10]}
        return self._insert_once(NoticeRow, notice | {"at": at, "is_counted": False})

    def has_notice(self, reason: str, provider: str, *, at: datetime) -> bool:
        """Return whether a notice is kept already for that day; not locked."""
        is_it = (NoticeRow.reason == reason) & (NoticeRow.provider == provider) & (NoticeRow.day == instant_text(at)[:10])
        return self._first(NoticeRow.select(NoticeRow.reason).where(is_it)) is not None

    def count_uncounted(self, operations_incident_id: str) -> int:
        """Count the critical failures linked to it, and the notices, that no round has told of yet."""
        criticals = CriticalRow.select(fn.COUNT(1)).where(
            _IS_UNCOUNTED_CRITICAL, CriticalRow.operations_incident_id == operations_incident_id
        )
        notices = NoticeRow.select(fn.COUNT(1)).where(_IS_UNCOUNTED_NOTICE)
        return int(self._scalar(criticals)) + int(self._scalar(notices))

    def mark_counted(self, operations_incident_id: str) -> None:
        """Note that a round has told of all that ``count_uncounted`` counts."""
        is_linked = CriticalRow.operations_incident_id == operations_incident_id
        CriticalRow.update(is_counted=True).where(_IS_UNCOUNTED_CRITICAL, is_linked).execute(self._db)
        NoticeRow.update(is_counted=True).where(_IS_UNCOUNTED_NOTICE).execute(self._db)
