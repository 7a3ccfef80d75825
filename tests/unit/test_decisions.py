"""Decision records have a status and a date."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
RECORDS = sorted((TOP / "docs" / "adr").glob("*.rst"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda path: path.stem)
def test_a_decision_has_its_number_a_topic_a_status_and_a_date(record: Path) -> None:
    number = record.name[:4]
    assert re.match(
        rf"{number}: .+\n=+\n\n:Status: (proposed|accepted|superseded by \d{{4}})\n:Date: \d{{4}}-\d\d-\d\d\n\n",
        record.read_text(),
    )


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(len(RECORDS)))


def test_the_index_says_of_each_decision_whether_it_holds_and_which_modules_it_explains() -> None:
    rows = re.findall(
        r"^   \* - :doc:`(\d{4}) <([\w-]+)>`\n     - (.+)\n     - (.+)\n     - (.+)\n", RECORDS[0].read_text(), re.MULTILINE
    )
    for (number, stem, decision, today, modules), record in zip(rows, RECORDS[1:], strict=True):
        title, status = re.findall(r"^\d{4}: (.+)\n=+\n\n:Status: (.+)\n", record.read_text())[0]
        assert (number, stem, decision) == (record.name[:4], record.stem, title)
        assert today.startswith(status.replace("accepted", "holds").replace("superseded by", "replaced by"))
        named = re.findall(r"``([\w/]+\.py)``", modules)
        assert named
        assert [each for each in named if not (TOP / "notifyflow" / each).exists()] == []
