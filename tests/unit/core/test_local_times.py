from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from notifyflow.core.local_times import read_time
from notifyflow.errors import InvalidRequest

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 12, 7, 11, 0, tzinfo=UTC)  # 12:00 in Berlin


def read(written: str, *, after: datetime = NOON, is_end: bool = False) -> str:
    return f"{read_time(written, BERLIN, where='until', after=after, is_end=is_end):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("18:00", "2026-12-07 17:00"),
        (" 12:00 ", "2026-12-08 11:00"),
        ("8:30", "2026-12-08 07:30"),
        ("2026-12-24", "2026-12-23 23:00"),
        ("2026-12-24 18:00", "2026-12-24 17:00"),
        ("2026-12-24T18:00:30", "2026-12-24 17:00"),
        ("2026-12-24T18:00Z", "2026-12-24 18:00"),
        ("2026-12-24T18:00-05:00", "2026-12-24 23:00"),
    ],
)
def test_a_time_is_local_unless_it_has_an_offset(written: str, instant: str):
    assert read(written) == instant


def test_a_date_that_is_an_end_is_meant_as_a_whole():
    assert read("2026-12-24", is_end=True) == "2026-12-24 23:00"
    assert read("2026-12-24 18:00", is_end=True) == "2026-12-24 17:00"


def test_a_time_of_day_that_the_clocks_skip_is_the_first_valid_instant_after_it():
    before = datetime(2027, 3, 27, 23, 0, tzinfo=UTC)
    assert read("02:30", after=before) == "2027-03-28 01:00"
    assert read("2027-10-31 02:30") == "2027-10-31 00:30"


def test_the_first_time_of_day_may_be_on_the_day_after_the_next():
    skipped = datetime(2027, 3, 28, 1, 0, tzinfo=UTC)  # 02:30 is today at 03:00, which is now
    assert read("02:30", after=skipped) == "2027-03-29 00:30"


@pytest.mark.parametrize("written", ["", "soon", "25:00", "12:60", "2026-13-01", "0001-01-01", "9999-12-31", "18", "24.12.2026"])
def test_anything_else_is_refused_with_examples(written: str):
    with pytest.raises(InvalidRequest) as caught:
        read(written, is_end=True)
    (fault,) = caught.value.faults
    assert (fault.where, fault.what) == ("until", "it is not a time")
    assert "18:00" in fault.remedy
