"""What a ping changes, when a missing one is a miss, and what is unknown because nobody could listen."""

from datetime import UTC, datetime, timedelta

import pytest

from notifyflow.core.copies import replace
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.oncall import watched_jobs
from notifyflow.core.oncall.pings import SHOWN, Mark, Ping, Signal, read_entries
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.core.oncall.watched_jobs import (
    CATCH_UP,
    IN_FLIGHT,
    JobState,
    Listening,
    LookEffect,
    Miss,
    WatchedJob,
    declare,
    look,
    receive,
    remove,
    state,
)
from tests.builders import START

MINUTE = timedelta(minutes=1)
HOURLY = Timetable(every=60 * MINUTE, grace=10 * MINUTE)
DUE = 70.0


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def a_job(timetable: Timetable = HOURLY) -> WatchedJob:
    return declare(None, "backup", namespace="", timetable=timetable, methods=(), now=START)


def ping(job: WatchedJob, minutes: float, signal: Signal = Signal.SUCCESS, **fields: object) -> WatchedJob:
    return receive(job, Ping(signal=signal, at=at(minutes), **fields))  # type: ignore[arg-type]


def always(minutes: float) -> Listening:
    return Listening(noted_at=at(minutes))


def see(job: WatchedJob, minutes: float, *absences: tuple[float, float]) -> tuple[WatchedJob, LookEffect | None]:
    """Look at a job while the web service listens, after some absences."""
    past = [Interval(began_at=at(begin), ended_at=at(end)) for begin, end in absences]
    found = look(job, Listening(noted_at=at(minutes), absences=past), now=at(minutes))
    return found.after, found.effect


def marks(job: WatchedJob) -> list[Mark]:
    return [mark for _, mark in read_entries(job.pings)]


def test_a_declared_job_is_missed_after_its_time_and_grace_and_not_before() -> None:
    job = a_job()
    assert (job.due_at, job.wake_at) == (at(DUE), at(DUE) + IN_FLIGHT)
    assert see(job, DUE) == (job, None)
    missed, effect = see(job, DUE + 0.1)
    assert (effect, missed.miss, missed.missed_at, missed.silent_since) == (LookEffect.TELL, Miss.MISSED, at(DUE), START)
    assert (missed.misses, marks(missed), missed.is_untold) == (1, [Mark.MISSED], False)


def test_a_success_moves_the_deadline_and_nothing_else_does() -> None:
    job = ping(a_job(), 30)
    assert job.due_at == at(100)
    assert ping(job, 40, Signal.LOG).due_at == at(100)
    assert ping(job, 95, Signal.START).due_at == at(100)
    assert ping(job, 95, Signal.FAIL).due_at == at(100)
    assert ping(job, 29).due_at == at(100)  # committed after a later one


def test_a_start_adds_an_earlier_deadline_and_another_does_not_postpone_it() -> None:
    job = ping(ping(a_job(), 20, Signal.START), 25, Signal.START)
    assert job.due_at == at(30)
    assert ping(job, 28).due_at == at(98)
    missed, effect = see(job, 31)
    assert (effect, missed.missed_at, missed.due_at) == (LookEffect.TELL, at(30), at(DUE))


def test_each_run_has_its_own_deadline_and_a_success_without_an_id_ends_all() -> None:
    job = ping(ping(a_job(), 20, Signal.START, run_id="a"), 25, Signal.START, run_id="b")
    assert ping(job, 26, run_id="a").due_at == at(35)
    assert ping(ping(job, 26, run_id="b"), 27, run_id="b").due_at == at(30)
    assert ping(job, 26).due_at == at(96)
    for number in range(40):
        job = ping(job, 26, Signal.START, run_id=str(number))
    assert len(job.runs) == 20


def test_a_failure_is_a_miss_at_once_and_a_success_ends_it() -> None:
    job = ping(ping(a_job(), 20), 30, Signal.FAIL, exit_status=3, output="disk full")
    assert (job.wake_at, job.miss, job.exit_status, job.output) == (at(30), Miss.FAILED, 3, "disk full")
    told, effect = see(job, 30)
    assert (effect, told.is_untold, told.misses, state(told, at(30))) == (LookEffect.TELL, False, 1, JobState.FAILED)
    told = replace(told, incident_id="i1")
    back = ping(told, 35)
    assert (back.wake_at, back.back_at, back.silent_since) == (at(35), at(35), at(20))
    well, effect = see(back, 35)
    assert (effect, well.miss, well.incident_id, well.due_at) == (LookEffect.RESOLVE, None, None, at(105))
    assert marks(well) == [Mark.ON_TIME, Mark.FAILED, Mark.LATE]


def test_a_success_before_the_failure_is_told_leaves_both_to_tell() -> None:
    job = ping(ping(a_job(), 30, Signal.FAIL), 31)
    told, effect = see(job, 32)
    assert (effect, told.back_at, told.wake_at) == (LookEffect.TELL, at(31), at(31))
    assert see(told, 32)[1] is LookEffect.RESOLVE
    down = ping(told, 33, Signal.FAIL)
    assert (down.back_at, down.is_untold, down.missed_at) == (None, True, at(33))


def test_a_miss_goes_on_until_a_success_and_is_counted_again_at_each_deadline() -> None:
    job, _ = see(a_job(), DUE + 1)
    job = replace(job, incident_id="i1")
    assert job.due_at == at(DUE + 60)
    assert see(job, DUE + 59) == (replace(job, wake_at=job.due_at + IN_FLIGHT), None)
    again, effect = see(job, DUE + 61)
    assert (effect, again.incident_id, again.misses, again.silent_since) == (LookEffect.TELL, "i1", 2, START)
    assert see(job, 10_000)[0].due_at > at(10_000) - IN_FLIGHT


def test_a_late_success_before_any_sweep_is_told_as_a_miss_and_its_end() -> None:
    job = ping(a_job(), DUE + 5)
    assert (job.miss, job.back_at, job.wake_at, marks(job)) == (None, at(DUE + 5), at(DUE + 5), [Mark.LATE])
    told, effect = see(job, DUE + 6)
    assert (effect, marks(told)) == (LookEffect.TELL, [Mark.LATE])
    assert see(told, DUE + 6)[1] is LookEffect.RESOLVE


def test_what_came_due_while_nobody_listened_is_never_missed() -> None:
    job = a_job()
    waits, effect = see(job, 90, (60, 89))
    assert (effect, waits.wake_at, state(waits, at(90))) == (None, at(89) + CATCH_UP, JobState.LATE)
    unknown, effect = see(waits, 105, (60, 89))
    assert (effect, unknown.miss, unknown.misses, marks(unknown)) == (LookEffect.TELL, Miss.UNKNOWN, 0, [Mark.UNKNOWN])
    assert unknown.due_at == at(130)
    assert (state(unknown, at(105)), see(unknown, 131, (60, 89))[0].miss) == (JobState.UNKNOWN, Miss.MISSED)


def test_a_miss_before_nobody_listened_leaves_what_came_due_then_excused() -> None:
    job = ping(a_job(), DUE + 1)  # late, and no sweep has seen it
    assert job.due_at == at(DUE + 71)
    missed, effect = see(job, DUE + 75, (DUE + 60, DUE + 72))
    assert (effect, missed.missed_at, missed.due_at) == (LookEffect.TELL, at(DUE), at(DUE + 131))
    frequent = ping(a_job(Timetable(every=5 * MINUTE, grace=2 * MINUTE)), 8)
    missed, _ = see(frequent, 20, (13, 17))
    assert (missed.missed_at, missed.due_at) == (at(7), at(35))


def test_the_incident_of_an_unknown_job_says_when_nobody_listened() -> None:
    waits, _ = see(a_job(), 90, (60, 89))
    found = look(waits, Listening(noted_at=at(105), absences=[Interval(began_at=at(60), ended_at=at(89))]), now=at(105))
    assert found.absence == Interval(began_at=at(60), ended_at=at(89))


def test_a_job_that_pings_as_soon_as_it_can_is_well() -> None:
    waits, _ = see(a_job(), 90, (60, 89))
    well, effect = see(ping(waits, 95), 95, (60, 89))
    assert (effect, well.miss, well.due_at, marks(well)) == (None, None, at(165), [Mark.LATE])


def test_one_whose_incident_is_open_from_before_is_resolved_then() -> None:
    job = replace(see(a_job(), DUE + 1)[0], incident_id="i1")
    waits, _ = see(job, 140, (120, 139))
    back, effect = see(ping(waits, 145), 145, (120, 139))
    assert (effect, back.incident_id) == (None, "i1")
    assert see(back, 145, (120, 139))[1] is LookEffect.RESOLVE


def test_while_nobody_listens_nothing_is_judged() -> None:
    found = look(a_job(), Listening(noted_at=at(60)), now=at(100))
    assert (found.effect, len(found.after.passed), found.after.wake_at) == (None, 1, at(101))
    assert look(a_job(), Listening(noted_at=None), now=at(100)).effect is None


def test_deadlines_within_a_quarter_of_an_hour_after_an_absence_are_excused_too() -> None:
    job = a_job(Timetable(every=2 * MINUTE, grace=MINUTE))
    waiting, effect = see(job, 8, (0, 4))
    assert (effect, waiting.wake_at) == (None, at(4) + CATCH_UP)
    assert (waiting.unheard_from, waiting.judged_from) == (at(1), at(3))
    unknown, effect = see(waiting, 19.5, (0, 4))
    assert (effect, unknown.miss, unknown.missed_at) == (LookEffect.TELL, Miss.UNKNOWN, at(3))


def test_a_time_without_a_note_that_did_not_touch_it_excuses_nothing() -> None:
    assert see(a_job(), DUE + 1, (10, 49.9))[0].miss is Miss.MISSED
    assert see(a_job(), DUE + 1, (10, 50.1))[0].miss is Miss.UNKNOWN


def test_a_changed_timetable_counts_from_its_load() -> None:
    job = ping(a_job(), 30)
    same = declare(job, "backup", namespace="team", timetable=HOURLY, methods=("POST",), now=at(50))
    assert (same.due_at, same.namespace, same.takes("GET"), same.takes("POST")) == (at(100), "team", False, True)
    daily = declare(job, "backup", namespace="", timetable=Timetable(every=24 * 60 * MINUTE), methods=(), now=at(50))
    assert (daily.due_at, daily.declared_at, daily.takes("HEAD")) == (at(50 + 25 * 60), at(50), True)


def test_a_deadline_that_had_passed_before_the_load_is_told_all_the_same() -> None:
    late = declare(a_job(), "backup", namespace="", timetable=Timetable(every=24 * 60 * MINUTE), methods=(), now=at(DUE + 2))
    assert see(late, DUE + 2)[1] is LookEffect.TELL


def test_a_removed_job_is_only_removed_and_may_come_back() -> None:
    gone = remove(ping(a_job(), 30, Signal.FAIL), now=at(40))
    assert (gone.wake_at, see(gone, 40)[1]) == (at(40), LookEffect.REMOVE)
    again = declare(gone, "backup", namespace="", timetable=HOURLY, methods=(), now=at(50))
    assert (again.removed_at, again.expected_at) == (None, at(110))


def test_the_last_pings_are_kept_to_the_second() -> None:
    job = a_job()
    for minute in range(150):
        job = ping(job, minute, Signal.LOG)
    assert len(job.pings) == SHOWN
    assert read_entries(job.pings)[-1] == (at(149), Mark.LOGGED)


@pytest.mark.parametrize(
    ("job", "minutes", "expected"),
    [
        (a_job(), 10, JobState.NEW),
        (ping(a_job(), 10), 11, JobState.UP),
        (ping(a_job(), 10), 71, JobState.LATE),
        (ping(a_job(), 10, Signal.START), 11, JobState.RUNNING),
    ],
)
def test_a_job_that_is_not_missed_is_new_up_running_or_late(job: WatchedJob, minutes: float, expected: JobState) -> None:
    assert state(job, at(minutes)) is expected


def test_its_key_is_reserved() -> None:
    assert (a_job().key, watched_jobs.UNKNOWN_KEY) == ("heartbeat/backup", "heartbeat/unknown/{route}")


def test_a_deadline_is_judged_once_it_is_known_whether_anybody_listened_at_it() -> None:
    job, begin, due_s = a_job(), DUE - 8 / 60, timedelta(seconds=1)
    early = look(job, Listening(noted_at=at(begin)), now=at(DUE + 0.1))
    assert (early.effect, early.after.wake_at) == (None, at(DUE + 0.1) + due_s)
    assert look(early.after, Listening(noted_at=at(DUE + 0.1)), now=at(DUE + 0.2)).effect is LookEffect.TELL
    absence = Interval(began_at=at(begin), ended_at=at(DUE + 0.15))
    late = look(early.after, Listening(noted_at=at(DUE + 0.15), absences=[absence]), now=at(DUE + 0.2))
    assert (late.effect, late.after.wake_at) == (None, at(DUE + 0.15) + CATCH_UP)


def test_under_a_changed_timetable_a_run_counts_from_its_load() -> None:
    job = ping(ping(a_job(), 5), 30, Signal.START, run_id="a")
    changed = declare(job, "backup", namespace="", timetable=replace(HOURLY, grace=2 * MINUTE), methods=(), now=at(35))
    assert (changed.due_at, changed.passed) == (at(37), ())
    assert ping(changed, 36, run_id="a").due_at == at(98)


def test_a_damaged_entry_of_the_last_pings_is_left_out() -> None:
    assert read_entries(["zz1", "on", "onx", "", "on60"]) == [(datetime.fromtimestamp(60, UTC), Mark.ON_TIME)]
