"""Rows as the JSON that statements over sets take."""

import json
from typing import Any

import pytest

from notifyflow.core.delivery.model import NotificationState
from notifyflow.storage.session import sets
from notifyflow.storage.tables import IncidentRow, NotificationRow


def stored(model: Any, columns: tuple[str, ...], *rows: tuple[Any, ...]) -> Any:
    return json.loads(sets._json(model, columns, rows))


def test_what_no_database_stores_is_replaced_in_one_row_and_its_neighbours_stay_as_they_are() -> None:
    titles = ["plain", "a\0b", "lone \ud800", "\N{SLIGHTLY SMILING FACE}", r"\u0000 \ud800"]
    found = stored(IncidentRow, ("id", "content_title"), *((f"i-{place}", title) for place, title in enumerate(titles)))
    assert [title for _, title in found] == ["plain", "a\ufffdb", "lone ?", "\N{SLIGHTLY SMILING FACE}", r"\u0000 \ud800"]


def test_a_state_that_no_machine_has_is_refused() -> None:
    columns = ("id", "state", "due_at")
    assert stored(NotificationRow, columns, ("a", NotificationState.SENT, None)) == [["a", "SENT", None]]
    with pytest.raises(ValueError, match="LOUD"):
        stored(NotificationRow, columns, ("a", NotificationState.SENT, None), ("b", "LOUD", None))
