"""The stage: it plays a story over the real pipeline, on a clock of its own, and notes what is seen from outside.

The web service always runs; workers sweep, claim, send and record while they live.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import (
    Condition,
    Evidence,
    Incident,
    IncidentState,
    Receipt,
    Recipient,
    Result,
    Severity,
    Step,
    Via,
)
from notifyflow.core.intake.validation import OPERATIONS_KEY
from notifyflow.core.limits.pauses import Pause, PauseScope
from notifyflow.core.references import ById, ByKey
from notifyflow.errors import NotFound
from notifyflow.pipeline.delivery.acknowledge import acknowledge, resolve
from notifyflow.pipeline.delivery.outages import pause
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.delivery.sweep import next_wake_at
from notifyflow.pipeline.transaction.ports import Claimed, FollowUps
from notifyflow.storage.store import Store
from tests.builders import ACCEPTED, BUSY, CHANNELS, KEY, REFUSED, REFUSED_US, UNKNOWN, a_contact, a_recipient
from tests.driver import Driver
from tests.simulation.explorer.story import (
    RINGING,
    Acknowledges,
    Act,
    Flaps,
    Lives,
    Moves,
    Pauses,
    Resolves,
    Response,
    Storms,
    Story,
)

_FOLDER = "notifyflow-explorer-"
_SWEEPS_EVERY_S = 1.0
_YOUNG_S = 10.0
_LONGEST_SLEEP_S = 50.0
_MOVED = "new"
ADDRESSES_OF_ADA = ("ada@", "new@")
_OUTCOMES = {
    Response.REFUSES: REFUSED,
    Response.IS_BUSY: replace(BUSY, condition=Condition.UNHEALTHY),
    Response.ASKS_TO_WAIT: replace(BUSY, retry_after_s=120.0),
    Response.CUTS: UNKNOWN,
    Response.REFUSES_US: replace(REFUSED_US, condition=Condition.REFUSING),
}
_BOUNCES_AFTER_S = 2400.0
_QUIET = "00:30-15:00"  # every story begins at three


@dataclass(frozen=True)
class Sent:
    """An attempt that a provider saw.

    Attributes:
        at_s: When.
        channel: Its channel.
        address: Its address.
        text: What it said.
        is_accepted: Whether the provider accepted it.
        is_about: Whether it carried a page of the alert; others fire in a storm.
    """

    at_s: float
    channel: str
    address: str
    text: str
    is_accepted: bool
    is_about: bool = True


@dataclass
class Firing:
    """One firing of the alert: when it began and healed, and when a person ended it, in seconds; None if it did not end so."""

    began_s: float
    incident_id: str
    healed_s: float | None = None
    acknowledged_s: float | None = None
    resolved_s: float | None = None


@dataclass
class Seen:
    """What is seen from outside.

    Attributes:
        firings: The firings, in order.
        sent: What the providers saw, in order.
        arrived: When something arrived at Ada: a phone reported it, a key was pressed, or mail or chat was accepted.
        moved_s: When Ada got her new number; None before.
        paused_intervals: When everything was paused or the alert was silenced, from and until.
        amiss: What a silence did wrong, and when.
        away: When no worker lived, from and until.
        until_s: When the story ends.
    """

    firings: list[Firing] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    moved_s: float | None = None
    paused_intervals: list[tuple[float, float]] = field(default_factory=list)
    amiss: list[tuple[str, float]] = field(default_factory=list)
    away: list[tuple[float, float]] = field(default_factory=list)
    until_s: float = 0.0


class Stage(Driver):
    """Plays one story.

    Attributes:
        observed: What is seen from outside.
    """

    def __init__(self, store: Store, story: Story) -> None:
        super().__init__(store, operations=[a_contact("ops", "email", "sms")])
        self.deps = replace(self.deps, limits={_provider(name): limit for name, limit in story.limits.items()})
        self.observed = Seen()
        self._story = story
        self._began_at = self.clock.now()
        self._line: list[tuple[float, int, Callable[[], object]]] = []
        self._count = count()
        self._rung: dict[str, None] = {}
        self._wakes_s = 0.0
        self._attempts: dict[str, int] = {}
        self._events = count(1)
        self._lives = [act for act in story.acts if isinstance(act, Lives)]

    def play(self, until_s: float) -> Seen:
        """Play the story until some seconds after its beginning."""
        self.observed.until_s = until_s
        self.observed.away = [each for each in self._away() if each[0] < until_s]
        for act in self._story.acts:
            self._plan(act)
        now_s = 0.0
        self.store.run(lambda ledger: ledger.intervals.note_first_sweep(at=self.clock.now()))
        while now_s < until_s:
            while self._line and self._line[0][0] <= now_s:
                heapq.heappop(self._line)[2]()
            if self._lives_at(now_s):
                self._work()
            now_s = min(until_s, self._next_s(now_s))
            self.clock.at = self._began_at + timedelta(seconds=now_s)
        return self.observed

    def _work(self) -> None:
        """Do what is due, as a worker does; where nothing is, its sweep is only noted."""
        if self._now_s >= self._wakes_s or self._is_young:
            self.sweep()
        else:
            self.note_sweep(self.clock.now())
        self.deliver()

    @property
    def _is_young(self) -> bool:
        """Whether a worker that was started anew lives for less than ten seconds."""
        return any(until_s <= self._now_s < until_s + _YOUNG_S for _, until_s in self.observed.away)

    @property
    def _now_s(self) -> float:
        return (self.clock.now() - self._began_at).total_seconds()

    def _after(self, delay_s: float, call: Callable[[], object]) -> None:
        heapq.heappush(self._line, (self._now_s + delay_s, next(self._count), call))

    def _next_s(self, now_s: float) -> float:
        """Return when something happens next: an act, a receipt, a timer, a sweep, the birth or the death of a worker."""
        planned_s = self._line[0][0] if self._line else float("inf")
        if not self._lives_at(now_s):
            return min(planned_s, next(until_s for since_s, until_s in self.observed.away if since_s <= now_s < until_s))
        sweep_s = now_s + (_SWEEPS_EVERY_S if self._is_young else _LONGEST_SLEEP_S)
        wake_at = next_wake_at(self.deps)
        self._wakes_s = float("inf") if wake_at is None else (wake_at - self._began_at).total_seconds()
        dies_s = min((since_s for since_s, _ in self.observed.away if since_s > now_s), default=sweep_s)
        return min(planned_s, sweep_s, max(self._wakes_s, now_s + 0.05), dies_s)

    def _lives_at(self, now_s: float) -> bool:
        return not any(since_s <= now_s < until_s for since_s, until_s in self.observed.away)

    def _away(self) -> Iterator[tuple[float, float]]:
        for act in self._lives:
            for number in range(act.times):
                began_s = act.at_s + number * act.every_s
                yield began_s + act.lives_s, began_s + act.every_s

    def _plan(self, act: Act) -> None:
        match act:
            case Flaps():
                self._plan_firings(act)
            case Acknowledges(back=back):
                self._after(act.at_s, partial(self._acknowledge, back))
            case Resolves():
                self._after(act.at_s, self._resolve_operations if act.is_operations else self._resolve)
            case Moves():
                self._after(act.at_s, self._move)
            case Pauses():
                self._after(act.at_s, partial(self._pause, act))
            case Storms():
                for number in range(act.times):
                    self._after(act.at_s + number * act.over_s / act.times, partial(self._fire_another, act, number))

    def _plan_firings(self, act: Flaps) -> None:
        for number in range(act.times):
            began_s = act.at_s + number * (act.on_s + act.off_s)
            self._after(began_s, self._fire)
            if not (act.stays_open and number == act.times - 1):
                self._after(began_s + act.on_s, self._heal)

    def _fire(self) -> None:
        """Post the alert, as a sender does."""
        incident, policy = Incident(key=KEY, title="down", severity=Severity.CRITICAL), self._story.policy
        notified = self.notify(incident, self._ada(), policy=policy, then=self._then())
        if notified.is_new:
            self.observed.firings.append(Firing(self._now_s, notified.incident_id))

    def _fire_another(self, act: Storms, number: int) -> None:
        """Post another alert, of which nothing is asked but that it keeps nobody from the first one."""
        incident = Incident(key=f"other-{act.at_s:.0f}-{number}", title="down, too", severity=act.severity)
        self.notify(incident, self._ada(), policy=self._story.policy)

    def _heal(self) -> None:
        """Resolve the alert, as an integration does."""
        self._note(resolve(self.deps, ByKey(KEY), by="prometheus", via=Via.ALERTMANAGER).follow_ups)
        self._ended("healed_s")

    def _acknowledge(self, back: int) -> None:
        if len(self.observed.firings) > back:
            firing = self.observed.firings[-1 - back]
            self._note(acknowledge(self.deps, ById(firing.incident_id), by="ada", via=Via.LINK).follow_ups)
            firing.acknowledged_s = self._now_s

    def _resolve(self) -> None:
        if self.observed.firings:
            self._note(resolve(self.deps, ById(self.observed.firings[-1].incident_id), by="grace", via=Via.DASHBOARD).follow_ups)
            self._ended("resolved_s")

    def _resolve_operations(self) -> None:
        try:
            self._note(resolve(self.deps, ByKey(OPERATIONS_KEY), by="grace", via=Via.DASHBOARD).follow_ups)
        except NotFound:
            return

    def _ended(self, how: str) -> None:
        firing = self.observed.firings[-1]
        if firing.healed_s is None and firing.resolved_s is None:
            setattr(firing, how, self._now_s)

    def _move(self) -> None:
        self.observed.moved_s = self._now_s
        if self.status().facts.state is not IncidentState.RESOLVED:
            self._fire()

    def _pause(self, act: Pauses) -> None:
        scope, now = (PauseScope.CHANNEL if act.channel else PauseScope.ALL), self.clock.now()
        ends_at = now + timedelta(seconds=act.span_s)
        wanted = Pause(scope=scope, name=act.channel, paused_at=now, ends_at=ends_at, paused_by="grace", is_for_critical=True)
        pause(self.deps, wanted)
        if not act.channel:
            self.observed.paused_intervals.append((self._now_s, self._now_s + act.span_s))

    def _ada(self) -> Recipient:
        who = "ada" if self.observed.moved_s is None else _MOVED
        addresses = {name: f"{who if name in RINGING else 'ada'}@{name}" for name in self._story.ways}
        wishes = {Severity.CRITICAL.value: self._story.wishes} if self._story.wishes else None
        quiet = _QUIET if self._story.is_quiet else None
        return Recipient(id="ada", name="Ada", addresses=addresses, channels=wishes, timezone="UTC", quiet=quiet)

    def _then(self) -> Sequence[Step]:
        if self._story.next_s is None:
            return ()
        return (Step(to=(a_recipient("ben", *CHANNELS),), after=timedelta(seconds=self._story.next_s)),)

    def deliver(self) -> None:
        """Claim, send and record what was rung for."""
        while self._rung:
            channels, self._rung = self._rung, {}
            for each in [each for name in channels for each in self.claim(name)]:
                outcome = self._respond(each)
                for attempt in each.attempts:
                    self.record(attempt, outcome)

    def _note(self, follow_ups: FollowUps) -> FollowUps:
        """Note which channels are rung for."""
        self._rung |= {due.channel: None for due in follow_ups.due}
        return follow_ups

    def _respond(self, claimed: Claimed) -> Outcome:
        """Respond as the provider of a channel does, and plan its receipts."""
        address, channel = claimed.message.address, claimed.channel
        is_scripted = address.startswith("ada@")
        response = self._next(channel) if is_scripted else Response.DELIVERS
        outcome = _OUTCOMES.get(response, ACCEPTED)
        content = claimed.message.content
        is_accepted, is_about = outcome is ACCEPTED, self._is_about(claimed.attempts)
        self.observed.sent.append(Sent(self._now_s, channel, address, f"{content.title}\n{content.body}", is_accepted, is_about))
        if is_accepted:
            for delay_s, receipt in _receipts(response, channel):
                self._after(delay_s, partial(self._report_on, claimed, receipt))
            if is_about and address.startswith(ADDRESSES_OF_ADA) and channel in ("email", "slack", "teams"):
                self.observed.arrived.append(self._now_s)
        return outcome

    def _is_about(self, attempts: Sequence[Claimed]) -> bool:
        """Return whether one of some attempts is of a page of the alert."""
        alerts = {firing.incident_id for firing in self.observed.firings}
        return any(each.message.incident_id in alerts for each in attempts)

    def _next(self, channel: str) -> Response:
        number = self._attempts.get(channel, 0)
        self._attempts[channel] = number + 1
        said = self._story.responses[channel]
        return said[min(number, len(said) - 1)]

    def _report_on(self, claimed: Claimed, wanted: Receipt) -> None:
        """Report on a call; a pressed key delivers what it has named."""
        found = replace(wanted, provider=claimed.provider, attempt_id=claimed.message.attempt_id)
        received = receive(self.deps, replace(found, event_id=f"event-{next(self._events)}"), raw="raw").only()
        self._note(received.follow_ups)
        named = max(1, len(claimed.message.content.bundled)) if wanted.is_key_press else len(claimed.attempts)
        is_hers = claimed.message.address.startswith(ADDRESSES_OF_ADA)
        if wanted.result is Result.DELIVERED and is_hers and self._is_about(claimed.attempts[:named]):
            self.observed.arrived.append(self._now_s)


def _receipts(response: Response, channel: str) -> Sequence[tuple[float, Receipt]]:
    """Return what a provider reports on an attempt that it accepted, and after how many seconds."""

    def report(result: Result, evidence: Evidence = Evidence.CARRIER, *, is_key_press: bool = False) -> Receipt:
        return Receipt(provider="", event_id="", result=result, evidence=evidence, is_key_press=is_key_press)

    match response, channel:
        case Response.DELIVERS, "sms":
            return [(3.0, report(Result.DELIVERED))]
        case Response.DELIVERS, "voice":
            return [(20.0, report(Result.DELIVERED, Evidence.HUMAN, is_key_press=True))]
        case Response.FAILS, "sms":
            return [(5.0, report(Result.PERMANENT_FAILURE))]
        case Response.FAILS, _:
            return [(5.0, replace(report(Result.TEMPORARY_FAILURE), evidence=None))]
        case Response.RINGS_OUT, _:
            return [(2.0, report(Result.ACCEPTED)), (30.0, report(Result.TEMPORARY_FAILURE))]
        case Response.BOUNCES, _:
            return [(_BOUNCES_AFTER_S, report(Result.PERMANENT_FAILURE))]
    return []


def _provider(channel: str) -> str:
    return f"the {channel} provider"


@cache
def _template() -> bytes:
    """Return an empty database with our tables."""
    with TemporaryDirectory(prefix=_FOLDER) as folder:
        path = Path(folder) / "template.db"
        store = Store(f"sqlite:///{path}")
        store.upgrade()
        store.close()
        return path.read_bytes()


@contextmanager
def opened() -> Iterator[Store]:
    """Open an empty database, which is deleted afterwards."""
    with TemporaryDirectory(prefix=_FOLDER) as folder:
        path = Path(folder) / "story.db"
        path.write_bytes(_template())
        with closing(Store(f"sqlite:///{path}")) as store:
            yield store
