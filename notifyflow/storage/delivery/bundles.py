"""Counts what messages carried."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from peewee import SQL, fn

from notifyflow.storage.session.statements import Run, Statement
from notifyflow.storage.tables import AttemptRow

_CARRIED = Statement(
    lambda param: (
        AttemptRow.select(AttemptRow.sent_with, fn.COUNT(SQL("1")).alias("carried"))
        .where(param.any_of(AttemptRow.sent_with))
        .group_by(AttemptRow.sent_with)
    )
)


def count_carried(read: Callable[[Run], list[dict[str, Any]]], calls: Collection[str]) -> Mapping[str, int]:
    """Return how many attempts each of some calls carried, by the attempt that made it; a call that carried one is left out."""
    return {row["sent_with"]: row["carried"] for row in read(_CARRIED(sorted(calls)))} if calls else {}
