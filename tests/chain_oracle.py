"""The oracle of chains: what becomes of the steps of one incident, computed a second time, as simply as possible.

It is told to whom all ways have failed and when nothing counts, and looks at the time; it has no timers, and nothing is stored.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

Duty = Callable[[str, datetime], Collection[str]]
"""Whom a name means at an instant: a person, the people on duty, or nobody."""
Break = tuple[datetime, datetime]
"""A time that does not count: its beginning and its end."""


@dataclass
class OracleStep:
    """One step of a run; without a name it is the end of the chain.

    Attributes:
        place: Its place in the plan, from 1; whoever is paged again by hand has that of the last step that had begun.
        people: Those whom it pages; nobody else pages them in this run.
        was_started: Whether it has ever paged anybody.
    """

    to: tuple[str, ...]
    after: timedelta
    place: int
    state: str = "WAITING"
    people: tuple[str, ...] = ()
    was_started: bool = False


@dataclass
class OracleChain:
    """One incident with a chain, and all its runs.

    Attributes:
        plan: The steps: whom each pages, and after which time; then the time of the last one.
        duty: Whom a name means.
        severity: The incident's.
        intervals: The times that do not count.
        state: The incident's.
        all_failed: Those of whom every way has failed.
        runs: The steps of each run.
        alerts: The runs whose end was told to operations.
        by_hand: Whom this run pages beside its steps: by hand, or since the severity was raised.
        since: Since when the time of the next step counts.
        waited: How much of the time of the next step had passed in earlier incidents of its key.
        resolved_at: When it was resolved, unless somebody had acknowledged it.
        left: How much of the time of the next step had passed then.
    """

    plan: Sequence[tuple[tuple[str, ...], timedelta]]
    duty: Duty
    severity: str
    intervals: list[Break] = field(default_factory=list)
    state: str = "OPEN"
    all_failed: set[str] = field(default_factory=set)
    runs: list[list[OracleStep]] = field(default_factory=list)
    alerts: list[int] = field(default_factory=list)
    by_hand: set[str] = field(default_factory=set)
    since: datetime | None = None
    waited: timedelta = timedelta()
    resolved_at: datetime | None = None
    left: timedelta = timedelta()

    @property
    def steps(self) -> list[OracleStep]:
        return self.runs[-1]

    @property
    def waiting(self) -> list[OracleStep]:
        return [step for step in self.steps if step.state == "WAITING"]

    @property
    def paged(self) -> list[str]:
        return [*self.by_hand, *(each for step in self.steps for each in step.people)]

    def begin(self, now: datetime, *, after: "OracleChain | None" = None) -> None:
        """Begin; after an incident that was resolved soon before, with all steps at once that it had begun.

        The time of the next one goes on, without the gap.
        """
        self._begin_pass(self.plan, now)
        if after is not None and after.resolved_at is not None and now - after.resolved_at <= timedelta(minutes=30):
            begun = (step for step in after.steps if step.was_started or (step.state == "SKIPPED" and step.to))
            furthest = max((step.place for step in begun), default=1)
            for step in [each for each in self.waiting if each.place <= furthest]:
                self._begin_step(step, now)
            self.waited = after.left

    def look(self, now: datetime) -> None:
        """Start every step that is due, and alert operations if the end is due."""
        while self._is_due(now):
            self._begin_step(self.waiting[0], now)

    def acknowledge(self) -> None:
        if self.state == "OPEN":
            self._stop("ACKNOWLEDGED")

    def resolve(self, now: datetime) -> None:
        self.resolved_at = now if self.state == "OPEN" else None
        if not self.waiting:
            self.left = self.steps[-1].after
        else:
            self.left = self.waited if self.severity == "INFO" else self._counted(now)
        self._stop("RESOLVED")

    def raise_severity(self, severity: str, now: datetime) -> None:
        """Page everybody anew; a run that has ended begins anew, and one that INFO held begins to count."""
        was_info, self.severity = self.severity == "INFO", severity
        if self.state == "ACKNOWLEDGED" or not self.waiting:
            self._begin_pass(self.plan, now)
        elif was_info:
            self.since = now
        self.all_failed.clear()

    def page_again(self, who: str, now: datetime) -> None:
        """Page somebody anew, and count anew to the next step; a run that has ended goes on with what it had not started."""
        if self.state == "ACKNOWLEDGED" or not self.waiting:
            ahead = [each for each in self.steps if not each.was_started and (not each.to or each.state != "SKIPPED")]
            self._begin_pass([((who,), timedelta()), *((each.to, each.after) for each in ahead)], now)
        else:
            self.since, self.waited = now, timedelta()
            self.by_hand.add(who)
        self.all_failed.discard(who)

    def _begin_pass(self, plan: Sequence[tuple[tuple[str, ...], timedelta]], now: datetime) -> None:
        self.state = "OPEN"
        self.by_hand.clear()
        first = len(self.plan) - len(plan) + 1
        self.runs.append([OracleStep(to, after, place) for place, (to, after) in enumerate(plan, start=first)])
        self._begin_step(self.steps[0], now)

    def _begin_step(self, step: OracleStep, now: datetime) -> None:
        found = [each for name in step.to for each in self.duty(name, now)]
        step.people = tuple(each for each in dict.fromkeys(found) if each not in self.paged)
        step.was_started = bool(step.people)
        self.all_failed.difference_update(step.people)  # since an earlier run
        step.state = "STARTED" if step.people else "SKIPPED"
        self.since, self.waited = now, timedelta()
        if not step.to:
            self.alerts.append(len(self.runs))

    def _stop(self, state: str) -> None:
        for step in self.steps:
            step.state = step.state if step.state == "SKIPPED" else "STOPPED"
        self.state = state

    def _is_due(self, now: datetime) -> bool:
        if self.state != "OPEN" or self.severity == "INFO" or not self.waiting:
            return False
        before = self.steps[self.steps.index(self.waiting[0]) - 1]
        if before.state == "SKIPPED" or self.all_failed.issuperset(before.people):
            return not any(begins <= now < ends for begins, ends in self.intervals)
        return self._counted(now) >= self.waiting[0].after

    def _counted(self, now: datetime) -> timedelta:
        """Return how much of the time since the last begin counts."""
        assert self.since is not None
        cuts = sorted(
            {min(max(at, self.since), now) for at in (self.since, now, *(at for each in self.intervals for at in each))}
        )
        pieces = [
            later - sooner
            for sooner, later in pairwise(cuts)
            if not any(begins <= sooner and later <= ends for begins, ends in self.intervals)
        ]
        return self.waited + sum(pieces, timedelta())
