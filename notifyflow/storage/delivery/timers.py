"""The searches for timers: due decisions, rounds and steps, and the next timer to end."""

from collections.abc import Iterator
from functools import reduce
from typing import Any

from peewee import SQL, Expression, Field, IntegerField, Select, fn

from notifyflow.storage.session.conditions import (
    IS_CALM,
    IS_UNRESOLVED,
    IS_URGENT,
    QUEUED,
    RUNNING,
    is_aside,
    is_free,
    is_in_quarantine,
)
from notifyflow.storage.session.statements import Parameters, Statement
from notifyflow.storage.tables import (
    AttemptRow,
    EscalationRow,
    IncidentRow,
    NotificationRow,
    PausedIntervalRow,
    SetAsideRow,
    SilenceRow,
    StepRow,
)

_IS_FREE = is_free(NotificationRow)
_IS_ESCALATION_FREE = is_free(EscalationRow)

ESCALATIONS_DUE = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.incident_id, EscalationRow.id)
        .where(
            EscalationRow.next_decision_at <= param(EscalationRow.next_decision_at), EscalationRow.is_current, _IS_ESCALATION_FREE
        )
        .order_by(EscalationRow.next_decision_at)
        .limit(param(IntegerField()))
    )
)
ROUNDS_DUE = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.incident_id, fn.MIN(EscalationRow.next_round_at))
        .where(EscalationRow.next_round_at <= param(EscalationRow.next_round_at), EscalationRow.is_current, _IS_ESCALATION_FREE)
        .group_by(EscalationRow.incident_id)
        .order_by(fn.MIN(EscalationRow.next_round_at))
        .limit(param(IntegerField()))
    ),
    columns=(EscalationRow.incident_id, EscalationRow.next_round_at),
)


ROUNDS_DUE_OF = Statement(
    lambda param: (
        EscalationRow.select(EscalationRow.id)
        .where(
            EscalationRow.incident_id == param(EscalationRow.incident_id),
            EscalationRow.next_round_at <= param(EscalationRow.next_round_at),
            EscalationRow.is_current,
            _IS_ESCALATION_FREE,
        )
        .order_by(EscalationRow.id)
    )
)


def _union_of(*searches: Select) -> Any:
    """Join searches, each along its own index."""
    parts: Iterator[Any] = (Select(from_list=[each.alias("part")], columns=[SQL("*")]) for each in searches)
    return reduce(lambda union, part: union.union_all(part), parts)


def _incidents_due(param: Parameters) -> Any:
    """Search for incidents whose round or step is due, and for one silence whose end was not carried out, if there is any."""
    is_incident, is_silence = SQL("FALSE"), SQL("TRUE")
    rounds = IncidentRow.select(IncidentRow.id, is_incident).where(
        IncidentRow.round_at <= param(IncidentRow.round_at), *_HAS_ROUND
    )
    rounds = rounds.order_by(IncidentRow.round_at).limit(param(IntegerField()))
    steps = StepRow.select(StepRow.incident_id, is_incident).where(StepRow.due_at <= param(StepRow.due_at), _IS_STEP_FREE)
    standing = (SilenceRow.due_at.is_null(is_null=False), ~is_aside(SilenceRow.id))
    silences = SilenceRow.select(SilenceRow.id, is_silence).where(*standing).limit(1)
    return _union_of(rounds, steps.order_by(StepRow.due_at).limit(param(IntegerField())), silences)


def _earliest(param: Parameters) -> Any:
    """Search for the earliest timer of each kind."""
    del param

    def first(timer: Field, *where: Expression | Field) -> Any:
        query: Any = timer.model.select(timer)
        if timer.model is AttemptRow:
            query = query.join(NotificationRow, on=(NotificationRow.id == AttemptRow.notification_id))
        return query.where(timer.is_null(is_null=False), *where).order_by(timer).limit(1)

    is_unrung = (QUEUED, NotificationRow.rung_at.is_null(), _IS_FREE)
    is_current = (EscalationRow.is_current, _IS_ESCALATION_FREE)
    return _union_of(
        first(NotificationRow.due_at, *is_unrung, IS_URGENT),
        first(NotificationRow.due_at, *is_unrung, IS_CALM),
        first(AttemptRow.lease_until, RUNNING, _IS_FREE),
        first(EscalationRow.next_decision_at, *is_current),
        first(EscalationRow.next_round_at, *is_current),
        first(IncidentRow.round_at, *_HAS_ROUND),
        first(StepRow.due_at, _IS_STEP_FREE),
        first(SetAsideRow.until, SetAsideRow.is_aside),
        first(SilenceRow.due_at, ~is_aside(SilenceRow.id)),
    )


_HAS_ROUND = (IS_UNRESOLVED, ~is_in_quarantine(IncidentRow.id), ~is_aside(IncidentRow.id))
_IS_STEP_FREE = ~is_in_quarantine(StepRow.incident_id) & ~is_aside(StepRow.incident_id)
INCIDENTS_DUE = Statement(_incidents_due, columns=(IncidentRow.id, PausedIntervalRow.is_for_critical.alias("is_silence")))
EARLIEST = Statement(_earliest, columns=(NotificationRow.due_at,))
