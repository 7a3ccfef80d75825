"""Reads the message log page by page; a page takes a fixed number of queries, and searches a limited part of the history.

Most pages walk notifications by id, which sorts by time. Unfinished notifications are walked separately, however old they
are. A recipient's messages are walked by round, and a key's by incident: the newest round or incident comes first, and in
it the newest notification.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from peewee import JOIN, SQL, Expression, Field, Select, fn

from notifyflow.core.delivery.facts import AttemptFacts, NotificationFacts
from notifyflow.core.delivery.model import IN_PROGRESS, NotificationState
from notifyflow.core.frozen import FrozenDict
from notifyflow.core.insight.message_log import SEARCHED, LoggedMessage, MessageFilter, MessagePage
from notifyflow.errors import Fault, InvalidRequest
from notifyflow.storage.delivery.bundles import count_carried
from notifyflow.storage.session.conditions import QUEUED, RUNNING
from notifyflow.storage.session.rows import BY_ID, Reader, first, select
from notifyflow.storage.session.statements import Statement
from notifyflow.storage.tables import AttemptRow, ContactRow, EscalationRow, IncidentRow, NotificationRow, ProviderHealthRow
from notifyflow.storage.tables.fields import InstantField, instant_text, read_instant

_DRAWN_WITHIN = timedelta(minutes=1)
"""The most by which an id's time may be later than its notification's."""

_NOTHING: Mapping[str, Any] = {"recipient_id": "", "name": "", "addresses": None, "key": "", "title": ""}
_IS_CONTACT = (ContactRow.incident_id == EscalationRow.incident_id) & (ContactRow.recipient_id == EscalationRow.recipient_id)
_ABOUT = Statement(
    lambda param: (
        EscalationRow.select(
            EscalationRow.id,
            EscalationRow.recipient_id,
            IncidentRow.key,
            IncidentRow.content_title.alias("title"),
            ContactRow.name,
            ContactRow.addresses,
        )
        .join(IncidentRow, on=(IncidentRow.id == EscalationRow.incident_id))
        .switch(EscalationRow)
        .join(ContactRow, JOIN.LEFT_OUTER, on=_IS_CONTACT)
        .where(param.any_of(EscalationRow.id))
    )
)
_RUNNING = Statement(lambda _: AttemptRow.select(AttemptRow.notification_id).where(RUNNING))


class _Walk(NamedTuple):
    """A way through the log, step by step, the newest first; the notifications of a step follow by id.

    Attributes:
        steps: Selects the steps.
        place: The columns that order the steps.
        messages: Selects the notifications of all steps.
        names: The columns of a selected notification that hold its place in the log.
        has_states: Whether all its notifications have the wanted states.
    """

    steps: Select
    place: tuple[Field, ...]
    messages: Select
    names: tuple[str, ...]
    has_states: bool = False

    @property
    def order(self) -> tuple[Field, ...]:
        """The columns that order the messages."""
        return tuple(dict.fromkeys((*self.place, NotificationRow.id)))


class _Walked(NamedTuple):
    """A notification, and its row with its place in the log."""

    facts: NotificationFacts
    place: Mapping[str, Any]


class Messages(Reader):
    """The message log."""

    def page(self, wanted: MessageFilter, *, before: str | None, limit: int, searched: int = SEARCHED) -> MessagePage:
        """Read a page of the log.

        Args:
            wanted: The filter.
            before: The page's beginning, from ``older`` of the page before; None begins with the newest.
            limit: How many messages at most.
            searched: How many notifications, rounds or incidents it searches at most where no index helps.

        Raises:
            InvalidRequest: When ``before`` is from a page with another filter.
        """
        walk = self._walk(wanted)
        passed = None if before is None else _read(before, walk)
        conditions = tuple(_conditions(replace(wanted, states=frozenset()) if walk.has_states else wanted))
        end = self._end(walk, passed, searched) if conditions else None
        query = walk.messages.where(*conditions) if conditions else walk.messages
        if passed is not None:
            query = query.where(_is_older(walk.order, passed))
        if end is not None:
            query = query.where(_is_no_older(walk.place, [end[field.name] for field in walk.place]))
        query = query.order_by(*(field.desc() for field in walk.order)).limit(limit + 1)
        found = self._source.readable(query, NotificationRow.id, self._walked)
        older, searched_to = None, None
        if len(found) > limit:
            older = _write([found[limit - 1].place[name] for name in walk.names])
        elif end is not None:
            places = [end[field.name] for field in walk.place]
            older, searched_to = _write([*places, *[""] * (len(walk.order) - len(places))]), end["at"]
        messages = self._logged([each.facts for each in found[:limit]])
        return MessagePage(messages=messages, older=older, searched_to=searched_to)

    def find(self, notification_id: str) -> LoggedMessage | None:
        """Return one message, or None."""
        found = self._logged(self._source.read(NotificationFacts, BY_ID[NotificationFacts]([notification_id])))
        return found[0] if found else None

    def _walk(self, wanted: MessageFilter) -> _Walk:
        """Return the walk with an index for the filter, or else the walk by id."""
        if wanted.provider_ref:
            return _by_id(NotificationRow.id.in_(_with_reference(wanted.provider_ref)))
        if wanted.key:
            return _by_parent(IncidentRow, IncidentRow.opened_at, "incident_id", IncidentRow.key == wanted.key)
        if wanted.recipient_id:
            is_theirs = EscalationRow.recipient_id == wanted.recipient_id
            return _by_parent(EscalationRow, EscalationRow.started_at, "escalation_id", is_theirs)
        if wanted.states and wanted.states <= IN_PROGRESS:
            return _by_id(self._is_in_progress(wanted.states))._replace(has_states=True)
        ids = NotificationRow.id
        bounds = [ids >= _first_id(wanted.since)] if wanted.since else []
        return _by_id(*bounds, *([ids < _first_id(wanted.until + _DRAWN_WITHIN)] if wanted.until else []))

    def _is_in_progress(self, states: Collection[NotificationState]) -> Expression:
        """Return the condition that a notification has one of some unfinished states, for which there are indexes.

        It joins nothing: PostgreSQL, which keeps the statistics of a quiet hour for the first minutes of a storm, would
        compare each queued notification with each other one.
        """
        if NotificationState.SENDING not in states:
            return QUEUED
        running = NotificationRow.id.in_([row["notification_id"] for row in self._source.rows(_RUNNING())])
        is_sending: Expression = running & (NotificationRow.state == NotificationState.SENDING)
        return QUEUED | is_sending if NotificationState.QUEUED in states else is_sending

    def _end(self, walk: _Walk, passed: Sequence[Any] | None, searched: int) -> dict[str, Any] | None:
        """Return the last step to search; None if the log ends before it."""
        steps = walk.steps if passed is None else walk.steps.where(_is_older(walk.place, passed[: len(walk.place)]))
        last = steps.order_by(*(field.desc() for field in walk.place)).offset(searched - 1).limit(1)
        return first(self._source.readable(last, walk.place[-1]))

    def _walked(self, rows: Sequence[dict[str, Any]]) -> list[_Walked]:
        """Return notifications with their attempts, each with its place in the log."""
        walked_at = {row["id"]: row.pop("walked_at", None) for row in rows}
        places = {row["id"]: {**row, "walked_at": walked_at[row["id"]]} for row in rows}
        return [_Walked(each, places[each.id]) for each in self._source.with_attempts(rows)]

    def _logged(self, found: Sequence[NotificationFacts]) -> tuple[LoggedMessage, ...]:
        escalation_ids = sorted({each.escalation_id for each in found})
        about = {row["id"]: row for row in self._source.rows(_ABOUT(escalation_ids))} if found else {}
        others = self._others([attempt for each in found for attempt in each.attempts])
        return tuple(_message(each, about.get(each.escalation_id) or self._known(each), others) for each in found)

    def _others(self, attempts: Iterable[AttemptFacts]) -> Mapping[str, int]:
        """Return how many other attempts the calls of attempts carried, by the ids of the attempts; without lone calls."""
        calls = {each.id: each.sent_with for each in attempts if each.sent_with is not None}
        carried = count_carried(self._source.rows, set(calls.values()))
        return {attempt_id: carried[call] - 1 for attempt_id, call in calls.items() if call in carried}

    def _known(self, facts: NotificationFacts) -> Mapping[str, Any]:
        """Return the readable values of a notification's damaged escalation, contact or incident."""
        unread = self._source.unread_of("escalation", facts.escalation_id)
        return {**_NOTHING, **(unread.values if unread else {})}


def _message(facts: NotificationFacts, about: Mapping[str, Any], others: Mapping[str, int]) -> LoggedMessage:
    subscriber = facts.incident_event.subscriber if facts.incident_event else ""
    return LoggedMessage(
        facts=facts,
        recipient_id=about["recipient_id"] or subscriber,
        name=about["name"] or subscriber,
        address=(about["addresses"] or {}).get(facts.channel, ""),
        key=about["key"],
        title=about["title"],
        others=FrozenDict({each.id: others[each.id] for each in facts.attempts if each.id in others}),
    )


def _by_id(*where: Expression) -> _Walk:
    steps = NotificationRow.select(NotificationRow.id, NotificationRow.created_at.alias("at"))
    return _Walk(
        steps=steps.where(*where) if where else steps,
        place=(NotificationRow.id,),
        messages=select(NotificationFacts, *where),
        names=("id",),
    )


def _by_parent(model: Any, at: Field, name: str, is_wanted: Expression) -> _Walk:
    messages = select(NotificationFacts).select_extend(at.alias("walked_at"))
    return _Walk(
        steps=model.select(at, model.id, at.alias("at")).where(is_wanted),
        place=(at, model.id),
        messages=messages.join(model, on=(model.id == getattr(NotificationRow, name))).where(is_wanted),
        names=("walked_at", name, "id"),
    )


def _with_reference(provider_ref: str) -> Select:
    """Select the notifications of attempts with a provider's id; in the index it comes after the provider."""
    providers = ProviderHealthRow.select(ProviderHealthRow.provider)
    is_it = (AttemptRow.provider_ref == provider_ref) & (AttemptRow.provider_ref != SQL("''"))
    return AttemptRow.select(AttemptRow.notification_id).where(AttemptRow.provider.in_(providers), is_it)


def _conditions(wanted: MessageFilter) -> Iterator[Expression]:
    """Yield the conditions that the walk itself does not cover."""
    if wanted.recipient_id and (wanted.provider_ref or wanted.key):
        is_its = EscalationRow.id == NotificationRow.escalation_id
        yield _exists(EscalationRow, is_its, EscalationRow.recipient_id == wanted.recipient_id)
    if wanted.key and wanted.provider_ref:
        yield _exists(IncidentRow, IncidentRow.id == NotificationRow.incident_id, IncidentRow.key == wanted.key)
    if wanted.states:
        yield NotificationRow.state.in_(sorted(wanted.states))
    if wanted.channels:
        yield NotificationRow.channel.in_(sorted(wanted.channels))
    if wanted.namespaces is not None:
        yield NotificationRow.namespace.in_(sorted(wanted.namespaces))
    if wanted.since is not None:
        yield NotificationRow.created_at >= wanted.since
    if wanted.until is not None:
        yield NotificationRow.created_at < wanted.until
    yield from _of_attempts(wanted)


def _of_attempts(wanted: MessageFilter) -> Iterator[Expression]:
    is_its = AttemptRow.notification_id == NotificationRow.id
    ways = [AttemptRow.provider.in_(sorted(wanted.providers))] if wanted.providers else []
    ways += [AttemptRow.evidence.in_(sorted(wanted.evidence))] if wanted.evidence else []
    if ways:
        yield _exists(AttemptRow, is_its, *ways)
    if wanted.text:
        is_said = (AttemptRow.code == wanted.text) | _has(AttemptRow.reason, wanted.text)
        yield _has(NotificationRow.reason, wanted.text) | _exists(AttemptRow, is_its, is_said)


def _exists(model: Any, *where: Expression) -> Any:
    """Return the condition that a row exists; its offset keeps PostgreSQL from reading all such rows first."""
    return fn.EXISTS(model.select(SQL("1")).where(*where).limit(1).offset(0))


def _has(column: Field, text: str) -> Expression:
    """Search a column for a text, with the same result on both databases, whose ``LIKE`` differs."""
    found: Expression = fn.REPLACE(fn.LOWER(column), text.lower(), "") != fn.LOWER(column)
    return found


def _is_older(columns: Sequence[Any], place: Sequence[Any]) -> Any:
    """Return the condition that a row comes after a place in the log; an index of the first column is enough."""
    (column, *later_columns), (value, *later_values) = columns, place
    if not later_columns:
        return column < value
    return (column <= value) & ((column < value) | _is_older(later_columns, later_values))


def _is_no_older(columns: Sequence[Any], place: Sequence[Any]) -> Any:
    """Return the condition that a row is at a place or comes before it."""
    (column, *later_columns), (value, *later_values) = columns, place
    if not later_columns:
        return column >= value
    return (column >= value) & ((column > value) | _is_no_older(later_columns, later_values))


def _first_id(at: datetime) -> str:
    """Return the smallest id of an instant; an id begins with its milliseconds."""
    return f"{max(0, int(at.timestamp() * 1000)) << 80:032x}"


def _write(place: Sequence[Any]) -> str:
    return json.dumps([instant_text(each) if isinstance(each, datetime) else each for each in place])


def _read(place: str, walk: _Walk) -> list[Any]:
    """Parse a place in the log; raise ``InvalidRequest`` if it is not from this walk."""
    readers = [read_instant if isinstance(field, InstantField) else str for field in walk.order]
    with suppress(ValueError, TypeError, OverflowError, RecursionError):
        values = json.loads(place)
        if isinstance(values, list) and all(isinstance(each, str) for each in values):
            return [read(value) for read, value in zip(readers, values, strict=True)]
    raise InvalidRequest((Fault("before", "it belongs to another list", "Take it from a page with the same filter"),))
