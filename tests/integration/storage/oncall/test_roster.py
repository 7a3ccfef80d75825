"""The roster as rows: what each change of it leaves for every process."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from notifyflow.core.oncall.roster import EMPTY, Roster
from notifyflow.core.oncall.schedules import Calendar, DutyReason, Override, Shift
from notifyflow.pipeline.oncall.roster import Kept, store_directory
from notifyflow.pipeline.upkeep.forget import forget
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.oncall.roster import StoredCalendar
from notifyflow.storage.store import Store
from tests.builders import HandClock
from tests.driver import Driver
from tests.integration.storage.upkeep.test_forgetting import dump

DIRECTORY = """
# Ada's husband answers at night
[recipients.ada]
name = "Ada Lovelace"
email = "ada@example.com"
[recipients.ben]
phone = "+15005550006"
[default]
to = ["@legacy"]
[schedules.legacy]
ical = "https://calendar.example.com/secret.ics"
"""
OTHER = DIRECTORY.replace("ben", "cy")
HOUR = timedelta(hours=1)


class Rows:
    """A driver, with shorthands for what is stored of the roster."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.driver = Driver(store)
        self.clock: HandClock = self.driver.clock

    def keep(self, document: str, *, hours: int = 0) -> Kept:
        return store_directory(self.driver.deps, document, changed_at=self.clock.now() + hours * HOUR)

    @property
    def roster(self) -> Roster:
        return self.store.read(lambda reads: reads.roster.current())

    @property
    def people(self) -> list[str]:
        return list(self.roster.directory.recipients)

    def claim(self, source: str = "s") -> StoredCalendar | None:
        now = self.clock.now()
        return self.store.run(lambda ledger: ledger.roster.claim_calendar("legacy", source, before=now - HOUR, now=now))

    def claims(self, source: str = "s") -> bool:
        return self.claim(source) is not None

    def put_shifts(self, claimed: StoredCalendar | None, *people: str) -> None:
        assert claimed is not None
        now = self.clock.now()
        shift = Shift(people=people, begins_at=now, ends_at=now + HOUR, why=DutyReason.CALENDAR)
        calendar = Calendar(schedule="legacy", shifts=(shift,), fetched_at=now)
        self.store.run(lambda ledger: ledger.roster.put_shifts(claimed, calendar, etag="e", last_modified="m"))

    @property
    def calendar(self) -> StoredCalendar:
        return self.store.read(lambda reads: reads.roster.calendars())["legacy"]

    def override(self, override_id: str, *, hours: int) -> Override:
        now = self.clock.now()
        span = {"begins_at": now, "ends_at": now + hours * HOUR, "made_at": now}
        return Override(id=override_id, schedule="legacy", people=("ben", "ada"), instead_of="ada", made_by="cy", **span)

    def on_duty(self) -> tuple[str, ...]:
        roster = self.roster
        return roster.on_duty(roster.directory.schedules["legacy"], self.clock.now()).people


@pytest.fixture
def rows(store: Store) -> Rows:
    return Rows(store)


def test_without_a_row_nobody_is_known(rows: Rows) -> None:
    assert rows.roster is EMPTY


def test_a_directory_is_read_back_as_it_was_without_its_comments(rows: Rows, database_url: str) -> None:
    assert rows.keep(DIRECTORY) is Kept.STORED
    assert rows.roster.directory.recipients["ada"].email == "ada@example.com"
    assert rows.roster.directory.schedules["legacy"].ical == "https://calendar.example.com/secret.ics"
    assert "husband" not in dump(database_url)


def test_the_newer_of_two_files_is_used_whoever_reads_one_last(rows: Rows) -> None:
    rows.keep(DIRECTORY)
    assert rows.keep(OTHER, hours=-1) is Kept.OLDER
    assert rows.people == ["ada", "ben"]
    rows.clock.pass_time(2 * HOUR)
    assert rows.keep(DIRECTORY, hours=-1) is Kept.KNOWN  # as it was, and written an hour later
    assert rows.keep(OTHER, hours=-2) is Kept.OLDER
    assert rows.keep(DIRECTORY, hours=-2) is Kept.KNOWN
    assert rows.keep(OTHER) is Kept.STORED
    assert rows.people == ["ada", "cy"]


def test_a_file_of_the_future_holds_up_no_later_one(rows: Rows) -> None:
    rows.keep(DIRECTORY, hours=1000)
    rows.clock.pass_time(timedelta(seconds=1))
    assert rows.keep(OTHER) is Kept.STORED


def test_a_roster_that_is_known_is_read_with_one_statement(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.keep(DIRECTORY)
    known = rows.roster

    def current(ledger: Ledger) -> tuple[Roster, Sequence[str]]:
        statements: list[str] = []
        execute = ledger._unit.db.execute_sql
        monkeypatch.setattr(ledger._unit.db, "execute_sql", lambda sql, *some: (statements.append(sql), execute(sql, *some))[1])
        return ledger.roster.current(), statements

    found, statements = rows.store.run(current)
    monkeypatch.undo()
    assert found is known
    assert len(statements) == 1


def test_a_calendar_is_claimed_once_until_it_is_due_or_has_another_url(rows: Rows) -> None:
    assert [rows.claims(), rows.claims()] == [True, False]
    assert [rows.claims("other"), rows.claims("other")] == [True, False]
    rows.clock.pass_time(HOUR)
    assert [rows.claims("other"), rows.claims("other")] == [True, False]


def test_the_first_fetch_of_a_day_is_one_as_if_nothing_was_known(rows: Rows) -> None:
    rows.clock.at = rows.clock.at.replace(hour=22, minute=30)
    rows.put_shifts(rows.claim(), "ada")
    rows.clock.pass_time(HOUR)
    again = rows.claim()
    assert again is not None
    assert (again.etag, again.last_modified) == ("e", "m")
    rows.clock.pass_time(HOUR)
    anew = rows.claim()
    assert anew is not None
    assert (anew.etag, anew.last_modified, anew.fetched_at) == ("", "", again.fetched_at)


def test_what_a_calendar_said_stays_while_it_cannot_be_read(rows: Rows) -> None:
    rows.keep(DIRECTORY)
    claimed = rows.claim()
    assert rows.on_duty() == ()
    rows.put_shifts(claimed, "ada")
    assert rows.on_duty() == ("ada",)
    assert claimed is not None
    rows.store.run(lambda ledger: ledger.roster.note_fault(claimed, "404"))
    assert rows.claims("other")
    assert rows.on_duty() == ("ada",)
    rows.clock.pass_time(HOUR)
    assert rows.on_duty() == ()
    rows.clock.pass_time(60 * 24 * HOUR)
    assert rows.on_duty() == ("ada",)
    assert (rows.calendar.source, rows.calendar.etag, rows.calendar.last_modified, rows.calendar.fault) == (
        "other",
        "",
        "",
        "404",
    )


def test_a_calendar_that_says_the_same_was_read_all_the_same(rows: Rows) -> None:
    rows.keep(DIRECTORY)
    rows.put_shifts(rows.claim(), "ada")
    rows.clock.pass_time(HOUR / 2)
    rows.store.run(lambda ledger: ledger.roster.confirm_calendar(rows.calendar, at=rows.clock.now()))
    assert rows.roster.calendars["legacy"].fetched_at == rows.clock.now()
    assert rows.on_duty() == ("ada",)


def test_calendars_are_read_again_with_another_directory_and_deleted_with_their_schedule(rows: Rows) -> None:
    rows.keep(DIRECTORY)
    claimed = rows.claim()
    rows.put_shifts(claimed, "ada")
    rows.keep(OTHER)
    rows.put_shifts(claimed, "cy")  # read with the directory before
    assert rows.on_duty() == ("ada",)
    assert rows.claims()
    rows.store.run(lambda ledger: ledger.roster.keep_calendars(["legacy"]))
    assert rows.on_duty() == ("ada",)
    rows.store.run(lambda ledger: ledger.roster.keep_calendars([]))
    assert rows.on_duty() == ()


def test_overrides_are_in_force_until_they_are_cancelled_and_kept_until_they_are_pruned(rows: Rows) -> None:
    first, second = rows.override("o1", hours=1), rows.override("o2", hours=3)
    rows.store.run(lambda ledger: ledger.roster.lock())
    rows.store.run(lambda ledger: ledger.roster.add_overrides([first, second]))
    assert rows.roster.overrides == (first, second)
    now = rows.clock.now()
    rows.store.run(lambda ledger: ledger.roster.cancel_override("o1", at=now, by="dan"))
    assert rows.roster.overrides == (second,)
    stored = rows.store.read(lambda reads: reads.roster.overrides(since=now))
    assert [(each.override.id, each.cancelled_at, each.cancelled_by) for each in stored] == [
        ("o1", now, "dan"),
        ("o2", None, None),
    ]
    found = rows.store.run(lambda ledger: (ledger.roster.override("o2"), ledger.roster.override("o3")))
    assert found == (stored[1], None)
    for hours, left in ((0, 2), (2, 1), (3, 0)):
        rows.store.run(lambda ledger, before=now + hours * HOUR: ledger.roster.prune_overrides(before=before))
        assert len(rows.store.read(lambda reads: reads.roster.overrides(since=now - HOUR))) == left
    assert rows.roster.overrides == ()


def test_somebody_who_is_forgotten_is_taken_out_until_the_file_has_another_text(rows: Rows, database_url: str) -> None:
    rows.keep(DIRECTORY)
    assert forget(rows.driver.deps, "ada").is_known
    assert rows.people == ["ben"]
    assert [mark for mark in ("Lovelace", "ada@example.com") if mark in dump(database_url)] == []
    rows.clock.pass_time(HOUR)
    assert rows.keep(DIRECTORY) is Kept.KNOWN
    assert rows.people == ["ben"]
    assert not forget(rows.driver.deps, "ada").is_known
    assert rows.keep(OTHER) is Kept.STORED
    assert rows.people == ["ada", "cy"]
