"""Words for the incidents of watched jobs: what was expected, and what came."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from notifyflow.core import text
from notifyflow.core.delivery.intervals import Interval
from notifyflow.core.oncall.timetables import Timetable
from notifyflow.core.oncall.watched_jobs import Miss, WatchedJob

_MOST_NAMES = 100


def title(job: WatchedJob) -> str:
    """Return the title of a job that was missed or has failed."""
    if job.miss is Miss.FAILED:
        status = "" if job.exit_status is None else f" (exit status {job.exit_status})"
        return f"{job.name} failed{status}"
    if job.silent_since == job.succeeded_at and job.succeeded_at is not None:
        return f"{job.name} has not pinged since {_at(job.succeeded_at, job)}"
    return f"{job.name} has not pinged"


def body(job: WatchedJob) -> str:
    """Return the body: what was expected, the last success, and what the job said."""
    lines = [f"Expected: {expected(job.timetable)}"]
    if job.missed_at is not None:
        lines.append(f"{'Failed' if job.miss is Miss.FAILED else 'Deadline'}: {_at(job.missed_at, job)}")
    lines.append(f"Last success: {_at(job.succeeded_at, job) if job.succeeded_at else 'none'}")
    if job.output:
        lines += ["", "Its last ping said:", job.output]
    return "\n".join(lines)


def expected(timetable: Timetable) -> str:
    """Return a timetable in words: ``every 1 h, 5 m of grace``."""
    grace = f"{text.span(timetable.grace)} of grace"
    if timetable.every is not None:
        return f"every {text.span(timetable.every)}, {grace}"
    return f"{timetable.cron} ({timetable.timezone}), {grace}"


def unknown_title(names: Sequence[str], absence: Interval, zone: tzinfo) -> str:
    """Return the title for jobs that may have pinged in vain."""
    jobs = text.listed(names)
    return f"Unknown: {jobs}; we could not listen from {span(absence, zone)}"


def unknown_body(names: Sequence[str], absence: Interval, zone: tzinfo) -> str:
    """Return the body for jobs that may have pinged in vain."""
    shown = [f"- {name}" for name in names[:_MOST_NAMES]]
    if len(names) > _MOST_NAMES:
        shown.append(f"- and {len(names) - _MOST_NAMES:,} more")
    lines = [
        f"No ping could be stored from {span(absence, zone)}, and these have not pinged since:",
        *shown,
        "",
        "They may have run. Each is taken off when it pings, and missed at its next deadline if it does not.",
    ]
    return "\n".join(lines)


def span(absence: Interval, zone: tzinfo) -> str:
    """Return when no ping could be stored: ``02:00 to 05:00 CET``, with the days where they differ."""
    began, ended = absence.began_at.astimezone(zone), absence.ended_at.astimezone(zone)
    if began.date() == ended.date():
        return f"{began:%H:%M} to {ended:%H:%M} {text.zone_name(ended)}"
    return f"{text.instant(began, now=ended)} to {text.instant(ended, now=ended)}"


def back(job: WatchedJob) -> str:
    """Return the sentence about the end of a silence."""
    assert job.back_at is not None  # noqa: S101 - only for a job that is back
    silence = "" if job.silent_since is None else f", after {text.span(job.back_at - job.silent_since)} without a success"
    return f"{job.name} succeeded {_at(job.back_at, job)}{silence}."


def removed(job: WatchedJob) -> str:
    """Return the sentence about a job that the directory no longer declares."""
    return f"The directory no longer declares {job.name}: nothing is expected of it."


def _at(at: datetime, job: WatchedJob) -> str:
    return text.moment(at, ZoneInfo(job.timetable.timezone))
