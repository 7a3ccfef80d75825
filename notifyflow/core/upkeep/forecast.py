"""The forecast of an escalation: its tiers and alerts, with their time ranges for each behaviour of providers; pure.

Each course is played to its end by the machines themselves (``lifecycle`` and ``next_events.advance``); no rule is restated here.
The ranges hold while nothing defers a page: no limit, Retry-After, open circuit, pause or outage.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from notifyflow.core import text
from notifyflow.core.capabilities import SHOWN, ChannelCapabilities
from notifyflow.core.copies import replace
from notifyflow.core.delivery import escalation as escalations
from notifyflow.core.delivery import lifecycle, proof, rounds
from notifyflow.core.delivery.attempts import counted
from notifyflow.core.delivery.facts import AttemptFacts, EscalationFacts, IncidentFacts, NotificationFacts, Outcome
from notifyflow.core.delivery.model import IN_PROGRESS, Contact, Ended, NotificationState, Receipt, Result, Severity
from notifyflow.core.delivery.page_rules import DecisionContext, expires_at
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.tier_rules import ways
from notifyflow.core.insight.next_events import NextEvent, NextEventKind, advance, events_of, timers, written
from notifyflow.core.limits.pauses import Pause
from notifyflow.core.limits.preferences import preferred, wished
from notifyflow.core.messages.ways import way

LONGEST_CALL = timedelta(seconds=13)
"""The longest that a call to a provider takes: 3 s to connect and 10 s to answer."""
_START = datetime(2000, 1, 1, tzinfo=UTC)


class ProviderBehaviour(StrEnum):
    """How providers answer, the worst first."""

    REFUSED = "refused"
    FAILING = "failing"
    SILENT = "silent"
    ACCEPTED = "accepted"


_RESULTS: Mapping[ProviderBehaviour, Result] = {
    ProviderBehaviour.REFUSED: Result.PERMANENT_FAILURE,
    ProviderBehaviour.FAILING: Result.TEMPORARY_FAILURE,
    ProviderBehaviour.SILENT: Result.ACCEPTED,
    ProviderBehaviour.ACCEPTED: Result.ACCEPTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelModel:
    """A channel as forecasts see it.

    Attributes:
        providers: The configured providers, the preferred one first; empty if there is none.
        has_receipts: Whether the preferred one sends receipts, or can be polled for them.
    """

    providers: tuple[str, ...] = ()
    has_receipts: bool = False
    capabilities: ChannelCapabilities = SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacles:
    """Current obstacles to messages.

    Attributes:
        opted_out: The channels on which the recipient has sent STOP to all of our numbers.
    """

    pauses: tuple[Pause, ...] = ()
    opted_out: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """An event with its time range, if providers answer in one way.

    Attributes:
        event: The event, at its earliest.
        behaviour: How the providers answer.
        earliest: The time from the start of the round, if calls take no time and waits are as short as their jitter allows.
        latest: The same with the longest calls and waits.
    """

    event: NextEvent
    behaviour: ProviderBehaviour
    earliest: timedelta
    latest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The forecast of an escalation.

    Attributes:
        first: The channels on which it pages at once: those of the first tier, then wished ones.
        first_tier: The number of their tier; None if no tier opens at once.
        expected: The later tiers and alerts, by the behaviour, then by time.
        rounds_at: When further rounds start unless somebody acknowledges, from the start of the first.
        ends_after: When operations is told that nobody has acknowledged the last round; None if the policy does not repeat.
        called_after: For each behaviour of providers, the longest time until a phone rings; None if it does not.
        expires_after: When no page is sent any more.
    """

    first: tuple[str, ...]
    first_tier: int | None
    expected: tuple[Expected, ...]
    rounds_at: tuple[timedelta, ...]
    ends_after: timedelta | None
    called_after: Mapping[ProviderBehaviour, timedelta | None]
    expires_after: timedelta

    @property
    def later(self) -> tuple[Expected, ...]:
        """The events after the first pages."""
        is_first = {0, self.first_tier}
        return tuple(
            each for each in self.expected if each.event.what is not NextEventKind.TIER or each.event.tier not in is_first
        )


def fresh_escalation(contact: Contact, policy: Policy, severity: Severity, calling: frozenset[str]) -> DecisionContext:
    """Return a fresh escalation to a recipient, for a forecast."""
    policy = preferred(policy, contact, severity)
    return DecisionContext(
        escalation=EscalationFacts(
            id="", incident_id="", recipient_id=contact.recipient_id, round=1, severity=severity, policy=policy, started_at=_START
        ),
        incident=IncidentFacts(id="", key="", severity=severity, policy=policy, opened_at=_START, last_seen_at=_START),
        notifications=(),
        addresses=frozenset(contact.addresses),
        calling=calling,
        wishes=wished(contact, severity),
    )


def forecast(fresh: DecisionContext, models: Mapping[str, ChannelModel]) -> Forecast:
    """Return the forecast of a fresh escalation (ACTIVE, tier 0, without notifications) if nobody acknowledges."""
    start = fresh.escalation.started_at
    ringing = {name for name in fresh.calling if models.get(name, ChannelModel()).providers}
    expected: list[Expected] = []
    called: dict[ProviderBehaviour, timedelta | None] = {}
    for behaviour in ProviderBehaviour:
        soon = ForecastRun(fresh, models, behaviour, takes=timedelta(), fraction=0.0)
        late = ForecastRun(fresh, models, behaviour, takes=LONGEST_CALL, fraction=1.0)
        runs = [soon, late, *(_of_wishes(fresh, models, behaviour) if fresh.wishes else ())]
        found = list(_ranges([run.events() for run in runs], behaviour, start))
        expected += found
        called[behaviour] = next((each.latest for each in found if ringing.intersection(each.event.channels)), None)
    at_once = [
        each.event
        for each in expected
        if each.behaviour is ProviderBehaviour.ACCEPTED and each.event.what is NextEventKind.TIER and not each.latest
    ]
    first = next((event for event in at_once if event.tier), None)
    wishes = tuple(channel for event in at_once if not event.tier for channel in event.channels)
    repeat, due_at = fresh.escalation.policy.repeat, rounds.due_at(fresh)
    is_repeated = repeat is not None and due_at is not None
    return Forecast(
        first=(*(first.channels if first else ()), *wishes),
        first_tier=first.tier if first else None,
        expected=tuple(expected),
        rounds_at=tuple(number * repeat.every for number in range(1, repeat.rounds)) if repeat and is_repeated else (),
        ends_after=repeat.every * repeat.rounds if repeat and is_repeated else None,
        called_after=called,
        expires_after=expires_at(fresh.escalation, ()) - start,
    )


def _of_wishes(
    fresh: DecisionContext, models: Mapping[str, ChannelModel], behaviour: ProviderBehaviour
) -> Iterator["ForecastRun"]:
    """Yield the runs that differ with wishes: a tier adopts a wished page whose call ended later than those of the tier's pages.

    The fastest adopts them just before they count as failed, and calls nobody again; the slowest adopts none.
    """
    yield ForecastRun(fresh, models, behaviour, takes=timedelta(), fraction=0.0, wishes_later=timedelta(microseconds=1))
    yield ForecastRun(replace(fresh, wishes=()), models, behaviour, takes=LONGEST_CALL, fraction=1.0)


def warnings(
    fresh: DecisionContext, models: Mapping[str, ChannelModel], found: Forecast, *, has_links: bool, obstacles: Obstacles
) -> Iterator[str]:
    """Yield, in words, what cannot happen: tiers that page nobody or never open, channels that carry nothing, a missing link."""
    facts = fresh.escalation
    opened = {each.event.tier for each in found.expected}
    for number, tier in enumerate(facts.policy.tiers, start=1):
        named = f"tier {tier.name}"
        if facts.severity in tier.shut_for:
            yield f"{named} is shut for {facts.severity}"
        elif not ways(fresh, tier):
            yield f"{named} pages nobody: no address for {' or '.join(map(way, tier.channels))}"
        elif number not in opened:
            yield f"{named} never opens: no way in which providers answer meets its rules before the round ends"
        for channel in ways(fresh, tier):
            yield from _obstacles_of(channel, models.get(channel, ChannelModel()), facts.severity, obstacles)
    if not has_links:
        yield "nobody can acknowledge by a link: NOTIFYFLOW_PUBLIC_URL or NOTIFYFLOW_SECRET_KEY is not set"


def _obstacles_of(channel: str, model: ChannelModel, severity: Severity, obstacles: Obstacles) -> Iterator[str]:
    """Yield why a channel carries nothing, or only by some of its providers."""
    if not model.providers:
        yield f"{way(channel)} has no provider: its page fails at once"
    elif channel in obstacles.opted_out:
        yield f"{way(channel)} is blocked: the recipient has sent STOP to every number that could text them"
    is_urgent = severity is Severity.CRITICAL
    for provider in model.providers:
        ends = [each.ends_at for each in obstacles.pauses if each.covers(channel, provider, is_urgent=is_urgent)]
        if ends:
            until = text.instant(max(ends).astimezone(UTC), now=None)
            yield f"{way(channel)} over {provider} is paused until {until}: a page waits until then"


def _ranges(runs: Iterable[Iterable[NextEvent]], behaviour: ProviderBehaviour, start: datetime) -> Iterator[Expected]:
    """Join the events of the fastest and the slowest runs; an event that a run lacks comes before its next round, if at all."""
    courses = [{(each.what, each.tier): each for each in course} for course in runs]
    for key in dict.fromkeys(
        key for course in courses for key in course if key[0] in (NextEventKind.TIER, NextEventKind.OPERATIONS)
    ):
        meant = courses if key[1] != 0 else [course for course in courses if key in course]
        found = [each for course in meant if (each := course.get(key) or course.get((NextEventKind.ROUND, None)))]
        times = [each.at - start for each in found if each.at is not None]
        event = next(course[key] for course in courses if key in course)
        yield Expected(event=event, behaviour=behaviour, earliest=min(times), latest=max(times))


class ForecastRun:
    """Runs one escalation up to its next round, in virtual time.

    Args:
        fresh: The escalation: ACTIVE, in tier 0, without notifications.
        models: The model of each channel.
        behaviour: How all providers answer, or a function: channel → how its provider answers.
        takes: How long each call takes.
        fraction: The random share of each wait's jitter, 0 to 1.
        wishes_later: How much longer calls about wished pages take.

    Attributes:
        context: The escalation with its notifications, so far.
    """

    def __init__(
        self,
        fresh: DecisionContext,
        models: Mapping[str, ChannelModel],
        behaviour: ProviderBehaviour | Callable[[str], ProviderBehaviour],
        *,
        takes: timedelta,
        fraction: float,
        wishes_later: timedelta = timedelta(),
    ) -> None:
        self.context = fresh
        self._models = models
        self._behaviour: Callable[[str], ProviderBehaviour] = (
            (lambda channel: behaviour) if isinstance(behaviour, ProviderBehaviour) else behaviour
        )
        self._takes = takes
        self._fraction = fraction
        self._wishes_later = wishes_later

    def events(self) -> Iterator[NextEvent]:
        """Yield the events, in order of time."""
        now = self.context.escalation.started_at
        decided = escalations.start(self.context, now=now)
        yield from events_of(self.context, decided, now=now)
        self.context = written(self.context, decided, now=now)
        while True:
            moves = [(at, row) for row in self.context.notifications if (at := self._moves_at(row)) is not None]
            waiting = timers(self.context)
            if not moves and not waiting:
                return
            if moves and (not waiting or min(at for at, _ in moves) <= min(at for at, _ in waiting)):
                now, row = min(moves, key=lambda each: each[0])
                self._replace(self._moved(row, now))
                self.context, came = advance(self.context, event="recorded", now=now)
            else:
                now, event = min(waiting, key=lambda each: each[0])
                self.context, came = advance(self.context, event=event, now=now)
            yield from came
            if any(each.what is NextEventKind.ROUND for each in came):
                return

    def _moves_at(self, row: NotificationFacts) -> datetime | None:
        """Return when a page changes by itself or by its provider; None if it does not."""
        if row.state is NotificationState.QUEUED:
            return row.due_at
        latest = counted(row)[-1] if counted(row) else None
        if row.state is NotificationState.SENDING and latest:
            return latest.started_at + self._takes + (timedelta() if row.tier else self._wishes_later)
        is_reported = row.state is NotificationState.SENT and self._behaviour(row.channel) is ProviderBehaviour.ACCEPTED
        return latest.ended_at if latest and is_reported and latest.receipt_due_at is not None else None

    def _moved(self, row: NotificationFacts, now: datetime) -> NotificationFacts:
        model = self._models.get(row.channel, ChannelModel())
        policy = self.context.escalation.policy
        schedule = policy.retries.schedule(row.channel, row.severity)
        if row.state is NotificationState.QUEUED and not model.providers:
            return lifecycle.end(row, Ended.NO_PROVIDER, reason="", now=now).after
        if row.state is NotificationState.QUEUED:
            return lifecycle.claim(row, self._attempt(row, model, now), now=now).after
        attempt = counted(row)[-1]
        if row.state in IN_PROGRESS:
            outcome = Outcome(result=_RESULTS[self._behaviour(row.channel)], receipt_due_at=lifecycle.awaited_until(attempt, now))
            return lifecycle.record(row, attempt.id, outcome, schedule=schedule, now=now, fraction=self._fraction).after
        receipt = Receipt(provider=attempt.provider, event_id="", attempt_id=attempt.id, result=Result.DELIVERED)
        return lifecycle.receive(row, attempt.id, receipt, schedule=schedule, now=now, fraction=self._fraction).after

    def _attempt(self, row: NotificationFacts, model: ChannelModel, now: datetime) -> AttemptFacts:
        number = len(row.attempts) + 1
        policy = self.context.escalation.policy
        unproven_after = proof.unproven_after(policy, row.channel, row.severity, model.capabilities)
        is_silent = not model.has_receipts and unproven_after is not None
        return AttemptFacts(
            id=f"{row.id}.{number}",
            notification_id=row.id,
            number=number,
            provider=model.providers[0],
            token="",
            started_at=now,
            lease_until=now + timedelta(minutes=1),
            receipt_due_at=now + proof.overdue_after(policy, row.channel) if model.has_receipts else None,
            unproven_at=now + unproven_after if is_silent and unproven_after is not None else None,
        )

    def _replace(self, moved: NotificationFacts) -> None:
        rows = tuple(moved if each.id == moved.id else each for each in self.context.notifications)
        self.context = replace(self.context, notifications=rows)
