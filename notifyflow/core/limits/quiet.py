"""Quiet hours: the times of the day at which a person is only paged for CRITICAL; pure.

They stop the clocks of the person, as a pause of everything does, and recur every day in the person's time zone.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from notifyflow.core.delivery.facts import EscalationFacts
from notifyflow.core.delivery.intervals import PausedInterval
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.policy import Policy, Unacknowledged
from notifyflow.core.hours import Hours, stretch
from notifyflow.core.limits.pauses import LONGEST as LONGEST_PAUSE

LONGEST = timedelta(hours=16)
"""The longest quiet hours: a day must have hours for pages."""

_EVERY_DAY = frozenset(range(7))
_DAY = timedelta(days=1)
_WRITTEN = re.compile(r"([01]\d|2[0-3]):([0-5]\d) ?- ?([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """The quiet hours of every day.

    Attributes:
        begins: When they begin, in local time.
        ends: When they end; on the next day, unless that is later than ``begins``.
    """

    begins: time
    ends: time

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"

    @property
    def length(self) -> timedelta:
        """Their length on a day without a change of clocks; a whole day if they begin when they end."""
        begin, end = (timedelta(hours=each.hour, minutes=each.minute) for each in (self.begins, self.ends))
        return end - begin if begin < end else end - begin + _DAY


@lru_cache(maxsize=1_000)
def read_quiet(written: str) -> Quiet:
    """Read quiet hours such as ``22:00-07:00``.

    Raises:
        ValueError: When they are written in another way, or too long; its text goes on from the value.
    """
    match = _WRITTEN.fullmatch(written.strip())
    if match is None:
        raise ValueError("does not say when quiet hours begin and end")
    hour, minute, last_hour, last_minute = map(int, match.groups())
    quiet = Quiet(begins=time(hour, minute), ends=time(last_hour, last_minute))
    if quiet.length > LONGEST:
        raise ValueError(f"leaves less than {(_DAY - LONGEST) // timedelta(hours=1)} hours of the day for pages")
    return quiet


def quiet_times(quiet: Quiet, zone: ZoneInfo, since: datetime, until: datetime) -> tuple[PausedInterval, ...]:
    """Return the quiet times, in order, that overlap the period from ``since`` until before ``until``.

    They begin and end when the clocks of the zone first show their times; if the clocks skip a time, at the next instant.
    """
    hours = (Hours(days=_EVERY_DAY, begins=quiet.begins, ends=quiet.ends),)
    found: list[PausedInterval] = []
    at = since
    while at < until:
        each = stretch(hours, zone, at)
        if each.is_covered:
            found.append(PausedInterval(began_at=each.begins_at, ended_at=each.ends_at, is_for_critical=False))
        at = each.ends_at
    return tuple(found)


def paused_intervals(contact: Contact, severity: Severity, *, since: datetime, until: datetime) -> tuple[PausedInterval, ...]:
    """Return the quiet times of a recipient for a severity; none for CRITICAL."""
    if contact.quiet is None or severity is Severity.CRITICAL:
        return ()
    return quiet_times(read_quiet(contact.quiet), ZoneInfo(contact.timezone), since, until)


def shared_intervals(
    contacts: Iterable[Contact], severity: Severity, *, since: datetime, until: datetime
) -> tuple[PausedInterval, ...]:
    """Return the times at which all of some recipients are quiet; none without recipients."""
    shared: tuple[PausedInterval, ...] | None = None
    for contact in contacts:
        own = paused_intervals(contact, severity, since=since, until=until)
        shared = own if shared is None else tuple(_common(shared, own))
    return shared or ()


def step_intervals(
    contacts: Iterable[Contact], severity: Severity, after: timedelta, *, since: datetime, now: datetime
) -> tuple[PausedInterval, ...]:
    """Return the quiet times that stop the time of a step: those in which everybody in the step before is quiet.

    Args:
        contacts: The people of the step before.
        severity: The incident's.
        after: The time of the step.
        since: When its time began.
        now: The time of the decision.
    """
    until = now + (after + LONGEST_PAUSE) * (_DAY / (_DAY - LONGEST)) + 2 * _DAY
    return shared_intervals(contacts, severity, since=since, until=until)


def _common(some: Iterable[PausedInterval], others: Iterable[PausedInterval]) -> Iterable[PausedInterval]:
    others = tuple(others)
    for each in some:
        for other in others:
            began_at, ended_at = max(each.began_at, other.began_at), min(each.ended_at, other.ended_at)
            if began_at < ended_at:
                yield PausedInterval(began_at=began_at, ended_at=ended_at, is_for_critical=False)


def quiet_until(contact: Contact, severity: Severity, now: datetime) -> datetime | None:
    """Return until when a recipient is not paged for a severity; None if they may be paged now."""
    lasting = paused_intervals(contact, severity, since=now, until=now + timedelta(microseconds=1))
    return lasting[0].ended_at.astimezone(UTC) if lasting else None


def escalation_intervals(contact: Contact, escalation: EscalationFacts, now: datetime) -> tuple[PausedInterval, ...]:
    """Return the quiet times that may move a deadline of an escalation.

    No wait begins later than now, so none ends after its time has passed outside quiet hours and the longest pause.
    """
    if contact.quiet is None or escalation.severity is Severity.CRITICAL:
        return ()
    share = _DAY / (_DAY - read_quiet(contact.quiet).length)
    until = now + (longest_wait(escalation.policy, escalation.severity) + LONGEST_PAUSE) * share + 2 * _DAY
    return paused_intervals(contact, escalation.severity, since=escalation.started_at, until=until)


def longest_wait(policy: Policy, severity: Severity) -> timedelta:
    """Return the longest time of a policy that quiet hours stop."""
    schedules = (policy.retries.normal, policy.retries.critical, *policy.retries.by_channel.values())
    timers = (rule.after for tier in policy.tiers for rule in tier.rules if isinstance(rule, Unacknowledged))
    rounds = () if policy.repeat is None else (policy.repeat.every,)
    waits = (policy.freshness(severity), policy.escalate_within, policy.suspected_after_deferral)
    return max(*waits, *timers, *rounds, *(each.window for each in schedules))
