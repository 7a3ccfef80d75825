"""Maps facts to rows and back by name, since columns have the names of the facts' fields.

``Rows`` reads facts through the connection of one transaction, without keeping them.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from operator import itemgetter
from typing import Any, TypeVar

from peewee import SQL, Database, Expression, Model, PeeweeException, Query, Select, fn

from notifyflow.core.copies import made_of
from notifyflow.core.delivery.facts import (
    MACHINE_NAMES,
    AttemptFacts,
    EscalationFacts,
    IncidentFacts,
    NotificationFacts,
    StepFacts,
)
from notifyflow.core.delivery.model import DETAILS, Contact, Incident, IncidentState, NotificationState
from notifyflow.core.delivery.policy import Policy
from notifyflow.errors import AmbiguousKey, DamagedIncident, StorageError
from notifyflow.storage.session.conditions import IS_UNRESOLVED
from notifyflow.storage.session.statements import Parameters, Run, Statement, Unread
from notifyflow.storage.tables import (
    AttemptRow,
    ContactRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    PolicyRow,
    SetAsideRow,
    StepRow,
    policies,
)

F = TypeVar("F")
M = TypeVar("M", IncidentFacts, EscalationFacts, NotificationFacts, StepFacts)

MODELS: Mapping[type, type[Model]] = {
    IncidentFacts: IncidentRow,
    EscalationFacts: EscalationRow,
    NotificationFacts: NotificationRow,
    StepFacts: StepRow,
    AttemptFacts: AttemptRow,
}

_COLUMNS: Mapping[type, tuple[str, ...]] = {
    facts: tuple(field.name for field in fields(facts) if field.name in model._meta.fields) for facts, model in MODELS.items()
}
_VALUES: Mapping[type, Callable[[Any], tuple[Any, ...]]] = {facts: itemgetter(*columns) for facts, columns in _COLUMNS.items()}
CONTACT = tuple(getattr(ContactRow, name) for name in Contact.__dataclass_fields__)
CONTENT_FIELDS = tuple(field.name for field in fields(Incident) if field.name != "key")
_TIMES_ASIDE = fn.COALESCE(SetAsideRow.select(SetAsideRow.times).where(SetAsideRow.row_id == NotificationRow.id), SQL("0")).alias(
    "times_aside"
)
_JUDGED_BY_ATTEMPTS = frozenset({"state"})
"""The fields of a notification that are not valid if its attempts cannot be read."""
_CONTENT = (IncidentRow.key, *(getattr(IncidentRow, f"content_{name}").alias(name) for name in CONTENT_FIELDS))
_EMPTY: Mapping[str, object] = {"body": "", **dict.fromkeys(DETAILS, ""), "url": None, "labels": {}}


class Rows:
    """Reads facts through a transaction's connection; rows that cannot be read are left out."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.unread: list[Unread] = []

    def _catch_up(self, query: Query | Run | None = None) -> None:
        """Write pending changes that a query might read."""

    def rows(self, query: Query | Run) -> list[dict[str, Any]]:
        """Return a query's rows, by column; a query that is not a ``Statement`` leaves out nothing.

        Raises:
            UnreadableRow: When such a query's row cannot be read.
        """
        self._catch_up(query)
        if isinstance(query, Run):
            return query.rows(self.db, self.unread)
        try:
            return list(query.dicts().execute(self.db))
        except PeeweeException:
            raise
        except Exception:  # a stored value may raise anything
            Statement(lambda _: query)().rows(self.db)  # finds and names the row
            raise

    def readable(self, query: Select, key: Any, complete: Callable[[list[dict[str, Any]]], list[Any]] = list) -> list[Any]:
        """Return a query's readable rows, for display only: rows that are left out do not count for its limit.

        A use case that moves rows must not miss one.

        Args:
            query: The query.
            key: The column that identifies a row.
            complete: Turns the rows into values; rows that it leaves out are in ``unread``, too.
        """
        table = key.model._meta.table_name.removeprefix("notifyflow_")
        while True:
            known, limited = len(self.unread), query
            found = complete(self.rows(Statement(lambda _, limited=limited: limited)()))  # type: ignore[misc]
            damaged = sorted({each.values[key.name] for each in self.unread[known:] if each.table == table})
            if not damaged or query._limit is None:  # type: ignore[attr-defined]
                return found
            query = query.where(key.not_in(damaged))

    def first(self, query: Select) -> dict[str, Any] | None:
        """Return a query's first row, or None."""
        rows = self.rows(query.limit(1))
        return rows[0] if rows else None

    def scalar(self, query: Select | Run) -> Any:
        """Return the first column of a query's first row, or None; a row of a ``Statement`` that cannot be read is left out."""
        self._catch_up(query)
        return query.scalar(self.db, self.unread) if isinstance(query, Run) else query.scalar(self.db)

    def read(self, facts: type[M], query: Select | Run) -> list[M]:
        """Read rows of a state machine; notifications with their attempts: two queries, however many rows."""
        rows = self.rows(query)
        if facts is NotificationFacts:
            return self.with_attempts(rows)
        return [made_of(facts, row) for row in (rows if facts is StepFacts else self.with_policies(rows, MACHINE_NAMES[facts]))]

    def with_policies(self, rows: list[dict[str, Any]], table: str = "incident") -> list[dict[str, Any]]:
        """Replace the digests of policies by the policies; leave out rows whose policy is missing or damaged."""
        found = {digest: self._remembered(digest) for digest in {row["policy"] for row in rows}}
        if missing := sorted(digest for digest, policy in found.items() if policy is None):
            stored = {row["digest"]: row["document"] for row in _POLICIES(missing).rows(self.db)}
            for digest in missing:
                with suppress(Exception):
                    found[digest] = self._parsed(digest, must_exist(stored.get(digest), "policy", digest))
        for row in rows:
            if found[row["policy"]] is None:
                readable = {name: value for name, value in row.items() if name != "policy"}
                self.unread.append(Unread(table=table, values=readable, column="policy", why="InvalidPolicy"))
        return [row | {"policy": policy} for row in rows if (policy := found[row["policy"]]) is not None]

    def _remembered(self, digest: str) -> Policy | None:
        """Return a policy that needs no row, or None."""
        return policies.known_as(digest)

    def _parsed(self, digest: str, document: str) -> Policy:
        return policies.parse(digest, document)

    def with_attempts(self, rows: Sequence[Mapping[str, Any]]) -> list[NotificationFacts]:
        """Add the attempts of notifications to their rows; leave out notifications with an unreadable attempt."""
        attempts: dict[str, list[AttemptFacts]] = defaultdict(list)
        queued = NotificationState.QUEUED
        attempted = [row["id"] for row in rows if row["version"] > 1 or row["state"] != queued]  # a claim is at least version 2
        known = len(self.unread)
        for attempt in self.rows(_ATTEMPTS(attempted)) if attempted else ():
            attempts[attempt["notification_id"]].append(made_of(AttemptFacts, attempt))
        damaged = {each.values["notification_id"]: each for each in self.unread[known:]}
        for row in rows if damaged else ():
            if row["id"] in damaged:
                believed = {name: value for name, value in row.items() if name not in _JUDGED_BY_ATTEMPTS}
                self.unread.append(replace(damaged[row["id"]], table="notification", values=believed))
        return [
            made_of(NotificationFacts, {**row, "attempts": tuple(attempts[row["id"]]), "is_readable": True})
            for row in rows
            if row["id"] not in damaged
        ]

    def unread_of(self, table: str, row_id: str) -> Unread | None:
        """Return a left-out row by its id, or None."""
        return next((each for each in self.unread_in(table) if each.row_id == row_id), None)

    def unread_in(self, table: str) -> Sequence[Unread]:
        """Return the left-out rows of a table."""
        return [each for each in self.unread if each.table == table]

    def contacts(self, incident_ids: Collection[str]) -> dict[str, dict[str, Contact]]:
        """Read the contacts of incidents by recipient, in the order they were added."""
        found: dict[str, dict[str, Contact]] = {each: {} for each in incident_ids}
        for row in self.rows(_CONTACTS(sorted(incident_ids))):
            contacts = found[row.pop("incident_id")]
            contacts[row["recipient_id"]] = Contact(**row)
        return found

    def recipient_ids(self, incident_id: str) -> list[str]:
        """Read the ids of an incident's recipients."""
        return [row["recipient_id"] for row in self.rows(_RECIPIENT_IDS(incident_id))]

    def contents(self, incident_ids: Collection[str]) -> dict[str, Incident]:
        """Read the latest content of incidents."""
        return {row.pop("id"): Incident(**row) for row in self.rows(_CONTENTS(sorted(incident_ids)))}

    def named(self, name: str, namespace: str | None, locked: Callable[[Run], Run] = lambda query: query) -> IncidentFacts | None:
        """Return the unresolved incident of a key or id, else the newest resolved one; None if there is none.

        Args:
            name: Its key or id. If another incident has the id as its key, the name means both.
            namespace: Where to look; None means everywhere.
            locked: Makes a query lock its rows.

        Raises:
            AmbiguousKey: When several unresolved incidents match.
            DamagedIncident: When a matching incident cannot be read.
        """
        known = len(self.unread)
        unresolved, of_id, newest = _NAMED[namespace is None]
        values = (name,) if namespace is None else (name, namespace)
        by_key = self.read(IncidentFacts, locked(unresolved(*values)))
        by_id = self.read(IncidentFacts, locked(of_id(*values)))
        self.insist_since(known)
        meant = {each.id: each for each in (*by_key, *by_id) if each.state is not IncidentState.RESOLVED}
        if len(meant) > 1:
            raise AmbiguousKey(name, tuple((each.namespace, each.id) for _, each in sorted(meant.items())))
        if found := first([*meant.values()]) or first(by_id):
            return found
        found = first(self.read(IncidentFacts, locked(newest(*values))))
        self.insist_since(known)
        return found

    def incident(self, incident_id: str, locked: Callable[[Run], Run] = lambda query: query) -> IncidentFacts | None:
        """Return an incident by its id, or None; raise ``DamagedIncident`` when it cannot be read."""
        known = len(self.unread)
        found = first(self.read(IncidentFacts, locked(BY_ID[IncidentFacts]([incident_id]))))
        self.insist_since(known)
        return found

    def insist_since(self, known: int) -> None:
        """Raise if an incident was left out after the first ``known`` left-out rows.

        Raises:
            DamagedIncident: When there is such an incident.
        """
        for each in self.unread[known:]:
            if each.table == MACHINE_NAMES[IncidentFacts]:
                raise DamagedIncident(each.row_id, each.column, each.why)


class StoredRows(Rows):
    """Reads facts as they are stored: also a policy that this process remembers has to be in its row, as it was written."""

    def _remembered(self, digest: str) -> Policy | None:
        return None

    def _parsed(self, digest: str, document: str) -> Policy:
        return policies.genuine(digest, document)


class Reader:
    """The reads of one subject."""

    def __init__(self, source: Rows) -> None:
        self._source = source


_ATTEMPTS = Statement(lambda param: select(AttemptFacts, param.any_of(AttemptRow.notification_id)).order_by(AttemptRow.number))
_POLICIES = Statement(lambda param: PolicyRow.select(PolicyRow.digest, PolicyRow.document).where(param.any_of(PolicyRow.digest)))


def _storing_policy(param: Parameters) -> Any:
    columns = (PolicyRow.digest, PolicyRow.document, PolicyRow.created_at)
    new = Select(columns=[*map(param, columns)])
    is_it = (PolicyRow.digest == param(PolicyRow.digest)) & (PolicyRow.document == param(PolicyRow.document))
    is_stored = fn.EXISTS(PolicyRow.select(SQL("1")).where(is_it, PolicyRow.unused_since.is_null()))
    return PolicyRow.insert_from(new.where(~is_stored), columns).on_conflict(
        conflict_target=[PolicyRow.digest], preserve=[PolicyRow.document], update={PolicyRow.unused_since: None}
    )


STORE_POLICY = Statement(_storing_policy)
"""Stores a policy (digest, document, time, digest, document), also in the place of a damaged one, or keeps it from deletion.

It does not lock a policy in use.
"""
NOTIFICATIONS_OF = Statement(
    lambda param: select(NotificationFacts, param.any_of(NotificationRow.escalation_id)).order_by(NotificationRow.id)
)
_CONTACTS = Statement(
    lambda param: (
        ContactRow.select(ContactRow.incident_id, *CONTACT)
        .where(param.any_of(ContactRow.incident_id))
        .order_by(ContactRow.incident_id, ContactRow.position)
    )
)
_RECIPIENT_IDS = Statement(
    lambda param: ContactRow.select(ContactRow.recipient_id).where(ContactRow.incident_id == param(ContactRow.incident_id))
)
_CONTENTS = Statement(lambda param: IncidentRow.select(IncidentRow.id, *_CONTENT).where(param.any_of(IncidentRow.id)))


def select(facts: type, *where: Expression) -> Select:
    """Select the columns of a kind of facts; of notifications also how often they were set aside."""
    model = MODELS[facts]
    query = model.select(
        *(getattr(model, name) for name in _COLUMNS[facts]), *((_TIMES_ASIDE,) if facts is NotificationFacts else ())
    )
    return query.where(*where) if where else query


def _by_id(facts: type) -> Statement:
    row: Any = MODELS[facts]
    return Statement(lambda param: select(facts, param.any_of(row.id)).order_by(row.id))


def _named(*, is_everywhere: bool) -> tuple[Statement, Statement, Statement]:
    """Build the queries for a key's unresolved incidents, an id's incident, and a key's newest incident."""

    def where(param: Parameters, column: Any) -> Select:
        query = select(IncidentFacts, column == param(column))
        return query if is_everywhere else query.where(IncidentRow.namespace == param(IncidentRow.namespace))

    newest = (IncidentRow.opened_at.desc(), IncidentRow.id.desc())
    return (
        Statement(lambda param: where(param, IncidentRow.key).where(IS_UNRESOLVED).order_by(IncidentRow.id)),
        Statement(lambda param: where(param, IncidentRow.id)),
        Statement(lambda param: where(param, IncidentRow.key).order_by(*newest).limit(1)),
    )


_NAMED = {is_everywhere: _named(is_everywhere=is_everywhere) for is_everywhere in (False, True)}
BY_ID: Mapping[Any, Statement] = {facts: _by_id(facts) for facts in MACHINE_NAMES}


def row_of(facts: Any) -> dict[str, Any]:
    """Return the values of some facts, by column."""
    kind = type(facts)
    return dict(zip(_COLUMNS[kind], _VALUES[kind](vars(facts)), strict=True))


def changes(before: Any, after: Any) -> list[str]:
    """Return the columns in which two facts of one row differ. Most columns hold the same object, which is compared first."""
    kind = type(after)
    pairs = zip(_COLUMNS[kind], _VALUES[kind](vars(before)), _VALUES[kind](vars(after)), strict=True)
    return [name for name, old, new in pairs if old is not new and old != new]


def content_columns(content: Incident) -> dict[str, Any]:
    """Return the columns of an incident's content; unset fields are empty."""
    values = {name: getattr(content, name) for name in CONTENT_FIELDS}
    values |= {name: values[name] or empty for name, empty in _EMPTY.items()}
    return {f"content_{name}": value for name, value in values.items()}


def first(found: Sequence[F]) -> F | None:
    """Return the first row, or None."""
    return found[0] if found else None


def must_exist(found: F | None, what: str, row_id: str) -> F:
    """Return a row that must exist.

    Raises:
        StorageError: When it does not exist.
    """
    if found is None:
        raise StorageError(f"there is no {what} {row_id}")
    return found
