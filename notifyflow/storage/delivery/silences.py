"""Stores silences, and the times in which they hold incidents."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from peewee import JOIN, SQL, IntegerField, Select, fn

from notifyflow.core.accounts.keys import KeyScope
from notifyflow.core.accounts.users import Role, reached
from notifyflow.core.insight.views import IncidentSilence
from notifyflow.core.limits.silences import AuthorKind, Matchers, Silence, SilencedInterval, may_act
from notifyflow.core.namespaces import OPERATIONS
from notifyflow.storage.session.conditions import IS_ANY, IS_UNRESOLVED, QUEUED, is_aside, is_free
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.rows import Reader, Rows, first
from notifyflow.storage.session.statements import Parameters, Run, Statement, Unread, finds
from notifyflow.storage.tables import (
    ApiKeyRow,
    CriticalRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    SilencedIncidentRow,
    SilenceRow,
    UserRow,
)

_TABLE = "silence"
_NAMES = tuple(Silence.__dataclass_fields__)
_SILENCE = tuple(getattr(SilenceRow, name) for name in _NAMES)
_INTERVAL = tuple(getattr(SilencedIncidentRow, name) for name in SilencedInterval.__dataclass_fields__)
_RIGHTS = {
    "user_role": UserRow.role,
    "user_namespaces": UserRow.namespaces,
    "user_disabled_at": UserRow.disabled_at,
    "key_scopes": ApiKeyRow.scopes,
    "key_namespace": ApiKeyRow.namespace,
    "key_expires_at": ApiKeyRow.expires_at,
    "key_revoked_at": ApiKeyRow.revoked_at,
}
_IS_STANDING = SilenceRow.due_at.is_null(is_null=False)
_STANDING = Statement(
    lambda _: (
        SilenceRow.select(*_SILENCE, *(column.alias(name) for name, column in _RIGHTS.items()))
        .join(UserRow, JOIN.LEFT_OUTER, on=((SilenceRow.author_kind == SQL("'user'")) & (UserRow.id == SilenceRow.author_id)))
        .switch(SilenceRow)
        .join(ApiKeyRow, JOIN.LEFT_OUTER, on=((SilenceRow.author_kind == SQL("'key'")) & (ApiKeyRow.id == SilenceRow.author_id)))
        .where(_IS_STANDING, ~is_aside(SilenceRow.id))
        .order_by(SilenceRow.begins_at, SilenceRow.id)
    )
)
_NOT_CARRIED_OUT = Statement(lambda _: SilenceRow.select(*_SILENCE).where(_IS_STANDING).order_by(SilenceRow.id))
_SILENCE_OF = Statement(lambda param: SilenceRow.select(*_SILENCE).where(SilenceRow.id == param(SilenceRow.id)))
_THOSE = Statement(lambda param: SilenceRow.select(*_SILENCE).where(param.any_of(SilenceRow.id)).order_by(SilenceRow.id))
_RECENT = Statement(
    lambda param: (
        SilenceRow.select(*_SILENCE)
        .where(SilenceRow.ends_at > param(SilenceRow.ends_at))
        .order_by(SilenceRow.begins_at.desc(), SilenceRow.id.desc())
        .limit(param(IntegerField()))
    )
)
_INTERVALS_OF = Statement(
    lambda param: (
        SilencedIncidentRow.select(*_INTERVAL)
        .where(param.any_of(SilencedIncidentRow.incident_id))
        .order_by(SilencedIncidentRow.began_at, SilencedIncidentRow.silence_id)
    )
)


def _unclaimed(param: Parameters) -> Select:
    """Search for incidents with a page that is due, came before an instant and is in no claim, and that a silence never held."""
    is_known = (SilencedIncidentRow.incident_id == NotificationRow.incident_id) & (
        SilencedIncidentRow.silence_id == param(SilencedIncidentRow.silence_id)
    )
    is_page = (QUEUED, IS_ANY, NotificationRow.kind == SQL("'page'"), NotificationRow.namespace != OPERATIONS)
    is_due = (
        is_free(NotificationRow),
        NotificationRow.due_at <= param(NotificationRow.due_at),
        NotificationRow.created_at < param(NotificationRow.created_at),
        NotificationRow.incident_id > param(NotificationRow.incident_id),
    )
    found = NotificationRow.select(NotificationRow.incident_id).where(
        ~finds(SilencedIncidentRow.select(SQL("1")).where(is_known)), *is_page, *is_due
    )
    return found.distinct().order_by(NotificationRow.incident_id).limit(param(IntegerField()))


_UNCLAIMED = Statement(_unclaimed)
_HELD_BY = Statement(
    lambda param: (
        SilencedIncidentRow.select(SilencedIncidentRow.incident_id)
        .where(
            SilencedIncidentRow.silence_id == param(SilencedIncidentRow.silence_id),
            SilencedIncidentRow.ended_at > param(SilencedIncidentRow.ended_at),
        )
        .order_by(SilencedIncidentRow.incident_id)
        .limit(param(IntegerField()))
    )
)
_UNRESOLVED_AFTER = Statement(
    lambda param: (
        IncidentRow.select(IncidentRow.id)
        .where(IS_UNRESOLVED, ~IncidentRow.is_operations, IncidentRow.id > param(IncidentRow.id))
        .order_by(IncidentRow.id)
        .limit(param(IntegerField()))
    )
)
_WITH_HELD_ALERTS = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.incident_id)
        .join(CriticalRow, on=(CriticalRow.escalation_id == EscalationRow.id))
        .join(SilencedIncidentRow, on=(SilencedIncidentRow.incident_id == EscalationRow.incident_id))
        .where(SilencedIncidentRow.silence_id == param(SilencedIncidentRow.silence_id), CriticalRow.is_deferred)
        .distinct()
        .order_by(EscalationRow.incident_id)
    )
)
_HELD_ALERTS = Statement(
    lambda param: (
        CriticalRow.select(CriticalRow.escalation_id, CriticalRow.reason)
        .join(EscalationRow, on=(EscalationRow.id == CriticalRow.escalation_id))
        .where(param.any_of(EscalationRow.incident_id), CriticalRow.is_deferred)
        .order_by(CriticalRow.escalation_id)
    )
)
_UNREADABLE = {"author": "somebody", "reason": "its row cannot be read"}
_UNKNOWN: Mapping[str, Any] = {
    "matchers": Matchers(keys=("",)),
    "begins_at": datetime(2000, 1, 1, tzinfo=UTC),
    "ends_at": datetime(9999, 1, 1, tzinfo=UTC),
    "created_at": datetime(2000, 1, 1, tzinfo=UTC),
    "author_kind": AuthorKind.COMMAND,
    "author_id": "",
} | _UNREADABLE
"""The values of what cannot be read: such a silence covers nothing, and only who may act on all namespaces ends it."""
Standing = tuple[Silence, bool]
"""A silence whose end was not carried out, and whether its author may still act on its namespaces."""


class Silences(Repository):
    """Silences and the incidents that they hold."""

    def add(self, silence: Silence) -> None:
        """Store a new silence."""
        self._unit.insert(SilenceRow, [_row(silence)])

    def lock(self, silence_id: str) -> Silence | None:
        """Lock and read a silence, as ``find``."""
        return _found(self._unit, self._unit.locked(_SILENCE_OF(silence_id)))

    def find(self, silence_id: str) -> Silence | None:
        """Read a silence, or return None; a stand-in if it cannot be read; not locked."""
        return _found(self._unit, _SILENCE_OF(silence_id))

    def unread(self) -> frozenset[str]:
        """Return the ids of the silences that this transaction could not read."""
        return frozenset(each.row_id for each in self._unit.unread if each.table == _TABLE)

    def lock_those(self, silence_ids: Collection[str]) -> tuple[Silence, ...]:
        """Lock and read some silences, by id."""
        return tuple(Silence(**row) for row in self._unit.rows(self._unit.locked(_THOSE(sorted(silence_ids)))))

    def save(self, before: Silence, after: Silence) -> None:
        """Write what has changed of a locked silence; what could not be read stays as it is."""
        old = _row(before)
        changed = {name: value for name, value in _row(after).items() if value != old[name]}
        if changed:  # otherwise another process was faster
            self._unit.execute(SilenceRow.update(changed).where(SilenceRow.id == after.id))

    def standing(self, *, now: datetime) -> tuple[Standing, ...]:
        """Read the silences whose end was not carried out, with whether their authors may still act; not locked."""
        return tuple(_standing(row, now) for row in self._unit.rows(_STANDING()))

    def keeping(self, *, now: datetime) -> tuple[Silence, ...]:
        """Read the silences whose author may still act and that have begun, and not ended or just ended; not locked."""
        found = (each for each, is_allowed in self.standing(now=now) if is_allowed)
        return tuple(each for each in found if each.is_in_force(now) or each.is_ending(now))

    def in_force(self, *, now: datetime) -> tuple[Silence, ...]:
        """Return those of ``keeping`` that have not ended."""
        return tuple(each for each in self.keeping(now=now) if each.is_in_force(now))

    def recent(self, *, since: datetime, limit: int) -> tuple[Silence, ...]:
        """Read the silences that are planned to end after an instant, the newest first; not locked."""
        return tuple(Silence(**row) for row in self._unit.rows(_RECENT(since, limit)))

    def intervals_of(self, incident_ids: Collection[str]) -> Mapping[str, Sequence[SilencedInterval]]:
        """Read the times in which silences hold, or held, some incidents; not locked."""
        found: dict[str, list[SilencedInterval]] = {each: [] for each in incident_ids}
        for row in self._unit.rows(_INTERVALS_OF(sorted(incident_ids))) if incident_ids else ():
            found[row["incident_id"]].append(SilencedInterval(**row))
        return found

    def hold(self, intervals: Sequence[SilencedInterval]) -> None:
        """Store that silences hold locked incidents, from now on or in the past."""
        rows = [{name: getattr(each, name) for name in SilencedInterval.__dataclass_fields__} for each in intervals]
        self._unit.insert(SilencedIncidentRow, rows)
        self._unit.unlocked.clear()

    def release(self, incident_ids: Collection[str], silence_ids: Collection[str], *, at: datetime) -> None:
        """Store that silences do not hold locked incidents any more, from an instant on, or from their begin if that is later."""
        of_incidents = SilencedIncidentRow.incident_id.in_(sorted(incident_ids))
        of_silences = SilencedIncidentRow.silence_id.in_(sorted(silence_ids))
        is_late = SilencedIncidentRow.began_at > at
        for end, when in ((SilencedIncidentRow.began_at, is_late), (at, ~is_late)):
            query = SilencedIncidentRow.update(ended_at=end)
            self._unit.execute(query.where(of_incidents, of_silences, SilencedIncidentRow.ended_at > at, when))
        self._unit.unlocked.clear()

    def unclaimed(self, silence: Silence, *, after: str, now: datetime, limit: int) -> tuple[str, ...]:
        """Find incidents after one, by id, that a silence has never held, with a due page from before its end; not locked."""
        found = self._unit.rows(_UNCLAIMED(silence.id, now, silence.until, after, limit))
        return tuple(row["incident_id"] for row in found)

    def held_by(self, silence_id: str, *, at: datetime, limit: int) -> tuple[str, ...]:
        """Find incidents that a silence still holds after an instant, by id; not locked."""
        return tuple(row["incident_id"] for row in self._unit.rows(_HELD_BY(silence_id, at, limit)))

    def unresolved_after(self, incident_id: str, *, limit: int) -> tuple[str, ...]:
        """Find unresolved incidents with a higher id, by id, without the one of operations, which is locked last; not locked."""
        return tuple(row["id"] for row in self._unit.rows(_UNRESOLVED_AFTER(incident_id, limit)))

    def with_held_alerts(self, silence_id: str) -> tuple[str, ...]:
        """Find the incidents that a silence held and whose page to operations is held, by id; not locked."""
        return tuple(row["incident_id"] for row in self._unit.rows(_WITH_HELD_ALERTS(silence_id)))

    def held_alerts(self, incident_ids: Collection[str]) -> Mapping[str, str]:
        """Return the failures of incidents whose page to operations is held, as escalation id → reason; not locked."""
        return {row["escalation_id"]: row["reason"] for row in self._unit.rows(_HELD_ALERTS(sorted(incident_ids)))}


class SilenceReads(Reader):
    """Reads silences for display."""

    def find(self, silence_id: str) -> Silence | None:
        """Return a silence, or None; a stand-in if it cannot be read."""
        return _found(self._source, _SILENCE_OF(silence_id))

    def damaged(self) -> tuple[Silence, ...]:
        """Return stand-ins for the silences that cannot be read and whose end was not carried out, by id."""
        known = len(self._source.unread)
        self._source.rows(_NOT_CARRIED_OUT())
        return tuple(map(_stand_in, self._source.unread[known:]))

    def since(self, since: datetime, *, limit: int) -> tuple[Silence, ...]:
        """Return the silences that are planned to end after an instant, the newest first."""
        return tuple(Silence(**row) for row in self._source.rows(_RECENT(since, limit)))

    def of(self, incident_ids: Collection[str]) -> Mapping[str, tuple[IncidentSilence, ...]]:
        """Return the silences that hold, or held, some incidents; the earliest first."""
        found: dict[str, tuple[IncidentSilence, ...]] = dict.fromkeys(incident_ids, ())
        rows = self._source.rows(_INTERVALS_OF(sorted(incident_ids))) if incident_ids else []
        ids = sorted({row["silence_id"] for row in rows})
        known = {row["id"]: row for row in self._source.rows(_THOSE(ids))} if ids else {}
        for row in rows:
            silence = known.get(row["silence_id"], _UNREADABLE)
            words = {name: silence[name] for name in ("author", "reason")}
            found[row.pop("incident_id")] += (IncidentSilence(**row, **words),)
        return found

    def recent_labels(self, namespaces: Collection[str] | None, *, limit: int) -> frozenset[str]:
        """Return the names of the labels of those of the last incidents that are in some namespaces (None for all)."""
        query = IncidentRow.select(IncidentRow.id, IncidentRow.namespace, IncidentRow.content_labels)
        found = self._source.readable(query.order_by(IncidentRow.id.desc()).limit(limit), IncidentRow.id)
        rows = (row for row in found if namespaces is None or row["namespace"] in namespaces)
        return frozenset(label for row in rows for label in row["content_labels"])

    def every(self) -> tuple[Silence, ...]:
        """Return all silences, by id."""
        query = SilenceRow.select(*_SILENCE).order_by(SilenceRow.id)
        return tuple(Silence(**row) for row in self._source.readable(query, SilenceRow.id))

    def held_after_end(self) -> Mapping[str, Sequence[str]]:
        """Return the incidents that silences hold although their early end was carried out, by silence."""
        found: dict[str, list[str]] = {}
        query = (
            SilencedIncidentRow.select(SilencedIncidentRow.silence_id, SilencedIncidentRow.incident_id)
            .join(SilenceRow, on=(SilenceRow.id == SilencedIncidentRow.silence_id))
            .where(SilenceRow.due_at.is_null(), SilencedIncidentRow.ended_at > SilenceRow.ended_at)
            .where(SilencedIncidentRow.ended_at > SilencedIncidentRow.began_at)
            .order_by(SilencedIncidentRow.silence_id, SilencedIncidentRow.incident_id)
        )
        for row in self._source.rows(query):
            found.setdefault(row["silence_id"], []).append(row["incident_id"])
        return found

    def held_by(self, silence_ids: Collection[str], namespaces: Collection[str] | None, *, now: datetime) -> Mapping[str, int]:
        """Count the unresolved incidents of some namespaces (None for all) that each of some silences holds."""
        is_seen = IS_UNRESOLVED if namespaces is None else IS_UNRESOLVED & IncidentRow.namespace.in_(sorted(namespaces))
        query = (
            SilencedIncidentRow.select(SilencedIncidentRow.silence_id, fn.COUNT(1).alias("held"))
            .join(IncidentRow, on=(IncidentRow.id == SilencedIncidentRow.incident_id))
            .where(SilencedIncidentRow.silence_id.in_(list(silence_ids)), SilencedIncidentRow.ended_at > now, is_seen)
            .group_by(SilencedIncidentRow.silence_id)
        )
        return {row["silence_id"]: row["held"] for row in self._source.rows(query)} if silence_ids else {}

    def counts(self, now: datetime) -> tuple[int, int]:
        """Count the silences in force, and the unresolved incidents that they hold."""
        standing = [each for each, is_allowed in _all_standing(self._source, now) if is_allowed and each.is_in_force(now)]
        if not standing:
            return 0, 0
        held = (
            SilencedIncidentRow.select(SilencedIncidentRow.incident_id)
            .join(IncidentRow, on=(IncidentRow.id == SilencedIncidentRow.incident_id))
            .where(SilencedIncidentRow.ended_at > now, IS_UNRESOLVED)
            .distinct()
        )
        return len(standing), len(self._source.rows(held))


def _found(source: Rows, query: Run) -> Silence | None:
    known = len(source.unread)
    row = first(source.rows(query))
    return Silence(**row) if row is not None else first([_stand_in(each) for each in source.unread[known:]])


def _stand_in(unread: Unread) -> Silence:
    """Return a stand-in for a silence that cannot be read, made from its readable values."""
    return Silence(**{**_UNKNOWN, **unread.values})


def _all_standing(source: Any, now: datetime) -> tuple[Standing, ...]:
    return tuple(_standing(row, now) for row in source.rows(_STANDING()))


def _row(silence: Silence) -> dict[str, Any]:
    return {name: getattr(silence, name) for name in _NAMES}


def _standing(row: dict[str, Any], now: datetime) -> Standing:
    rights = {name: row.pop(name) for name in _RIGHTS}
    silence = Silence(**row)
    return silence, _may_act(silence, rights, now)


def _may_act(silence: Silence, rights: Mapping[str, Any], now: datetime) -> bool:
    """Return whether the author may operate in all namespaces of a silence now."""
    match silence.author_kind:
        case AuthorKind.USER:
            role = rights["user_role"]
            is_there = role is not None and rights["user_disabled_at"] is None and role.includes(Role.RESPONDER)
            return is_there and may_act(silence.namespaces, rights["user_namespaces"])
        case AuthorKind.KEY:
            expires_at, scopes = rights["key_expires_at"], rights["key_scopes"] or ()
            is_valid = rights["key_revoked_at"] is None and (expires_at is None or now < expires_at)
            return is_valid and KeyScope.OPERATE in scopes and may_act(silence.namespaces, reached([rights["key_namespace"]]))
        case AuthorKind.COMMAND:
            return True
