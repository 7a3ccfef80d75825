"""Calendars that we write: an independent reader reads back what was written, and no line is too long."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from ical.calendar_stream import IcsCalendarStream

from notifyflow.core.oncall.icalendar import CalendarEvent, write
from notifyflow.core.text import one_line
from tests.facts import NOW

HOUR = timedelta(hours=1)


def an_event(number: int = 0, summary: str = "Ada", description: str = "") -> CalendarEvent:
    begins_at = NOW + number * HOUR
    return CalendarEvent(
        uid=f"{number}@notifyflow", begins_at=begins_at, ends_at=begins_at + HOUR, summary=summary, description=description
    )


def written(*events: CalendarEvent, name: str = "On call") -> str:
    return write(name, events, stamp=NOW, refresh=HOUR)


@given(st.lists(st.text(max_size=200), max_size=3), st.text(max_size=200))
def test_another_reader_reads_what_was_written(summaries: list[str], name: str) -> None:
    events = [an_event(number, f"x{summary}x", description=f"y{summary}y") for number, summary in enumerate(summaries)]
    document = written(*events, name=name)
    assert all(len(line.encode()) <= 75 for line in document.split("\r\n"))
    read = IcsCalendarStream.calendar_from_ics(document)
    assert [(each.uid, each.summary, each.description) for each in read.events] == [
        (each.uid, one_line(each.summary), one_line(each.description)) for each in events
    ]
    assert [(each.dtstart, each.dtend, each.dtstamp) for each in read.events] == [
        (each.begins_at, each.ends_at, NOW) for each in events
    ]


def test_lines_are_escaped_folded_and_ended_as_the_standard_says() -> None:
    document = written(an_event(summary="a;b,c\\d\ne"), an_event(1, summary="é" * 40))
    assert "SUMMARY:a\\;b\\,c\\\\d e\r\n" in document
    assert f"SUMMARY:{'é' * 33}\r\n {'é' * 7}\r\n" in document
    assert document.startswith("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n")
    assert document.endswith("END:VEVENT\r\nEND:VCALENDAR\r\n")
    assert "\n" not in document.replace("\r\n", "")
    assert "DTSTART:20261125T030000Z\r\n" in document
    assert "REFRESH-INTERVAL;VALUE=DURATION:PT60M\r\n" in document


def test_a_calendar_without_events_has_a_component_nevertheless() -> None:
    document = written()
    assert "BEGIN:VTIMEZONE" in document
    assert IcsCalendarStream.calendar_from_ics(document).events == []


def test_an_instant_is_written_in_utc() -> None:
    (event,) = IcsCalendarStream.calendar_from_ics(written(an_event())).events
    assert event.dtstart == datetime(2026, 11, 25, 3, tzinfo=UTC)
