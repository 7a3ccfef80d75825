"""Decision records have a status and a date."""

import re
from pathlib import Path

import pytest

RECORDS = sorted((Path(__file__).parents[2] / "docs" / "adr").glob("*.rst"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_has_its_number_a_topic_a_status_and_a_date(record: Path) -> None:
    number = record.name[:4]
    assert re.match(
        rf"{number}: .+\n=+\n\n:Status: (proposed|accepted|superseded by \d{{4}})\n:Date: \d{{4}}-\d\d-\d\d\n\n",
        record.read_text(),
    )


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(len(RECORDS)))
