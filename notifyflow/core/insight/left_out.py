"""Damaged rows that a display leaves out, and their names; pure."""

from collections.abc import Collection
from dataclasses import dataclass

from notifyflow.core.text import quantity

_MOST_NAMED = 3
_FIND = "`notifyflow status --broken` names what is damaged now, `notifyflow check` finds it in all of the history"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A row that cannot be read, and is not shown.

    Attributes:
        table: The table of the row, without our prefix.
        row_id: The row's id; for a contact, the recipient's and the incident's.
        column: The first column that cannot be read.
        owner: The table that has the column: the row's own, or that of a row that belongs to it.
        why: The type of the error.
        incident_id: The row's incident; empty if it has none.
        escalation_id: The row's escalation; empty if it has none.
    """

    table: str
    row_id: str
    column: str
    owner: str
    why: str
    incident_id: str = ""
    escalation_id: str = ""

    def __str__(self) -> str:
        of = f" of its {self.owner}" if self.owner != self.table else ""
        return f"{self.table} {self.row_id}: the column {self.column}{of} cannot be read ({self.why})"


def sentence(rows: Collection[LeftOut], *, are_named: bool = True) -> str:
    """Return how many damaged rows are left out, which ones, and where all are listed; empty if none is.

    Args:
        rows: The rows.
        are_named: Whether the reader may see ids of all namespaces.
    """
    if not rows:
        return ""
    names = [str(each) for each in rows][:_MOST_NAMED] if are_named else []
    names += [f"{len(rows) - len(names)} more"] if names and len(rows) > len(names) else []
    which = f": {'; '.join(names)}" if names else ""
    are = "is left out because it is" if len(rows) == 1 else "are left out because they are"
    return f"{quantity(len(rows), 'row')} {are} damaged{which}. {_FIND}."
