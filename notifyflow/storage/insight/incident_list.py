"""Reads the list of incidents page by page: open ones first, then acknowledged, then resolved ones; or all by their age.

No page counts the history. Conditions without an index are searched among the unresolved incidents, then through the
history one window at a time.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from peewee import Expression, Field, Select, fn

from notifyflow.core import ids
from notifyflow.core.delivery.facts import IncidentFacts
from notifyflow.core.delivery.model import Incident, IncidentState
from notifyflow.core.insight.views import IncidentFilter, IncidentLine, IncidentPage, IncidentSummary, ListPlace
from notifyflow.storage.delivery.silences import SilenceReads
from notifyflow.storage.delivery.steps import StepReads
from notifyflow.storage.insight.listings import NOBODY, Listings
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.rows import CONTENT_FIELDS, Reader, select
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import ContactRow, IncidentRow

WINDOW = 10_000
"""How many incidents of the history one page searches where no index helps."""

_SKEW = timedelta(minutes=1)
"""How far the clock of an incident's id may differ from the clock of its ``opened_at``."""
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

    def newest(self, wanted: IncidentFilter, *, before_id: str | None, limit: int) -> tuple[IncidentSummary, ...]:
        """List incidents, the newest first.

        Args:
            wanted: The filter.
            before_id: Only incidents older than this one; None begins with the newest.
            limit: How many at most.
        """
        content = [getattr(IncidentRow, f"content_{name}") for name in CONTENT_FIELDS]
        where = _conditions(wanted) + ([IncidentRow.id < before_id] if before_id else [])
        query = _of_recipient(select(IncidentFacts, *where).select_extend(*content), wanted.recipient_id)
        query = query.order_by(IncidentRow.id.desc()).limit(limit)
        return tuple(map(_summary, self._source.readable(query, IncidentRow.id, self._source.with_policies)))

    def _of(self, state: IncidentState, wanted: IncidentFilter, before_id: str, edge: str, limit: int) -> list[dict[str, Any]]:
        """List incidents in one state, the newest first; each namespace is found by its own part of an index."""
        rows: list[dict[str, Any]] = []
        for scope in _scopes(wanted):
            query = select(IncidentFacts, IncidentRow.state == state, *scope).select_extend(*_CONTENT)
            if state is not IncidentState.RESOLVED:
                query = query.where(IS_UNRESOLVED)
            query = _of_recipient(query, wanted.recipient_id, *_between(ContactRow.incident_id, before_id, edge))
            where = (*_conditions(wanted), *_between(IncidentRow.id, before_id, edge))
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
        silences = SilenceReads(self._source).of([each.id for each in facts])
        places = StepReads(self._source).places([each for each in facts if each.state is IncidentState.OPEN])
        return tuple(
            IncidentLine(
                **content,
                facts=each,
                counts=counts.get(each.id, NOBODY),
                chain=places.get(each.id),
                silence=max(silences[each.id], key=lambda silence: silence.ended_at, default=None),
            )
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


def _conditions(wanted: IncidentFilter) -> list[Expression]:
    """Return the conditions of a filter; ``_of_recipient`` adds the one for a recipient."""
    found = [_has_label(name, value) for name, value in sorted(wanted.labels)]
    if wanted.states:
        found.append(IncidentRow.state.in_(sorted(wanted.states)))
        if IncidentState.RESOLVED not in wanted.states:
            found.append(IS_UNRESOLVED)
    if wanted.severities:
        found.append(IncidentRow.severity.in_(sorted(wanted.severities)))
    if wanted.namespaces is not None:
        found.append(IncidentRow.namespace.in_(sorted(wanted.namespaces)))
    if wanted.key is not None:
        found.append(IncidentRow.key == wanted.key)
    if wanted.text:
        found.append(_contains(wanted.text))
    return [*found, *_opened_within(wanted)]


def _of_recipient(query: Select, recipient_id: str | None, *where: Expression) -> Select:
    """Keep only the incidents of a recipient; None keeps all.

    Args:
        query: Selects incidents.
        recipient_id: The recipient.
        where: Conditions on the contacts. Conditions on an incident's id are repeated here, since no database carries them
            over.
    """
    if recipient_id is None:
        return query
    of_it = query.join(ContactRow, on=(ContactRow.incident_id == IncidentRow.id))
    return of_it.where(ContactRow.recipient_id == recipient_id, *where)


def _contains(text: str) -> Expression:
    found: Expression = IncidentRow.id == text
    for column in (IncidentRow.content_title, IncidentRow.key, IncidentRow.content_source):
        found |= column.contains(text)
    return found


def _opened_within(wanted: IncidentFilter) -> list[Expression]:
    """Return the conditions of the period, repeated as conditions on the ids, which have an index."""
    found = []
    if wanted.since is not None:
        found += [IncidentRow.opened_at >= wanted.since, IncidentRow.id >= ids.lowest(wanted.since - _SKEW)]
    if wanted.until is not None:
        found += [IncidentRow.opened_at < wanted.until, IncidentRow.id < ids.lowest(wanted.until + _SKEW)]
    return found


def _has_label(name: str, value: str) -> Expression:
    """Find a label in its column's JSON, with the same result on both databases, whose ``LIKE`` differs.

    Quotes within a JSON text are escaped, so text between a bracket or comma and the closing quote is this label only.
    """
    pair = f"{json.dumps(name)}:{json.dumps(value)}"
    found = [fn.REPLACE(IncidentRow.content_labels, opening + pair, "") != IncidentRow.content_labels for opening in "{,"]
    return found[0] | found[1]


def _summary(row: Mapping[str, Any]) -> IncidentSummary:
    content = {name: row[f"content_{name}"] for name in CONTENT_FIELDS}
    facts = {name: value for name, value in row.items() if not name.startswith("content_")}
    return IncidentSummary(facts=IncidentFacts(**facts), content=Incident(key=row["key"], **content))
