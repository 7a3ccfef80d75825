"""The directory and the overrides of a world: files that change, and people who take each other's duty."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from notifyflow.core.oncall.directory import OPERATIONS
from notifyflow.core.oncall.hand_overs import TOLD_WITHIN, hand_overs
from notifyflow.core.oncall.overrides import Wish
from notifyflow.core.oncall.roster import EMPTY, Roster
from notifyflow.core.oncall.schedules import Override, Schedule
from notifyflow.errors import OverrideNotFound
from notifyflow.pipeline.oncall.overrides import cancel, make
from notifyflow.pipeline.oncall.roster import store_directory
from notifyflow.pipeline.transaction.ports import NOTHING, Dependencies, FollowUps
from notifyflow.storage.reads import Reads
from tests.simulation.database import Session, SimulatedDatabase
from tests.simulation.outside import CHANNELS
from tests.simulation.world import START, World, require

PEOPLE = ("hal", "ivy", "jon")
_GONE = 0.3
_TOLD = 0.5
_CLICKED = 0.5
LOOKED_WITHIN_S = 240.0
"""The time in which a process that stood still, or was away, looks at the roster again."""
_BERLIN = timedelta(hours=1)
_HALF_AN_HOUR = timedelta(minutes=30)
_TWO_MINUTES = timedelta(minutes=2)
_SETTLED_WITHIN = timedelta(minutes=10)
_LONGEST_OVERRIDE_S = 900.0
_TOLD_TWICE = """
    SELECT i.key, i.content_occurred_at, e.recipient_id FROM notifyflow_escalation e
    JOIN notifyflow_incident i ON i.id = e.incident_id WHERE e.round = 0 AND e.recipient_id <> ''
    GROUP BY i.key, i.content_occurred_at, e.recipient_id HAVING COUNT(*) > 1
"""
_TOLD_OF = "SELECT schedule, at, after FROM notifyflow_hand_over ORDER BY schedule, at"
_DIGEST = "SELECT digest FROM notifyflow_roster"


@dataclass(frozen=True)
class Known:
    """A roster, and since when it is committed."""

    roster: Roster
    since_s: float


class Rosters:
    """Writes a directory with a schedule and a group, and knows who was on duty when.

    Attributes:
        operations: The ids of the people of operations.
        tells: Whether people are told of hand-overs.
    """

    operations: tuple[str, ...] = ()

    def __init__(self, world: World, database: SimulatedDatabase) -> None:
        self._world = world
        self._database = database
        self._chance = chance = world.apart("rosters")
        self._hands_over_at = START + timedelta(seconds=chance.uniform(0, 900)) - timedelta(hours=3)
        self.tells = world.apart("news about hand-overs").random() < _TOLD
        self._clicks = world.apart("clicks")
        self._clicked: list[str] = []
        self._stored_at_s = 0.0
        self._digest = ""
        self._known = [Known(EMPTY, 0.0)]

    def write_script(self, people: Callable[..., None], *, until_s: float) -> None:
        """Store a directory at the start, and others later, and let people take the duty; ``people`` schedules an act."""
        chance = self._chance
        people(0, partial(self._store, self._document(chance)))
        for _ in range(chance.choice((0, 1, 2))):
            people(chance.uniform(0, until_s), partial(self._store, self._document(chance)))
        for _ in range(chance.choice((0, 1))):
            people(chance.uniform(0, until_s), self.take)
        if self.tells and self._clicks.random() < _CLICKED:
            self._write_clicks(people, until_s)

    def _write_clicks(self, people: Callable[..., None], until_s: float) -> None:
        """Let somebody take the duty and give it back many times within some minutes."""
        chance = self._clicks
        at_s, every_s = chance.uniform(0, until_s), chance.choice((3.0, 10.0, 30.0, 90.0))
        for _ in range(chance.choice((2, 5, 20, 40))):
            people(at_s, self._click)
            at_s += chance.uniform(0, 2 * every_s)

    def take(self, deps: Dependencies) -> FollowUps:
        """Let somebody take the duty, or that of one person, for some minutes from now."""
        chance, now = self._chance, deps.clock.now()
        override = Override(
            id=deps.ids.new(),
            schedule="primary",
            people=(chance.choice(PEOPLE),),
            instead_of=chance.choice(("", "", *PEOPLE)),
            begins_at=now + timedelta(seconds=chance.choice((0.0, chance.uniform(0, 60)))),
            ends_at=now + timedelta(seconds=chance.uniform(61, _LONGEST_OVERRIDE_S)),
            made_by="eve",
            made_at=now,
        )

        def body(ledger: Any) -> None:
            ledger.roster.lock()
            ledger.roster.add_overrides([override])

        deps.transactions.run(body)
        self._world.note(f"override: {override.people} instead of {override.instead_of or 'all'}")
        return NOTHING

    def _click(self, deps: Dependencies) -> FollowUps:
        """Give back what was taken last, or take the duty."""
        if not self._known[-1].roster.directory.schedules:  # it could not be stored yet: there is nothing to click on
            return NOTHING
        if self._clicked and self._clicks.random() < 0.5:
            with suppress(OverrideNotFound):
                cancel(deps, self._clicked.pop(), by="eve")
                self._world.note("override: given back")
        else:
            wish = Wish(
                schedules=("primary",), people=(self._clicks.choice(PEOPLE),), ends_at=deps.clock.now() + _HALF_AN_HOUR, by="eve"
            )
            self._clicked += [each.id for each in make(deps, wish).overrides]
            self._world.note(f"override: clicked {wish.people}")
        return NOTHING

    def after_commit(self, session: Session) -> None:
        """Remember a roster that was changed."""
        found = self._database.look(_DIGEST) if session.writes else []
        if found and found[0][0] != self._digest:
            self._digest = found[0][0]
            self._known.append(Known(self._database.read(lambda db: Reads(db).roster.current()), self._world.now_s))

    def meant(self, names: Sequence[str], at: datetime, since_s: float) -> list[tuple[str, ...]]:
        """Return whom names mean at an instant, by each roster that was in force at any time since then."""
        before = [each for each in self._known if each.since_s <= since_s][-1:]
        known = before + [each for each in self._known if each.since_s > since_s]
        own = [tuple(each.id for each in one.roster.people(names, at).recipients) for one in known]
        return [tuple(id for each in ids for id in (self.operations if each == OPERATIONS else (each,))) for ids in own]

    def at_end(self, healed_s: float) -> None:
        """Require that people know who has the duty, were told of each hand-over once, and were told of few."""
        now, known = START + timedelta(seconds=self._world.now_s), self._known[-1]
        leeway = timedelta(seconds=LOOKED_WITHIN_S + 2 * self._world.widest_skew_s) + _SETTLED_WITHIN
        told: dict[str, list[tuple[datetime, set[str]]]] = {}
        for schedule, at, after in self._database.look(_TOLD_OF):
            told.setdefault(schedule, []).append((datetime.fromisoformat(at), set(json.loads(after))))
        for name, those in told.items():
            crowded = [at for (at, _), (third, _) in zip(those, those[2:], strict=False) if third - at < _TWO_MINUTES]
            is_seen_alike = (
                self._world.widest_skew_s < _TWO_MINUTES.total_seconds()
            )  # else a click may seem to be over as it comes
            require(
                not (crowded and is_seen_alike),
                f"people are told of three hand-overs of {name} within two minutes, at {crowded[:3]}",
            )
        if self.tells and max(known.since_s, healed_s) <= (now - leeway - START).total_seconds():
            for schedule in known.roster.directory.schedules.values():
                self._require_told(
                    known.roster, schedule, told.get(schedule.name, []), since=now - TOLD_WITHIN + leeway, until=now - leeway
                )
        require(not (twice := self._database.look(_TOLD_TWICE)), f"somebody is told twice of a hand-over: {twice}")

    def _require_told(
        self, roster: Roster, schedule: Schedule, told: Sequence[tuple[datetime, set[str]]], *, since: datetime, until: datetime
    ) -> None:
        """Require that a change of late was told, and that the last that was said of the duty is who has it."""
        changes = [each.at for each in hand_overs(roster, schedule, since=since, until=until)]
        if schedule.handover and changes:
            said = [at for at, _ in told if at >= changes[-1]]
            require(said, f"nobody is told of the hand-over of {schedule.name} at {changes[-1]}")
        for at, after in told[-1:]:
            now = START + timedelta(seconds=self._world.now_s)
            is_as_it_was = self._stored_at_s < (at - START).total_seconds() and at > since
            if is_as_it_was and not hand_overs(roster, schedule, since=at, until=now):
                found = set(roster.on_duty(schedule, now).people)
                require(found == after, f"{after} were said to have the duty of {schedule.name} at {at}, and {found} have it")

    def _store(self, document: str, deps: Dependencies) -> FollowUps:
        kept = store_directory(deps, document, changed_at=deps.clock.now())
        self._stored_at_s = self._world.now_s
        self._world.note(f"directory: {kept}")
        return NOTHING

    def _document(self, chance: Random) -> str:
        """Return a directory in which the duty changes hands every hour, once of it soon after the start."""
        recipients = []
        for who in PEOPLE:
            is_gone = chance.random() < _GONE
            ways = {name: "gone" if is_gone and name != "voice" else who for name in CHANNELS if chance.random() < 0.5}
            addresses = ", ".join(f'{name} = "{whose}@{name}"' for name, whose in ways.items())
            recipients.append(f"[recipients.{who}]\naddresses = {{ {addresses} }}")
        turns = chance.sample(PEOPLE, k=chance.choice((1, 2, 3)))
        first = (self._hands_over_at + _BERLIN).replace(tzinfo=None, microsecond=0)
        return "\n".join(
            [
                *recipients,
                f"[groups]\nleads = {chance.sample(PEOPLE, k=2)!r}",
                f'[schedules.primary]\ntimezone = "Europe/Berlin"\nhandover = {str(self.tells).lower()}',
                f'[[schedules.primary.layers]]\nwho = {turns!r}\nfrom = {first.isoformat()}\nevery = "1h"',
                '[schedules.nobody]\ntimezone = "UTC"',
                '[[schedules.nobody.layers]]\nwho = ["hal"]\nfrom = 2030-01-01T00:00:00\nevery = "1d"',
                '[default]\nto = ["@primary"]',
            ]
        )
