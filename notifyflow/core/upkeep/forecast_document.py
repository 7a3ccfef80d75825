"""The forecast of one recipient as one document, which ``notifyflow explain`` prints in words or as JSON."""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import timedelta
from typing import Self

from pydantic import Field

from notifyflow.core import text
from notifyflow.core.delivery import calls
from notifyflow.core.delivery.model import Contact, Severity
from notifyflow.core.delivery.page_rules import DecisionContext
from notifyflow.core.delivery.policy import Policy
from notifyflow.core.delivery.tier_rules import ways
from notifyflow.core.document import Document
from notifyflow.core.insight.next_events import NextEventKind, NextEventPremise
from notifyflow.core.limits import lanes
from notifyflow.core.messages.ways import way
from notifyflow.core.upkeep.forecast import (
    ChannelModel,
    Expected,
    Obstacles,
    ProviderBehaviour,
    forecast,
    fresh_escalation,
    warnings,
)

NOTHING = Obstacles()
_IF: Mapping[ProviderBehaviour, str] = {
    ProviderBehaviour.REFUSED: "if every message is refused for good",
    ProviderBehaviour.FAILING: "if every attempt fails",
    ProviderBehaviour.SILENT: "if no receipt comes",
    ProviderBehaviour.ACCEPTED: "if every message arrives",
}


class ExpectedDocument(Document):
    """A tier that opens, or an alert to operations, if providers answer in one way and nobody acknowledges."""

    what: NextEventKind
    tier: str | None = Field(description="The name of the tier that opens.")
    channels: dict[str, list[str]] = Field(description="Its channels with their providers, the preferred one first.")
    answers: ProviderBehaviour = Field(
        description="How providers answer: refused, failing, silent (no receipt comes) or accepted."
    )
    premise: NextEventPremise | None = Field(description="The condition of the event.")
    earliest_s: float = Field(description="Seconds from the start of the round, at the earliest.")
    latest_s: float = Field(description="Seconds from the start of the round, at the latest.")


class ForecastDocument(Document):
    """What a policy would do for one recipient; durations count from the start of the first round, in seconds."""

    recipient: str
    name: str
    policy: str
    severity: Severity
    at_once: dict[str, list[str]] = Field(description="The channels that are used at once, with their providers.")
    expected: list[ExpectedDocument]
    called_within_s: dict[ProviderBehaviour, float | None] = Field(
        description="When a phone rings at the latest; null if none does."
    )
    waits_up_to_s: dict[str, float] = Field(
        description="Channel to how long a page waits for others at most in a storm; without the channels on which none waits."
    )
    calls_wait_up_to_s: float | None = Field(
        description="How long a call waits at most for the call under way to the same number; null if nobody is called."
    )
    rounds_after_s: list[float] = Field(description="When further rounds start unless somebody acknowledges.")
    unanswered_after_s: float | None = Field(description="When operations is told that nobody has acknowledged any round.")
    expires_after_s: float = Field(description="When no page is sent any more.")
    warnings: list[str] = Field(description="Steps that cannot happen.")

    @classmethod
    def of_recipient(
        cls,
        contact: Contact,
        policy: Policy,
        severity: Severity,
        models: Mapping[str, ChannelModel],
        *,
        calling: frozenset[str],
        has_links: bool,
        is_bundling: bool = True,
        obstacles: Obstacles = NOTHING,
        is_in_chain: bool = False,
    ) -> Self:
        """Build the forecast for one recipient, under a policy and a severity.

        Without ``is_bundling``, no page waits for others.

        In a chain, the next step starts where operations would be told that the recipient cannot be reached.
        """
        fresh = fresh_escalation(contact, policy, severity, calling)
        found = forecast(fresh, models)
        return cls(
            recipient=contact.recipient_id,
            name=contact.name,
            policy=policy.name,
            severity=severity,
            at_once=_carried(found.first, models),
            expected=[
                _expected(each, policy, models)
                for each in found.later
                if not (is_in_chain and each.event.what is NextEventKind.OPERATIONS)
            ],
            called_within_s={answers: None if at is None else at.total_seconds() for answers, at in found.called_after.items()},
            waits_up_to_s=_waits(fresh, models) if is_bundling and policy.bundling else {},
            calls_wait_up_to_s=calls.LONGEST.total_seconds() if _carriers(fresh, models) & calling else None,
            rounds_after_s=[at.total_seconds() for at in found.rounds_at],
            unanswered_after_s=None if found.ends_after is None or is_in_chain else found.ends_after.total_seconds(),
            expires_after_s=found.expires_after.total_seconds(),
            warnings=[
                *_quiet(contact, severity),
                *warnings(fresh, models, found, has_links=has_links, obstacles=obstacles),
            ],
        )

    def lines(self) -> Iterator[str]:
        """Yield the forecast in words, a line for each event."""
        own_id = "" if self.name == self.recipient else f" ({self.recipient})"
        yield f"{self.name}{own_id}: {self.severity}, policy {self.policy}"
        yield f"  at once: {_ways(self.at_once) or 'nobody is paged'}"
        yield from self._steps()
        yield f"  {self._worst_case()}"
        yield from (f"  {each}" for each in self._storm())
        if rounds := ", ".join(span(each) for each in self.rounds_after_s):
            yield f"  again from the first tier after {rounds}, unless somebody acknowledges"
        if self.unanswered_after_s is not None:
            yield f"  operations is told {span(self.unanswered_after_s)} after the start that nobody has acknowledged"
        yield f"  a page that has not left {span(self.expires_after_s)} after the start of its round expires"
        yield from (f"  ! {each}" for each in self.warnings)

    def _worst_case(self) -> str:
        """Return how long it takes at most until a phone rings."""
        within = [each for each in self.called_within_s.values() if each is not None]
        silent = " or ".join(_IF[answers] for answers, each in self.called_within_s.items() if each is None)
        if not within:
            return "no phone ever rings"
        return f"a phone rings within {span(max(within))}, {f'but not {silent}' if silent else 'however providers answer'}"

    def _storm(self) -> Iterator[str]:
        """Yield how long a page may wait for others when many come at once, and when it does not."""
        channels: dict[float, list[str]] = {}
        for channel, wait_s in self.waits_up_to_s.items():
            channels.setdefault(wait_s, []).append(channel)
        if self.calls_wait_up_to_s is not None:
            yield f"a call waits until the call under way to its number is over, {span(self.calls_wait_up_to_s)} at most"
        if not channels:
            yield "no page waits for others, however many come at once"
            return
        waits = ", ".join(
            f"{text.listed(list(map(way, some)))} up to {span(wait_s)}" for wait_s, some in sorted(channels.items())
        )
        yield f"from the third incident within a minute on, pages wait for others: {waits}"
        if self.severity is Severity.CRITICAL:
            yield "the first CRITICAL page of a namespace within a minute waits for none"
        if self.calls_wait_up_to_s is not None:
            again = span(lanes.REPEATED_AFTER.total_seconds())
            yield f"a repeated call waits for the next one to its number, {again} after the last at the latest"

    def _steps(self) -> Iterator[str]:
        steps: dict[tuple[NextEventKind, str | None], list[ExpectedDocument]] = {}
        for each in self.expected:
            steps.setdefault((each.what, each.tier), []).append(each)
        for (what, tier), found in steps.items():
            yield f"  {f'{tier}: {_ways(found[0].channels)}' if what is NextEventKind.TIER else 'operations is told'}"
            yield from (f"    {each}" for each in _phrases(found))


def _phrases(found: Sequence[ExpectedDocument]) -> Iterator[str]:
    """Yield when a step comes, in words, one line for all answers with the same range."""
    ranges: dict[tuple[float, float, bool], list[ProviderBehaviour]] = {}
    for each in found:
        is_timed = each.premise is NextEventPremise.NOBODY_ACKNOWLEDGES and each.earliest_s == each.latest_s
        ranges.setdefault((each.earliest_s, each.latest_s, is_timed), []).append(each.answers)
    for (earliest_s, latest_s, is_timed), answers in ranges.items():
        if is_timed:
            yield f"{span(earliest_s)} after the start unless somebody acknowledges"
        elif len(answers) == len(ProviderBehaviour):
            yield between(earliest_s, latest_s)
        else:
            yield f"{between(earliest_s, latest_s)} {' or '.join(_IF[each] for each in answers)}"


def span(seconds: float) -> str:
    """Return a duration in words, to the second: ``1 h 05 m``, ``7 m 30 s``, ``22 s``."""
    return text.span(timedelta(seconds=seconds))


def between(earliest_s: float, latest_s: float) -> str:
    """Return a range of times in words: ``at once``, ``after 10 m``, ``after 22 s to 2 m``, ``within 26 s``."""
    first, last = span(earliest_s), span(latest_s)
    if first == last:
        return f"after {first}" if round(latest_s) else "at once"
    return f"after {first} to {last}" if round(earliest_s) else f"within {last}"


def _quiet(contact: Contact, severity: Severity) -> Iterator[str]:
    if contact.quiet is not None and severity is not Severity.CRITICAL:
        yield f"from {contact.quiet.replace('-', ' to ')} ({contact.timezone}) nothing leaves, and no time counts: quiet hours"


def _expected(each: Expected, policy: Policy, models: Mapping[str, ChannelModel]) -> ExpectedDocument:
    tier = each.event.tier
    return ExpectedDocument(
        what=each.event.what,
        tier=None if tier is None else policy.tiers[tier - 1].name,
        channels=_carried(each.event.channels, models),
        answers=each.behaviour,
        premise=each.event.premise,
        earliest_s=each.earliest.total_seconds(),
        latest_s=each.latest.total_seconds(),
    )


def _waits(fresh: DecisionContext, models: Mapping[str, ChannelModel]) -> dict[str, float]:
    """Return how long a page waits for others at most, by channel."""
    most = lanes.URGENT_BEAT if fresh.escalation.severity is Severity.CRITICAL else timedelta.max
    carried = {channel: models[channel].capabilities for channel in _carriers(fresh, models)}
    beats = {channel: each.beat for channel, each in carried.items() if each.is_bundled}
    return {channel: min(beat, most).total_seconds() for channel, beat in beats.items()}


def _carriers(fresh: DecisionContext, models: Mapping[str, ChannelModel]) -> Set[str]:
    """Return the channels with a provider that may page the recipient, in the order of the tiers."""
    used = (*(channel for tier in fresh.escalation.policy.tiers for channel in ways(fresh, tier)), *fresh.wishes)
    return dict.fromkeys(channel for channel in used if channel in models and models[channel].providers).keys()


def _carried(channels: tuple[str, ...], models: Mapping[str, ChannelModel]) -> dict[str, list[str]]:
    return {channel: list(models.get(channel, ChannelModel()).providers) for channel in channels}


def _ways(channels: Mapping[str, list[str]]) -> str:
    return ", ".join(f"{way(channel)} ({', then '.join(providers) or 'no provider'})" for channel, providers in channels.items())
