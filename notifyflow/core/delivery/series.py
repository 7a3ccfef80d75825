"""Series: incidents of one key, each opened soon after the last was resolved, while no person has handled it; pure.

An alert that comes and goes is treated like one that stays: the clocks of the incident before go on, and gaps do not count.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from notifyflow.core.copies import replace
from notifyflow.core.delivery import earlier_pages, proof
from notifyflow.core.delivery.earlier_pages import Earlier
from notifyflow.core.delivery.facts import EscalationFacts, IncidentFacts, NotificationFacts
from notifyflow.core.delivery.intervals import Interval, counted, moved, without_outages
from notifyflow.core.delivery.model import (
    REACHING,
    AttemptState,
    Contact,
    EscalationState,
    IncidentState,
    Kind,
    Result,
    Severity,
    Via,
)
from notifyflow.core.delivery.policy import Acknowledgement
from notifyflow.core.delivery.series_carried import Carried, EarlierPage, Series

GAP = timedelta(minutes=30)
"""An incident that opens within this time after the resolve of the one before belongs to its series."""
FLAPPING = "flapping"
ONCE_A_SERIES = frozenset({"unanswered", "chain_over"})
"""The reasons that page operations once for each series, severity and day."""

_OPEN_FOR = timedelta(minutes=30)
_OPENINGS = 6
_WITHIN = timedelta(minutes=60)
_DAY = timedelta(hours=24)
_INTEGRATIONS = frozenset({Via.ALERTMANAGER, Via.PAGERDUTY, Via.CLOUDEVENTS})
_RESOLVED_BY_A_PERSON = frozenset({Via.DASHBOARD, Via.CLI, Via.API})


def acknowledges_in_person(via: str) -> bool:
    """Return whether an acknowledgement comes from a person; those of integrations do not."""
    return via not in _INTEGRATIONS


def resolves_in_person(via: str) -> bool:
    """Return whether a person resolves: on a page, by a command, or with an API key that may operate."""
    return via in _RESOLVED_BY_A_PERSON


def is_continued(before: IncidentFacts, now: datetime) -> bool:
    """Return whether an incident that opens now under the key of another one belongs to its series."""
    is_over = before.series is not None and before.series.is_over
    return before.resolved_at is not None and now <= before.resolved_at + GAP and not is_over


def of(incident: IncidentFacts) -> Series:
    """Return the series of an incident; a new one if it is the first."""
    first = Series(first_id=incident.id, severity=incident.severity, openings=(incident.opened_at,))
    return incident.series or first


def is_same(one: IncidentFacts, other: IncidentFacts) -> bool:
    """Return whether two incidents of a key belong to one series."""
    return of(one).first_id == of(other).first_id


def covers(resolved: IncidentFacts, newest: IncidentFacts) -> bool:
    """Return whether an acknowledgement of a resolved incident counts for the newest one of its series."""
    is_open = newest.state is not IncidentState.RESOLVED
    return is_open and is_same(resolved, newest) and not newest.severity.is_above(resolved.severity)


def follow(
    before: IncidentFacts,
    incident: IncidentFacts,
    rows: Iterable[NotificationFacts],
    *,
    now: datetime,
    silenced: Sequence[Interval] = (),
) -> Series | None:
    """Return the series of a new incident of the key; None if there is nothing to remember.

    Args:
        before: The resolved incident of the key before it.
        incident: The new one.
        rows: The pages of the one before.
        now: When the new one opens.
        silenced: The times in which silences held the one before: they do not count as open, nor an opening in them.
    """
    known = of(before)
    if not is_continued(before, now):
        return anew(incident, known)
    resolved_at = max(before.resolved_at or now, before.opened_at)
    return replace(
        known,
        severity=before.severity if before.severity.is_above(known.severity) else known.severity,
        openings=tuple(at for at in (*_heard(before, silenced), now) if at > now - _WITHIN)[-_OPENINGS:],
        open_for=known.open_for + counted(before.opened_at, resolved_at, silenced),
        has_reached=known.has_reached or any(row.state in REACHING for row in rows),
    )


def _heard(incident: IncidentFacts, silenced: Iterable[Interval]) -> tuple[datetime, ...]:
    """Return the openings of an incident's series, without its own if a silence held it then."""
    was_silenced = any(each.began_at <= incident.opened_at < each.ended_at for each in silenced)
    return tuple(at for at in of(incident).openings if not (was_silenced and at == incident.opened_at))


def anew(incident: IncidentFacts, known: Series) -> Series | None:
    """Return a series that begins with an incident; None if there is nothing to remember, since its key was not flapping."""
    if known.flapping_at is None:
        return None
    first = of(replace(incident, series=None))
    return replace(first, flapping_at=known.flapping_at, is_flapping_told=known.is_flapping_told)


def end(incident: IncidentFacts) -> IncidentFacts:
    """Return an incident whose series a person has ended."""
    return replace(incident, series=replace(of(incident), is_over=True))


def end_for(incident: IncidentFacts, recipient_id: str) -> IncidentFacts:
    """Return an incident whose series is over for one recipient, since each has to acknowledge."""
    known = of(incident)
    return replace(incident, series=replace(known, over_for=tuple(dict.fromkeys((*known.over_for, recipient_id)))))


def reopen(incident: IncidentFacts) -> IncidentFacts:
    """Return an incident that a new round opens again; after an acknowledgement it begins a new series."""
    known = incident.series
    return replace(incident, series=anew(incident, known)) if known is not None and known.is_over else incident


def flapping_pages(
    incident: IncidentFacts, *, has_reached: bool, now: datetime, silenced: Sequence[Interval] = ()
) -> bool | None:
    """Return True if operations is paged for a flapping key, False if it is only linked, None if neither.

    The times in which silences held the incident do not count. It is paged for CRITICAL, and for ERROR if nobody was reached,
    never for INFO; once in 24 hours, unless a person handled it.
    """
    known = incident.series
    flaps_at = _open_long_at(incident, silenced)
    if known is None or flaps_at is None:
        return None
    is_open_long = (incident.resolved_at or now) >= flaps_at
    if not is_open_long and sum(at > now - _WITHIN for at in _heard(incident, silenced)) < _OPENINGS:
        return None
    is_unreached = not has_reached and not known.has_reached
    is_paging = incident.severity is Severity.CRITICAL or (incident.severity is Severity.ERROR and is_unreached)
    is_new = not _is_recent(known.flapping_at, now) or (is_paging and not known.is_flapping_told)
    return is_paging if is_new else None


def look_at(incident: IncidentFacts, now: datetime, silenced: Sequence[Interval] = ()) -> datetime | None:
    """Return when to check whether a key is flapping, if nothing happens before; None if time alone changes nothing."""
    open_long_at = _open_long_at(incident, silenced)
    is_waiting = incident.state is IncidentState.OPEN and open_long_at is not None and open_long_at > now
    return open_long_at if is_waiting else None


def _open_long_at(incident: IncidentFacts, silenced: Sequence[Interval]) -> datetime | None:
    """Return when a series is open for long enough to be flapping, if nobody resolves; None if it never is."""
    known = incident.series
    if known is None or known.is_over or known.first_id == incident.id or incident.severity is Severity.INFO:
        return None
    return moved(incident.opened_at + (_OPEN_FOR - known.open_for), silenced, since=incident.opened_at)


def has_told(incident: IncidentFacts, severity: Severity, now: datetime) -> bool:
    """Return whether operations was paged, within a day, because nobody acknowledged an earlier incident of the series."""
    told_at = incident.series.told_at.get(severity) if incident.series else None
    return told_at is not None and told_at < incident.opened_at and _is_recent(told_at, now)


def tell(incident: IncidentFacts, severities: Iterable[Severity], *, now: datetime) -> IncidentFacts:
    """Return an incident with the note that operations was paged because nobody has acknowledged it."""
    told = {str(severity): now for severity in severities}
    known = of(incident)
    return replace(incident, series=replace(known, told_at={**known.told_at, **told})) if told else incident


def _is_recent(at: datetime | None, now: datetime) -> bool:
    return at is not None and now < at + _DAY


def carry(
    before: EscalationFacts,
    rows: Sequence[NotificationFacts],
    earlier: Iterable[Earlier],
    *,
    until: datetime,
    intervals: Sequence[Interval],
) -> Carried:
    """Return the state that a recipient's next escalation carries over, in the next incident or round of the series.

    Args:
        before: The escalation that ended.
        rows: Its notifications, as they are now.
        earlier: The pages that it had carried over itself.
        until: When its clock stopped: at the resolve, or at an acknowledgement before it.
        intervals: Outages and pauses since it started.
    """
    intervals = without_outages(intervals, before.severity)
    clock = counted(before.started_at, until, intervals) if until > before.started_at else timedelta()
    known = before.carried
    pages = {(each.page.tier, each.page.channel): each for each in earlier}
    newest = {(row.tier, row.channel): row for row in rows if row.kind is Kind.PAGE and row.tier is not None}
    kept = [_waiting_on(each, clock) for place, each in pages.items() if place not in newest]
    own = [_after(row, pages.get(place), before, until, intervals) for place, row in newest.items()]
    in_all = clock + (known.clock if known else timedelta())
    return Carried(clock=in_all, tier=before.tier, pages=tuple(sorted((*kept, *own), key=lambda each: (each.tier, each.channel))))


def _waiting_on(earlier: Earlier, clock: timedelta) -> EarlierPage:
    """Return a page that was not sent again since: its wait goes on."""
    return replace(earlier.page, waited=earlier.page.waited + clock)


def _after(
    row: NotificationFacts,
    earlier: Earlier | None,
    escalation: EscalationFacts,
    until: datetime,
    intervals: Sequence[Interval],
) -> EarlierPage:
    """Return the page of a row; the failures and the wait of earlier ones count unless one has arrived."""
    page = EarlierPage(notification_id=row.id, tier=row.tier or 0, channel=row.channel)
    if earlier is not None:
        page = replace(page, paged_at=_paged_at(earlier))
    if proof.has_arrived(row):
        return page
    page = replace(page, waited=counted(row.created_at, max(until, row.created_at), intervals))
    if earlier is None or proof.has_arrived(earlier.row):
        return page
    return replace(
        page,
        failures=earlier.page.failures + earlier_pages.failures(earlier.row),
        waited=page.waited + earlier.page.waited,
    )


def _paged_at(earlier: Earlier) -> datetime | None:
    """Return when an earlier page, or a page before it, last had an attempt that was sent."""
    sent = [
        attempt.started_at
        for attempt in earlier.row.attempts
        if attempt.state is not AttemptState.NOT_SENT
        and (attempt.evidence is not None or attempt.result is Result.PERMANENT_FAILURE)
    ]
    return max(sent, default=earlier.page.paged_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """The state that an escalation leaves to its recipient's next one.

    Attributes:
        contact: The recipient's contact then; personal.
        is_first: Whether the next one pages the first tier at once.
    """

    carried: Carried
    escalation: EscalationFacts
    contact: Contact
    is_first: bool


def go_on(new: EscalationFacts, left: Left, contact: Contact) -> EscalationFacts:
    """Return a new escalation that carries over the state of the one before it.

    Tiers and pages are carried over under the same policy, and pages to the same address. After the last round, an opening pages
    the first tier only.
    """
    repeat, carried = new.policy.repeat, left.carried
    repetition = left.escalation.repetition
    if repeat and new.severity not in repeat.never_for and repetition >= repeat.rounds and carried.clock >= repeat.every:
        repetition = repeat.rounds + 1
    is_same = left.escalation.policy == new.policy
    kept = [channel for channel, address in contact.addresses.items() if left.contact.addresses.get(channel) == address]
    is_past = repeat is not None and repetition > repeat.rounds
    carried = replace(
        carried,
        tier=carried.tier if is_same and not is_past else 1,
        is_first=left.is_first,
        pages=tuple(page for page in carried.pages if is_same and page.channel in kept),
    )
    return replace(new, carried=carried, tier=carried.tier, repetition=repetition)


def stopped_at(before: IncidentFacts) -> datetime | None:
    """Return when the clocks of a resolved incident stopped."""
    return before.acknowledged_at or before.resolved_at


def goes_on_for(before: EscalationFacts, incident: IncidentFacts) -> bool:
    """Return whether a recipient's clocks go on in the series of an incident: not after their own acknowledgement."""
    has_acknowledged = before.state is EscalationState.ACKNOWLEDGED and before.policy.acknowledgement is Acknowledgement.EACH
    is_over = incident.series is not None and before.recipient_id in incident.series.over_for
    return before.round > 0 and not (has_acknowledged or is_over)
