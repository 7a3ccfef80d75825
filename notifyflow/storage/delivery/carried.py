"""Reads what a message carried: the pages of a bundle, or the only page of a text, each with its incident as it is now."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from peewee import JOIN, SQL, Select

from notifyflow.core.delivery.model import AttemptState, Contact, EscalationState, IncidentState
from notifyflow.core.messages.carried import CarriedPage
from notifyflow.storage.session.rows import Reader
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import AttemptRow, ContactRow, EscalationRow, IncidentRow, NotificationRow, ReplyCodeRow

CURRENT = EscalationRow.alias("current")
"""The current round of the recipient of a page."""

_BY = ContactRow.alias("acknowledger")
_NOW = (
    IncidentRow.severity,
    IncidentRow.state,
    IncidentRow.opened_at,
    IncidentRow.content_title,
    IncidentRow.content_occurred_at,
    CURRENT.state.alias("current_state"),
)
_CARRIED = (EscalationRow.incident_id, EscalationRow.recipient_id, NotificationRow.severity.alias("shown"), AttemptRow.is_named)


def with_incident(query: Select, incident_id: Any, recipient_id: Any) -> Select:
    """Join the incident of each page, and the current round of its recipient, if there is one."""
    is_theirs = (CURRENT.incident_id == incident_id) & (CURRENT.recipient_id == recipient_id) & CURRENT.is_current
    return query.join(IncidentRow, on=(IncidentRow.id == incident_id)).join(CURRENT, JOIN.LEFT_OUTER, on=is_theirs)


def with_pages(query: Select) -> Select:
    """Join the page of each attempt; see ``with_incident``."""
    query = query.join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
    query = query.join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
    return with_incident(query, EscalationRow.incident_id, EscalationRow.recipient_id)


def coded(*columns: Any) -> Select:
    """Select columns of the codes of bundles that left, each with the attempts of the bundle; see ``with_pages``."""
    carried = ReplyCodeRow.select(*columns).join(AttemptRow, on=(AttemptRow.sent_with == ReplyCodeRow.sent_with))
    return with_pages(carried).where(AttemptRow.state != SQL(f"'{AttemptState.NOT_SENT}'"))


def coded_alone(*columns: Any) -> Select:
    """Select columns of the codes of single pages; see ``with_incident``."""
    return with_incident(ReplyCodeRow.select(*columns), ReplyCodeRow.incident_id, ReplyCodeRow.recipient_id)


def _of_codes(query: Select, param: Parameters) -> Select:
    return query.where(ReplyCodeRow.number == param(ReplyCodeRow.number), param.any_of(ReplyCodeRow.code))


def _of_bundle(param: Parameters) -> Select:
    is_by = (_BY.incident_id == IncidentRow.id) & (_BY.recipient_id == IncidentRow.acknowledged_by)
    columns = (AttemptRow.sent_with, *_CARRIED, *_NOW, IncidentRow.acknowledged_by, _BY.name)
    query = with_pages(AttemptRow.select(*columns)).join(_BY, JOIN.LEFT_OUTER, on=is_by)
    return query.where(AttemptRow.sent_with == param(AttemptRow.sent_with)).order_by(AttemptRow.position)


_OF_BUNDLE = Statement(_of_bundle)
_OF_CODES = Statement(lambda param: _of_codes(coded(ReplyCodeRow.code, *_CARRIED, *_NOW), param).order_by(AttemptRow.position))
_OF_CODES_ALONE = Statement(
    lambda param: _of_codes(
        coded_alone(
            ReplyCodeRow.code,
            ReplyCodeRow.incident_id,
            ReplyCodeRow.recipient_id,
            ReplyCodeRow.severity.alias("shown"),
            *_NOW,
        ),
        param,
    )
)
_RECIPIENT = Statement(
    lambda param: (
        AttemptRow.select(EscalationRow.recipient_id)
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
        .where(AttemptRow.id == param(AttemptRow.id))
    )
)


class CarriedReads(Reader):
    """Reads of what messages carried."""

    def recipient_of(self, attempt_id: str) -> str | None:
        """Return the recipient of an attempt, or None."""
        return next((str(row["recipient_id"]) for row in self._source.rows(_RECIPIENT(attempt_id))), None)

    def of_bundle(self, attempt_id: str) -> tuple[CarriedPage, ...]:
        """Return the pages that the call of an attempt carried, the most severe first."""
        rows = self._source.rows(_OF_BUNDLE(attempt_id))
        return tuple(_page(row, acknowledged_by=row["name"] or row["acknowledged_by"]) for row in rows)

    def of_codes(self, number: str, codes: Collection[str], bundles: Collection[str]) -> Mapping[str, Sequence[CarriedPage]]:
        """Return the pages that reply codes of a number stand for, the most severe first.

        Args:
            number: The number.
            codes: The codes of single pages.
            bundles: The codes of bundles.
        """
        found: dict[str, list[CarriedPage]] = defaultdict(list)
        for statement, some in ((_OF_CODES_ALONE, codes), (_OF_CODES, bundles)):
            for row in self._source.rows(statement(number, sorted(some))) if some else ():
                found[row["code"]].append(_page(row))
        return found

    def contact(self, pages: Iterable[CarriedPage]) -> Contact | None:
        """Return the contact of the pages' recipient, as the first readable one of the incidents has it; None without one."""
        for page in pages:
            if found := self._source.contacts([page.incident_id])[page.incident_id].get(page.recipient_id):
                return found
        return None


def _page(row: Mapping[str, Any], *, acknowledged_by: str = "") -> CarriedPage:
    is_theirs = row["current_state"] not in (None, EscalationState.ACKNOWLEDGED)
    return CarriedPage(
        incident_id=row["incident_id"],
        recipient_id=row["recipient_id"],
        shown=row["shown"],
        is_named=row.get("is_named", True),
        severity=row["severity"],
        state=row["state"],
        is_open=row["state"] is IncidentState.OPEN and is_theirs,
        title=row["content_title"],
        at=row["content_occurred_at"] or row["opened_at"],
        acknowledged_by=acknowledged_by,
    )
