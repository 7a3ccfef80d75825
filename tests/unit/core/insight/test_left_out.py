"""What is said of damaged rows that are left out."""

import pytest

from notifyflow.core.insight.left_out import LeftOut, sentence


def left_out(number: int, **values: str) -> LeftOut:
    return LeftOut(
        **{"table": "notification", "row_id": f"n{number}", "column": "state", "owner": "notification", "why": "ValueError"}
        | values
    )


@pytest.mark.parametrize(
    ("count", "are_named", "said"),
    [
        (0, True, ""),
        (1, True, "1 row is left out because it is damaged: notification n0: the column state cannot be read (ValueError). "),
        (1, False, "1 row is left out because it is damaged. "),
        (2, False, "2 rows are left out because they are damaged. "),
    ],
)
def test_the_rows_are_counted_and_named_to_those_who_may_see_all(count: int, are_named: bool, said: str) -> None:
    words = sentence([left_out(number) for number in range(count)], are_named=are_named)
    assert words.startswith(said)
    assert bool(words) == bool(said)


def test_of_many_rows_three_are_named() -> None:
    words = sentence([left_out(number) for number in range(5)])
    assert words.startswith("5 rows are left out because they are damaged: notification n0:")
    assert "notification n2:" in words
    assert "; 2 more. " in words
    assert "n3" not in words


def test_a_column_of_a_row_that_belongs_to_it_is_named_with_its_table() -> None:
    named = left_out(1, column="started_at", owner="attempt")
    assert str(named) == "notification n1: the column started_at of its attempt cannot be read (ValueError)"
