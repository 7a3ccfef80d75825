"""Reads what the recent rounds of people say: a fixed number of queries, and a limited number of rounds a person."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

from peewee import JOIN, SQL, Case, Select, fn

from notifyflow.core.facts import NotificationFacts
from notifyflow.core.model import AT_REST, Contact, EscalationState, Evidence, Kind, NotificationState, Result
from notifyflow.core.people import ROUNDS, PersonRecord, WayRecord
from notifyflow.storage.models import AttemptRow, ContactRow, EscalationRow, IncidentRow, NotificationRow, OptOutRow
from notifyflow.storage.rows import BY_ID, CONTACT, Reader
from notifyflow.storage.statements import LISTED, Statement

NEWEST = 10_000
"""How many of all rounds are searched for people whom nothing reached."""
_WITH_OUTCOME = AT_REST - {NotificationState.CANCELLED}
_IS_PAGED = EscalationRow.round > 0
_PROVING = frozenset(Evidence) - {Evidence.ACCEPTED}


class People(Reader):
    """The people who were paged."""

    def ids(self, *, after_id: str, limit: int) -> list[str]:
        """List the ids of people who were paged, in order; the index is searched once for each.

        Args:
            after_id: Only those behind this one; empty begins with the first.
            limit: How many at most.
        """
        first = EscalationRow.select(fn.MIN(EscalationRow.recipient_id).alias("id"), SQL("1").alias("number"))
        first = first.where(EscalationRow.recipient_id > after_id, _IS_PAGED)
        person = first.cte("person", recursive=True, columns=("id", "number"))
        later = EscalationRow.alias()
        following = later.select(fn.MIN(later.recipient_id)).where(later.recipient_id > person.c.id, later.round > 0)
        is_found = person.c.id.is_null(is_null=False)
        people = person.union_all(Select((person,), (following, person.c.number + 1)).where(is_found, person.c.number < limit))
        found = people.select_from(people.c.id).where(people.c.id.is_null(is_null=False)).order_by(people.c.number)
        return [row["id"] for row in self._source.rows(found)]

    def never_paged(self, ids: Sequence[str]) -> frozenset[str]:
        """Return those who were never paged."""
        return frozenset(row["recipient_id"] for row in self._source.rows(_NEVER_PAGED(ids))) if ids else frozenset()

    def unreached_ids(self, namespaces: frozenset[str] | None, *, limit: int) -> list[str]:
        """List the people whose newest round is EXHAUSTED and among the newest of all rounds, the newest first.

        Args:
            namespaces: Only rounds of their incidents count; None for all.
            limit: How many at most.
        """
        columns = (EscalationRow.id, EscalationRow.recipient_id, EscalationRow.state, EscalationRow.incident_id)
        newest = EscalationRow.select(*columns).where(_IS_PAGED).order_by(EscalationRow.id.desc()).limit(NEWEST)
        rounds = newest.alias("newest")
        failed = fn.MAX(Case(None, [(rounds.c.state == EscalationState.EXHAUSTED.value, rounds.c.id)]))
        query = Select((rounds,), (rounds.c.recipient_id,))
        if namespaces is not None:
            query = query.join(IncidentRow, on=(IncidentRow.id == rounds.c.incident_id))
            query = query.where(IncidentRow.namespace.in_(sorted(namespaces)))
        last = fn.MAX(rounds.c.id)
        query = query.group_by(rounds.c.recipient_id).having(last == failed).order_by(last.desc()).limit(limit)
        return [row["recipient_id"] for row in self._source.rows(query)]

    def records(self, ids: Sequence[str], namespaces: frozenset[str] | None) -> dict[str, PersonRecord]:
        """Read what the recent rounds of people say.

        Args:
            ids: The people; those without a recent round are left out.
            namespaces: Only rounds of their incidents are read; None for all.
        """
        if not ids:
            return {}
        since = {row["recipient_id"]: row["started_at"] for row in self._source.rows(_SINCE(ids))}
        is_recent = reduce(or_, (_is_recent(each, at) for each, at in sorted(since.items())))
        ways = self._ways(is_recent, namespaces)
        return {
            row["recipient_id"]: PersonRecord(
                contact=Contact(**{field.name: row[field.name] for field in CONTACT}),
                last_round=row["state"],
                last_round_at=row["started_at"],
                ways=ways[row["recipient_id"]],
            )
            for row in self._last_rounds(is_recent, namespaces)
        }

    def opt_outs(self, addresses: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return for each address the numbers of ours to which it sent STOP."""
        query = OptOutRow.select(OptOutRow.number, OptOutRow.our_number).where(OptOutRow.number.in_(sorted(addresses)))
        found: dict[str, frozenset[str]] = defaultdict(frozenset)
        for row in self._source.rows(query) if addresses else ():
            found[row["number"]] |= {row["our_number"]}
        return found

    def _last_rounds(self, is_recent: Any, namespaces: frozenset[str] | None) -> list[dict[str, Any]]:
        last = _within(EscalationRow.select(fn.MAX(EscalationRow.id)), namespaces).where(is_recent, _IS_PAGED)
        is_contact = (ContactRow.incident_id == EscalationRow.incident_id) & (
            ContactRow.recipient_id == EscalationRow.recipient_id
        )
        query = EscalationRow.select(EscalationRow.state, EscalationRow.started_at, *CONTACT).join(ContactRow, on=is_contact)
        return self._source.rows(query.where(EscalationRow.id.in_(last.group_by(EscalationRow.recipient_id))))

    def _ways(self, is_recent: Any, namespaces: frozenset[str] | None) -> Mapping[str, Mapping[str, WayRecord]]:
        is_proven = (AttemptRow.result == Result.DELIVERED) & AttemptRow.evidence.in_(sorted(_PROVING))
        is_refused = (AttemptRow.result == Result.PERMANENT_FAILURE) & ~AttemptRow.is_our_fault
        has_outcome = NotificationRow.state.in_(sorted(_WITH_OUTCOME))
        pages = (
            EscalationRow.select(
                EscalationRow.recipient_id,
                NotificationRow.channel,
                fn.MAX(Case(None, [(has_outcome, NotificationRow.id)])).alias("last"),
                fn.MAX(Case(None, [(is_proven, NotificationRow.id)])).alias("proven"),
                fn.COUNT(Case(None, [(is_refused, 1)])).alias("refused"),
            )
            .join(NotificationRow, on=(NotificationRow.escalation_id == EscalationRow.id))
            .join(AttemptRow, JOIN.LEFT_OUTER, on=(AttemptRow.notification_id == NotificationRow.id))
            .switch(EscalationRow)
        )
        query = _within(pages, namespaces).where(is_recent, NotificationRow.kind == Kind.PAGE)
        rows = self._source.rows(query.group_by(EscalationRow.recipient_id, NotificationRow.channel))
        facts = self._facts({row[name] for row in rows for name in ("last", "proven") if row[name]})
        ways: dict[str, dict[str, WayRecord]] = defaultdict(dict)
        for row in rows:
            last, proven = facts.get(row["last"]), facts.get(row["proven"])
            ways[row["recipient_id"]][row["channel"]] = WayRecord(last=last, proven=proven, refused=row["refused"])
        return ways

    def _facts(self, ids: Collection[str]) -> Mapping[str, NotificationFacts]:
        found = self._source.read(NotificationFacts, BY_ID[NotificationFacts](sorted(ids))) if ids else ()
        return {each.id: each for each in found}


def _is_recent(recipient_id: str, since: datetime | None) -> Any:
    is_theirs = EscalationRow.recipient_id == recipient_id
    return is_theirs if since is None else is_theirs & (EscalationRow.started_at >= since)


def _within(query: Select, namespaces: frozenset[str] | None) -> Select:
    if namespaces is None:
        return query
    query = query.join(IncidentRow, on=(IncidentRow.id == EscalationRow.incident_id))
    return query.where(IncidentRow.namespace.in_(sorted(namespaces)))


_THEIRS = EscalationRow.select(EscalationRow.started_at).where(EscalationRow.recipient_id == LISTED, _IS_PAGED)
_SINCE = Statement(
    lambda param: Select(
        (param.listed(EscalationRow.recipient_id),),
        (LISTED, _THEIRS.order_by(EscalationRow.started_at.desc()).limit(1).offset(ROUNDS - 1)),
    ),
    columns=(EscalationRow.recipient_id, EscalationRow.started_at),
)
_NEVER_PAGED = Statement(
    lambda param: Select((param.listed(EscalationRow.recipient_id),), (LISTED,)).where(~fn.EXISTS(_THEIRS)),
    columns=(EscalationRow.recipient_id,),
)
