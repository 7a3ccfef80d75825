"""Lanes: where messages really go, and the storms in which what goes there leaves together; pure.

A storm begins with the third incident within a minute. From then on first attempts wait for the beat of the lane, and leave as
one message. Such a wait is no deferral: of all clocks, only ``due_at`` sees it.
"""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from notifyflow.core.copies import replace
from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.intervals import Interval, counted
from notifyflow.core.delivery.model import DeferralReason, Kind, Result, Severity

HOLDING = frozenset({DeferralReason.QUIET, DeferralReason.SILENCE})
"""The reasons for which pages wait because somebody wants it so. What waited leaves together, retries included."""
BEGINS_WITH = 3
"""A storm begins with this many incidents within ``WITHIN``."""

WITHIN = timedelta(seconds=60)
LASTS = timedelta(minutes=5)
"""A storm ends when no new incident has come for so long."""

URGENT_BEAT = timedelta(seconds=30)
"""A message with a CRITICAL page leaves at the latest this long after the lane's last message."""

REPEATED_AFTER = timedelta(seconds=60)
"""In a storm, a call without a new page leaves at the earliest this long after the lane's last one."""

TAKEN_EARLY = timedelta(seconds=30)
"""In a storm, a call takes along what would be called again within this time, so that nothing waits longer for the next call."""

LEAD = timedelta(seconds=2)
"""One page of those that wait is due this long before the others: the claim that takes it takes them all, as one message.

Where it may wait for less than twice as long, it is due after half of that.
"""

_BYTES = 8


class Class(StrEnum):
    """The severities that are counted together."""

    URGENT = "urgent"
    CALM = "calm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The state of a lane; one that has had no storm has no row.

    Attributes:
        id: The keyed digest of the channel and the address.
        left_at: When its message left last; None if none has since a minute before the storm.
        beat_at: When the page is due that leads those that wait; None if none waits.
        urgent_from: When the page of the third incident came, in a storm of CRITICAL and ERROR pages.
        urgent_until: When that storm ends, unless a new incident comes.
        calm_from: As ``urgent_from``, in a storm of WARNING and INFO pages.
        calm_until: As ``urgent_until``, in a storm of WARNING and INFO pages.
    """

    id: str
    channel: str
    left_at: datetime | None = None
    beat_at: datetime | None = None
    urgent_from: datetime | None = None
    urgent_until: datetime | None = None
    calm_from: datetime | None = None
    calm_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """The pages of one namespace and severity that came to a lane within a minute.

    Attributes:
        incidents: Number of their incidents.
        first_id: The id of the first one: ids sort by time, and many may come at one instant.
    """

    namespace: str
    severity: Severity
    incidents: int
    first_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """The beginning of a storm.

    Attributes:
        third_at: When the page of its third incident came.
        left_at: When a message last left the lane within the minute; None if none has.
    """

    third_at: datetime
    left_at: datetime | None


class Departure(Enum):
    """How a page that is due leaves its lane."""

    ALONE = "alone"
    TOGETHER = "together"
    WITH_ALL = "with all"
    WAITS = "waits"


def lane_of(key: bytes, channel: str, address: str) -> str:
    """Return the id of a lane, which does not reveal the address."""
    return hmac.digest(key, f"{channel}\n{address}".encode(), "sha256")[:_BYTES].hex()


def class_of(severity: Severity) -> Class:
    """Return the class of a severity."""
    return Class.URGENT if severity in (Severity.CRITICAL, Severity.ERROR) else Class.CALM


def severities_of(severities: Class) -> tuple[Severity, ...]:
    """Return the severities of a class."""
    return tuple(each for each in Severity if class_of(each) is severities)


def is_stormy(lane: Lane, severities: Class, *, now: datetime) -> bool:
    """Return whether there is a storm of a class."""
    until = lane.urgent_until if severities is Class.URGENT else lane.calm_until
    return until is not None and until > now


def may_begin(arrivals: Iterable[Arrivals], severities: Class) -> bool:
    """Return whether a storm may have begun: an incident whose severity was raised within the minute is counted twice."""
    return sum(each.incidents for each in arrivals if class_of(each.severity) is severities) >= BEGINS_WITH


def begin(lane: Lane, severities: Class, start: Start, *, now: datetime) -> Lane:
    """Return the lane in a storm, which begins unless there is one already."""
    if is_stormy(lane, severities, now=now):
        return lane
    if not any(is_stormy(lane, each, now=now) for each in Class):
        lane = replace(lane, left_at=start.left_at, beat_at=None)
    if severities is Class.URGENT:
        return replace(lane, urgent_from=start.third_at, urgent_until=now + LASTS)
    return replace(lane, calm_from=start.third_at, calm_until=now + LASTS)


def go_on(lane: Lane, rows: Iterable[NotificationFacts], *, now: datetime) -> Lane:
    """Return the lane after pages came to it: a storm lasts until five minutes after its newest one."""
    for row in rows:
        until = row.created_at + LASTS
        if row.kind is not Kind.PAGE or not is_stormy(lane, class_of(row.severity), now=now):
            continue
        if class_of(row.severity) is Class.URGENT:
            lane = replace(lane, urgent_until=max(until, lane.urgent_until or until))
        else:
            lane = replace(lane, calm_until=max(until, lane.calm_until or until))
    return lane


def joins(row: NotificationFacts, *, now: datetime) -> bool:
    """Return whether a first attempt leaves with others of its lane outside storms, too: it could not leave when it was due."""
    return row.deferred_by is not None or row.waits_until is not None or (row.due_at is not None and row.due_at <= now - WITHIN)


def was_held(row: NotificationFacts) -> bool:
    """Return whether quiet hours or a silence kept a page since its last attempt, whatever else has kept it after a silence."""
    return row.deferred_by in HOLDING or (row.has_been_silenced and row.deferred_by is not None)


def patience(row: NotificationFacts, earlier: Iterable[NotificationFacts], longest: timedelta) -> timedelta:
    """Return how long a page may wait for others after it was due.

    All CRITICAL pages of an escalation together wait for half a minute at most: the time before a page was queued counts in which
    an earlier one had not left, for whatever reason.

    Args:
        row: The page.
        earlier: The pages of its escalation.
        longest: The channel's beat.
    """
    if row.severity is not Severity.CRITICAL:
        return longest
    waits = [Interval(began_at=each.created_at, ended_at=_left_at(each)) for each in earlier if each.created_at < row.created_at]
    since = min((each.began_at for each in waits), default=row.created_at)
    waited = row.created_at - since - counted(since, row.created_at, waits)
    return max(timedelta(), min(longest, URGENT_BEAT - waited))


def _left_at(row: NotificationFacts) -> datetime:
    """Return when a page left first, when it leaves at the latest, or when it was deferred and stopped waiting for others."""
    return row.attempts[0].started_at if row.attempts else row.waits_until or row.deferred_since or row.created_at


def departure(
    row: NotificationFacts, lane: Lane | None, arrivals: Sequence[Arrivals], longest: timedelta, *, now: datetime
) -> tuple[Departure, datetime]:
    """Return how a page leaves, and at the latest when.

    A retry leaves at its own time, and with others only after quiet hours or a silence. Only first attempts wait, each only once,
    and none that was deferred. What came before the storm leaves at once, and so does the first CRITICAL page of its namespace
    within a minute. A page that has waited takes all others of its lane with it. One that comes when no message has left for long
    waits two seconds, if it may, for what comes with it: pages whose mails failed together, for instance.

    Args:
        row: The page; due, or waiting.
        lane: The lane's row; None without one.
        arrivals: What came to the lane within a minute.
        longest: How long it may wait, and at the latest after the lane's last message.
        now: The current instant.
    """
    if row.attempts and not was_held(row):
        return Departure.ALONE, now
    if lane is None or row.deferred_by is not None or not _is_in_storm(row, lane, now=now):
        return Departure.TOGETHER if joins(row, now=now) else Departure.ALONE, now
    if row.waits_until is None and row.severity is Severity.CRITICAL and _is_first(row, arrivals, now=now):
        return Departure.ALONE, now
    until = row.waits_until or _until(row, lane, longest, now=now)
    return (Departure.WAITS, until) if _leads_at(until, row.created_at) > now else (Departure.WITH_ALL, now)


def call_departure(
    row: NotificationFacts, lane: Lane, arrivals: Sequence[Arrivals], longest: timedelta, *, now: datetime
) -> tuple[Departure, datetime]:
    """Return as ``departure`` how a page leaves by call: in a storm, one that nobody took waits for the next call."""
    if lane.left_at is None or not is_called_again(row, lane, now=now):
        return departure(row, lane, arrivals, longest, now=now)
    until = lane.left_at + REPEATED_AFTER
    return (Departure.WAITS, until) if until - LEAD > now else (Departure.WITH_ALL, now)


def is_called_again(row: NotificationFacts, lane: Lane | None, *, now: datetime) -> bool:
    """Return whether there is a storm in which a page's next call may be any call to its number: nobody took its last one."""
    last = row.attempts[-1] if row.attempts else None
    was_called = last is not None and last.result is Result.TEMPORARY_FAILURE and not last.is_doubted and not last.is_halved
    is_on = lane is not None and is_stormy(lane, class_of(row.severity), now=now)
    return is_on and was_called and row.deferred_by is None


def add_waiting(lane: Lane, until: datetime, *, now: datetime) -> tuple[Lane, datetime]:
    """Return the lane with one more page that waits, and when that page is due: the first one leads."""
    due_at = _leads_at(until, now)
    if lane.beat_at is not None and now < lane.beat_at <= due_at:
        return lane, until
    return replace(lane, beat_at=due_at), due_at


def _until(row: NotificationFacts, lane: Lane, longest: timedelta, *, now: datetime) -> datetime:
    """Return until when a page waits that may wait for so long."""
    if lane.left_at is None:
        return now
    return max(min(lane.left_at, row.created_at) + longest, row.created_at + min(longest, 2 * LEAD))


def _leads_at(until: datetime, since: datetime) -> datetime:
    """Return when the first page is due of those that wait until an instant."""
    return until - min(LEAD, (until - since) / 2)


def left(lane: Lane, *, now: datetime) -> Lane:
    """Return the lane after its message has left."""
    return replace(lane, left_at=now, beat_at=None)


def _is_in_storm(row: NotificationFacts, lane: Lane, *, now: datetime) -> bool:
    """Return whether there is a storm of a page's class, or any for a status update, and it came after its beginning."""
    since = {Class.URGENT: lane.urgent_from, Class.CALM: lane.calm_from}
    classes = (class_of(row.severity),) if row.kind is Kind.PAGE else Class
    return any((began_at := since[each]) and began_at <= row.created_at and is_stormy(lane, each, now=now) for each in classes)


def _is_first(row: NotificationFacts, arrivals: Sequence[Arrivals], *, now: datetime) -> bool:
    """Return whether a CRITICAL page is the first of its namespace within a minute."""
    firsts = (each.first_id for each in arrivals if (each.namespace, each.severity) == (row.namespace, row.severity))
    return row.created_at > now - WITHIN and all(row.id <= each for each in firsts)
