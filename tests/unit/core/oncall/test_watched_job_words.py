"""What is said of watched jobs, in the zone of their timetable."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.oncall import watched_job_words as words
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.core.oncall.watched_job_documents import HeartbeatDocument
from notifyflow.core.oncall.watched_jobs import Miss, declare
from tests.builders import START

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
NIGHTLY = declare(
    None, "backup", namespace="", timetable=Timetable(cron="0 3 * * *", timezone="Europe/Berlin"), methods=(), now=START
)
MISSED = replace(NIGHTLY, miss=Miss.MISSED, missed_at=START + 24 * HOUR, silent_since=START, succeeded_at=START)


def test_a_missed_job_is_named_with_its_last_success() -> None:
    assert words.title(MISSED) == "backup has not pinged since Wed 25 Nov 04:00 CET (03:00 UTC)"
    assert words.title(replace(MISSED, succeeded_at=None)) == "backup has not pinged"
    assert words.body(MISSED) == (
        "Expected: 0 3 * * * (Europe/Berlin), 1 h of grace\n"
        "Deadline: Thu 26 Nov 04:00 CET (03:00 UTC)\n"
        "Last success: Wed 25 Nov 04:00 CET (03:00 UTC)"
    )


def test_a_timetable_is_said_in_words() -> None:
    assert words.expected(Timetable(every=HOUR, grace=HOUR / 12)) == "every 1 h, 5 m of grace"


def test_a_failed_one_with_what_it_said() -> None:
    failed = replace(MISSED, miss=Miss.FAILED, exit_status=3, output="disk full", succeeded_at=None)
    assert words.title(failed) == "backup failed (exit status 3)"
    assert words.title(replace(failed, exit_status=None)) == "backup failed"
    assert words.body(failed).split("\n")[1:] == [
        "Failed: Thu 26 Nov 04:00 CET (03:00 UTC)",
        "Last success: none",
        "",
        "Its last ping said:",
        "disk full",
    ]
    assert "Deadline" not in words.body(replace(failed, missed_at=None))


def test_unknown_ones_with_when_nobody_listened() -> None:
    absence = Interval(began_at=START, ended_at=START + 3 * HOUR)
    assert words.unknown_title(["a", "b"], absence, BERLIN) == "Unknown: a and b; we could not listen from 04:00 to 07:00 CET"
    long = Interval(began_at=START, ended_at=START + 30 * HOUR)
    assert words.span(long, BERLIN) == "Wed 25 Nov 04:00 CET to Thu 26 Nov 10:00 CET"
    body = words.unknown_body([f"job-{number}" for number in range(120)], absence, BERLIN)
    assert "- job-99\n- and 20 more\n" in body
    assert "more" not in words.unknown_body(["a"], absence, BERLIN)


def test_the_end_of_a_silence_says_how_long_it_was() -> None:
    back = replace(MISSED, back_at=START + 5 * HOUR)
    assert words.back(back) == "backup succeeded Wed 25 Nov 09:00 CET (08:00 UTC), after 5 h without a success."
    assert words.back(replace(back, silent_since=None)) == "backup succeeded Wed 25 Nov 09:00 CET (08:00 UTC)."


def test_a_job_that_is_not_declared_any_more_is_named() -> None:
    assert words.removed(MISSED) == "The directory no longer declares backup: nothing is expected of it."


def test_its_document_has_its_pings() -> None:
    shown = HeartbeatDocument.at(replace(MISSED, pings=("mi1764126000",)), START + 25 * HOUR).as_json()
    assert (shown["state"], shown["expected"]) == ("missed", "0 3 * * * (Europe/Berlin), 1 h of grace")
    assert shown["pings"] == [{"at": "2025-11-26T03:00:00Z", "mark": "missed"}]
