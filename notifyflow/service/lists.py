"""The lists of incidents, messages and recipients, and the charts; they may come from a replica of the database."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from notifyflow.core.insight.message_log import MessageFilter, MessagePage
from notifyflow.core.insight.views import IncidentFilter, IncidentPage, IncidentSummary, KnownRecipient, ListPlace
from notifyflow.core.oncall.duty_report import with_people
from notifyflow.pipeline import next_events
from notifyflow.service.delivery.use_cases import UseCases
from notifyflow.service.oncall.roster import Rosters
from notifyflow.service.replica import ListSource

if TYPE_CHECKING:
    from notifyflow.core.metrics.charts import Charts, Window

RECENT = timedelta(days=30)
"""How far back the outcomes of a recipient's pages are counted."""


class Lists:
    """Reads lists.

    Args:
        source: Where they are read.
        step_time: Returns when an incident's chain goes on, as its page shows it.
    """

    def __init__(
        self, source: ListSource, use_cases: UseCases, rosters: Rosters, *, step_time: Callable[[str], datetime | None]
    ) -> None:
        self._source = source
        self._use_cases = use_cases
        self._deps = use_cases.deps
        self._rosters = rosters
        self._step_time = step_time

    def etag(self) -> str | None:
        """Return a text that changes with the lists and the directory's file; None if the database has no such text.

        Later lists, and later reads of the roster, are at least as new.
        """
        etag = self._source.etag()
        self._rosters.read()
        return etag

    def newest(self, wanted: IncidentFilter, *, before_id: str | None, limit: int) -> tuple[IncidentSummary, ...]:
        """Return a page of incidents, the newest first."""
        return self._source.read(lambda reads: reads.incident_list.newest(wanted, before_id=before_id, limit=limit))

    def incidents(self, wanted: IncidentFilter, *, after: ListPlace | None, limit: int) -> IncidentPage:
        """Return a page of the list of incidents, open ones first."""
        page = self._source.read(lambda reads: reads.incident_list.page(wanted, after=after, limit=limit))
        if not any(line.chain for line in page.lines):
            return page
        roster, now = self._rosters.current(), self._deps.clock.now()
        self._use_cases.prepare()
        waiting = {line.facts.id: (line.facts, line.chain) for line in page.lines if line.chain and line.chain.next_at}
        times: dict[str, datetime | None] = {**next_events.step_times(self._deps, waiting)}
        times |= {each: self._step_time(each) for each in waiting.keys() - times.keys()}
        lines = (
            line
            if line.chain is None
            else replace(line, chain=replace(with_people(line.chain, roster, now), at=times.get(line.facts.id)))
            for line in page.lines
        )
        return replace(page, lines=tuple(lines))

    def messages(self, wanted: MessageFilter, *, before: str | None, limit: int) -> MessagePage:
        """Return a page of the message log, the newest first.

        Args:
            wanted: The filter.
            before: The page's beginning: ``older`` of the page before it; None begins with the newest.
            limit: How many messages at most.

        Raises:
            InvalidRequest: When ``before`` is from a page with another filter.
        """
        return self._source.read(lambda reads: reads.messages.page(wanted, before=before, limit=limit))

    def recipients(self, namespaces: frozenset[str] | None, *, after_id: str, limit: int) -> tuple[KnownRecipient, ...]:
        """Return a page of the recipients of some namespaces' incidents (None for all), by id."""
        since = self._deps.clock.now() - RECENT
        return self._source.read(
            lambda reads: reads.listings.recipients(after_id=after_id, limit=limit, since=since, namespaces=namespaces)
        )

    def charts(self, window: "Window") -> "Charts":
        """Return the charts of a window: percentiles of durations, and the calls to each provider."""
        from notifyflow.core.metrics.charts import charts  # with Health

        now = self._deps.clock.now()
        minutes, since = window.minutes, window.periods(now)[0]
        durations, calls, rolled_up_at = self._source.read(
            lambda reads: (
                reads.metrics.durations(minutes, since=since),
                reads.metrics.calls(minutes, since=since),
                reads.metrics.rolled_up_at(),
            )
        )
        return charts(window, durations, calls, rolled_up_at=rolled_up_at, now=now)
