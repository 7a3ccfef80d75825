"""Random jobs, pings, zones, outages and sweeps: no miss is told that was none, and none that was one is left out.

A second account of the whole history (``tests/watched_job_oracle.py``) says which deadlines were truly missed.
"""

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.oncall.pings import Ping, Signal
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.core.oncall.watched_jobs import IN_FLIGHT, Listening, LookEffect, Miss, WatchedJob, declare, look, receive
from tests.watched_job_oracle import CATCH_UP, MINUTE, Silence, Span, Stored, silences

STARTS = tuple(datetime(2026, *each, tzinfo=UTC) for each in ((3, 28, 18), (4, 4, 4), (10, 3, 4), (10, 24, 18)))
"""Before clocks change in Europe, or on Lord Howe Island by half an hour."""
LASTS = timedelta(hours=40)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
SIGNALS = {"success": Signal.SUCCESS, "start": Signal.START, "fail": Signal.FAIL}


@dataclass
class History:
    """What happens to a job, and what is told of it.

    Attributes:
        tries: The pings that the job tries to send.
        absences: When no ping can be committed.
        sweeps: When a sweeper looks.
        told: What was told: when, what, and of which deadline.
    """

    timetable: Timetable
    start: datetime
    tries: list[Stored]
    absences: list[Span]
    sweeps: list[datetime]
    stored: list[Stored] = field(default_factory=list)
    told: list[tuple[datetime, Miss, datetime]] = field(default_factory=list)

    def run(self) -> None:
        """Play it."""
        job = declare(None, "job", namespace="", timetable=self.timetable, methods=(), now=self.start)
        events: list[tuple[datetime, int, Stored | None]] = [(each.at, 0, each) for each in self.tries]
        events += [(at, 1, None) for at in self.sweeps]
        for at, _, tried in sorted(events, key=lambda each: each[:2]):
            if tried is None:
                job = self._sweep(job, at)
            elif not any(begin <= at < end for begin, end in self.absences):
                self.stored.append(tried)
                job = receive(job, Ping(signal=SIGNALS[tried.what], at=at))

    def _sweep(self, job: WatchedJob, at: datetime) -> WatchedJob:
        for _ in range(50):
            if job.wake_at > at:
                return job
            found = look(job, self._listening(at), now=at)
            if found.effect is LookEffect.TELL:
                assert found.after.miss is not None and found.after.missed_at is not None  # noqa: PT018
                self.told.append((at, found.after.miss, found.after.missed_at))
            job = found.after
        raise AssertionError("it never rests")

    def _listening(self, at: datetime) -> Listening:
        """Return what the rows say: a note every five seconds, but in absences."""
        past = [Interval(began_at=begin, ended_at=end) for begin, end in self.absences if end <= at]
        lasting = [begin for begin, end in self.absences if begin <= at < end]
        return Listening(noted_at=min(lasting, default=at), absences=past)


def a_history(chance: random.Random) -> History:
    """Draw a history of some forty hours around a change of clocks."""
    start = chance.choice(STARTS) + chance.randrange(600) * MINUTE
    grace = chance.choice((2, 10, 60)) * MINUTE
    minute, hour = chance.randrange(60), chance.choice(("*", "1", "2", "3"))
    timetable = chance.choice(
        (
            Timetable(every=chance.choice((5, 60, 600)) * MINUTE, grace=grace),
            Timetable(cron=f"{minute} {hour} * * *", timezone=chance.choice(ZONES), grace=grace),
        )
    )
    tries, at = list[Stored](), start
    while at < start + LASTS:
        at += (
            timetable.after(at) - at + chance.uniform(-1, 1.3) * grace
            if chance.random() < 0.8
            else chance.uniform(1, 300) * MINUTE
        )
        at += timedelta(seconds=chance.randrange(1, 60))
        if chance.random() < 0.3:
            tries.append(Stored(at, "start"))
            at += chance.uniform(0.1, 1.5) * grace
        if chance.random() < 0.9:
            tries.append(Stored(at, "fail" if chance.random() < 0.15 else "success"))
    tries = [each for each in tries if each.at > start]
    return History(timetable, start, tries, spans(chance, start), sweeps(chance, start))


def spans(chance: random.Random, start: datetime) -> list[Span]:
    found, at = list[Span](), start
    while chance.random() < 0.6:
        at += chance.uniform(20, 900) * MINUTE
        end = at + chance.uniform(0.5, 300) * MINUTE
        found.append((at, end))
        at = end
    return found


def sweeps(chance: random.Random, start: datetime) -> list[datetime]:
    """Draw when sweepers look: every minute, but for a few outages and restarts."""
    outages = spans(chance, start)
    every = (start + number * MINUTE for number in range(int(LASTS / MINUTE) + 120))
    return [at for at in every if not any(begin <= at < end for begin, end in outages)]


def judged(history: History, silence: Silence) -> None:
    """Require of one silence that what was told of it is true, and that nothing true is left out."""
    of_it = [each for each in history.told if silence.began_at < each[2] <= silence.ended_at]
    told = [each for each in of_it if each[1] is not Miss.FAILED]
    for number, (_, miss, missed_at) in enumerate(told):
        truth = silence.missed if miss is Miss.MISSED else silence.unknown
        is_counted_in = number > 0 and missed_at in silence.caught_up  # it is missed already, and told
        assert missed_at in truth or is_counted_in, f"{miss} of {missed_at} was none"
    assert len({missed_at for _, _, missed_at in told}) == len(told), "told twice"
    for due in silence.missed:
        seen_at = next((at for at in history.sweeps if at >= due + IN_FLIGHT), None)
        if seen_at is None or any(begin <= seen_at < end + CATCH_UP for begin, end in history.absences):
            continue  # it is judged when the web service listens again
        assert any(due <= at <= seen_at for at, _, _ in history.told), f"{due} was missed and not told"


@settings(max_examples=150)
@given(st.integers(0, 2**32))
def test_no_miss_is_told_that_was_none_and_none_is_left_out(seed: int) -> None:
    history = a_history(random.Random(seed))
    history.run()
    until = max([*history.sweeps, *(each.at for each in history.tries)])
    for silence in silences(history.timetable, history.start, history.stored, history.absences, until):
        judged(history, silence)
