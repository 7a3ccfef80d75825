"""Stories: a policy, a person, what the providers respond, and what happens; drawn from one seed, and told in plain words."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from random import Random

from notifyflow.core.delivery.model import Severity
from notifyflow.core.delivery.policy import (
    DEFAULT,
    INSISTENT,
    Failed,
    OpeningRule,
    Policy,
    Repeat,
    Retries,
    RetrySchedule,
    Tier,
    Unacknowledged,
)
from notifyflow.core.intake.policy_validation import validate_policy
from notifyflow.core.text import listed
from tests.simulation.outside import CHANNELS

RINGING = ("sms", "voice")
"""The channels that could ring."""


class Response(StrEnum):
    """What a provider does with one attempt."""

    DELIVERS = "delivers"
    IS_SILENT = "accepts it and never reports"
    REFUSES = "refuses for good"
    IS_BUSY = "is busy"
    ASKS_TO_WAIT = "is busy, and asks to wait for two minutes"
    CUTS = "cuts the connection"
    REFUSES_US = "responds 401"
    FAILS = "accepts it, and the carrier reports it as failed"
    RINGS_OUT = "rings, and nobody answers"
    BOUNCES = "accepts it, and it bounces 40 minutes later"


_STORMY = 0.12
_OF_ANY = (*[Response.DELIVERS] * 2, *[Response.REFUSES] * 3, Response.IS_BUSY, Response.ASKS_TO_WAIT, Response.CUTS)
_RESPONSES = {
    "sms": (*_OF_ANY, Response.REFUSES_US, *[Response.IS_SILENT] * 4, Response.FAILS, Response.FAILS),
    "voice": (*_OF_ANY, Response.REFUSES_US, *[Response.IS_SILENT] * 2, *[Response.FAILS] * 3, Response.RINGS_OUT),
    "email": (*_OF_ANY, Response.REFUSES_US, Response.BOUNCES),
    "push": (*_OF_ANY, Response.REFUSES_US, Response.IS_SILENT),
}


@dataclass(frozen=True)
class Act:
    """Something that happens, some seconds after the story begins."""

    at_s: float


@dataclass(frozen=True)
class Flaps(Act):
    """An alert fires and heals, again and again; without ``off_s`` the last firing stays open."""

    on_s: float
    off_s: float
    times: int
    stays_open: bool

    def __str__(self) -> str:
        """Say it."""
        if self.times == 1:
            return f"{minute(self.at_s)} the alert fires{'' if self.stays_open else f', and heals after {_span(self.on_s)}'}"
        end = ", and then stays open" if self.stays_open else ""
        return f"{minute(self.at_s)} the alert fires for {_span(self.on_s)}, {self.times} times, {_span(self.off_s)} apart{end}"


@dataclass(frozen=True)
class Acknowledges(Act):
    """Ada acknowledges the firing that was the last but some, if it is of the last half hour."""

    back: int

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} Ada acknowledges the {('newest firing', 'firing before', 'firing before that')[self.back]}"


@dataclass(frozen=True)
class Resolves(Act):
    """A person resolves the newest firing, or the incident of operations."""

    is_operations: bool

    def __str__(self) -> str:
        """Say it."""
        return (
            f"{minute(self.at_s)} somebody resolves {'the incident of operations' if self.is_operations else 'the newest firing'}"
        )


@dataclass(frozen=True)
class Moves(Act):
    """Ada gets a new number, which the next message about the alert brings; every call and text to it is delivered."""

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} Ada gets a new number"


@dataclass(frozen=True)
class Pauses(Act):
    """An operator pauses a channel, or everything where it has no name, for CRITICAL too."""

    channel: str
    span_s: float

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} somebody pauses {self.channel or 'everything'} for {_span(self.span_s)}"


@dataclass(frozen=True)
class Lives(Act):
    """From then on each worker lives for a while and dies; the next one is started some time after it was."""

    lives_s: float
    every_s: float
    times: int

    @property
    def until_s(self) -> float:
        """When it ends."""
        return self.at_s + self.every_s * self.times

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} workers live {_span(self.lives_s)} of every {_span(self.every_s)}, {self.times} times"


@dataclass(frozen=True)
class Storms(Act):
    """Other alerts fire and stay open, which page Ada in the same ways; with them a storm may begin."""

    times: int
    over_s: float
    severity: Severity

    def __str__(self) -> str:
        """Say it."""
        return f"{minute(self.at_s)} {self.times} other alerts fire within {_span(self.over_s)}, {self.severity}"


@dataclass(frozen=True, kw_only=True)
class Story:
    """A story about one alert and one person, Ada.

    Attributes:
        seed: What it was drawn from.
        policy: The policy by which she is paged.
        ways: The channels on which she has an address.
        wishes: The channels that she wishes for when it is CRITICAL.
        is_quiet: Whether it is in her quiet hours.
        next_s: After how many seconds Ben is paged, on whom everything is delivered; None if she is the only one.
        responses: What each channel's provider does with one attempt after the other; the last goes on.
        limits: How many messages a minute each channel's provider takes, where it is few.
        acts: What happens.
        is_of_job: Whether the alert is a watched job that fails and succeeds.
        is_silenced: Whether somebody silences the alert.
    """

    seed: int
    policy: Policy
    ways: tuple[str, ...]
    wishes: tuple[str, ...] = ()
    is_quiet: bool = False
    next_s: float | None = None
    responses: dict[str, tuple[Response, ...]]
    limits: dict[str, int]
    acts: tuple[Act, ...]
    is_of_job: bool = False
    is_silenced: bool = False

    def __str__(self) -> str:
        """Tell it."""
        return "\n".join(_lines(self))


def draw(seed: int) -> Story:
    """Draw a story."""
    chance = Random(f"story {seed}")
    policy = chance.choice((DEFAULT, INSISTENT, _policy(chance), _policy(chance)))
    ways = tuple(name for name in CHANNELS if chance.random() < (0.8 if name in RINGING else 0.4)) or ("voice",)
    wishes = tuple(chance.sample(ways, k=chance.randint(1, len(ways)))) if chance.random() < 0.25 else ()
    return Story(
        seed=seed,
        policy=policy,
        ways=ways,
        wishes=wishes,
        is_quiet=chance.random() < 0.1,
        next_s=float(chance.choice((120, 600))) if chance.random() < 0.15 else None,
        responses={name: _responses(chance, name) for name in ways},
        limits={name: 1 for name in ways if chance.random() < 0.04},
        acts=tuple(sorted((*_acts(chance), *_storms(Random(f"storm {seed}"))), key=lambda act: act.at_s)),
    )


def _responses(chance: Random, channel: str) -> tuple[Response, ...]:
    known = _RESPONSES.get(channel, _OF_ANY)
    return tuple(chance.choice(known) for _ in range(chance.choice((1, 1, 1, 2, 3))))


def _policy(chance: Random) -> Policy:
    """Draw a valid policy whose times are those of a night."""
    names = chance.sample(CHANNELS, k=chance.randint(3, 6))
    cuts = sorted(chance.sample(range(1, len(names)), k=chance.choice((1, 2, 2))))
    groups = [names[start:end] for start, end in zip([0, *cuts], [*cuts, len(names)], strict=True)]
    tiers = [Tier(name="first", channels=tuple(groups[0]))]
    timer = timedelta()
    for number, group in enumerate(groups[1:], start=2):
        rules: list[OpeningRule] = [Failed(at_least=chance.choice((1, 1, 2)))] if chance.random() < 0.8 else []
        timer += timedelta(minutes=chance.choice((1, 3, 5, 10)))
        if not rules or chance.random() < 0.5:
            rules.append(Unacknowledged(after=timer))
        shut_for = (Severity.CRITICAL,) if number == 2 and chance.random() < 0.15 else ()
        tiers.append(Tier(name=f"tier {number}", channels=tuple(group), rules=tuple(rules), shut_for=shut_for))
    policy = Policy(
        name="drawn",
        tiers=tuple(tiers),
        retries=Retries(critical=_schedule(chance), by_channel={"voice": _schedule(chance)} if chance.random() < 0.5 else {}),
        is_suspicion_on=chance.random() < 0.9,
        repeat=Repeat(every=timedelta(minutes=chance.choice((15, 20))), rounds=2) if chance.random() < 0.3 else None,
        overdue_after={"sms": timedelta(seconds=chance.choice((30, 60))), "voice": timedelta(seconds=60)},
    )
    faults = validate_policy(policy, dict.fromkeys(CHANNELS))
    assert not faults, faults
    return policy


def _schedule(chance: Random) -> RetrySchedule:
    return RetrySchedule(
        delays=tuple(timedelta(seconds=chance.choice((2, 10, 30, 60))) for _ in range(chance.choice((0, 1, 2, 4))))
    )


def _acts(chance: Random) -> Iterator[Act]:
    if chance.random() < 0.5:
        on_s = float(chance.choice((20, 50, 90, 240, 480)))
        times = max(2, min(25, int(chance.choice((600, 1800, 3600)) / on_s)))
        flaps = Flaps(0.0, on_s, float(chance.choice((5, 10, 30, 60))), times, chance.random() < 0.4)
    else:
        flaps = Flaps(0.0, 0.0, 0.0, 1, stays_open=True)
    yield flaps
    soon_s = max(600.0, flaps.times * (flaps.on_s + flaps.off_s))
    if chance.random() < 0.12:
        yield Acknowledges(_whole(chance, soon_s), chance.choice((0, 1, 1, 2)))
    if chance.random() < 0.06:
        yield Resolves(_whole(chance, soon_s), is_operations=False)
    for _ in range(chance.choice((0, 0, 0, 0, 1, 2))):
        yield Resolves(_whole(chance, soon_s + 1200), is_operations=True)
    if chance.random() < 0.12:
        yield Moves(_whole(chance, soon_s + 1200))
    if chance.random() < 0.15:
        yield Pauses(_whole(chance, 300), chance.choice(("", "sms", "voice", "email")), float(chance.choice((300, 1800, 7200))))
    if chance.random() < 0.2:
        lives = chance.choice(((4.0, 79.0), (4.0, 79.0), (20.0, 200.0), (600.0, 900.0)))
        yield Lives(_whole(chance, 60), *lives, times=int(3600 / lives[1]))


def _storms(chance: Random) -> Iterator[Act]:
    if chance.random() < _STORMY:
        severity = chance.choice((*[Severity.CRITICAL] * 3, Severity.ERROR, Severity.INFO))
        yield Storms(_whole(chance, 90) - 1.0, chance.choice((2, 3, 5, 12)), float(chance.choice((1, 20, 60))), severity)


def _whole(chance: Random, until_s: float) -> float:
    return float(chance.randint(1, int(until_s)))


def shorter(story: Story) -> Iterator[Story]:
    """Yield stories that are a little simpler than one, the simplest first."""
    acts = story.acts
    yield from (replace(story, acts=(*acts[:n], *acts[n + 1 :])) for n in range(len(acts)) if not isinstance(acts[n], Flaps))
    plainer = (
        replace(story, wishes=()),
        replace(story, limits={}),
        replace(story, is_quiet=False),
        replace(story, next_s=None),
        *(replace(story, policy=each) for each in _plainer(story.policy)),
    )
    yield from (each for each in plainer if each != story)
    for name in story.ways if len(story.ways) > 1 else ():
        ways = tuple(each for each in story.ways if each != name)
        yield replace(story, ways=ways, wishes=tuple(each for each in story.wishes if each != name))
    for number, act in enumerate(acts):
        yield from (replace(story, acts=(*acts[:number], each, *acts[number + 1 :])) for each in _calmer(act))
    for name in story.ways:
        said = story.responses[name]
        options = (said[:1], said[1:]) if len(said) > 1 else ((Response.REFUSES,), (Response.DELIVERS,))
        yield from (replace(story, responses={**story.responses, name: each}) for each in options if each not in ((), said))


def _plainer(policy: Policy) -> Iterator[Policy]:
    if policy.name == "drawn":
        yield from (DEFAULT, INSISTENT, replace(policy, repeat=None))


def _calmer(act: Act) -> Iterator[Act]:
    match act:
        case Flaps(times=times) if times > 1:
            yield Flaps(act.at_s, act.on_s, act.off_s, 1, act.stays_open)
            yield replace(act, times=times // 2)
            yield replace(act, times=times - 1)
        case Lives(times=times) | Storms(times=times) if times > 1:
            yield replace(act, times=times // 2)


def _lines(story: Story) -> Iterator[str]:
    policy = story.policy
    alert = " about a job that fails and succeeds" if story.is_of_job else ""
    yield f"Story {story.seed}: Ada is paged by {policy.name!r}{alert}, and has {listed(list(story.ways))}."
    if policy.name == "drawn":
        yield from (f"  {_tier(tier)}" for tier in policy.tiers)
        if policy.repeat:
            yield f"  {policy.repeat.rounds} rounds, every {policy.repeat.every}"
        calls = policy.retries.schedule("voice", Severity.CRITICAL)
        yield f"  retries: {_waits(policy.retries.critical)}; voice: {_waits(calls)}"
        if not policy.is_suspicion_on:
            yield "  nothing is suspected"
    if story.wishes:
        yield f"  She wishes for {listed(list(story.wishes))}."
    if story.is_quiet:
        yield "  It is in her quiet hours."
    if story.next_s is not None:
        yield f"  Ben is next, after {_span(story.next_s)}."
    for name in story.ways:
        yield f"  {name}: {', then '.join(story.responses[name])}"
    yield from (f"  {name} takes {limit} a minute" for name, limit in story.limits.items() if name in story.ways)
    yield from (f"  {act}" for act in story.acts)


def _tier(tier: Tier) -> str:
    rules = [f"{each.at_least} failed" if isinstance(each, Failed) else f"{each.after} are over" for each in tier.rules]
    when = f" when {' or '.join(rules)}" if rules else ""
    return f"{tier.name}: {listed(list(tier.channels))}{when}{', shut' if tier.shut_for else ''}"


def _waits(schedule: RetrySchedule) -> str:
    return ", ".join(f"{each.total_seconds():g} s" for each in schedule.delays) or "none"


def minute(at_s: float) -> str:
    """Write an instant of a story as minutes and seconds."""
    return f"{int(at_s // 60):3d}:{int(at_s % 60):02d}"


def _span(span_s: float) -> str:
    minutes, seconds = divmod(int(span_s), 60)
    return " ".join(filter(None, (f"{minutes} min" if minutes else "", f"{seconds} s" if seconds or not minutes else "")))
