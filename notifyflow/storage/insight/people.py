"""Reads people's recent rounds: a fixed number of queries, and a limited number of rounds for each person."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from peewee import JOIN, SQL, Case, Select, fn

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import AT_REST, Contact, EscalationState, Evidence, Kind, NotificationState, Result
from notifyflow.core.insight.people import ROUNDS, PersonRecord, WayRecord
from notifyflow.storage.session.rows import BY_ID, CONTACT, Reader
from notifyflow.storage.session.statements import LIST_VALUE, Parameters, Statement, finds
from notifyflow.storage.tables import AttemptRow, ContactRow, EscalationRow, IncidentRow, NotificationRow, OptOutRow

NEWEST = 10_000
"""How many of the newest rounds are searched for unreached people."""
_WITH_OUTCOME = AT_REST - {NotificationState.CANCELLED}
_IS_PAGED = EscalationRow.round > 0
_PROVING = frozenset(Evidence) - {Evidence.ACCEPTED}


class People(Reader):
    """The people who were paged."""

    def ids(self, *, after: str, limit: int) -> list[str]:
        """List the ids of people who were paged, in order; the index is searched once for each.

        Args:
            after: Only ids after the person of this round, as ``mark`` returns it; empty or unknown begins with the first.
            limit: How many at most.
        """
        marked = EscalationRow.alias()
        last = fn.COALESCE(marked.select(marked.recipient_id).where(marked.id == after), "")
        first = EscalationRow.select(fn.MIN(EscalationRow.recipient_id).alias("id"), SQL("1").alias("number"))
        first = first.where(EscalationRow.recipient_id > last, _IS_PAGED)
        person = first.cte("person", recursive=True, columns=("id", "number"))
        later = EscalationRow.alias()
        following = later.select(fn.MIN(later.recipient_id)).where(later.recipient_id > person.c.id, later.round > 0)
        is_found = person.c.id.is_null(is_null=False)
        people = person.union_all(Select((person,), (following, person.c.number + 1)).where(is_found, person.c.number < limit))
        found = people.select_from(people.c.id).where(people.c.id.is_null(is_null=False)).order_by(people.c.number)
        return [row["id"] for row in self._source.rows(found)]

    def mark(self, recipient_id: str) -> str:
        """Return the id of a person's newest round; unlike the person's id, anybody may see it."""
        rounds = EscalationRow.select(EscalationRow.id).where(EscalationRow.recipient_id == recipient_id, _IS_PAGED)
        return str(self._source.rows(rounds.order_by(EscalationRow.started_at.desc()).limit(1))[0]["id"])

    def never_paged(self, ids: Sequence[str]) -> frozenset[str]:
        """Return the people who were never paged."""
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
        """Read the records of people's recent rounds.

        Args:
            ids: The people; those without a recent round are left out.
            namespaces: Only rounds of their incidents are read; None for all.
        """
        if not ids:
            return {}
        values = (ids,) if namespaces is None else (ids, sorted(namespaces))
        ways = self._ways(values)
        return {
            row["recipient_id"]: PersonRecord(
                contact=Contact(**{field.name: row[field.name] for field in CONTACT}),
                last_round=row["state"],
                last_round_at=row["started_at"],
                ways=ways[row["recipient_id"]],
            )
            for row in self._source.rows(_LAST_ROUNDS[len(values)](*values))
        }

    def opt_outs(self, addresses: Collection[str]) -> Mapping[str, frozenset[str]]:
        """Return, for each address, our numbers to which it sent STOP."""
        query = OptOutRow.select(OptOutRow.number, OptOutRow.our_number).where(OptOutRow.number.in_(sorted(addresses)))
        found: dict[str, frozenset[str]] = defaultdict(frozenset)
        for row in self._source.rows(query) if addresses else ():
            found[row["number"]] |= {row["our_number"]}
        return found

    def _ways(self, values: tuple[Sequence[str], ...]) -> Mapping[str, Mapping[str, WayRecord]]:
        rows = self._source.rows(_WAYS[len(values)](*values))
        facts = self._facts({row[name] for row in rows for name in ("last", "proven") if row[name]})
        ways: dict[str, dict[str, WayRecord]] = defaultdict(dict)
        for row in rows:
            last, proven = facts.get(row["last"]), facts.get(row["proven"])
            ways[row["recipient_id"]][row["channel"]] = WayRecord(last=last, proven=proven, refused=row["refused"])
        return ways

    def _facts(self, ids: Collection[str]) -> Mapping[str, NotificationFacts]:
        found = self._source.read(NotificationFacts, BY_ID[NotificationFacts](sorted(ids))) if ids else ()
        return {each.id: each for each in found}


_THEIRS = EscalationRow.select(EscalationRow.started_at).where(EscalationRow.recipient_id == LIST_VALUE, _IS_PAGED)


def _recent(param: Parameters, column: Any, *, is_within: bool) -> Select:
    """Select a column of people's newest rounds: for each list the newest ids, from an index, and their rows by id.

    PostgreSQL expects few rows from ``any_found_by``. If it expects many rounds, it reads all notifications to join them.
    """
    theirs = EscalationRow.alias()
    newest = theirs.select(theirs.id).where(theirs.recipient_id == LIST_VALUE, theirs.round > 0)
    newest = newest.order_by(theirs.started_at.desc()).limit(ROUNDS)
    people = param.values_table(EscalationRow.recipient_id)
    query = Select((people, EscalationRow), (column,)).where(param.any_found_by(EscalationRow.id, newest))
    if is_within:
        is_its = IncidentRow.id == EscalationRow.incident_id
        query = query.where(finds(IncidentRow.select(SQL("1")).where(is_its, param.any_of(IncidentRow.namespace))))
    return query


def _select_last_rounds(param: Parameters, *, is_within: bool) -> Any:
    last = _recent(param, fn.MAX(EscalationRow.id), is_within=is_within).group_by(EscalationRow.recipient_id)
    rounds = EscalationRow.alias()
    is_contact = (ContactRow.incident_id == rounds.incident_id) & (ContactRow.recipient_id == rounds.recipient_id)
    query = rounds.select(rounds.state, rounds.started_at, *CONTACT).join(ContactRow, on=is_contact)
    return query.where(param.any_found_by(rounds.id, last))


def _select_ways(param: Parameters, *, is_within: bool) -> Any:
    is_proven = (AttemptRow.result == Result.DELIVERED) & AttemptRow.evidence.in_(sorted(_PROVING))
    is_refused = (AttemptRow.result == Result.PERMANENT_FAILURE) & ~AttemptRow.is_our_fault
    has_outcome = NotificationRow.state.in_(sorted(_WITH_OUTCOME))
    rounds = EscalationRow.alias()
    pages = (
        NotificationRow.select(
            rounds.recipient_id,
            NotificationRow.channel,
            fn.MAX(Case(None, [(has_outcome, NotificationRow.id)])).alias("last"),
            fn.MAX(Case(None, [(is_proven, NotificationRow.id)])).alias("proven"),
            fn.COUNT(Case(None, [(is_refused, 1)])).alias("refused"),
        )
        .join(rounds, on=(rounds.id == NotificationRow.escalation_id))
        .join(AttemptRow, JOIN.LEFT_OUTER, on=(AttemptRow.notification_id == NotificationRow.id))
    )
    recent = param.any_found_by(NotificationRow.escalation_id, _recent(param, EscalationRow.id, is_within=is_within))
    return pages.where(recent, NotificationRow.kind == Kind.PAGE).group_by(rounds.recipient_id, NotificationRow.channel)


_WAY: tuple[Any, ...] = (
    EscalationRow.recipient_id,
    NotificationRow.channel,
    NotificationRow.id.alias("last"),
    NotificationRow.id.alias("proven"),
    AttemptRow.number.alias("refused"),
)
_WAYS = {count: Statement(partial(_select_ways, is_within=count > 1), columns=_WAY) for count in (1, 2)}
"""The outcomes of people's pages by channel; parameters for all namespaces: the people; for some: the people, the namespaces."""
_LAST_ROUNDS = {
    count: Statement(
        partial(_select_last_rounds, is_within=count > 1), columns=(EscalationRow.state, EscalationRow.started_at, *CONTACT)
    )
    for count in (1, 2)
}
_NEVER_PAGED = Statement(
    lambda param: Select((param.values_table(EscalationRow.recipient_id),), (LIST_VALUE,)).where(~fn.EXISTS(_THEIRS)),
    columns=(EscalationRow.recipient_id,),
)
