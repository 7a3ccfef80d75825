"""Reads the list of incidents page by page: open ones first, then acknowledged, then resolved ones.

No page counts the history. Conditions without an index are searched among the unresolved incidents, then through the
history one window at a time.
"""

from collections.abc import Sequence
from typing import Any

from peewee import Expression, Field, Select

from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import IncidentState
from notifyflow.core.insight.views import IncidentFilter, IncidentLine, IncidentPage, ListPlace
from notifyflow.storage.delivery.steps import StepReads
from notifyflow.storage.insight.listings import NOBODY, Listings, conditions, of_recipient
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.rows import Reader, select
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import ContactRow, IncidentRow

WINDOW = 10_000
"""How many incidents of the history one page searches where no index helps."""

_ORDER = (IncidentState.OPEN, IncidentState.ACKNOWLEDGED, IncidentState.RESOLVED)
_SHOWN = ("title", "labels", "source", "url", "occurred_at")
_CONTENT = tuple(getattr(IncidentRow, f"content_{name}") for name in _SHOWN)


class IncidentList(Reader):
    """The list of incidents."""

    def page(self, wanted: IncidentFilter, *, after: ListPlace | None, limit: int, window: int = WINDOW) -> IncidentPage:
        """Return a page of incidents.

        Args:
            wanted: The filter.
            after: The end of the page before; None for the first.
            limit: How many at most.
            window: How many incidents of the history it searches at most where no index helps.
        """
        found: list[dict[str, Any]] = []
        edge = ""
        if after is None and not wanted.states:
            self._note_unknown_states(wanted)
        for state in _ORDER[_ORDER.index(after.state) if after else 0 :]:
            if len(found) > limit or (wanted.states and state not in wanted.states):
                continue
            before_id = after.incident_id if after and after.state is state else ""
            if state is IncidentState.RESOLVED and _needs_window(wanted):
                edge = self._edge(wanted, before_id, window)
            found += self._of(state, wanted, before_id, edge, limit + 1 - len(found))
        lines = self._lines(found[:limit])
        if len(found) > limit:
            last = lines[-1].facts
            return IncidentPage(lines=lines, following=ListPlace(state=last.state, incident_id=last.id))
        following = ListPlace(state=IncidentState.RESOLVED, incident_id=edge) if edge else None
        return IncidentPage(lines=lines, following=following, is_cut=bool(edge))

    def _of(self, state: IncidentState, wanted: IncidentFilter, before_id: str, edge: str, limit: int) -> list[dict[str, Any]]:
        """List incidents in one state, the newest first; each namespace is found by its own part of an index."""
        rows: list[dict[str, Any]] = []
        for scope in _scopes(wanted):
            query = select(IncidentFacts, IncidentRow.state == state, *scope).select_extend(
                *(getattr(IncidentRow, f"content_{name}") for name in _SHOWN)
            )
            if state is not IncidentState.RESOLVED:
                query = query.where(IS_UNRESOLVED)
            query = of_recipient(query, wanted.recipient_id, *_between(ContactRow.incident_id, before_id, edge))
            where = (*conditions(wanted), *_between(IncidentRow.id, before_id, edge))
            query = query.where(*where).order_by(IncidentRow.id.desc()).limit(limit)
            rows += self._source.readable(query, IncidentRow.id, self._source.with_policies)
        return sorted(rows, key=lambda row: str(row["id"]), reverse=True)[:limit]

    def _note_unknown_states(self, wanted: IncidentFilter) -> None:
        """Leave out unresolved incidents in an unknown state."""
        for scope in _scopes(wanted):
            unknown = select(IncidentFacts, IS_UNRESOLVED, IncidentRow.state.not_in(_ORDER), *scope)
            self._source.rows(Statement(lambda _, unknown=unknown: unknown)())  # type: ignore[misc]

    def _edge(self, wanted: IncidentFilter, before_id: str, window: int) -> str:
        """Return the id at the end of a window of the history; empty if the window reaches the end."""
        edges = []
        for scope in _scopes(wanted):
            column: Field = IncidentRow.id
            query: Select = IncidentRow.select(column).where(*scope) if scope else IncidentRow.select(column)
            if wanted.recipient_id is not None:
                column = ContactRow.incident_id
                query = ContactRow.select(column).where(ContactRow.recipient_id == wanted.recipient_id)
            where = _between(column, before_id, "")
            query = query.where(*where) if where else query
            edges += [
                str(row[column.name]) for row in self._source.rows(query.order_by(column.desc()).offset(window - 1).limit(1))
            ]
        return max(edges, default="")

    def _lines(self, rows: list[dict[str, Any]]) -> tuple[IncidentLine, ...]:
        counts = Listings(self._source).counts([row["id"] for row in rows])
        contents = [{name: row.pop(f"content_{name}") for name in _SHOWN} for row in rows]
        facts = [IncidentFacts(**row) for row in rows]
        places = StepReads(self._source).places([each for each in facts if each.state is IncidentState.OPEN])
        return tuple(
            IncidentLine(**content, facts=each, counts=counts.get(each.id, NOBODY), chain=places.get(each.id))
            for each, content in zip(facts, contents, strict=True)
        )


def _scopes(wanted: IncidentFilter) -> Sequence[tuple[Expression, ...]]:
    """Return one condition for each namespace; an empty one means all."""
    if wanted.namespaces is None:
        return ((),)
    return [(IncidentRow.namespace == name,) for name in sorted(wanted.namespaces)]


def _needs_window(wanted: IncidentFilter) -> bool:
    """Return whether no index alone finds the incidents of the history, the newest first."""
    is_narrowed = wanted.recipient_id is not None and wanted.namespaces is not None
    return bool(wanted.severities or wanted.labels or wanted.text or is_narrowed)


def _between(column: Field, before_id: str, edge: str) -> list[Expression]:
    return [*([column < before_id] if before_id else ()), *([column >= edge] if edge else ())]
