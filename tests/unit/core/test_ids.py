from datetime import UTC, datetime, timedelta

from notifyflow.app.clock_and_ids import RandomIds
from notifyflow.core.ids import lowest
from tests.builders import START, HandClock


def test_ids_that_are_made_at_an_instant_lie_between_its_lowest_and_the_next():
    made = RandomIds(HandClock()).new()
    assert lowest(START) <= made < lowest(START + timedelta(milliseconds=1))


def test_no_id_was_made_before_1970():
    assert lowest(datetime(1901, 1, 1, tzinfo=UTC)) == "0" * 32
