"""Answers the first questions of operators: open incidents, their next events, and the right name for a mistyped one."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches

from notifyflow.app.database import Database
from notifyflow.core.delivery.model import IncidentState
from notifyflow.core.delivery.ports import Clock
from notifyflow.core.delivery.set_aside import SetAside
from notifyflow.core.insight.left_out import LeftOut
from notifyflow.core.insight.message_log import MessageFilter, MessagePage
from notifyflow.core.insight.next_events import NextEvents
from notifyflow.core.insight.timeline import Explain, TimelineEntry
from notifyflow.core.insight.views import IncidentFilter, IncidentLine, IncidentPage, IncidentStatus
from notifyflow.core.oncall.watched_jobs import WatchedJob
from notifyflow.service.service import Service

_UNRESOLVED = frozenset({IncidentState.OPEN, IncidentState.ACKNOWLEDGED})
_MOST_NAMES = 5_000


class Overview:
    """Reads across all incidents."""

    def __init__(self, database: Database, service: Service, clock: Clock) -> None:
        self._database = database
        self._service = service
        self._clock = clock

    def unresolved(self, *, namespace: str | None = None, limit: int = 100) -> tuple[IncidentLine, ...]:
        """List unresolved incidents, what is open first, each with how many recipients it has reached.

        Args:
            namespace: Only those of this namespace; None for all.
            limit: How many at most.
        """
        wanted = IncidentFilter(states=_UNRESOLVED, namespaces=None if namespace is None else frozenset({namespace}))
        self._database.prepare()
        return self._database.store.read(lambda reads: reads.incident_list.page(wanted, after=None, limit=limit).lines)

    def incidents(self, wanted: IncidentFilter, *, limit: int) -> IncidentPage:
        """List incidents, what is open first, each with how many recipients it has reached.

        Args:
            wanted: Which.
            limit: How many at most.
        """
        return self._service.lists.incidents(wanted, after=None, limit=limit)

    def messages(self, wanted: MessageFilter, *, before: str | None = None, limit: int) -> MessagePage:
        """Return a page of the message log, the newest first; see ``Lists.messages``."""
        return self._service.lists.messages(wanted, before=before, limit=limit)

    def heartbeats(self) -> tuple[Sequence[WatchedJob], datetime]:
        """Return the watched jobs by name, and the time now."""
        return self._service.watched_jobs.all()[0], self._clock.now()

    def set_aside(self) -> tuple[SetAside, ...]:
        """List the damaged rows that are set aside, the newest first."""
        return self._service.health.set_aside()

    def damaged(self) -> tuple[LeftOut, ...]:
        """Return the damaged rows that lists leave out: of unresolved incidents, of the newest messages, and of small tables."""
        return self._service.health.damaged()

    def release(self, row_ids: Sequence[str]) -> tuple[str, ...]:
        """Let rows that are mended go on at once; return the ids of those that do."""
        return self._service.health.release(row_ids)

    def ago(self, span: timedelta) -> datetime:
        """Return the instant that was some time ago, by the database's clock."""
        self._database.prepare()
        return self._clock.now() - span

    def next_events(self, status: IncidentStatus) -> NextEvents:
        """Return what comes next for each escalation of an incident if no result, receipt or reply comes in."""
        return self._service.next_events(status)

    def timeline(self, status: IncidentStatus) -> tuple[TimelineEntry, ...]:
        """Return what happened to an incident, by time, with the meaning of every code."""
        return self._service.timeline(status)

    @property
    def explain(self) -> Explain:
        """Returns the meaning of a channel's code, from its tables."""
        return self._service.explain

    def opt_outs(self, addresses: Collection[str]) -> frozenset[tuple[str, str]]:
        """Return which of some addresses have sent STOP, in pairs with our number that received it."""
        self._database.prepare()
        return frozenset(self._database.store.read(lambda reads: reads.listings.opt_outs(addresses)))

    def similar_key(self, key: str, *, namespace: str | None = None) -> str | None:
        """Return the most similar key of the newest incidents; None if none is similar."""
        self._database.prepare()
        return _similar(key, self._database.store.read(lambda reads: reads.listings.keys(namespace, limit=_MOST_NAMES)))

    def similar_recipient(self, recipient_id: str) -> str | None:
        """Return the most similar recipient's id; None if none is similar."""
        self._database.prepare()
        return _similar(recipient_id, self._database.store.read(lambda reads: reads.listings.recipient_ids(limit=_MOST_NAMES)))


def _similar(name: str, known: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1)), None)
