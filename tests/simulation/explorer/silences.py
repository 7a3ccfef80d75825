"""Stories in which somebody silences the alert: nothing leaves under a silence, and nothing is lost after it.

The stage matches by rules of its own. To the oracle, time under a silence is like a pause of everything.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import TypeVar

from notifyflow.core.delivery.facts import Outcome
from notifyflow.core.delivery.model import DeferralReason, Incident, IncidentState, Kind, NotificationState, Severity, Via
from notifyflow.core.insight.views import IncidentStatus
from notifyflow.core.limits.silences import AuthorKind, Silence, read_matchers
from notifyflow.core.references import ByKey
from notifyflow.pipeline.delivery.acknowledge import page_again
from notifyflow.pipeline.delivery.silences import silencing
from notifyflow.pipeline.transaction.ports import NOTHING, Claimed, FollowUps
from notifyflow.storage.ledger import Ledger
from notifyflow.storage.store import Store
from tests.builders import KEY
from tests.simulation.explorer.stage import Firing, Stage
from tests.simulation.explorer.story import Acknowledges, Act, Flaps, Resolves, Story, minute

T = TypeVar("T")
_MOMENT_S = 0.001
_WAITS_S = 60.0
"""How long after a silence a page may wait for it at most, where workers live."""
_MEANT = ((f"key={KEY}", Severity.CRITICAL), (f"key={KEY}", Severity.ERROR), ("team=orders", Severity.ERROR))


@dataclass(frozen=True)
class Silences(Act):
    """Somebody starts a silence, which begins now or later; a process may die after some transactions of its begin or its end."""

    word: str
    severity: Severity
    delay_s: float
    span_s: float
    dies_after: int

    def __str__(self) -> str:
        """Say it."""
        return (
            f"{minute(self.at_s)} somebody silences {self.word} severity<={self.severity} from {minute(self.at_s + self.delay_s)}"
            f" until {minute(self.at_s + self.delay_s + self.span_s)}{_death(self.dies_after)}"
        )


@dataclass(frozen=True)
class Ends(Act):
    """Somebody ends the oldest silence that lasts."""

    dies_after: int

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} somebody ends the oldest silence{_death(self.dies_after)}"


@dataclass(frozen=True)
class Changes(Act):
    """From then on the alert has this severity and this team; it is posted at once if it fires."""

    severity: Severity
    team: str

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} the alert is {self.severity}, of team {self.team}"


@dataclass(frozen=True)
class PagesAgain(Act):
    """Somebody pages Ada again."""

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} somebody pages Ada again"


def silenced(story: Story) -> Story:
    """Return a story with silences added, drawn from its seed."""
    return replace(story, is_silenced=True, acts=tuple(sorted((*_acts(story), *story.acts), key=lambda act: act.at_s)))


def _acts(story: Story) -> Iterator[Act]:
    chance = Random(f"silences {story.seed}")
    soon_s = int(max(600.0, *(each.times * (each.on_s + each.off_s) for each in story.acts if isinstance(each, Flaps))))

    def at() -> float:
        return float(chance.randint(1, soon_s))

    rises_s = at() if chance.random() < 0.4 else 0.0
    for at_s in sorted({0.0, rises_s, *(at() for _ in range(chance.choice((0, 0, 1, 2))))}):
        yield Changes(
            at_s, Severity.CRITICAL if at_s >= rises_s else Severity.ERROR, chance.choice(("orders", "orders", "payments"))
        )
    for _ in range(chance.choice((1, 1, 2, 3))):
        word, severity = chance.choice((_MEANT[0], *_MEANT))
        delay_s, span_s = float(chance.choice((0, 0, 60, 300))), float(chance.choice((60, 300, 900, 1800)))
        at_s = chance.choice((0.0, at()))
        yield Silences(at_s, word, severity, delay_s, span_s, chance.choice((0, 0, 1, 2)))
    for _ in range(chance.choice((0, 1, 1, 2))):
        yield Ends(at(), chance.choice((0, 0, 1, 2)))
    if chance.random() < 0.4 and story.next_s is None:  # the next person is not paged again
        yield PagesAgain(at_s + delay_s + 0.5 * span_s)
    if chance.random() < 0.15:
        yield Acknowledges(at(), 0)
    if chance.random() < 0.1:
        yield Resolves(at(), is_operations=False)


def _death(dies_after: int) -> str:
    return f", and dies after {dies_after} of its transactions" if dies_after else ""


class KilledError(BaseException):
    """Raised when a process dies."""


@dataclass
class _Dying:
    """The store of a process that dies after some transactions."""

    store: Store
    left: int

    def run(self, use_case: Callable[[Ledger], T], *, timeout_s: float = 5.0, tries: int | None = None) -> T:
        if not self.left:
            raise KilledError
        self.left -= 1
        return self.store.run(use_case, timeout_s=timeout_s, tries=tries)

    def join(self, connection: object, use_case: Callable[[Ledger], T]) -> T:
        return self.store.join(connection, use_case)


@dataclass(eq=False)
class _Quiet:
    """A silence, and the incidents that it holds, and for which it is over."""

    id: str
    act: Silences
    ends_s: float
    held: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)

    def lasts(self, now_s: float) -> bool:
        return self.act.at_s + self.act.delay_s <= now_s < self.ends_s

    def covers(self, severity: Severity, team: str) -> bool:
        is_meant = self.act.word in (f"key={KEY}", f"team={team}")
        return is_meant and (severity is Severity.ERROR or self.act.severity is Severity.CRITICAL)


class SilencedStage(Stage):
    """Plays a story with silences."""

    def __init__(self, store: Store, story: Story) -> None:
        super().__init__(store, story)
        self._severity, self._team = Severity.CRITICAL, ""
        self._quiets: list[_Quiet] = []
        self._covered_s: float | None = None  # since when the alert is silenced; None if it is not
        self._uncovered_s = 0.0  # when it was silenced last
        self._sweep_dies_after = 0
        self._waits_s = _WAITS_S + max((2 * each.every_s for each in self._lives), default=0.0)

    def _plan(self, act: Act) -> None:
        match act:
            case Silences():
                self._after(act.at_s, partial(self._silence, act))
            case Ends():
                self._after(act.at_s, partial(self._end, act))
            case Changes():
                self._after(act.at_s, partial(self._change, act))
            case PagesAgain():
                self._after(act.at_s, self._page_again)
            case _:
                super()._plan(act)

    def _after(self, delay_s: float, call: Callable[[], object]) -> None:
        super()._after(delay_s, partial(self._do, call))

    def _do(self, call: Callable[[], object]) -> None:
        call()
        self._look()

    def _look(self) -> None:
        """Note whether the alert is silenced now."""
        lasting = [each for each in self._quiets if each.lasts(self._now_s)]
        status = self._open()
        covering = []
        if status is not None:
            incident_id = status.facts.id
            for quiet in lasting:
                if quiet.covers(self._severity, self._team):
                    quiet.held.add(incident_id)
                elif incident_id in quiet.held:
                    quiet.over.add(incident_id)
            covering = [each for each in lasting if incident_id in each.held - each.over]
        if covering and self._covered_s is None:
            self._covered_s = self._now_s
        elif not covering and self._covered_s is not None:
            self.observed.paused_intervals.append((self._covered_s, self._now_s))
            self._covered_s, self._uncovered_s = None, self._now_s
            self._check_later()

    def _open(self) -> IncidentStatus | None:
        status = self.store.read(lambda reads: reads.status(KEY))
        return None if status is None or status.facts.state is IncidentState.RESOLVED else status

    def _check_later(self) -> None:
        super()._after(self._waits_s, self._check_waiting)

    def _check_waiting(self) -> None:
        """Note if a page waits for a silence though none has covered the alert for a while."""
        status = self._open()
        if status is None or self._covered_s is not None or self._now_s < self._uncovered_s + self._waits_s:
            return
        pages = (row for each in status.escalations for row in each.notifications if row.kind is Kind.PAGE)
        queued = (row for row in pages if row.state is NotificationState.QUEUED and row.due_at is not None)
        if any(row.deferred_by is DeferralReason.SILENCE and row.due_at > self.clock.now() for row in queued):
            self.observed.amiss.append(("a page waited for a silence that did not cover it at", self._now_s))

    def _respond(self, claimed: Claimed) -> Outcome:
        """Respond as a provider does, and note if a page begins under a silence."""
        if self._covered_s is not None and (status := self._open()) is not None:
            pages = {row.id for each in status.escalations for row in each.notifications if row.kind is Kind.PAGE}
            if any(each.message.notification_id in pages for each in claimed.attempts):
                self.observed.amiss.append(("a page began under a silence at", self._now_s))
        return super()._respond(claimed)

    def _silence(self, act: Silences) -> None:
        now = self.clock.now()
        begins_at = now + timedelta(seconds=act.delay_s)
        wanted = Silence(
            id=self.deps.ids.new(),
            matchers=read_matchers([act.word, f"severity<={act.severity}"]),
            reason="upgrade",
            begins_at=begins_at,
            ends_at=begins_at + timedelta(seconds=act.span_s),
            created_at=now,
            author_kind=AuthorKind.COMMAND,
            author_id="",
            author="Grace",
        )
        self._quiets.append(_Quiet(wanted.id, act, self._now_s + act.delay_s + act.span_s))
        with self._dying(act.dies_after):
            self._note(silencing.start(self.deps, wanted))
        for delay_s in (act.delay_s, act.delay_s + act.span_s):
            self._after(delay_s, partial(self._kill_later, act.dies_after))

    def _end(self, act: Ends) -> None:
        quiet = next((each for each in self._quiets if self._now_s < each.ends_s), None)
        if quiet is not None:
            quiet.ends_s = self._now_s
            with self._dying(act.dies_after):
                self._note(silencing.end(self.deps, quiet.id, by="Grace").follow_ups)

    def _kill_later(self, dies_after: int) -> None:
        self._sweep_dies_after = dies_after
        self._check_later()

    @contextmanager
    def _dying(self, dies_after: int) -> Iterator[None]:
        """Let a process die after some transactions; it lives if there are none."""
        whole = self.deps
        self.deps = replace(whole, transactions=_Dying(self.store, dies_after)) if dies_after else whole
        try:
            yield
        except KilledError:
            return
        finally:
            self.deps = whole

    def sweep(self) -> FollowUps:
        """Sweep, or die in the middle of it."""
        dies_after, self._sweep_dies_after = self._sweep_dies_after, 0
        with self._dying(dies_after):
            return super().sweep()
        return NOTHING

    def _change(self, act: Changes) -> None:
        self._severity, self._team = act.severity, act.team
        if self._open() is not None:
            self._fire()

    def _fire(self) -> None:
        """Post the alert; a firing counts from when it is CRITICAL."""
        incident = Incident(key=KEY, title="down", severity=self._severity, labels={"team": self._team})
        notified = self.notify(incident, self._ada(), policy=self._story.policy, then=self._then())
        self._check_later()
        known = {each.incident_id for each in self.observed.firings}
        if self._severity is Severity.CRITICAL and notified.incident_id not in known:
            self.observed.firings.append(Firing(self._now_s, notified.incident_id))

    def _ended(self, how: str) -> None:
        if self.observed.firings:
            super()._ended(how)

    def _acknowledge(self, back: int) -> None:
        super()._acknowledge(back)
        if len(self.observed.firings) > back:  # after a page again, those before it are firings of the same alert
            self.observed.firings[-1].acknowledged_s = self._now_s

    def _page_again(self) -> None:
        """Page Ada again, which ends all silences for the incident; what is demanded counts from then."""
        if (status := self._open()) is None:
            return
        self._note(page_again(self.deps, ByKey(KEY), "ada", by="eve", via=Via.DASHBOARD).follow_ups)
        for quiet in self._quiets:
            if quiet.lasts(self._now_s) and quiet.covers(self._severity, self._team):
                quiet.held.add(status.facts.id)
                quiet.over.add(status.facts.id)
        firings = self.observed.firings
        if firings and firings[-1].incident_id == status.facts.id:
            firings[-1].resolved_s = self._now_s - _MOMENT_S
            firings.append(Firing(self._now_s, status.facts.id))
