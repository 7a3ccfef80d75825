"""Random stories of silences, incidents, changes and crashes: nothing leaves under a silence, and nothing is lost after it.

The model below knows neither claims nor rows. After each minute it says how many pages of each incident have left.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import pytest

from notifyflow.core.delivery.facts import NotificationFacts
from notifyflow.core.delivery.model import AttemptState, IncidentState, Kind, Severity
from notifyflow.core.limits.silences import AuthorKind, Matchers, Silence, read_matchers
from notifyflow.pipeline.delivery.silences import holds, silencing
from notifyflow.pipeline.delivery.silences.holds import Covered
from notifyflow.pipeline.limits import lanes
from notifyflow.pipeline.limits.attempts import Candidate
from notifyflow.pipeline.transaction.running import Transaction
from notifyflow.storage.delivery.notifications import Notifications
from notifyflow.storage.store import Store
from tests.builders import START, a_recipient, an_incident
from tests.driver import Driver
from tests.patience import PatientStore

MINUTE = timedelta(minutes=1)
KEYS = tuple(f"db-{number}" for number in range(8))
TEAMS = (*["orders"] * 8, "payments", "")
SEVERITIES = (Severity.CRITICAL, *[Severity.ERROR] * 4, *[Severity.WARNING] * 4)
RANK = {each: number for number, each in enumerate(Severity)}


@dataclass
class Told:
    """An unresolved incident, as the model sees it."""

    number: int
    severity: Severity
    team: str
    is_waiting: bool = True
    is_deferred: bool = False
    left: int = 0
    held: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)


@dataclass
class Quiet:
    """A silence, as the model sees it."""

    begins_at: datetime
    ends_at: datetime
    key: str
    team: str
    severity: Severity

    def covers(self, key: str, told: Told) -> bool:
        is_meant = (not self.key or key == self.key) and (not self.team or told.team == self.team)
        return is_meant and RANK[told.severity] >= RANK[self.severity]


class Story:
    """Plays a story on the product and on the model."""

    def __init__(self, store: Store, seed: int) -> None:
        self.random = Random(seed)
        self.driver = Driver(store)
        self.driver.deps = replace(self.driver.deps, is_bundling=False)  # storms would let pages wait for others
        self.told: dict[str, Told] = {}
        self.over: list[tuple[str, int, int]] = []
        self.silences: dict[str, Quiet] = {}
        self.opened = dict.fromkeys(KEYS, 0)
        self.calls = 0

    def play(self) -> Iterator[None]:
        rare = (self.resolve, self.acknowledge, self.page)
        for _ in range(25):
            for act in self.random.choices(
                (self.notify, self.silence, self.end, *rare), (9, 3, 1, 4, 1, 1), k=self.random.randrange(5)
            ):
                act()
                self.settle()
            self.driver.pass_time(minutes=1)
            self.settle()
            yield

    def settle(self) -> None:
        """Let the product do what is due, and the model, too."""
        self.driver.sweep()
        self.driver.deliver()
        now, released = self.driver.clock.now(), set()
        for key, told in self.told.items():
            lasting = {each for each, quiet in self.silences.items() if quiet.begins_at <= now < quiet.ends_at}
            covering = {each for each in lasting if self.silences[each].covers(key, told)} - told.over
            told.over |= {each for each in told.held & lasting if each not in covering}
            told.held |= covering
            if told.is_waiting and covering:
                told.is_deferred = True
            elif told.is_waiting:
                released |= {self.driver.status(key).facts.id} if told.is_deferred else set()
                told.left, told.is_waiting, told.is_deferred = told.left + 1, False, False
        self.count(released)

    def count(self, released: set[str]) -> None:
        """Check that what silences have released at once left as one message."""
        calls = self.driver.seen[self.calls :]
        self.calls += len(calls)
        carried = [{attempt.message.incident_id for attempt in call.attempts} for call in calls]
        assert sum(bool(each & released) for each in carried) == bool(released), "what was released left in several messages"

    def notify(self) -> None:
        key, severity, team = (self.random.choice(each) for each in (KEYS, SEVERITIES, TEAMS))
        incident = replace(an_incident(key, severity=severity), labels={"team": team} if team else {})
        self.driver.notify(incident, a_recipient("ada", "email"))
        told = self.told.get(key)
        if told is None:
            self.opened[key] += 1
            self.told[key] = Told(self.opened[key], severity, team)
            return
        if RANK[severity] < RANK[told.severity]:
            told.severity, told.is_waiting, told.is_deferred = severity, True, False
        told.team = team

    def silence(self) -> None:
        now = self.driver.clock.now()
        key, team = self.random.choice(
            (*[("", "orders")] * 4, (self.random.choice(KEYS), ""), (self.random.choice(KEYS), "orders"))
        )
        severity = self.random.choice(SEVERITIES[0 if key and not team else 1 :])
        words = [*([f"key={key}"] if key else []), *([f"team={team}"] if team else []), f"severity<={severity}"]
        begins_at = now + self.random.choice((0, 0, 3)) * MINUTE
        wanted = Silence(
            id=self.driver.deps.ids.new(),
            matchers=read_matchers(words),
            reason="upgrade",
            begins_at=begins_at,
            ends_at=begins_at + self.random.randrange(3, 10) * MINUTE,
            created_at=now,
            author_kind=AuthorKind.COMMAND,
            author_id="",
            author="Grace",
        )
        with self.crashing():
            silencing.start(self.driver.deps, wanted)
        self.silences[wanted.id] = Quiet(begins_at, wanted.ends_at, key, team, severity)

    def end(self) -> None:
        now = self.driver.clock.now()
        lasting = [each for each, quiet in self.silences.items() if now < quiet.ends_at]
        if lasting:
            ended = self.random.choice(lasting)
            with self.crashing():
                silencing.end(self.driver.deps, ended, by="Grace")
            self.silences[ended].ends_at = now

    @contextmanager
    def crashing(self) -> Iterator[None]:
        """Let the process die, in half of the cases, once the first transaction is committed."""
        with pytest.MonkeyPatch.context() as patch:
            if self.random.random() < 0.5:
                patch.setattr(silencing, "carry_out", lambda deps, silence_id: silencing.NOTHING)
            yield

    def resolve(self) -> None:
        if self.told:
            key = self.random.choice(sorted(self.told))
            self.driver.resolve(key=key)
            told = self.told.pop(key)
            self.over.append((key, told.number, told.left))

    def acknowledge(self) -> None:
        if self.told:
            key = self.random.choice(sorted(self.told))
            self.driver.acknowledge("ada", key=key)
            self.told[key].is_waiting = self.told[key].is_deferred = False

    def page(self) -> None:
        if self.told:
            key = self.random.choice(sorted(self.told))
            self.driver.page_again("ada", key=key)
            told, now = self.told[key], self.driver.clock.now()
            covering = {each for each, quiet in self.silences.items() if quiet.begins_at <= now < quiet.ends_at}
            told.over |= {each for each in covering if self.silences[each].covers(key, told)}
            told.is_waiting, told.is_deferred = True, False

    def left(self) -> dict[str, int]:
        """Return how many pages of each unresolved incident have left."""
        found = {}
        for key in self.told:
            status = self.driver.status(key)
            assert status.state is not IncidentState.RESOLVED
            rows = [row for each in status.escalations for row in each.notifications if row.kind is Kind.PAGE]
            found[key] = sum(attempt.state is not AttemptState.NOT_SENT for row in rows for attempt in row.attempts)
        return found


def tell(store: Store, seed: int) -> None:
    story = Story(store, seed)
    for minute, _ in enumerate(story.play()):
        assert story.left() == {key: told.left for key, told in story.told.items()}, f"seed {seed}, minute {minute}"
    assert story.driver.clock.now() == START + 25 * MINUTE


@pytest.mark.parametrize("seed", range(8))
def test_what_left_is_what_the_model_says(store: Store, seed: int) -> None:
    tell(store, seed)


def _only_held(self: Covered, row: NotificationFacts) -> datetime | None:
    until = UNTIL(self, row)
    return None if row.incident_id in self.unheld else until


def _held_again(tx: Transaction, silences: Sequence[Silence], incident_id: str, namespace: str, intervals: object) -> object:
    return COVERING(tx, silences, incident_id, namespace, ())


def _bundled_as_wished(tx: Transaction, candidate: Candidate) -> bool:
    return tx.deps.is_bundling and BUNDLED(tx, candidate)


BUNDLED = lanes.is_bundled
UNTIL, COVERING, MATCH = Covered.until, holds.covering, Matchers.match
MUTANTS = {
    "matchers are ignored": (Matchers, "match", lambda self, content: True, 0),
    "an early end is forgotten": (Notifications, "free_from", lambda self, silence_id, now: None, 0),
    "a rise is ignored": (Matchers, "match", lambda self, content: MATCH(self, replace(content, severity=Severity.INFO)), 0),
    "a page of an incident that is not held yet leaks": (Covered, "until", _only_held, 0),
    "page again releases nothing": (holds, "release_all", lambda *_: None, 1),
    "each page leaves by itself": (lanes, "_call", lambda candidate, is_together: candidate.row.id, 1),
    "what is bundled nowhere is not bundled after a silence": (lanes, "is_bundled", _bundled_as_wished, 1),
    "an incident is held again": (holds, "covering", _held_again, 1),
}
"""What is broken, how, and a seed whose story shows it."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(sqlite_url: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, swap, seed = MUTANTS[name]
    monkeypatch.setattr(owner, attribute, swap)
    store = PatientStore(sqlite_url)
    with closing(store), pytest.raises(AssertionError, match=r"seed|several messages"):
        tell(store, seed)
