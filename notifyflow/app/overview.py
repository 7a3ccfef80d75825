"""What operators ask first: what is unresolved, what comes next, and which name a mistyped one is like."""

from collections.abc import Sequence
from difflib import get_close_matches

from notifyflow.app.database import Database
from notifyflow.core.model import IncidentState
from notifyflow.core.outlook import Outlook
from notifyflow.core.timeline import Moment
from notifyflow.core.views import IncidentFilter, IncidentStatus, IncidentSummary, Tally
from notifyflow.service.service import Service

_UNRESOLVED = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})
_MOST_NAMES = 5_000


class Overview:
    """Reads across all incidents."""

    def __init__(self, database: Database, service: Service) -> None:
        self._database = database
        self._service = service

    def unresolved(self, *, namespace: str | None = None, limit: int = 100) -> tuple[tuple[IncidentSummary, Tally], ...]:
        """List unresolved incidents, the newest first, with how many recipients each has reached.

        Args:
            namespace: Only those of this namespace; None for all.
            limit: How many at most.
        """
        wanted = IncidentFilter(states=_UNRESOLVED, namespaces=None if namespace is None else frozenset({namespace}))
        self._database.prepare()
        return self._database.store.read(lambda reads: reads.listings.tallied(wanted, limit=limit))

    def outlook(self, status: IncidentStatus) -> Outlook:
        """Return what comes next for each escalation of an incident if no result, receipt or reply comes in."""
        return self._service.outlook(status)

    def timeline(self, status: IncidentStatus) -> tuple[Moment, ...]:
        """Return what happened to an incident, by time, with the meaning of every code."""
        return self._service.timeline(status)

    def similar_key(self, key: str, *, namespace: str | None = None) -> str | None:
        """Return the incident's key that is most like this one, of the newest; None if none is."""
        self._database.prepare()
        return _similar(key, self._database.store.read(lambda reads: reads.listings.keys(namespace, limit=_MOST_NAMES)))

    def similar_recipient(self, recipient_id: str) -> str | None:
        """Return the recipient's id that is most like this one; None if none is."""
        self._database.prepare()
        return _similar(recipient_id, self._database.store.read(lambda reads: reads.listings.recipient_ids(limit=_MOST_NAMES)))


def _similar(name: str, known: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1)), None)
