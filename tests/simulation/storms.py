"""Storms: many incidents reach one to three people within a minute, while people acknowledge, move and are paged again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

from notifyflow.core.delivery.model import Incident, Recipient, Severity, Via
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.limits.cap_counts import Caps
from notifyflow.core.namespaces import SHARED
from notifyflow.core.references import ByKey
from notifyflow.pipeline.delivery.acknowledge import acknowledge, resolve
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.storage.tables.fields import instant_text
from tests.simulation.database import SimulatedDatabase
from tests.simulation.namespaces import OTHER
from tests.simulation.outside import CHANNELS, Outside
from tests.simulation.world import START, Process, World, require

_STORMY = 0.15
_CALM = 0.5
_APART = 0.2
_TURNING_OFF = 0.25
_UNSPEAKABLE = 0.3
_FILTERED = 0.4
_RELEASED_WITHIN_S = 5.0
_SOON = timedelta(seconds=1)
_HELD = """
    SELECT id FROM notifyflow_notification
    WHERE state = 'QUEUED' AND waits_until IS NOT NULL AND due_at > ? AND channel <> 'voice' AND NOT is_quarantined
"""
_SIZES = (3, 4, 5, 8, 13, 25, 60)
_MOST_PAGES = 120
"""How many pages the first tiers of a storm have at most: a page costs a world some milliseconds."""
PEOPLE = ("sue", "tom", "uma")
_MIXES: Sequence[Sequence[Severity]] = (
    (Severity.CRITICAL,),
    (Severity.CRITICAL, Severity.ERROR),
    (Severity.WARNING, Severity.INFO),
    tuple(Severity),
)
_CAPS = Caps(channels=frozenset({"sms", "voice"}), recipients={"sms": 100_000, "voice": 100_000})


@dataclass(frozen=True)
class _Storm:
    """One storm: whom it pages about what, in which namespaces, and when."""

    people: tuple[Recipient, ...]
    policy: Policy
    at_s: float
    keys: tuple[tuple[str, str, Severity], ...]  # key, namespace and severity of each incident


class Storms:
    """Writes storms into some scripts, and turns bundling off in some of them.

    Attributes:
        is_on: Whether this world has storms.
    """

    def __init__(self, world: World, database: SimulatedDatabase, outside: Outside) -> None:
        self._world = world
        self._database = database
        self._outside = outside
        self._chance = chance = world.apart("storms of incidents")
        self._off_s = float("inf")
        self._turns_off: Callable[[], None] | None = None
        self.is_on = chance.random() < _STORMY

    def given(self, deps: Dependencies) -> Dependencies:
        """Return the dependencies of a process; in worlds with storms, calls and texts are counted, and no cap is reached."""
        return replace(deps, caps=_CAPS, is_bundling=self._world.now_s < self._off_s) if self.is_on else deps

    def is_off(self, process: Process) -> bool:
        """Return whether a process has started since bundling was turned off."""
        return process.booted_s >= self._off_s

    def write_script(
        self,
        people: Callable[..., None],
        submit: Callable[..., str],
        policy: Policy,
        workers: Sequence[Process],
        disturbances: Callable[[], tuple[Any, ...]],
        *,
        until_s: float,
    ) -> None:
        """Plan the storms; in half of these worlds little else is out of order, so that nobody has to wait for long."""
        chance = self._chance
        if not self.is_on:
            return
        if chance.random() < _CALM:
            self._world.odds = {}
            self._outside.moods = dict.fromkeys(self._outside.moods, "well") | {chance.choice(CHANNELS): "refusing"}
        at_s = chance.uniform(0, until_s / 2)
        policy = replace(policy, bundling=chance.random() >= _APART)
        storms = [self._draw(chance, policy, at_s, "rain")]
        if chance.random() < 0.4:
            storms.append(replace(self._draw(chance, policy, at_s + chance.uniform(30, 400), "hail"), people=storms[0].people))
        for storm in storms:
            self._plan(chance, storm, people, submit)
        if chance.random() < _TURNING_OFF:
            self._turns_off = partial(self._turn_off, workers, disturbances)

    def on_hold(self) -> None:
        """In some worlds, turn bundling off soon after the first page is held."""
        if self._turns_off is not None:
            self._world.after(self._chance.uniform(0.2, 3), self._turns_off)
            self._turns_off = None

    def _turn_off(self, workers: Sequence[Process], disturbances: Callable[[], tuple[Any, ...]]) -> None:
        """Start all workers anew, with bundling off; soon afterwards nothing may be held any more."""
        self._off_s = self._world.now_s
        self._world.note("*** bundling is off")
        for each in workers:
            if not each.is_dead:
                each.away_s = 0.1
                each.kill()
                each.away_s = None
        self._world.after(0.2, lambda: self._release(disturbances))

    def _release(self, disturbances: Callable[[], tuple[Any, ...]]) -> None:
        """Look a little later whether all that was held has been released, unless something else is disturbed."""
        before = disturbances()

        def check() -> None:
            now = START + timedelta(seconds=self._world.now_s)
            if disturbances() == before and not self._world.widest_skew_s and self._world.now_s >= self._database.up_at_s:
                held = [row_id[-4:] for (row_id,) in self._database.look(_HELD, instant_text(now + _SOON))]
                require(not held, f"storm: bundling is off, and {held} are held")

        self._world.after(_RELEASED_WITHIN_S, check)

    def _draw(self, chance: Random, policy: Policy, at_s: float, name: str) -> _Storm:
        size = chance.choice(_SIZES)
        recipients = [self._recipient(chance, each) for each in PEOPLE[: chance.choice((1, 1, 2, 3))]]
        while size * sum(len(each.addresses) for each in recipients) > _MOST_PAGES:
            longest = max(recipients, key=lambda each: len(each.addresses))
            if len(longest.addresses) > 1:
                recipients[recipients.index(longest)] = replace(longest, addresses=dict(list(longest.addresses.items())[:-1]))
            else:
                recipients.remove(longest)
        severities, namespaces = chance.choice(_MIXES), chance.choice(((SHARED,), (SHARED, OTHER), (SHARED, OTHER, "third")))
        keys = tuple((f"{name}-{number}", chance.choice(namespaces), chance.choice(severities)) for number in range(size))
        return _Storm(people=tuple(recipients), policy=policy, at_s=at_s, keys=keys)

    def _recipient(self, chance: Random, name: str) -> Recipient:
        """Return somebody with two or three addresses, of which one may be gone, and one another's."""
        channels = chance.sample(CHANNELS, k=chance.choice((2, 3)))
        if "sms" not in channels and chance.random() < 0.4:
            channels[1] = "sms"
        addresses = {each: f"{name}@{each}" for each in channels}
        if chance.random() < 0.3:
            addresses[channels[0]] = f"gone@{channels[0]}"
        if chance.random() < 0.2:
            addresses[channels[-1]] = f"{PEOPLE[0]}@{channels[-1]}"
        return Recipient(id=name, addresses=addresses)

    def _plan(self, chance: Random, storm: _Storm, people: Callable[..., None], submit: Callable[..., str]) -> None:
        span_s = chance.uniform(1, 60)
        notify = partial(self._notify, submit, storm.policy)
        apart = self._world.apart("unspeakable")
        if apart.random() < _UNSPEAKABLE:
            self._outside.unspeakable.add((apart.choice(sorted(storm.people[0].addresses)), apart.choice(storm.keys)[0]))
        apart, texted = self._world.apart("filtered"), self._outside.reporting.intersection(storm.people[0].addresses) - {"voice"}
        if texted and apart.random() < _FILTERED:
            channel = apart.choice(sorted(texted))
            self._outside.filtered |= {(channel, key) for key, _, _ in apart.sample(storm.keys, k=2)}
        for key, namespace, severity in storm.keys:
            at_s = storm.at_s + chance.uniform(0, span_s)
            people(at_s, partial(notify, key, namespace, severity, storm.people))
            again_s = at_s + chance.uniform(0.1, 90)
            fate = chance.random()
            if fate < 0.08:
                people(again_s, partial(notify, key, namespace, Severity.CRITICAL, storm.people))
            elif fate < 0.16:
                people(again_s, partial(self._end, acknowledge, key, namespace))
            elif fate < 0.2:
                people(again_s, partial(self._end, resolve, key, namespace))
            elif fate < 0.24:
                people(again_s, partial(notify, key, namespace, severity, tuple(map(_moved, storm.people))))

    def _notify(
        self,
        submit: Callable[..., str],
        policy: Policy,
        key: str,
        namespace: str,
        severity: Severity,
        people: Sequence[Recipient],
        deps: Dependencies,
    ) -> FollowUps:
        del deps
        incident_id = submit(Incident(key=key, title=f"{key} is down", severity=severity), people, policy, namespace)
        self._world.note(f"storm: {incident_id[-4:]} {key} {namespace} {severity}")
        return NOTHING

    def _end(self, act: Callable[..., object], key: str, namespace: str, deps: Dependencies) -> FollowUps:
        done = acknowledge if act is acknowledge else resolve
        self._world.note(f"storm: {done.__name__} {key} {namespace}")
        return done(deps, ByKey(key, namespace), by=PEOPLE[0], via=Via.LIBRARY).follow_ups


def _moved(recipient: Recipient) -> Recipient:
    """Return somebody whose first address is another one now."""
    (channel, address), *others = recipient.addresses.items()
    return replace(recipient, addresses={channel: f"new-{address}", **dict(others)})
