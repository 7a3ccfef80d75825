"""Reads attempts: by their ids, running and expired ones, and accepted ones that lack a decisive receipt.

Attempts are written with their notifications.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, reduce
from operator import add

from peewee import SQL, Case, Expression, IntegerField, Select, fn

from notifyflow.core.delivery.calls import UNSAID
from notifyflow.core.delivery.model import AttemptState, Severity
from notifyflow.core.delivery.tier_rules import UnreportedSends
from notifyflow.core.namespaces import OPERATIONS
from notifyflow.storage.session.conditions import RUNNING, is_free
from notifyflow.storage.session.repositories import Repository
from notifyflow.storage.session.statements import Parameters, Run, Statement
from notifyflow.storage.tables import AttemptRow, EscalationRow, IncidentRow, NotificationRow

_IS_FREE = is_free(NotificationRow)
_OLDEST = timedelta(days=1)
_IS_AWAITING_RECEIPT = (  # as the index has it
    (AttemptRow.result == SQL("'accepted'"))
    & (AttemptRow.times_polled < SQL("3"))
    & AttemptRow.receipt_due_at.is_null(is_null=False)
    & (AttemptRow.provider_ref != SQL("''"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRef:
    """The ids of an attempt and of the rows to lock for it, in lock order.

    Attributes:
        provider_ref: The provider's id of the message, if known.
        sent_with: The attempt whose call carried this one, too; None if it was sent alone.
        position: Its place in the bundle, from 0; None if it was sent alone.
        is_named: Whether the message names its incident.
    """

    incident_id: str
    escalation_id: str
    notification_id: str
    attempt_id: str
    provider: str
    provider_ref: str
    namespace: str
    sent_with: str | None = None
    position: int | None = None
    is_named: bool = True

    @property
    def is_operations(self) -> bool:
        """Whether it belongs to an operations incident."""
        return self.namespace == OPERATIONS

    @property
    def is_sent_with_another(self) -> bool:
        """Whether another attempt's call carries it."""
        return self.sent_with not in (None, self.attempt_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptToPoll:
    """An attempt to poll."""

    attempt_id: str
    channel: str
    provider: str
    provider_ref: str
    started_at: datetime
    receipt_due_at: datetime
    times_polled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CallToAsk:
    """A call that its provider is to be asked about."""

    attempt_id: str
    notification_id: str
    channel: str
    provider: str
    provider_ref: str
    started_at: datetime
    over_at: datetime


class Attempts(Repository):
    """Reads attempts, without locks."""

    def refs(self, attempt_ids: Sequence[str]) -> Mapping[str, AttemptRef]:
        """Find attempts by id; unknown ids are left out; not locked."""
        return {ref.attempt_id: ref for ref in self._refs(_REFS(attempt_ids))}

    def refs_by_provider_refs(self, wanted: Sequence[tuple[str, str]]) -> tuple[AttemptRef | None, ...]:
        """Find attempts by (provider, provider's id): for each pair the first such attempt, or None; not locked."""
        stored = [tuple(map(AttemptRow.provider_ref.db_value, each)) for each in wanted]
        known = [each for each in stored if each[1]]
        found: dict[tuple[str | None, ...], AttemptRef] = {}
        for ref in self._refs(_REFS_BY_PROVIDER_REFS(*zip(*known, strict=True))) if known else ():
            found.setdefault((ref.provider, ref.provider_ref), ref)
        return tuple(found.get(each) for each in stored)

    def carried(self, attempt_ids: Sequence[str]) -> tuple[AttemptRef, ...]:
        """Find the attempts that the calls of some attempts carried, these included; not locked; none for calls of one."""
        return self._refs(_SENT_WITH(attempt_ids))

    def named_in_call(self, attempt_id: str) -> tuple[AttemptRef, ...]:
        """Find the attempts whose incidents a call names, in its order; not locked."""
        return self._refs(_NAMED_IN_CALL(attempt_id, attempt_id))

    def count_in_call(self, attempt_id: str) -> tuple[dict[Severity, int], int]:
        """Count what a call carries by severity, the worst first, and how many of all are acknowledged or resolved."""
        found = self._unit.rows(_COUNT_IN_CALL(attempt_id, attempt_id))
        counts = {row["severity"]: int(row["carried"]) for row in found}
        return {each: counts[each] for each in Severity if each in counts}, sum(int(row["over"] or 0) for row in found)

    def expired_leases(self, *, now: datetime, limit: int) -> tuple[AttemptRef, ...]:
        """Find running attempts whose lease has expired, the oldest first; not locked."""
        return self._refs(_EXPIRED_LEASES(now, limit))

    def to_poll(
        self, providers: Collection[str], *, ahead: timedelta, waits: Sequence[timedelta], now: datetime, limit: int
    ) -> tuple[AttemptToPoll, ...]:
        """Find attempts to poll, the oldest first; not locked. Attempts of quarantined incidents are left out.

        Args:
            providers: The providers to poll.
            ahead: How long before its receipt is overdue an attempt is polled for the first time.
            waits: How long after its start it is polled again.
            now: The instant.
            limit: How many at most.
        """
        query = _to_poll(len(waits))(now + ahead, *(now - wait for wait in waits), now - _OLDEST, sorted(providers), limit)
        return tuple(AttemptToPoll(**row) for row in self._unit.rows(query))

    def record_poll(self, attempt: AttemptToPoll, *, times: int) -> bool:
        """Count a poll; return False if another process has counted one since the attempt was read."""
        is_it = (AttemptRow.id == attempt.attempt_id) & (AttemptRow.times_polled == attempt.times_polled)
        return bool(self._unit.execute(AttemptRow.update(times_polled=times).where(is_it)))

    def numbers_taken(self, lanes: Sequence[str], *, now: datetime) -> Mapping[str, datetime]:
        """Return when the call under way in each of some lanes counts as over; a lane without one is left out; not locked."""
        return {row["lane"]: row["until"] for row in self._unit.rows(_NUMBERS_TAKEN(now, lanes))}

    def risen_in_call(self, attempt_id: str) -> tuple[tuple[str, Severity], ...]:
        """Return the open incidents of a call that are more severe by now than it says, each with its severity, in its order."""
        found = self._unit.rows(_RISEN_IN_CALL(attempt_id, attempt_id))
        return tuple((row["id"], row["severity"]) for row in found)

    def calls_to_ask(self, providers: Collection[str], *, now: datetime, within: timedelta, limit: int) -> tuple[CallToAsk, ...]:
        """Find calls of some providers that count as over ``within`` some time unless a report says more; not locked."""
        found = self._unit.rows(_CALLS_TO_ASK(now, now + within, sorted(providers), limit))
        return tuple(CallToAsk(**row) for row in found)

    def calls_to_recall(self, attempt_ids: Sequence[str]) -> tuple[AttemptRef, ...]:
        """Find those of some calls that may still ring, in which nobody has pressed a key, and that carry nothing open."""
        return self._refs(_CALLS_TO_RECALL(attempt_ids))

    def silence(self, provider: str, channel: str, *, since: datetime, now: datetime) -> UnreportedSends:
        """Count the attempts of a provider on a channel since an instant for which receipts are awaited."""
        is_sent = AttemptRow.state != AttemptState.NOT_SENT
        is_owing = AttemptRow.evidence.is_null(is_null=False) & (AttemptRow.receipt_due_at <= now)
        query = (
            AttemptRow.select(
                fn.COUNT(Case(None, [(is_owing, 1)])).alias("accepted"),
                fn.COUNT(Case(None, [(is_owing, EscalationRow.recipient_id)]).distinct()).alias("reached"),
                fn.COUNT(Case(None, [(is_sent, EscalationRow.recipient_id)]).distinct()).alias("sent_to"),
            )
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
            .where(
                AttemptRow.provider == provider,
                AttemptRow.started_at > since,
                AttemptRow.receipt_due_at.is_null(is_null=False),
                NotificationRow.channel == channel,
            )
        )
        (row,) = self._unit.rows(query)
        return UnreportedSends(**row)

    def _refs(self, query: Select | Run) -> tuple[AttemptRef, ...]:
        return tuple(AttemptRef(**row) for row in self._unit.rows(query))


def select_refs(is_wanted: Expression) -> Select:
    """Select the ids of attempts and of the rows they belong to."""
    columns = (
        NotificationRow.incident_id,
        NotificationRow.escalation_id,
        AttemptRow.notification_id,
        AttemptRow.id.alias("attempt_id"),
        AttemptRow.provider,
        AttemptRow.provider_ref,
        NotificationRow.namespace,
        AttemptRow.sent_with,
        AttemptRow.position,
        AttemptRow.is_named,
    )
    is_its = NotificationRow.id == AttemptRow.notification_id
    return AttemptRow.select(*columns).join(NotificationRow, on=is_its).where(is_wanted)


_REFS = Statement(lambda param: select_refs(param.any_of(AttemptRow.id)))
_REFS_BY_PROVIDER_REFS = Statement(
    lambda param: select_refs(
        param.any_of(AttemptRow.provider) & param.any_of(AttemptRow.provider_ref) & (AttemptRow.provider_ref != SQL("''"))
    ).order_by(AttemptRow.started_at)
)
_SENT_WITH = Statement(lambda param: select_refs(param.any_of(AttemptRow.sent_with)).order_by(AttemptRow.id))


def _is_in_call(param: Parameters) -> Expression:
    is_it: Expression = (AttemptRow.id == param(AttemptRow.id)) | (AttemptRow.sent_with == param(AttemptRow.sent_with))
    return is_it


_IS_OVER = (EscalationRow.state == SQL("'ACKNOWLEDGED'")) | (IncidentRow.state != SQL("'OPEN'"))
"""An incident that is acknowledged for the recipient is over for a call, and so is a resolved one."""


def _calls_to_ask(param: Parameters) -> Select:
    columns = (
        AttemptRow.id.alias("attempt_id"),
        AttemptRow.notification_id,
        NotificationRow.channel,
        AttemptRow.provider,
        AttemptRow.provider_ref,
        AttemptRow.started_at,
        AttemptRow.over_at,
    )
    return (
        AttemptRow.select(*columns)
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .where(AttemptRow.over_at > param(AttemptRow.over_at), AttemptRow.over_at <= param(AttemptRow.over_at))
        .where(AttemptRow.provider_ref != SQL("''"), param.any_of(AttemptRow.provider), _IS_FREE)
        .order_by(AttemptRow.over_at)
        .limit(param(IntegerField()))
    )


def _calls_to_recall(param: Parameters) -> Select:
    carried = AttemptRow.alias()
    is_open = (
        carried.select(SQL("1"))
        .join(NotificationRow, on=(NotificationRow.id == carried.notification_id))
        .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
        .join(IncidentRow, on=(IncidentRow.id == NotificationRow.incident_id))
        .where(carried.sent_with == AttemptRow.id, ~_IS_OVER)
    )
    may_ring = (AttemptRow.result == SQL("'accepted'")) & (AttemptRow.provider_ref != SQL("''"))
    was_unheard = AttemptRow.code != SQL(f"'{UNSAID}'")
    return select_refs(param.any_of(AttemptRow.id) & may_ring & was_unheard & ~fn.EXISTS(is_open))


def _count_in_call(param: Parameters) -> Select:
    return (
        AttemptRow.select(
            NotificationRow.severity,
            fn.COUNT(AttemptRow.id).alias("carried"),
            fn.SUM(Case(None, [(_IS_OVER, SQL("1"))], SQL("0"))).alias("over"),
        )
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .join(EscalationRow, on=(EscalationRow.id == NotificationRow.escalation_id))
        .join(IncidentRow, on=(IncidentRow.id == NotificationRow.incident_id))
        .where(_is_in_call(param))
        .group_by(NotificationRow.severity)
    )


def _risen_in_call(param: Parameters) -> Select:
    return (
        AttemptRow.select(IncidentRow.id, IncidentRow.severity)
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .join(IncidentRow, on=(IncidentRow.id == NotificationRow.incident_id))
        .where(_is_in_call(param), IncidentRow.state == SQL("'OPEN'"), IncidentRow.severity != NotificationRow.severity)
        .order_by(AttemptRow.position)
    )


_RISEN_IN_CALL = Statement(_risen_in_call)
_NAMED_IN_CALL = Statement(
    lambda param: select_refs(_is_in_call(param) & (AttemptRow.is_named == SQL("TRUE"))).order_by(AttemptRow.position)
)
_COUNT_IN_CALL = Statement(_count_in_call)
_NUMBERS_TAKEN = Statement(
    lambda param: (
        AttemptRow.select(NotificationRow.lane, fn.MAX(AttemptRow.over_at).alias("until"))
        .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        .where(AttemptRow.over_at > param(AttemptRow.over_at), param.any_of(NotificationRow.lane))
        .group_by(NotificationRow.lane)
    )
)
_CALLS_TO_ASK = Statement(_calls_to_ask)
_CALLS_TO_RECALL = Statement(_calls_to_recall)
_EXPIRED_LEASES = Statement(
    lambda param: (
        select_refs(RUNNING & (AttemptRow.lease_until <= param(AttemptRow.lease_until)) & _IS_FREE)
        .order_by(AttemptRow.lease_until)
        .limit(param(IntegerField()))
    )
)


@cache
def _to_poll(waits: int) -> Statement:
    """Build the query for attempts to poll, which are polled once before their receipt is overdue and so many times later."""

    def build(param: Parameters) -> Select:
        passed = [AttemptRow.receipt_due_at <= param(AttemptRow.receipt_due_at)]
        passed += [AttemptRow.started_at <= param(AttemptRow.started_at) for _ in range(waits)]
        return (
            AttemptRow.select(
                AttemptRow.id.alias("attempt_id"),
                NotificationRow.channel,
                AttemptRow.provider,
                AttemptRow.provider_ref,
                AttemptRow.started_at,
                AttemptRow.receipt_due_at,
                AttemptRow.times_polled,
            )
            .join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
            .where(
                _IS_AWAITING_RECEIPT,
                _IS_FREE,
                AttemptRow.started_at > param(AttemptRow.started_at),
                param.any_of(AttemptRow.provider),
                AttemptRow.times_polled < reduce(add, (Case(None, [(each, SQL("1"))], SQL("0")) for each in passed)),
            )
            .order_by(AttemptRow.started_at)
            .limit(param(IntegerField()))
        )

    return Statement(build)
