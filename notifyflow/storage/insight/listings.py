"""Reads for the API and for operators: lists that are read page by page, each with a fixed number of queries."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from peewee import JOIN, Case, Expression, Field, Select, fn

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import (
    AT_REST,
    REACHING,
    Contact,
    EscalationState,
    Kind,
    NotificationState,
)
from notifyflow.core.insight.views import KnownRecipient, RecipientCounts
from notifyflow.storage.session.rows import BY_ID, CONTACT, Reader
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import ContactRow, CriticalRow, EscalationRow, IncidentRow, NotificationRow, OptOutRow

NOBODY = RecipientCounts()
_WITH_OUTCOME = AT_REST - {NotificationState.CANCELLED}
_Newer: Any = EscalationRow.alias("newer")


class Listings(Reader):
    """Lists for the API and for operators."""

    def counts(self, incident_ids: Sequence[str]) -> Mapping[str, RecipientCounts]:
        """Count, by incident, the recipients that their newest rounds have reached."""
        rows = self._source.rows(_COUNTS(incident_ids)) if incident_ids else []
        return {row.pop("incident_id"): RecipientCounts(**row) for row in rows}

    def keys(self, namespace: str | None, *, limit: int) -> list[str]:
        """List the keys of the newest incidents of a namespace; None for all."""
        query = IncidentRow.select(IncidentRow.key).order_by(IncidentRow.id.desc()).limit(limit)
        query = query if namespace is None else query.where(IncidentRow.namespace == namespace)
        return [row["key"] for row in self._source.rows(query)]

    def recipient_ids(self, *, limit: int) -> list[str]:
        """List the ids of the recipients of the newest incidents."""
        query = ContactRow.select(ContactRow.recipient_id).order_by(ContactRow.incident_id.desc()).limit(limit)
        return [row["recipient_id"] for row in self._source.rows(query)]

    def recipients(
        self, *, after_id: str, limit: int, since: datetime, namespaces: frozenset[str] | None = None
    ) -> tuple[KnownRecipient, ...]:
        """List all recipients of incidents, by id.

        Args:
            after_id: Only ids after this one; empty begins with the first.
            limit: How many at most.
            since: Pages of rounds that began earlier are ignored.
            namespaces: Only these namespaces' data count; None for all.
        """
        return self._recipients(ContactRow.recipient_id > after_id, limit, since, namespaces)

    def recipient(self, recipient_id: str, *, since: datetime, namespaces: frozenset[str] | None = None) -> KnownRecipient | None:
        """Return one recipient as ``recipients`` does, or None."""
        found = self._recipients(ContactRow.recipient_id == recipient_id, 1, since, namespaces)
        return found[0] if found else None

    def _recipients(
        self, wanted: Expression, limit: int, since: datetime, namespaces: frozenset[str] | None
    ) -> tuple[KnownRecipient, ...]:
        contacts_of = ContactRow.select(ContactRow.recipient_id, fn.MAX(ContactRow.incident_id).alias("incident_id"))
        newest = (
            _within(contacts_of, ContactRow.incident_id, namespaces)
            .where(wanted)
            .group_by(ContactRow.recipient_id)
            .order_by(ContactRow.recipient_id)
            .limit(limit)
            .alias("newest")
        )
        is_newest = (ContactRow.recipient_id == newest.c.recipient_id) & (ContactRow.incident_id == newest.c.incident_id)
        query = ContactRow.select(*CONTACT).join(newest, on=is_newest).order_by(ContactRow.recipient_id)
        contacts = [Contact(**row) for row in self._source.readable(query, ContactRow.recipient_id)]
        pages = self._last_pages([contact.recipient_id for contact in contacts], since, namespaces)
        opt_outs = self.opt_outs({address for contact in contacts for address in contact.addresses.values()})
        return tuple(
            KnownRecipient(
                contact=each,
                last_pages=pages.get(each.recipient_id, {}),
                opted_out_of=frozenset(our_number for number, our_number in opt_outs if number in each.addresses.values()),
            )
            for each in contacts
        )

    def opt_outs(self, addresses: Collection[str]) -> Sequence[tuple[str, str]]:
        """Return the numbers among some addresses that have sent STOP, each with our number that received it."""
        query = OptOutRow.select(OptOutRow.number, OptOutRow.our_number).where(OptOutRow.number.in_(list(addresses)))
        return [(row["number"], row["our_number"]) for row in self._source.rows(query)]

    def _last_pages(
        self, recipient_ids: Sequence[str], since: datetime, namespaces: frozenset[str] | None
    ) -> Mapping[str, Mapping[str, NotificationFacts]]:
        pages_of = NotificationRow.select(EscalationRow.recipient_id, fn.MAX(NotificationRow.id).alias("id")).join(
            EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id)
        )
        query = (
            _within(pages_of, EscalationRow.incident_id, namespaces)
            .where(
                EscalationRow.recipient_id.in_(recipient_ids),
                EscalationRow.started_at >= since,
                NotificationRow.kind == Kind.PAGE,
                NotificationRow.state.in_(_WITH_OUTCOME),
            )
            .group_by(EscalationRow.recipient_id, NotificationRow.channel)
        )
        whose = {row["id"]: row["recipient_id"] for row in self._source.rows(query)}
        pages: dict[str, dict[str, NotificationFacts]] = defaultdict(dict)
        for page in self._source.read(NotificationFacts, BY_ID[NotificationFacts](sorted(whose))) if whose else ():
            pages[whose[page.id]][page.channel] = page
        return pages


def _counts(param: Parameters) -> Select:
    """Count the recipients of incidents, and those whose newest round has an arrived, a failed, or only failed pages."""
    recipient = EscalationRow.recipient_id
    has_arrived = (NotificationRow.kind == Kind.PAGE) & NotificationRow.state.in_(REACHING)
    has_failed = (NotificationRow.kind == Kind.PAGE) & (NotificationRow.state == NotificationState.FAILED)
    is_its = NotificationRow.escalation_id == EscalationRow.id
    of_it = (_Newer.incident_id == EscalationRow.incident_id) & (_Newer.recipient_id == recipient)
    is_replaced = fn.EXISTS(_Newer.select(_Newer.id).where(of_it, _Newer.round > EscalationRow.round))

    def count(*case: tuple[Expression, Field]) -> Any:
        return fn.COUNT(fn.DISTINCT(Case(None, case) if case else recipient))

    return (
        EscalationRow.select(
            EscalationRow.incident_id,
            count().alias("recipients"),
            count((has_arrived, recipient)).alias("reached"),
            count((EscalationRow.state == EscalationState.EXHAUSTED, recipient)).alias("failed"),
            count((EscalationRow.critical_at.is_null(False), recipient)).alias("critical"),
            count((has_failed, NotificationRow.id)).alias("failed_pages"),
            fn.MIN(Case(None, ((EscalationRow.critical_at.is_null(False), CriticalRow.reason),))).alias("critical_reason"),
        )
        .join(NotificationRow, JOIN.LEFT_OUTER, on=is_its)
        .switch(EscalationRow)
        .join(CriticalRow, JOIN.LEFT_OUTER, on=(CriticalRow.escalation_id == EscalationRow.id))
        .where(param.any_of(EscalationRow.incident_id), EscalationRow.round > 0, ~is_replaced)
        .group_by(EscalationRow.incident_id)
    )


_COUNTS = Statement(_counts)


def _within(query: Select, incident_id: Field, namespaces: frozenset[str] | None) -> Select:
    """Leave out rows of other namespaces' incidents; None keeps all."""
    if namespaces is None:
        return query
    return query.join(IncidentRow, on=(IncidentRow.id == incident_id)).where(IncidentRow.namespace.in_(sorted(namespaces)))
