"""Whatever happens to the calls to one number, they never overlap, nobody waits for ever, and keys cover what was said.

The model knows what the phone and its owner did, and nothing of the rules.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import pytest

from notifyflow.core.delivery.model import AT_REST, Evidence, IncidentState, NotificationState, Receipt, Result, Severity
from notifyflow.core.delivery.policy import DEFAULT, Tier
from notifyflow.pipeline.delivery.calls import claim_question, end_unanswered, find_calls_to_ask
from notifyflow.pipeline.delivery.receive import receive
from notifyflow.pipeline.transaction.ports import Claimed
from tests.builders import ACCEPTED, BUSY, UNKNOWN, a_recipient, an_incident
from tests.driver import Driver

VOICE = replace(DEFAULT, tiers=(Tier(name="phone", channels=("voice",)),))
PROVIDER = "the voice provider"
LONGEST = timedelta(minutes=5)
SILENT = timedelta(seconds=60)
DELIVERED, CANCELLED = NotificationState.DELIVERED, NotificationState.CANCELLED


@dataclass
class Phoned:
    """A call as the phone's owner knows it."""

    claimed: Claimed
    began_at: datetime
    fate: str
    ended_at: datetime | None = None
    pressed: list[int] = field(default_factory=list)

    @property
    def titles(self) -> list[str]:
        content = self.claimed.message.content
        return [each.key for each in content.bundled] or [content.key]

    @property
    def rows(self) -> list[str]:
        return [each.message.notification_id for each in self.claimed.attempts]

    def is_certainly_under_way(self, now: datetime) -> bool:
        """Return whether it was made, nobody has said that it is over, and it is not too old to count."""
        return self.fate == "accepted" and self.ended_at is None and now < self.began_at + LONGEST


class World:
    """One number, which two people share; whatever happens to its calls is drawn."""

    def __init__(self, driver: Driver, seed: int) -> None:
        self.driver = driver
        self.random = Random(seed)
        self.calls: list[Phoned] = []
        self.acknowledged: set[str] = set()
        self.said: set[str] = set()
        self.people: dict[str, str] = {}
        self.is_answering = True

    @property
    def now(self) -> datetime:
        return self.driver.clock.at

    def step(self) -> None:
        acts = (
            self.notify,
            self.claim,
            self.claim,
            self.press,
            self.press,
            self.end,
            self.forget,
            self.pass_time,
            self.pass_time,
        )
        self.random.choice(acts)()

    def notify(self) -> None:
        key, who = f"db-{len(self.people)}", self.random.choice(("ada", "ben"))
        self.people[key] = who
        incident = an_incident(key, severity=self.random.choice((Severity.CRITICAL, Severity.ERROR)))
        self.driver.notify(incident, a_recipient(who, voice="+4930123456"), policy=VOICE)

    def claim(self, fate: str = "") -> None:
        claimed = self.driver.claim("voice", limit=self.random.choice((1, 3, 100)))
        assert len(claimed) <= 1
        for each in claimed:
            overlapping = [
                call for call in self.calls if call.is_certainly_under_way(self.now) and not self.is_asked_in_vain(call)
            ]
            assert overlapping == []
            fate = fate or self.random.choice(("accepted", "accepted", "accepted", "refused", "in doubt", "lost"))
            self.calls.append(Phoned(each, self.now, fate))
            outcome = {"accepted": replace(ACCEPTED, provider_ref=f"CA{len(self.calls)}"), "refused": BUSY, "in doubt": UNKNOWN}
            for attempt in each.attempts if fate in outcome else ():
                self.driver.record(attempt, outcome[fate])

    def is_asked_in_vain(self, call: Phoned) -> bool:
        """Return whether its end is unknown since the provider does not answer: then it counts for 90 s at least."""
        return self.now >= call.began_at + timedelta(seconds=90)

    def of(self, fate: str) -> Iterator[Phoned]:
        yield from (call for call in self.calls if call.fate == fate)

    def press(self, digit: str = "") -> None:
        """Press a key on the newest call, now and then after its end."""
        for call in list(self.of("accepted"))[-1:]:
            several = call.claimed.message.content.bundled
            said = self.random.randint(0, len(call.titles)) if several else 1
            digit = digit or self.random.choice("1123")
            code = f"key {digit} at {said}" if several else f"key {digit}"
            self.report(call, Result.DELIVERED, f"{code}:{self.random.random()}", code, is_key=True, is_one=digit == "1")
            self.said |= set(call.rows[:said])
            self.acknowledged |= set(call.titles[:said]) if digit == "1" else set()

    def end(self) -> None:
        for call in self.of("accepted"):
            if call.ended_at is None:
                self.report(call, Result.TEMPORARY_FAILURE, "completed", "completed")
                call.ended_at = self.now

    def forget(self) -> None:
        """Let the provider answer no question for a while."""
        self.is_answering = self.random.random() < 0.5

    def report(self, call: Phoned, result: Result, event: str, code: str, *, is_key: bool = False, is_one: bool = False) -> None:
        receipt = Receipt(
            provider=PROVIDER,
            event_id=f"{call.claimed.message.attempt_id}:{event}",
            result=result,
            attempt_id=call.claimed.message.attempt_id,
            evidence=Evidence.HUMAN if is_key else Evidence.CARRIER,
            code=code,
            is_key_press=is_key,
            is_acknowledgement=is_one,
        )
        receive(self.driver.deps, receipt, raw="")

    def pass_time(self, seconds: float = 0) -> None:
        until = self.now + timedelta(seconds=seconds or self.random.choice((1, 5, 20, 60)))
        while self.now < until:
            self.driver.note_sweep(min(until, self.now + timedelta(seconds=5)))
            self.ask()
            self.driver.sweep()

    def ask(self) -> None:
        for found in find_calls_to_ask(self.driver.deps, [PROVIDER], limit=9):
            asked = claim_question(self.driver.deps, found)
            if asked is not None and not self.is_answering:
                end_unanswered(self.driver.deps, asked)


@pytest.mark.parametrize("seed", range(6))
def test_calls_never_overlap_and_nobody_waits_for_ever(driver: Driver, seed: int) -> None:
    world = World(driver, seed)
    for _ in range(70):
        world.step()
    check(world)
    world.is_answering = True
    for _ in range(150):  # the phone's owner answers, listens to the end, and presses 1
        world.claim("accepted")
        for call in list(world.of("accepted"))[-1:]:
            if call.ended_at is None:
                said = len(call.titles)
                code = f"key 1 at {said}" if call.claimed.message.content.bundled else "key 1"
                world.report(call, Result.DELIVERED, code, code, is_key=True, is_one=True)
                world.said |= set(call.rows[:said])
                world.acknowledged |= set(call.titles)
        world.end()
        world.pass_time(10)
    check(world)
    rows = [driver.pages(who, key)["voice"] for key, who in world.people.items()]
    assert {row.state for row in rows} <= AT_REST


def check(world: World) -> None:
    for key, who in world.people.items():
        status = world.driver.status(key)
        row = world.driver.pages(who, key)["voice"]
        assert (status.facts.state is IncidentState.ACKNOWLEDGED) is (key in world.acknowledged), key
        assert (row.state is DELIVERED) is (row.id in world.said and row.state is not CANCELLED), key
        waits_since = None
        for line in (each for each in status.transitions if each.row_id == row.id):
            if line.event == "postponed":
                waits_since = waits_since or line.at
            elif waits_since is not None:
                assert line.at - waits_since <= 2 * LONGEST, key
                waits_since = None
