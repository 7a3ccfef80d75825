"""What a recipient prefers: which channels page them, and in which order, by severity; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from notifyflow.core.model import Contact, Severity
from notifyflow.core.policy import Policy, Tier


def preferred(policy: Policy, contact: Contact, severity: Severity) -> Policy:
    """Return the policy by which a recipient is paged for a severity: the given one, with the channels that they prefer.

    The preferred channels page one after another: the first in the first tier, the next in the second, what is left in the last.
    The tiers keep their rules. For CRITICAL no channel is left out or comes later than in the given policy.
    """
    names = (contact.channels or {}).get(severity, ())
    if not names:
        return policy
    tiers = _advanced(policy.tiers, names) if severity is Severity.CRITICAL else _in_turn(policy.tiers, names)
    return replace(policy, tiers=tuple(tiers))


def _in_turn(tiers: Sequence[Tier], names: Sequence[str]) -> Iterable[Tier]:
    last = len(tiers) - 1
    for number, tier in enumerate(tiers):
        yield replace(tier, channels=tuple(names[number:] if number == last else names[number : number + 1]))


def _advanced(tiers: Sequence[Tier], names: Sequence[str]) -> Iterable[Tier]:
    """Yield the tiers with the preferred channels in the place of their order, where that is earlier than their own."""
    places = {name: min(place, len(tiers) - 1) for place, name in enumerate(names)}
    for number, tier in enumerate(tiers):
        own = [name for name in tier.channels if places.get(name, number) >= number]
        before = {name for earlier in tiers[:number] for name in earlier.channels}
        first = [name for name, place in places.items() if place == number and name not in before and name not in own]
        yield replace(tier, channels=(*first, *own))
