"""Conditions of frequent searches.

A database uses a partial index only if the query repeats its condition literally, not as a parameter: hence the SQL below.
"""

from typing import Any

from peewee import SQL, Case, Expression, Field, fn

from notifyflow.storage.session.statements import finds
from notifyflow.storage.tables import AttemptRow, IncidentRow, NotificationRow, QuarantineRow, SetAsideRow

IS_UNRESOLVED = IncidentRow.state != SQL("'RESOLVED'")
QUEUED = NotificationRow.state == SQL("'QUEUED'")
RUNNING = AttemptRow.state == SQL("'RUNNING'")
URGENCY = Case(None, [(NotificationRow.severity == SQL("'CRITICAL'"), SQL("0"))], SQL("1"))  # as the indexes have it
IS_URGENT: Expression = SQL("0") == URGENCY
IS_CALM: Expression = SQL("1") == URGENCY
IS_ANY: Expression = URGENCY.in_((SQL("0"), SQL("1")))  # lets the time be searched in an index that has the urgency before it


def is_in_quarantine(incident_id: Field) -> Any:
    """Return the condition that an incident is quarantined."""
    return fn.EXISTS(QuarantineRow.select(SQL("1")).where(QuarantineRow.incident_id == incident_id))


def is_aside(row_id: Any) -> Any:
    """Return the condition that a row is set aside now."""
    return finds(SetAsideRow.select(SQL("1")).where(SetAsideRow.row_id == row_id, SetAsideRow.is_aside))


def is_free(model: Any) -> Expression:
    """Return the condition that rows are neither quarantined nor set aside.

    The indexes of the searches begin with the mark, so that no search walks rows quarantined at adoption. Rows that such an
    incident got later have no mark.
    """
    free: Expression = (model.is_quarantined == SQL("FALSE")) & ~is_in_quarantine(model.incident_id) & ~is_aside(model.id)
    return free
