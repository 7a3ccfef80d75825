"""How times are written: in the reader's zone, with a date and UTC where they are needed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from notifyflow.core.insight.times import Times

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = datetime(2026, 11, 28, 2, 12, 5, tzinfo=UTC)


def test_a_date_is_written_only_where_it_is_another_than_that_of_the_beginning() -> None:
    times = Times(BERLIN, NIGHT, NIGHT)
    assert times.brief(NIGHT + timedelta(hours=20)) == "23:12:05"
    assert times.brief(NIGHT + timedelta(hours=21)) == "Sun 29 Nov 00:12:05"
    assert Times(BERLIN, NIGHT).brief(NIGHT) == "Sat 28 Nov 03:12:05"


def test_a_time_is_written_with_its_zone_and_with_utc_if_that_is_another() -> None:
    assert Times(BERLIN, NIGHT).local(NIGHT) == "Sat 28 Nov 03:12:05 CET"
    assert Times(BERLIN, NIGHT).full(NIGHT) == "Sat 28 Nov 03:12:05 CET (02:12:05 UTC)"
    before = NIGHT - timedelta(hours=3)
    assert Times(BERLIN, NIGHT).full(before) == "Sat 28 Nov 00:12:05 CET (Fri 27 Nov 23:12:05 UTC)"
    assert Times(UTC, NIGHT).full(NIGHT) == "Sat 28 Nov 02:12:05 UTC"


def test_the_year_is_written_unless_it_is_that_of_the_reader() -> None:
    assert Times(UTC, None).local(NIGHT) == "Sat 28 Nov 2026 02:12:05 UTC"
    assert Times(UTC, NIGHT + timedelta(days=365)).local(NIGHT) == "Sat 28 Nov 2026 02:12:05 UTC"
